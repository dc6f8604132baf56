"""What a game is to the batch that plays it: a scene, an observation and rules, written for many matches at once."""

import abc
from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import physics as physics_lib
from tf_apil.games.snapshot import Snapshot

TIE = -1  # also "still playing"


class Verdict(NamedTuple):
    """What the rules say of one step of all matches.

    Attributes:
        sparse_reward: `[M, 2]` the goal reward ("reward_remaining" of the originals).
        move_reward: `[M, 2]` the shaped reward that the step returns on top of it.
        dense_reward: `[M, 2]` the move reward as trainers see it in `info`: with the zero-sum shaping terms, which
            the originals add after the step's reward has been summed.
        done: `[M]` bool.
        winner: `[M]` int, seat 0 or 1, or -1.
        terms: each term of the move rewards, by the originals' names, `[M, 2]`.
    """

    sparse_reward: np.ndarray
    move_reward: np.ndarray
    dense_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    terms: dict[str, np.ndarray]


class Game(abc.ABC):
    """One game of two seats. Subclasses are stateless: whatever a match remembers lies in its batch.

    Attributes:
        seats: names of the two seats.
        observation_dim, action_dim: D and A, the same in both seats.
        step_seconds: length of an environment step, s.
        max_episode_steps: the rules' own limit.
        layout: what the entries of an observation are, for messages and pages: (start, end, meaning).
    """

    seats: tuple[str, str]
    observation_dim: int
    action_dim: int
    step_seconds: float
    max_episode_steps: int
    layout: tuple[tuple[int, int, str], ...]

    @abc.abstractmethod
    def build(self, physics: physics_lib.Physics) -> mujoco.MjModel:
        """Compiles the scene."""

    @abc.abstractmethod
    def observe(self, state: Snapshot) -> np.ndarray:
        """Returns `[M, 2, D]` float32."""

    @abc.abstractmethod
    def before_step(self, state: Snapshot) -> np.ndarray:
        """Returns what the rewards need to know of the state before the step, `[M, 2]`."""

    @abc.abstractmethod
    def judge(self, state: Snapshot, actions: np.ndarray, before: np.ndarray, elapsed: np.ndarray) -> Verdict:
        """Applies the rules to the state after a step.

        Args:
            state: after the step.
            actions: `[M, 2, A]`, raw.
            before: what `before_step` returned.
            elapsed: `[M]` int, environment steps of the match, this one included.
        """

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, random: np.random.Generator) -> None:
        """Puts one match at a fresh start: defaults, plus U(-0.1, 0.1) on qpos and 0.1 N(0, 1) on qvel."""
        mujoco.mj_resetData(model, data)
        data.qpos[:] += random.uniform(-0.1, 0.1, model.nq)
        data.qvel[:] = 0.1 * random.standard_normal(model.nv)
