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

    ## Observation

    Positions are those in the world, but for the opponent's x and y, which are also told from where one is.

    ## Versions

    v0: the rules of gym_compete, with the body inertias of MuJoCo 1.31, and without the radii of its curriculum.
    """

    body: types.ModuleType
    radii: tuple[float, float]
    lying: float
    upright: float
    done_height: float

    seats = ("fighter 0", "fighter 1")
    step_seconds = 0.015
    max_episode_steps = 500
    has_arena = True

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
    """Two humanoids on a round platform: who falls, or is pushed off, loses.

    The platform is 0.5 m high; its radius R is drawn anew for every match, from U(1.5, 3.5) m. A fall counts for the
    other only if the two have touched before. The papers' victim sits in seat 0.

    ## Action

    The engine clamps controls to the range; the control cost below is that of the clipped action.

    ## End

    | the first that holds                     | loser | the other                          | winner              |
    |------------------------------------------|-------|------------------------------------|---------------------|
    | a torso 0.5 m or less above the platform | -1000 | +1000 if they have touched, else 0 | the other, if +1000 |
    | a torso outside the circle               | -1000 | the same                           | the other, if +1000 |
    | step 500                                 | -1000 | -1000                              | nobody              |

    Where it holds for both at once, both get -1000 and nobody wins. "Touched": a contact between the two with negative
    distance, at the end of any step of the match.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term             | both seats                 |
    |------------------|----------------------------|
    | `reward_center`  | -distance from the middle  |
    | `reward_ctrl`    | -0.1 sum a^2               |
    | `reward_contact` | -min(10, 5e-7 sum c^2)     |
    | `reward_survive` | +5 where z >= 1 m, else -5 |

    a: own action, clipped to the range; c: contact forces on own bodies, not clipped; z: own torso's height above the
    platform; the distance is that of the torso's x and y, m.

    ## Start

    The defaults with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of qvel; torsos at z = 2.5 m,
    so that they drop. Then are drawn anew: x of seat 0 from U(g - R, -0.3), of seat 1 from U(0.3, R - g), and y from
    U(g - Y, Y - g), where Y = sqrt(R^2 - x^2) and g = 1.05 m.

    ## Zoo

    `agent_parameters-v1` to `-v3`; each plays either seat; recurrent.
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
    """Two ants on a round platform: who falls, or is pushed off, loses.

    The platform is 0.5 m high; its radius R is drawn anew for every match, from U(2.5, 4.5) m. A fall counts for the
    other only if the two have touched before. The papers' victim sits in seat 0.

    ## Action

    The engine clamps controls to the range; the control cost below is that of the raw action.

    ## End

    | the first that holds                     | loser | the other                          | winner              |
    |------------------------------------------|-------|------------------------------------|---------------------|
    | a torso 0.3 m or less above the platform | -1000 | +1000 if they have touched, else 0 | the other, if +1000 |
    | a torso outside the circle               | -1000 | the same                           | the other, if +1000 |
    | step 500                                 | -1000 | -1000                              | nobody              |

    Where it holds for both at once, both get -1000 and nobody wins. "Touched": a contact between the two with negative
    distance, at the end of any step of the match.

    ## Reward

    The goal reward of the table above, on the last step, and in each step the move reward, the sum of:

    | term             | both seats                    |
    |------------------|-------------------------------|
    | `reward_center`  | -distance from the middle     |
    | `reward_ctrl`    | -0.1 sum a^2                  |
    | `reward_contact` | -min(10, 5e-7 sum c^2)        |
    | `reward_survive` | +5 where z >= 0.28 m, else -5 |

    a: own action; c: contact forces on own bodies, not clipped; z: own torso's height above the platform; the distance
    is that of the torso's x and y, m.

    ## Start

    The defaults with U(-0.1, 0.1) on every entry of qpos and 0.1 N(0, 1) on every entry of qvel; torsos at z = 2.5 m,
    so that they drop, and both face the same way. Then are drawn anew: x of seat 0 from U(g - R, -0.3), of seat 1 from
    U(0.3, R - g), and y from U(g - Y, Y - g), where Y = sqrt(R^2 - x^2) and g = 1.55 m.

    ## Zoo

    `agent_parameters-v1` to `-v4`; each plays either seat; recurrent.
    """

    body = ant
    radii, lying, upright, done_height = (2.5, 4.5), 0.3, 0.28, 0.28
    observation_dim, action_dim = 137, ant.ACTION_DIM
    control_limit = ant.ANATOMY.control_limit
    own_physics = physics_lib.FOR_ANTS
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
    """SumoHumans, but the fighters count as having touched from the start.

    Whoever falls alone then loses, where in SumoHumans nobody wins before a touch. Policies cannot see the
    difference.

    ## Versions

    v0: SumoHumans-v0 with the rule that Gleave et al. 2020 added for their adversaries.
    """

    auto_contact = True


class SumoAntsAutoContact(SumoAnts):
    """SumoAnts, but the fighters count as having touched from the start.

    Whoever falls alone then loses, where in SumoAnts nobody wins before a touch. Policies cannot see the
    difference.

    ## Versions

    v0: SumoAnts-v0 with the rule that Gleave et al. 2020 added for their adversaries.
    """

    auto_contact = True
