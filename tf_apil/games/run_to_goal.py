"""Run to goal: two players face each other, and the first to reach the line behind the other wins."""

import types

import mujoco
import numpy as np

from tf_apil.games import ant, humanoid, scenes
from tf_apil.games import physics as physics_lib
from tf_apil.games.bodies import add_player
from tf_apil.games.game import GOAL_REWARD, TIE, Game, Verdict
from tf_apil.games.player import contact_cost, sum_of_squares, survive_reward
from tf_apil.games.snapshot import Snapshot

_DIRECTION = np.array([1.0, -1.0])  # seat 0 runs right, seat 1 left


class _RunToGoal(Game):
    """The rules of both games: who crosses its line alone wins.

    ## Observation

    Positions are those in the world, so that the two seats do not see mirror images.

    ## Action

    The engine clamps controls to the range; the control cost below is that of the raw action.

    ## Zoo

    `agent1_parameters-v1` runs to the right (seat 0), `agent2_parameters-v1` to the left (seat 1); feed-forward.

    ## Versions

    v0: the rules of gym_compete, with the body inertias of MuJoCo 1.31.
    """

    body: types.ModuleType
    fallen: float  # m: a torso lower than that is down
    seats = ("runner to the right", "runner to the left")
    max_episode_steps = None

    def observe(self, state: Snapshot) -> np.ndarray:
        observation = np.empty((len(state.qpos), 2, self.observation_dim), np.float32)
        for seat, player in enumerate(self.players):
            self.body.write_observation(state, player, observation[:, seat, : self.body.OBSERVATION_DIM])
            observation[:, seat, self.other_qpos] = state.qpos[:, self.players[1 - seat].qpos]
        return observation

    def judge(self, state: Snapshot, actions: np.ndarray, moved: np.ndarray) -> Verdict:
        com = np.stack([player.torso_com(state)[:, 0] for player in self.players], axis=1)
        across = com * _DIRECTION >= scenes.GOAL_X
        alone = across.sum(axis=1) == 1
        height = np.stack([player.height(state) for player in self.players], axis=1)
        agent_done = height < self.fallen
        done = across.any(axis=1) | agent_done.all(axis=1)

        sparse = GOAL_REWARD * (across & alone[:, None]) - GOAL_REWARD * (~across & alone[:, None])
        winner = np.where(alone, across.argmax(axis=1), TIE)
        terms = tuple(self._terms(state, seat, actions[:, seat], moved[:, seat], height[:, seat]) for seat in (0, 1))
        return self.verdict(sparse, 0.0, done, winner, agent_done, terms)

    def _terms(self, state, seat: int, action, moved, height) -> dict[str, np.ndarray]:
        raise NotImplementedError


class RunToGoalHumans(_RunToGoal):
    """Two humanoids face each other, and the first to reach the line behind the other wins.

    Seat 0 starts at x = -1 m and must bring its centre of mass to x = +4 m; seat 1 starts at x = +1 m and must bring
    its own to x = -4 m.

    ## End

    | what happens                      | reward                         | winner   |
    |-----------------------------------|--------------------------------|----------|
    | one of the two is across its line | +1000, and -1000 for the other | that one |
    | both are, in the same step        | 0                              | nobody   |
    | both torsos are lower than 0.8 m  | 0                              | nobody   |

    "Across" is a matter of the centre of mass of the torso and all that hangs on it. The rules know no time limit: a
    batch cuts a match off after `max_steps` steps, 500 unless told otherwise, and says `truncated`.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term               | both seats                 |
    |--------------------|----------------------------|
    | `reward_forward`   | 0.25 dx / 0.003 s          |
    | `reward_ctrl`      | -0.1 sum a^2               |
    | `reward_contact`   | -min(10, 5e-7 sum c^2)     |
    | `reward_survive`   | +5 where z >= 1 m, else -5 |
    | `reward_goal_dist` | -abs(x - goal)             |

    a: own action; c: contact forces on own bodies, not clipped; z, x: own torso's place; dx: way of the mass centre
    towards the goal in this step, m.

    ## Start

    The defaults, both torsos at z = 1.4 m, with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of
    qvel.
    """

    body = humanoid
    fallen = 0.8
    observation_dim, action_dim = humanoid.OBSERVATION_DIM + humanoid.NQ, humanoid.ACTION_DIM
    control_limit = humanoid.ANATOMY.control_limit
    step_seconds = 0.015
    fields = humanoid.FIELDS
    layout = (*humanoid.LAYOUT, (356, 380, "the other's qpos"))
    other_qpos = slice(356, 380)

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        spec = scenes.new_scene(physics, self.step_seconds)
        add_player(spec, humanoid.ANATOMY, "agent0/", (-1, 0, 1.4), (1, 0, 0, 0), scenes.seat_colour(0))
        add_player(spec, humanoid.ANATOMY, "agent1/", (1, 0, 1.4), (0, 0, 0, 1), scenes.seat_colour(1))
        return spec

    def progress(self, state: Snapshot) -> np.ndarray:
        return _DIRECTION * np.stack([player.mass_centre_x(state) for player in self.players], axis=1)

    def _terms(self, state, seat: int, action, moved, height) -> dict[str, np.ndarray]:
        player = self.players[seat]
        return {
            "reward_forward": humanoid.forward_reward(moved),
            "reward_ctrl": -0.1 * sum_of_squares(action),
            "reward_contact": -contact_cost(state, player),
            "reward_survive": survive_reward(height, 1.0, 5.0),
            "reward_goal_dist": -np.abs(player.position(state)[:, 0] - _DIRECTION[seat] * scenes.GOAL_X),
        }


class RunToGoalAnts(_RunToGoal):
    """Two ants face each other, and the first to reach the line behind the other wins.

    Seat 0 starts at x = -1 m and must bring its centre of mass to x = +4 m; seat 1 starts at x = +1 m and must bring
    its own to x = -4 m. A step is longer than in the other games.

    ## End

    | what happens                      | reward                         | winner   |
    |-----------------------------------|--------------------------------|----------|
    | one of the two is across its line | +1000, and -1000 for the other | that one |
    | both are, in the same step        | 0                              | nobody   |
    | both torsos are lower than 0.28 m | 0                              | nobody   |

    "Across" is a matter of the centre of mass of the torso and all that hangs on it. The rules know no time limit: a
    batch cuts a match off after `max_steps` steps, 500 unless told otherwise, and says `truncated`.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term             | both seats                    |
    |------------------|-------------------------------|
    | `reward_forward` | dx / 0.05 s                   |
    | `reward_ctrl`    | -0.5 sum a^2                  |
    | `reward_contact` | -5e-4 sum c^2                 |
    | `reward_survive` | +1 where z >= 0.28 m, else -1 |

    a: own action; c: contact forces on own bodies, clipped to [-1, 1]; z: own torso's height; dx: way of the centre of
    mass towards the goal in this step, m.

    ## Start

    The defaults, both torsos at z = 0.75 m, with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of
    qvel. Ankles start outside their limits, which push them in.
    """

    body = ant
    fallen = 0.28
    observation_dim, action_dim = ant.OBSERVATION_DIM + ant.NQ, ant.ACTION_DIM
    control_limit = ant.ANATOMY.control_limit
    step_seconds = 0.05
    own_physics = physics_lib.FOR_ANTS
    fields = ant.FIELDS
    layout = (*ant.LAYOUT, (107, 122, "the other's qpos"))
    other_qpos = slice(107, 122)

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        # The original names no solver here, and so gets the engine's default.
        spec = scenes.new_scene(physics, self.step_seconds, mujoco.mjtSolver.mjSOL_NEWTON)
        add_player(spec, ant.ANATOMY, "agent0/", (-1, 0, 0.75), (1, 0, 0, 0), scenes.seat_colour(0))
        add_player(spec, ant.ANATOMY, "agent1/", (1, 0, 0.75), (0, 0, 0, 1), scenes.seat_colour(1))
        return spec

    def progress(self, state: Snapshot) -> np.ndarray:
        return _DIRECTION * np.stack([player.torso_com(state)[:, 0] for player in self.players], axis=1)

    def _terms(self, state, seat: int, action, moved, height) -> dict[str, np.ndarray]:
        return {
            "reward_forward": moved / self.step_seconds,
            "reward_ctrl": -0.5 * sum_of_squares(action),
            "reward_contact": -ant.runner_contact_cost(state, self.players[seat]),
            "reward_survive": survive_reward(height, 0.28, 1.0),
        }
