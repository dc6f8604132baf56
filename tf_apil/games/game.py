"""What a game is to the batch that plays it: a scene, an observation and rules, written for many matches at once."""

import abc
import types
from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import physics as physics_lib
from tf_apil.games.player import Player
from tf_apil.games.snapshot import Snapshot, Touch

TIE = -1  # also "still playing"
GOAL_REWARD = 1000.0


class Verdict(NamedTuple):
    """What the rules say of one step of all matches.

    Attributes:
        sparse_reward: `[M, 2]` the goal reward ("reward_remaining" of the originals).
        move_reward: `[M, 2]` the shaped reward that the step returns on top of it, the sum of `terms`.
        dense_reward: `[M, 2]` the move reward as trainers see it in `info` ("reward_move"): with the zero-sum shaping
            terms, which the originals add after the step's reward has been summed.
        done: `[M]` bool.
        winner: `[M]` int, seat 0 or 1, or -1.
        agent_done: `[M, 2]` bool, whether the player has fallen, as the originals' `info` tells it.
        terms: of each seat, the signed terms of its move reward by the originals' names, `[M]` each.
    """

    sparse_reward: np.ndarray
    move_reward: np.ndarray
    dense_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    agent_done: np.ndarray
    terms: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]

    def blank(self, rows: np.ndarray | list[int]) -> None:
        """Makes some matches undecided ones that nobody gets anything for."""
        for array in (*self[:3], self.agent_done, *self.terms[0].values(), *self.terms[1].values()):
            array[rows] = 0
        self.done[rows], self.winner[rows] = False, TIE


class Start(NamedTuple):
    """What a match remembers from its start.

    Attributes:
        touched: whether the watched parties count as having touched already.
        arena_radius: m; NaN without an arena.
    """

    touched: bool = False
    arena_radius: float = float("nan")


class Game(abc.ABC):
    """One game of two seats. A game itself remembers nothing of a match: that lies in the batch's `Snapshot`.

    The `## Section`s of its docstring become its page under docs/games (`pages.py`).

    Attributes:
        seats: names of the two seats.
        observation_dim, action_dim: D and A, the same in both seats.
        control_limit: the engine clamps controls to [-limit, limit].
        step_seconds: length of an environment step, s.
        max_episode_steps: the rules' own limit; None where they have none.
        fields: what of the engine's state observation and rules read (`Snapshot`).
        layout: what the entries of an observation are, for messages and pages: (start, end, meaning).
        other_qpos: the entries of an observation that show the opponent's joints: what the papers' masks hide.
        auto_contact: whether the watched parties count as having touched from the start.
        has_arena: whether matches differ in the radius of an arena.
        own_physics: what it plays on instead of the physics of that name.
        costs: terms of the move reward that the originals' `info` shows without their minus sign.
        players: of the two seats, in the compiled scene.
    """

    seats: tuple[str, str]
    observation_dim: int
    action_dim: int
    control_limit: float
    step_seconds: float
    max_episode_steps: int | None
    fields: tuple[str, ...]
    layout: tuple[tuple[int, int, str], ...]
    other_qpos: slice
    auto_contact: bool = False
    has_arena: bool = False
    own_physics: Mapping[str, physics_lib.Physics] = types.MappingProxyType({})
    costs: tuple[str, ...] = ("reward_ctrl", "reward_contact")
    players: tuple[Player, Player]

    def build(self, physics: physics_lib.Physics) -> mujoco.MjModel:
        """Compiles the scene and finds the players in it."""
        model = self.scene(physics).compile()
        self.players = Player.find(model, 0), Player.find(model, 1)
        return model

    @abc.abstractmethod
    def scene(self, physics: physics_lib.Physics) -> mujoco.MjSpec:
        """Describes the scene: players whose names start with `agent0/` and `agent1/`, and what is around them."""

    @abc.abstractmethod
    def observe(self, state: Snapshot) -> np.ndarray:
        """Returns `[M, 2, D]` float32."""

    @abc.abstractmethod
    def judge(self, state: Snapshot, actions: np.ndarray, moved: np.ndarray) -> Verdict:
        """Applies the rules to the state after a step.

        Args:
            state: after the step; `elapsed` counts it already.
            actions: `[M, 2, A]`, raw.
            moved: `[M, 2]`, by how much `progress` has changed in this step.
        """

    def progress(self, state: Snapshot) -> np.ndarray:
        """Returns `[M, 2]` how far players have come, for rewards that count their way, m."""
        return np.zeros((len(state.qpos), 2))

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, random: np.random.Generator) -> Start:
        """Puts one match at a fresh start: defaults, plus U(-0.1, 0.1) on qpos and 0.1 N(0, 1) on qvel."""
        mujoco.mj_resetData(model, data)
        data.qpos[:] += random.uniform(-0.1, 0.1, model.nq)
        data.qvel[:] = 0.1 * random.standard_normal(model.nv)
        return Start()

    def fit(self, model: mujoco.MjModel, arena_radius: float) -> None:  # noqa: B027, most games have nothing to do
        """Gives `model`, which many matches share, what is particular to one of them."""

    def touch(self, model: mujoco.MjModel) -> Touch | None:
        """Returns the watch over the two parties whose touching matters, or None."""
        return None

    @staticmethod
    def verdict(sparse, shaping, done, winner, agent_done, terms) -> Verdict:
        """Sums up: `shaping` is `[M, 2]`, or 0, and counts in `dense_reward` alone."""
        move = np.stack([sum(own.values()) for own in terms], axis=1)
        return Verdict(sparse, move, move + shaping, done, winner, agent_done, terms)
