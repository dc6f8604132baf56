"""What scripts written for the original environments find on a gym environment beside its methods."""

import dataclasses

import gym
import numpy as np

from tf_apil.games import scenes
from tf_apil.games.game import GOAL_REWARD
from tf_apil.games.match import Match


@dataclasses.dataclass(frozen=True)
class Agent:
    """A seat, as the originals' `env.agents[seat]`.

    Attributes:
        id: the seat, 0 or 1.
        scope: what the names of its bodies and joints start with, "agent0" or "agent1".
        observation_space, action_space: its own.
        n_agents: 2.
    """

    id: int
    observation_space: gym.spaces.Box
    action_space: gym.spaces.Box
    match: Match = dataclasses.field(repr=False)
    n_agents: int = 2

    @property
    def scope(self) -> str:
        return f"agent{self.id}"

    @property
    def obs_dim(self) -> int:
        """D."""
        return self.observation_space.shape[0]

    @property
    def action_dim(self) -> int:
        """A."""
        return self.action_space.shape[0]

    def get_qpos(self) -> np.ndarray:
        """Returns a copy of its own generalised positions: the torso's place and quaternion, then joints; m, rad."""
        return self.match.get_state()[0][self._player.qpos]

    def get_qvel(self) -> np.ndarray:
        """Returns a copy of its own generalised velocities, m/s and rad/s."""
        return self.match.get_state()[1][self._player.qvel]

    def get_other_qpos(self) -> np.ndarray:
        """Returns a copy of all positions that are not its own: the other player's, and the ball's if there is one."""
        return np.delete(self.match.get_state()[0], self._player.qpos)

    @property
    def _player(self):
        return self.match.game.game.players[self.id]


class Originals:
    """The originals' attributes, for an environment that has `match`, `observation_space` and `action_space`.

    Those of the engine's side (`env_scene`, `viewer`) are not: MuJoCo's are `env.match.game.model` and `.datas[0]`.

    Attributes:
        n_agents, num_agents: 2.
        GOAL_REWARD: of the winner; the loser gets as much less.
        LEFT_GOAL, RIGHT_GOAL: x of the goal lines, m.
    """

    n_agents = num_agents = 2
    GOAL_REWARD = GOAL_REWARD
    LEFT_GOAL, RIGHT_GOAL = -scenes.GOAL_X, scenes.GOAL_X
    match: Match

    @property
    def agents(self) -> dict[int, Agent]:
        """Returns the seats by number."""
        return {seat: Agent(seat, self.observation_space[seat], self.action_space[seat], self.match) for seat in (0, 1)}

    @property
    def dt(self) -> float:
        """Length of a step, s."""
        return self.match.game.game.step_seconds

    @property
    def RADIUS(self) -> float:
        """Radius of Sumo's arena in this match, m; NaN in other games."""
        return self.match.game.arena_radius(0)

    @property
    def _max_episode_steps(self) -> int | None:
        """The limit of steps, the rules' or `max_steps`, whichever comes first; None: there is none."""
        limits = [limit for limit in (self.match.game.max_steps, self.match.game.game.max_episode_steps) if limit]
        return min(limits, default=None)

    @property
    def _elapsed_steps(self) -> int:
        """Steps since the match began."""
        return self.match.game.elapsed_steps(0)

    def state_vector(self) -> np.ndarray:
        """Returns a copy of `[qpos, qvel]`, `[nq + nv]`."""
        return np.concatenate(self.match.get_state())
