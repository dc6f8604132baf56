"""The games as batched tf-agents environments, for one learner against a policy that sits opposite.

environment = MatchEnvironment(games.make(game_id, num_matches=32, seed=0), seat=0, opponent=policy)
time_step = environment.reset()                         # observation [32, D], step_type, reward and discount [32]
time_step = environment.step(actions)                   # actions [32, A]

This module alone of `tf_apil.games` imports tf-agents, and with it TensorFlow.
"""

import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from tf_apil.games.batch import GameBatch
from tf_apil.games.step import GameStep
from tf_apil.games.workers import Interrupted

REWARDS = ("sparse", "dense", "sum")


class MatchEnvironment(py_environment.PyEnvironment):
    """A batch of matches in which one seat is the agent and the other a policy.

    Every match goes its own way through FIRST, MID, ..., LAST. The time step of a match that has ended is LAST: its
    observation is the final one, its reward that of the last step. The next `step` begins this match anew, and no more:
    it is not played, the action given for it is not looked at, and its time step is FIRST, with a reward of 0 and a
    discount of 1. Meanwhile the others are played as ever. So every pair of successive time steps of a match is either
    a transition that has been played or the border between two matches (LAST, FIRST), and none that was played is left
    out; this is what tf-agents' replay buffers, drivers and `Trajectory.is_boundary` expect.

    The discount is 0 where the rules have ended the match, goal rewards at step 500 included, or a fault has. It is 1
    where it was cut off after `max_steps` (`GameStep.truncated`): a learner takes the value of what would have come.

    An opponent that remembers starts every match with a fresh memory. Its chance and the matches' are streams of their
    own: nothing depends on the number of threads.

    The batch belongs to the environment from then on: it sets `GameBatch.rests_at_end`, and `close` closes it.

    Attributes:
        game: the matches.
        seat: the agent's.
        opponent: who sits in the other one.
        last_step: the `GameStep` behind the last time step, with winners and faults; None after `reset`.
    """

    def __init__(
        self,
        game: GameBatch,
        seat: int,
        opponent,
        reward: str = "sparse",
        deterministic_opponent: bool = False,
        seed: int = 0,
    ):
        """Takes over the matches. Nothing is reset before the first `reset` or `step`.

        Args:
            game: the matches.
            seat: of the agent, 0 or 1.
            opponent: what sits opposite: `initial_state(batch_size)` and
                `act(observation, state, random, deterministic)`, as in `tf_apil.models.policy`.
            reward: "sparse" (the goal reward), "dense" (the move reward with its shaping), or "sum" (of both).
            deterministic_opponent: whether the opponent acts by its mean.
            seed: of the opponent's chance.

        Raises:
            ValueError: no such seat or reward, or an opponent that was made for another game.
        """
        super().__init__()
        if seat not in (0, 1):
            raise ValueError(
                f"seat is {seat}; {game.game_id} has 0 ({game.game.seats[0]}) and 1 ({game.game.seats[1]})."
            )
        if reward not in REWARDS:
            raise ValueError(f"reward is {reward!r}; choose one of {', '.join(map(repr, REWARDS))}.")
        if (opponent.observation_dim, opponent.action_dim) != (game.observation_dim, game.action_dim):
            raise ValueError(
                f"policy {opponent.name!r} ({opponent.observation_dim} observations, {opponent.action_dim} actions) "
                f"cannot sit in seat {1 - seat} of {game.game_id} ({game.observation_dim} observations, "
                f"{game.action_dim} actions)."
            )
        self.game, self.seat, self.opponent = game, seat, opponent
        game.rests_at_end = True
        self.last_step: GameStep | None = None
        self._reward, self._deterministic = reward, deterministic_opponent
        self._random = np.random.default_rng(seed)
        self._game_seed: np.random.SeedSequence | None = None
        limit = np.float32(game.game.control_limit)
        self._observation_spec = array_spec.ArraySpec((game.observation_dim,), np.float32, "observation")
        self._action_spec = array_spec.BoundedArraySpec((game.action_dim,), np.float32, -limit, limit, "action")

    @property
    def batched(self) -> bool:
        """True, for a single match too."""
        return True

    @property
    def batch_size(self) -> int:
        """M."""
        return self.game.num_matches

    def observation_spec(self) -> array_spec.ArraySpec:
        """`[D]` float32, of one match."""
        return self._observation_spec

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """`[A]` float32, of one match; the bounds are the engine's, which clamps what lies outside."""
        return self._action_spec

    def seed(self, seed: int) -> None:
        """Lets the next `reset` start new random streams, the opponent's and the matches'."""
        self._game_seed, own = np.random.SeedSequence(seed).spawn(2)
        self._random = np.random.default_rng(own)

    def close(self) -> None:
        """Ends the batch's threads."""
        self.game.close()

    def _reset(self) -> ts.TimeStep:
        self._observation = self.game.reset(self._game_seed)
        self._game_seed = self.last_step = None
        self._is_last = np.zeros(self.batch_size, bool)
        self._state = self.opponent.initial_state(self.batch_size)
        return ts.restart(self._observation[:, self.seat].copy(), self.batch_size)

    def _step(self, action: np.ndarray) -> ts.TimeStep:
        action, expected = np.asarray(action), (self.batch_size, self.game.action_dim)
        if action.shape != expected:
            raise ValueError(
                f"the actions of seat {self.seat} ({self.game.game.seats[self.seat]}) have shape {action.shape}; "
                f"{self.game.game_id} with {self.batch_size} matches expects {expected}."
            )
        if self._observation is None:
            raise Interrupted("a step was cut off by an exception: call reset().")
        opposite = np.ascontiguousarray(self._observation[:, 1 - self.seat])
        answer = self.opponent.act(opposite, self._state, self._random, self._deterministic)
        actions = np.stack([action, answer.action] if self.seat == 0 else [answer.action, action], axis=1)

        self._observation = None  # until there is another
        step, begun_anew = self.game.step(actions), self._is_last
        self._state = answer.state
        if self._state is not None and begun_anew.any():
            rows = np.flatnonzero(begun_anew)
            self._state = np.array(self._state)
            self._state[rows] = self.opponent.initial_state(len(rows))
        self.last_step, self._is_last = step, step.done
        self._observation = step.observation

        step_type = np.where(step.done, ts.StepType.LAST, np.where(begun_anew, ts.StepType.FIRST, ts.StepType.MID))
        reward = {
            "sparse": step.sparse_reward,
            "dense": step.dense_reward,
            "sum": step.sparse_reward + step.dense_reward,
        }[self._reward][:, self.seat]
        return ts.TimeStep(
            step_type=step_type.astype(np.int32),
            reward=reward.astype(np.float32),
            discount=np.where(step.done & ~step.truncated, 0, 1).astype(np.float32),
            observation=step.observation[:, self.seat].copy(),
        )
