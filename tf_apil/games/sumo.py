"""Sumo: two fighters on a round platform; who falls, or is pushed off, loses."""

import types

import mujoco
import numpy as np

from tf_apil.games import ant, humanoid, scenes
from tf_apil.games import physics as physics_lib
from tf_apil.games.bodies import add_player
from tf_apil.games.game import GOAL_REWARD, TIE, Game, Start, Verdict
from tf_apil.games.player import contact_cost, sum_of_squares, survive_reward
from tf_apil.games.snapshot import Snapshot, Touch


class _Sumo(Game):
    """The rules of both Sumo games. Heights are counted from the platform's top, 0.5 m above the floor.

    Attributes:
        body: module of the fighters' body.
        radii: (least, largest) radius of the arena, m.
        lying: m above the platform; a torso this high or lower counts as fallen.
        upright: m above the platform, from where on surviving is rewarded.
        done_height: m above the platform; `agent_done` of the originals' info.
    """

    body: types.ModuleType
    radii: tuple[float, float]
    lying: float
    upright: float
    done_height: float

    seats = ("fighter 0", "fighter 1")
    step_seconds = 0.015
    max_episode_steps = 500

    def observe(self, state: Snapshot) -> np.ndarray:
        own = self.body.OBSERVATION_DIM
        observation = np.empty((len(state.qpos), 2, self.observation_dim), np.float32)
        to_edge = self._to_edge(state)
        for seat, player in enumerate(self.players):
            other, mine = self.players[1 - seat], observation[:, seat]
            self.body.write_observation(state, player, mine[:, :own])
            mine[:, self.other_qpos] = state.qpos[:, other.qpos]
            arena = mine[:, self.other_qpos.stop :]
            arena[:, 0:2] = other.position(state)[:, :2] - player.position(state)[:, :2]
            arena[:, 2:11] = player.rotation(state)
            arena[:, 11] = state.arena_radius
            arena[:, 12] = to_edge[:, seat]
            arena[:, 13] = to_edge[:, 1 - seat]
            arena[:, 14] = self.max_episode_steps - state.elapsed
        return observation

    def judge(self, state: Snapshot, actions: np.ndarray, moved: np.ndarray) -> Verdict:
        z = np.stack([player.height(state) for player in self.players], axis=1)
        height = z - scenes.ARENA_TOP
        fallen, outside = z <= scenes.ARENA_TOP + self.lying, self._to_edge(state) < 0
        lost = np.where(fallen.any(axis=1, keepdims=True), fallen, outside)
        decided = lost.any(axis=1)
        time_up = ~decided & (state.elapsed >= self.max_episode_steps)

        won = decided[:, None] & ~lost & state.touched[:, None]
        sparse = GOAL_REWARD * won - GOAL_REWARD * (lost | time_up[:, None])
        winner = np.where(won[:, 0], 0, np.where(won[:, 1], 1, TIE))
        terms = tuple(self._terms(state, seat, actions[:, seat], height[:, seat]) for seat in (0, 1))
        return self.verdict(sparse, 0.0, decided | time_up, winner, height <= self.done_height, terms)

    def _terms(self, state: Snapshot, seat: int, action: np.ndarray, height: np.ndarray) -> dict[str, np.ndarray]:
        player = self.players[seat]
        return {
            "reward_center": -np.linalg.norm(player.position(state)[:, :2], axis=1),
            "reward_ctrl": -0.1 * sum_of_squares(self._paid_for(action)),
            "reward_contact": -contact_cost(state, player),
            "reward_survive": survive_reward(height, self.upright, 5.0),
        }

    def _paid_for(self, action: np.ndarray) -> np.ndarray:
        return action

    def _to_edge(self, state: Snapshot) -> np.ndarray:
        """`[M, 2]` how far inside the arena's edge the fighters are, m."""
        distances = [np.linalg.norm(player.position(state)[:, :2], axis=1) for player in self.players]
        return state.arena_radius[:, None] - np.stack(distances, axis=1)

    @property
    def has_arena(self) -> bool:
        return True

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, random: np.random.Generator) -> Start:
        """Draws the arena's radius and where in it the fighters are dropped, one on each side of x = 0."""
        radius = random.uniform(*self.radii)
        super().reset(model, data, random)
        margin = 0.3 + self.radii[0] / 2
        for player, low, high in ((self.players[0], margin - radius, -0.3), (self.players[1], 0.3, radius - margin)):
            x = random.uniform(low, high)
            reach = np.sqrt(radius**2 - x**2) - margin
            data.qpos[player.qpos.start : player.qpos.start + 2] = x, random.uniform(-reach, reach)
        return Start(touched=self.auto_contact, arena_radius=radius)

    def fit(self, model: mujoco.MjModel, arena_radius: float) -> None:
        model.geom_size[self._arena, 0] = arena_radius

    def build(self, physics: physics_lib.Physics) -> mujoco.MjModel:
        model = super().build(physics)
        self._arena = model.geom(scenes.ARENA).id
        return model

    def touch(self, model: mujoco.MjModel) -> Touch:
        return Touch(model, "agent0/", "agent1/")


class SumoHumans(_Sumo):
    """`multicomp/SumoHumans-v0` and, with the contact rule below relaxed, `multicomp/SumoHumansAutoContact-v0`.

    Two humanoids on a platform of radius R, drawn from [1.5, 3.5] m, 0.5 m high. Who falls, or leaves the circle,
    loses; the other wins if the two have touched since the match began.

    Observation (395): own qpos 24, own qvel 23, cinert 13 x 10, cvel 13 x 6, qfrc_actuator 23, cfrc_ext 13 x 6 clipped
    to [-1, 1], the other's qpos 24, the other's x and y from one's own, own torso's rotation matrix 9, R, own and the
    other's distance from the edge, steps left.

    Action (17): motor controls, clamped to [-0.4, 0.4] by the engine.

    | outcome (first that holds)               | who it is about | the other                        | winner         |
    |------------------------------------------|-----------------|----------------------------------|----------------|
    | a torso 0.5 m or less above the platform | -1000           | +1000 if they have touched, or 0 | it, if touched |
    | a torso outside the circle               | -1000           | the same                         | it, if touched |
    | either of both at once                   | -1000           | -1000                            | nobody         |
    | step 500                                 | -1000           | -1000                            | nobody         |

    "Touched": a contact between the two with negative distance, seen at the end of any step of the match. Under
    AutoContact the flag is set from the start.

    Move reward, each step (z: own torso above the platform, a: own action clipped to [-0.4, 0.4], c: contact forces):
    -|xy| - 0.1 |a|^2 - min(10, 5e-7 |c|^2) + 5 where z >= 1 m, else - 5.

    Start: x of seat 0 from U(g - R, -0.3), of seat 1 from U(0.3, R - g), y from U(-(Y - g), Y - g) with
    Y = sqrt(R^2 - x^2) and g = 1.05 m; z is 2.5 m and noise, so that they drop.
    """

    body = humanoid
    radii, lying, upright, done_height = (1.5, 3.5), 0.5, 1.0, 0.5
    observation_dim, action_dim = 395, humanoid.ACTION_DIM
    control_limit = humanoid.ANATOMY.control_limit
    fields = (*humanoid.FIELDS, "xmat")
    layout = (
        *humanoid.LAYOUT,
        (356, 380, "the other's qpos"),
        (380, 382, "the other's x, y from one's own"),
        (382, 391, "own torso's rotation matrix"),
        (391, 392, "arena's radius"),
        (392, 393, "own distance from the edge"),
        (393, 394, "the other's distance from the edge"),
        (394, 395, "steps left"),
    )
    other_qpos = slice(356, 380)

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        spec = scenes.new_scene(physics, self.step_seconds)
        scenes.add_arena(spec, self.radii[1])
        for seat, x, quat in ((0, -2, (1, 0, 0, 0)), (1, 2, (0, 0, 0, 1))):
            prefix, colour = f"agent{seat}/", scenes.seat_colour(seat)
            torso = add_player(spec, humanoid.ANATOMY, prefix, (x, 0, 2.5), quat, colour)
            scenes.add_wind(torso, prefix)
        return spec

    def _paid_for(self, action: np.ndarray) -> np.ndarray:
        return np.clip(action, -self.control_limit, self.control_limit)


class SumoAnts(_Sumo):
    """`multicomp/SumoAnts-v0` and, with the contact rule relaxed, `multicomp/SumoAntsAutoContact-v0`.

    The rules of SumoHumans, with two ants on a platform of radius R, drawn from [2.5, 4.5] m.

    Observation (137): own qpos 15, own qvel 14, cfrc_ext 13 x 6 clipped to [-1, 1], the other's qpos 15, the other's x
    and y from one's own, own torso's rotation matrix 9, R, own and the other's distance from the edge, steps left.

    Action (8): motor controls, clamped to [-1, 1] by the engine.

    Fallen: a torso 0.3 m or less above the platform. Outcomes and goal rewards are those of SumoHumans.

    Move reward, each step (z: own torso above the platform, a: own action, c: contact forces):
    -|xy| - 0.1 |a|^2 - min(10, 5e-7 |c|^2) + 5 where z >= 0.28 m, else - 5.

    Start: as SumoHumans, with g = 1.55 m. Both ants face the same way.
    """

    body = ant
    radii, lying, upright, done_height = (2.5, 4.5), 0.3, 0.28, 0.28
    observation_dim, action_dim = 137, ant.ACTION_DIM
    control_limit = ant.ANATOMY.control_limit
    fields = (*ant.FIELDS, "xmat")
    layout = (
        *ant.LAYOUT,
        (107, 122, "the other's qpos"),
        (122, 124, "the other's x, y from one's own"),
        (124, 133, "own torso's rotation matrix"),
        (133, 134, "arena's radius"),
        (134, 135, "own distance from the edge"),
        (135, 136, "the other's distance from the edge"),
        (136, 137, "steps left"),
    )
    other_qpos = slice(107, 122)

    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        spec = scenes.new_scene(physics, self.step_seconds)
        scenes.add_arena(spec, self.radii[1])
        for seat, x in ((0, -1), (1, 1)):
            add_player(spec, ant.ANATOMY, f"agent{seat}/", (x, 0, 2.5), (0, 0, 0, 1), scenes.seat_colour(seat))
        return spec


class SumoHumansAutoContact(SumoHumans):
    """`multicomp/SumoHumansAutoContact-v0`: SumoHumans, but fighters count as having touched from the start.

    A rule of Gleave et al. 2020: whoever falls alone then loses, where in the base game nobody would win.
    """

    auto_contact = True


class SumoAntsAutoContact(SumoAnts):
    """`multicomp/SumoAntsAutoContact-v0`: SumoAnts, but fighters count as having touched from the start.

    A rule of Gleave et al. 2020: whoever falls alone then loses, where in the base game nobody would win.
    """

    auto_contact = True
