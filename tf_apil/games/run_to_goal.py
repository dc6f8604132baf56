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
    """The rules of both games: who crosses its line alone wins."""

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
    """`multicomp/RunToGoalHumans-v0`.

    Two humanoids face each other 2 m apart, seat 0 at x = -1 m and seat 1 at x = +1 m. Seat 0 must bring its torso's
    subtree centre of mass to x = +4 m, seat 1 to x = -4 m.

    Observation (380): as in YouShallNotPassHumans. Action (17): motor controls, clamped to [-0.4, 0.4] by the engine.

    | outcome                          | who           | reward | winner |
    |----------------------------------|---------------|--------|--------|
    | one is across its line           | that one      | +1000  | it     |
    |                                  | the other     | -1000  |        |
    | both are, in the same step       | both          | 0      | nobody |
    | both torsos lower than 0.8 m     | both          | 0      | nobody |

    There is no time limit: a batch cuts a match off after `GameBatch.max_steps` and says `truncated`.

    Move reward, each step (a: own action, c: contact forces, z: own torso's height, dx: way of the mass centre towards
    the goal): 0.25 dx / 0.003 - 0.1 |a|^2 - min(10, 5e-7 |c|^2) + 5 where z >= 1 m, else - 5, - |x_torso - goal|.
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
    """`multicomp/RunToGoalAnts-v0`.

    The rules of RunToGoalHumans, with two ants, steps of 50 ms, and "down" below 0.28 m.

    Observation (122): own qpos 15, own qvel 14, cfrc_ext 13 x 6 clipped to [-1, 1], the other's qpos 15.

    Action (8): motor controls, clamped to [-1, 1] by the engine.

    Move reward, each step (a: own action, c: contact forces clipped to [-1, 1], z: own torso's height, dx: way of the
    torso's subtree centre of mass towards the goal):
    dx / 0.05 - 0.5 |a|^2 - 5e-4 |c|^2 + 1 where z >= 0.28 m, else - 1.
    """

    body = ant
    fallen = 0.28
    observation_dim, action_dim = ant.OBSERVATION_DIM + ant.NQ, ant.ACTION_DIM
    control_limit = ant.ANATOMY.control_limit
    step_seconds = 0.05
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
