"""YouShallNotPassHumans: a walker must cross the line behind a blocker."""

import mujoco
import numpy as np

from tf_apil.games import bodies, humanoid, scenes
from tf_apil.games import physics as physics_lib
from tf_apil.games.game import TIE, Game, Verdict
from tf_apil.games.snapshot import Snapshot

BLOCKER, WALKER = 0, 1
_GOAL_X = -scenes.GOAL_X  # the walker starts at +1 and walks left
_GOAL_REWARD = 1000.0
_DOWN = 0.3  # m: below it a torso counts as fallen


class YouShallNotPassHumans(Game):
    """`multicomp/YouShallNotPassHumans-v0`.

    Two humanoids face each other 2 m apart: the blocker (seat 0) at x = -1 m, the walker (seat 1) at x = +1 m. The
    walker wins by bringing its centre of mass across x = -4 m within 500 steps of 15 ms; the blocker wins if the
    walker falls or time runs out. Nobody ties.

    Observation (380): own qpos 24, own qvel 23, cinert 13 x 10, cvel 13 x 6, qfrc_actuator 23, cfrc_ext 13 x 6 clipped
    to [-1, 1], the other's qpos 24. Positions are absolute, so the seats are not mirror images.

    Action (17): motor controls, clamped to [-0.4, 0.4] by the engine alone.

    | outcome (first that holds)         | blocker                           | walker | winner  |
    |------------------------------------|-----------------------------------|--------|---------|
    | walker across the line             | -1000                             | +1000  | walker  |
    | walker's torso at 0.3 m or lower   | +1000 if its own is above, else 0 | -1000  | blocker |
    | step 500                           | 0                                 | -1000  | blocker |

    Move reward, each step (a: own action, c: contact forces, z: own torso's height, x: centre of mass):
    blocker  survive - 0.1 |a|^2 - min(10, 5e-7 |c|^2);
    walker   the same + 0.25 (x_before - x_after) / 0.003 - |x_torso + 4|;  survive = +5 where z >= 1 m, else -5.
    In `dense_reward` the blocker also gets + |x_torso + 4| of the walker until a touchdown.
    """

    seats = ("blocker", "walker")
    observation_dim = humanoid.OBSERVATION_DIM + humanoid.NQ
    action_dim = humanoid.ACTION_DIM
    step_seconds = 0.015
    max_episode_steps = 500
    layout = (
        (0, 24, "own qpos"),
        (24, 47, "own qvel"),
        (47, 177, "own cinert"),
        (177, 255, "own cvel"),
        (255, 278, "own qfrc_actuator"),
        (278, 356, "own cfrc_ext, clipped"),
        (356, 380, "the other's qpos"),
    )

    def build(self, physics: physics_lib.Physics) -> mujoco.MjModel:
        spec = scenes.new_scene(physics, self.step_seconds)
        bodies.add_humanoid(spec, "agent0/", (-1, 0, 1.4), (1, 0, 0, 0), scenes.seat_colour(BLOCKER))
        bodies.add_humanoid(spec, "agent1/", (1, 0, 1.4), (0, 0, 0, 1), scenes.seat_colour(WALKER))
        model = spec.compile()
        self._seats = [humanoid.Seat.find(model, f"agent{seat}/") for seat in (BLOCKER, WALKER)]
        return model

    def observe(self, state: Snapshot) -> np.ndarray:
        observation = np.empty((len(state.qpos), 2, self.observation_dim), np.float32)
        for seat, own in enumerate(self._seats):
            humanoid.write_self_observation(state, own, observation[:, seat])
            observation[:, seat, humanoid.OBSERVATION_DIM :] = state.qpos[:, self._seats[1 - seat].qpos]
        return observation

    def before_step(self, state: Snapshot) -> np.ndarray:
        return np.stack([own.mass_centre_x(state) for own in self._seats], axis=1)

    def judge(self, state: Snapshot, actions: np.ndarray, before: np.ndarray, elapsed: np.ndarray) -> Verdict:
        blocker, walker = self._seats
        blocker_z = blocker.torso_position(state)[:, 2]
        walker_x, _, walker_z = walker.torso_position(state).T

        touchdown = walker.torso_com(state)[:, 0] <= _GOAL_X
        down = ~touchdown & (walker_z <= _DOWN)
        time_up = ~touchdown & ~down & (elapsed >= self.max_episode_steps)

        sparse = np.zeros((len(elapsed), 2))
        sparse[:, WALKER] = _GOAL_REWARD * touchdown - _GOAL_REWARD * (down | time_up)
        sparse[:, BLOCKER] = _GOAL_REWARD * (down & (blocker_z > _DOWN)) - _GOAL_REWARD * touchdown
        winner = np.where(touchdown, WALKER, np.where(down | time_up, BLOCKER, TIE))

        goal_distance = np.abs(walker_x - _GOAL_X)
        terms = self._move_terms(state, actions, before, goal_distance)
        move = sum(terms.values())
        dense = move.copy()
        dense[:, BLOCKER] += np.where(touchdown, 0.0, goal_distance)
        return Verdict(sparse, move, dense, touchdown | down | time_up, winner, terms)

    def _move_terms(self, state, actions, before, goal_distance) -> dict[str, np.ndarray]:
        """The signed terms of both seats' move reward, `[M, 2]` each."""
        terms = {
            name: np.zeros((len(before), 2))
            for name in ("reward_forward", "reward_ctrl", "reward_contact", "reward_survive", "reward_goal_dist")
        }
        for seat, own in enumerate(self._seats):
            terms["reward_ctrl"][:, seat] = -humanoid.control_cost(actions[:, seat])
            terms["reward_contact"][:, seat] = -humanoid.contact_cost(state, own)
            terms["reward_survive"][:, seat] = humanoid.survive_reward(own.torso_position(state)[:, 2])
        walked = -humanoid.forward_reward(before[:, WALKER], self._seats[WALKER].mass_centre_x(state))
        terms["reward_forward"][:, WALKER] = walked
        terms["reward_goal_dist"][:, WALKER] = -goal_distance
        return terms
