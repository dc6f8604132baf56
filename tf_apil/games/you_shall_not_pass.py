"""YouShallNotPassHumans: a walker must cross the line behind a blocker."""

import mujoco
import numpy as np

from tf_apil.games import humanoid, scenes
from tf_apil.games import physics as physics_lib
from tf_apil.games.bodies import add_player
from tf_apil.games.game import GOAL_REWARD, TIE, Game, Verdict
from tf_apil.games.player import contact_cost, sum_of_squares, survive_reward
from tf_apil.games.snapshot import Snapshot

BLOCKER, WALKER = 0, 1
_GOAL_X = -scenes.GOAL_X  # the walker starts at +1 and walks left
_DOWN = 0.3  # m: below it a torso counts as fallen


class YouShallNotPassHumans(Game):
    """A walker must cross the line behind a blocker.

    Two humanoids face each other 2 m apart: the blocker (seat 0) at x = -1 m, the walker (seat 1) at x = +1 m. The
    walker wins by bringing its centre of mass across x = -4 m within 500 steps; the blocker wins if the walker falls or
    time runs out. Nobody ties. The papers' victim is the walker.

    ## Observation

    Positions are those in the world, so that the two seats do not see mirror images.

    ## Action

    The engine clamps controls to the range; the control cost below is that of the raw action.

    ## End

    | the first that holds             | blocker                           | walker | winner  |
    |----------------------------------|-----------------------------------|--------|---------|
    | walker across the line           | -1000                             | +1000  | walker  |
    | walker's torso at 0.3 m or lower | +1000 if its own is above, else 0 | -1000  | blocker |
    | step 500                         | 0                                 | -1000  | blocker |

    "Across" is a matter of the centre of mass of the torso and all that hangs on it.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term               | blocker                    | walker            |
    |--------------------|----------------------------|-------------------|
    | `reward_forward`   | 0                          | 0.25 dx / 0.003 s |
    | `reward_ctrl`      | -0.1 sum a^2               | the same          |
    | `reward_contact`   | -min(10, 5e-7 sum c^2)     | the same          |
    | `reward_survive`   | +5 where z >= 1 m, else -5 | the same          |
    | `reward_goal_dist` |                            | -abs(x + 4 m)     |

    a: own action; c: contact forces on own bodies, not clipped; z, x: own torso's place; dx: way of the mass centre to
    the left in this step, m. In `dense_reward`, which trainers see, the blocker also gets + abs(x + 4 m) of the walker
    until a touchdown.

    ## Start

    The defaults, both torsos at z = 1.4 m, with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of
    qvel.

    ## Zoo

    `agent1_parameters-v1` is a blocker, `agent2_parameters-v1` a walker; feed-forward.

    ## Versions

    v0: the rules of gym_compete, with the body inertias of MuJoCo 1.31.
    """

    seats = ("blocker", "walker")
    observation_dim = humanoid.OBSERVATION_DIM + humanoid.NQ
    action_dim = humanoid.ACTION_DIM
    control_limit = humanoid.ANATOMY.control_limit
    step_seconds = 0.015
    max_episode_steps = 500
    fields = humanoid.FIELDS
    layout = (*humanoid.LAYOUT, (356, 380, "the other's qpos"))
    other_qpos = slice(356, 380)

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        spec = scenes.new_scene(physics, self.step_seconds)
        add_player(spec, humanoid.ANATOMY, "agent0/", (-1, 0, 1.4), (1, 0, 0, 0), scenes.seat_colour(BLOCKER))
        add_player(spec, humanoid.ANATOMY, "agent1/", (1, 0, 1.4), (0, 0, 0, 1), scenes.seat_colour(WALKER))
        return spec

    def observe(self, state: Snapshot) -> np.ndarray:
        observation = np.empty((len(state.qpos), 2, self.observation_dim), np.float32)
        for seat, player in enumerate(self.players):
            humanoid.write_observation(state, player, observation[:, seat])
            observation[:, seat, self.other_qpos] = state.qpos[:, self.players[1 - seat].qpos]
        return observation

    def progress(self, state: Snapshot) -> np.ndarray:
        return np.stack([np.zeros(len(state.qpos)), -self.players[WALKER].mass_centre_x(state)], axis=1)

    def judge(self, state: Snapshot, actions: np.ndarray, moved: np.ndarray) -> Verdict:
        blocker, walker = self.players
        touchdown = walker.torso_com(state)[:, 0] <= _GOAL_X
        down = ~touchdown & (walker.height(state) <= _DOWN)
        time_up = ~touchdown & ~down & (state.elapsed >= self.max_episode_steps)

        sparse = np.zeros((len(touchdown), 2))
        sparse[:, WALKER] = GOAL_REWARD * touchdown - GOAL_REWARD * (down | time_up)
        sparse[:, BLOCKER] = GOAL_REWARD * (down & (blocker.height(state) > _DOWN)) - GOAL_REWARD * touchdown
        winner = np.where(touchdown, WALKER, np.where(down | time_up, BLOCKER, TIE))

        goal_distance = np.abs(walker.position(state)[:, 0] - _GOAL_X)
        walking = {
            "reward_forward": humanoid.forward_reward(moved[:, WALKER]),
            "reward_goal_dist": -goal_distance,
        }
        terms = (
            {"reward_forward": np.zeros(len(touchdown)), **self._upkeep(state, BLOCKER, actions)},
            {**walking, **self._upkeep(state, WALKER, actions)},
        )
        shaping = np.zeros((len(touchdown), 2))
        shaping[:, BLOCKER] = np.where(touchdown, 0.0, goal_distance)
        agent_done = np.stack([blocker.height(state) <= 0.5, walker.height(state) < 0.8], axis=1)
        return self.verdict(sparse, shaping, touchdown | down | time_up, winner, agent_done, terms)

    def _upkeep(self, state: Snapshot, seat: int, actions: np.ndarray) -> dict[str, np.ndarray]:
        player = self.players[seat]
        return {
            "reward_ctrl": -0.1 * sum_of_squares(actions[:, seat]),
            "reward_contact": -contact_cost(state, player),
            "reward_survive": survive_reward(player.height(state), 1.0, 5.0),
        }
