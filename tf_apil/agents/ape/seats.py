"""Tasks for one agent, many episodes at once; who acts in them; and whole episodes of what was done there.

What is learned from, evaluated and cloned are `Demonstrations`, whatever was played: the grid (`GridSeat`), its
continuous sibling (`point_goal.PointGoal`), or one seat of a game against a frozen opponent (`game_seat.GameSeat`).
"""

from typing import Literal, NamedTuple, Protocol

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.agents.ape.gridworld import FEATURES, GridBatch, GridWorld


class SeatStep(NamedTuple):
    """What a step led to; M episodes.

    A cut-off by the cap counts as an end: returns are counted to the cap, in training as in what is reported.

    Attributes:
        observation: `[M, D]` float32, where the next step begins: of a new episode where the last one is over.
        reward: `[M]` float64, of the step.
        done: `[M]` bool: over, by the task's rules or its cap.
        arrived: `[M]` bool: of those that are done, ended well (the goal was reached, the match won); False elsewhere.
        final_observation: `[M, D]` float32, where the step led, which differs from `observation` where done.
    """

    observation: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    arrived: np.ndarray
    final_observation: np.ndarray


class Seat(Protocol):
    """M episodes of a task for one agent, stepped at once; one that is over begins anew by itself.

    Attributes:
        observation_dim: D.
        num_actions: A of a discrete task; None of a continuous one.
        action_dim: A of a continuous task; None of a discrete one.
        num_episodes: M.
        cap: steps of an episode at most.
        settings: what task it is; JSON values.
        observation: `[M, D]` float32, as it is now.
    """

    observation_dim: int
    num_actions: int | None
    action_dim: int | None
    num_episodes: int
    cap: int
    settings: dict
    observation: np.ndarray

    def reset(self) -> np.ndarray:
        """Begins an episode everywhere; `[M, D]`. Chance goes on where it was."""

    def step(self, action: np.ndarray) -> SeatStep:
        """Plays the actions: `[M]` int of a discrete task, `[M, A]` of a continuous one.

        Raises:
            ValueError: another shape, or not finite. (In a game an action that is not finite is a fault, as games
                treat it: that match ends, and nobody has won it.)
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the episodes go on, for a checkpoint."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave; the episodes go on bit for bit."""


class Actor(Protocol):
    """Who plays: an ensemble's experts (a context drawn once an episode), its observer (one at every step), a clone."""

    def begin(self, num_episodes: int, random: np.random.Generator) -> np.ndarray:
        """What is remembered of each of M episodes as it begins, `[M, ...]`: a context, a recurrent state."""

    def act(
        self, observation: np.ndarray, state: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Acts on `observation` `[M, D]` float32.

        Returns:
            action: `[M]` int, or `[M, A]` float32.
            state: `[M, ...]` after this step.
            info: arrays `[M, ...]` by name; an ensemble's "context", int, is who acted.
        """


class Demonstrations(NamedTuple):
    """B whole episodes, time-major; T is the longest one's steps. Behind an episode's end, all is False or 0.

    Attributes:
        observation: `[T, B, D]` float32, before each step; or `[T, B]` int, the states of a grid.
        action: `[T, B]` int, or `[T, B, A]` float32.
        context: `[T, B]` int, who acted; zeros where there is nobody to tell apart.
        reward: `[T, B]` float64.
        playing: `[T, B]` bool.
        arrived: `[B]` bool: ended well.
    """

    observation: np.ndarray
    action: np.ndarray
    context: np.ndarray
    reward: np.ndarray
    playing: np.ndarray
    arrived: np.ndarray

    @property
    def num_episodes(self) -> int:
        """B."""
        return len(self.arrived)

    @property
    def num_steps(self) -> int:
        """Steps played in all."""
        return int(self.playing.sum())

    def returns(self) -> np.ndarray:
        """`[B]` sums of rewards."""
        return self.reward.sum(axis=0)

    def returns_to_go(self, discount: float = 1.0) -> np.ndarray:
        """R(t) = r(t) + discount R(t + 1), `[T, B]`; nothing is counted behind an end or a cut."""
        if discount == 1:
            return self.reward[::-1].cumsum(axis=0)[::-1]
        result = np.zeros_like(self.reward)
        after = np.zeros(self.num_episodes)
        for t in reversed(range(len(result))):
            result[t] = after = self.reward[t] + discount * after
        return result


def play_episodes(seat: Seat, actor: Actor, random: np.random.Generator) -> Demonstrations:
    """Resets the seat and plays the first episode of each of its M places, until all have ended.

    A place whose first episode is over goes on being stepped, for all are stepped at once; nothing of it is kept.
    First episodes, all of them: who took the first M to end would count short ones too often.

    Args:
        seat: where. Afterwards it is in the middle of later episodes: reset it before playing on.
        actor: who.
        random: chance of the actor; that of the task is the seat's own.

    Raises:
        RuntimeError: the seat's episodes do not end by its cap.
    """
    observation = seat.reset()
    state, left = actor.begin(seat.num_episodes, random), np.ones(seat.num_episodes, bool)  # left: who still plays
    rows: dict[str, np.ndarray] = {}
    arrived = np.zeros(seat.num_episodes, bool)
    for t in range(seat.cap):
        action, state, info = actor.act(observation, state, random)
        step = seat.step(action)
        kept = {
            "observation": observation,
            "action": action,
            "context": info.get("context", np.zeros(seat.num_episodes, np.int64)),
            "reward": step.reward,
            "playing": left,
        }
        for name, value in kept.items():
            value = np.asarray(value)
            if name not in rows:  # zeros take no memory until they are written to
                rows[name] = np.zeros((seat.cap, *value.shape), value.dtype)
            rows[name][t, left] = value[left]
        arrived |= left & step.arrived
        left = left & ~step.done
        observation = step.observation
        if not left.any():
            return Demonstrations(**{name: value[: t + 1] for name, value in rows.items()}, arrived=arrived)
    raise RuntimeError(
        f"{left.sum()} of {len(left)} episodes of {type(seat).__name__} went on for more than its cap of {seat.cap} "
        "steps; a seat must tell `done` in that step at the latest."
    )


def checked_actions(action: np.ndarray, num_episodes: int, action_dim: int) -> np.ndarray:
    """A continuous task's actions as `[M, A]` floats.

    Raises:
        ValueError: another shape, or no numbers.
    """
    action = np.asarray(action)
    if action.shape != (num_episodes, action_dim) or action.dtype.kind not in "fiu":
        raise ValueError(
            f"actions are [{num_episodes}, {action_dim}] numbers: one row an episode; these are {action.dtype} "
            f"{list(action.shape)}."
        )
    return action if action.dtype.kind == "f" else action.astype(np.float32)


class GridSeat:
    """The grid as a `Seat`: a state is seen as its row of `GridWorld.features`.

    Attributes: those of `Seat`, and

        grid: the `GridWorld`.
        features: `[S, D]`, how a state is seen.
        reward: `[S, A]`.
        state: `[M]` int, where each episode now is.
    """

    action_dim = None

    def __init__(
        self,
        grid: GridWorld,
        num_episodes: int,
        seed: int = 0,
        features: str = "one_hot",
        reward: np.ndarray | None = None,
    ):
        """Begins `num_episodes` episodes.

        Args:
            grid: where.
            num_episodes: M.
            seed: of their starts.
            features: "one_hot", D = S, or "coordinates", D = 2.
            reward: `[S, A]`; None: the grid's. The goal's row is never given.

        Raises:
            ValueError: no episodes, unknown features, or a table of rewards of another shape or not finite.
        """
        self.grid, self.num_episodes, self.cap = grid, whole("num_episodes", num_episodes), grid.cap
        self.num_actions = grid.num_actions
        self.features = grid.features(features)
        self.observation_dim = self.features.shape[1]
        self.reward = np.array(grid.reward if reward is None else reward, np.float64)
        if self.reward.shape != grid.reward.shape or not np.isfinite(self.reward).all():
            raise ValueError(
                f"reward is a table [S, A] = {list(grid.reward.shape)} of finite numbers for this grid; this one is "
                f"{list(self.reward.shape)}, {(~np.isfinite(self.reward)).sum()} of its entries not finite."
            )
        self.settings = {
            "grid": grid.settings,
            "features": features,
            "reward": None if reward is None else self.reward.tolist(),
        }
        self._batch = GridBatch(grid, self.num_episodes, seed)

    @property
    def state(self) -> np.ndarray:
        return self._batch.state.copy()

    @property
    def observation(self) -> np.ndarray:
        return self.features[self._batch.state]

    def reset(self) -> np.ndarray:
        return self.features[self._batch.reset()]

    def step(self, action: np.ndarray) -> SeatStep:
        """Plays the actions `[M]`, int.

        Raises:
            ValueError: not M of them, or one that is none of the five.
        """
        before = self._batch.state  # of which a step makes a new array
        step = self._batch.step(action)
        return SeatStep(
            observation=self.features[step.state],
            reward=self.reward[before, action],
            done=step.done,
            arrived=step.done & ~step.cut_off,
            final_observation=self.features[step.final_state],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        return self._batch.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of another number of episodes.
        """
        self._batch.restore(arrays)


def whole(name: str, value, least: int = 1) -> int:
    """`value` as a whole number.

    Raises:
        ValueError: it is none, or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}.")
    return int(value)


@gin.configurable
@arguments.checked
def grid_seat(
    num_episodes: arguments.Count,
    seed: arguments.Whole,
    grid: GridWorld | None = None,
    features: Literal[*FEATURES] = "one_hot",
) -> GridSeat:
    """A `GridSeat` as gin can have it; the paper's grid where none is given."""
    return GridSeat(grid or GridWorld(), num_episodes, seed, features)
