"""The grid of Zhan, Tiomkin and Abbeel 2020, of any size and with walls: its transition table; batches of episodes."""

from typing import NamedTuple

import gin
import numpy as np

from tf_apil import arguments
from tf_apil.games import streams

#: Names of the actions, in their order.
ACTIONS = ("stay", "up", "down", "left", "right")
#: (row, column) that each adds.
MOVES = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])
#: What networks may see of a state; see `GridWorld.features`.
FEATURES = ("one_hot", "coordinates")


@gin.configurable
@arguments.checked
class GridWorld:
    """A room of cells, a goal, and a start drawn uniformly from all other cells.

    Every step costs 1, the one into the goal too. A move into a wall or over the edge is a stay. The goal ends the
    episode (it is absorbing, and free); so does step number `cap`. A state is row x columns + column; cells of walls
    have numbers, too, but are never visited.

    Attributes:
        size: (rows, columns).
        cap: steps of an episode at most.
        num_states, num_actions: S, walls and goal included, and A = 5.
        goal: its state.
        free: `[S]` bool, False in walls.
        starts: `[K]` states that an episode may begin in.
        start_probability: `[S]`.
        next_state: `[S, A]` int, the transition table.
        reward: `[S, A]`, -1 but for 0 in the goal.
        distance: `[S]` int, steps to the goal; -1 in walls.
    """

    def __init__(
        self,
        size: tuple[arguments.Count, arguments.Count] = (10, 10),
        goal: tuple[int, int] = (0, 0),
        walls: tuple[tuple[int, int], ...] = (),
        cap: arguments.Count = 100,
    ):
        """Builds the tables; the defaults are the paper's.

        Args:
            size: (rows, columns).
            goal: (row, column).
            walls: (row, column) of each.
            cap: steps after which an episode is cut off.

        Raises:
            ValueError: no such grid: a cell is outside, the goal is in a wall or cannot be reached from everywhere.
        """
        rows, columns = self.size = tuple(size)
        if rows * columns < 2:
            raise ValueError(f"GridWorld.size is {size}; a grid has at least 2 cells.")
        self.cap, self.num_states, self.num_actions = cap, rows * columns, len(ACTIONS)
        self.goal = self.state("goal", goal)
        self.free = np.ones(self.num_states, bool)
        self.free[[self.state("walls", wall) for wall in walls]] = False
        #: What it was made of; JSON values.
        self.settings = {"size": list(self.size), "goal": list(goal), "walls": [list(w) for w in walls], "cap": cap}
        if not self.free[self.goal]:
            raise ValueError(f"the goal {goal} lies in a wall; move it, or take that wall out of `walls`.")
        self.next_state = self._transitions()
        self.distance = self._distances()
        lost = [self.cell(s) for s in np.flatnonzero(self.free & (self.distance < 0))]
        if lost:
            raise ValueError(
                f"{len(lost)} cells cannot reach the goal {tuple(goal)}, such as {lost[:5]}; open a wall, or add these "
                "cells to `walls`."
            )
        self.starts = np.flatnonzero(self.free & (np.arange(self.num_states) != self.goal))
        if not len(self.starts):
            raise ValueError("all cells but the goal are walls; an episode has nowhere to begin.")
        self.start_probability = np.zeros(self.num_states)
        self.start_probability[self.starts] = 1 / len(self.starts)
        self.reward = np.full((self.num_states, self.num_actions), -1.0)
        self.reward[self.goal] = 0.0

    def cell(self, state: int) -> tuple[int, int]:
        """(row, column) of a state."""
        return int(state) // self.size[1], int(state) % self.size[1]

    def features(self, kind: str = "one_hot") -> np.ndarray:
        """What a network sees of each state, `[S, F]` float32.

        Args:
            kind: "one_hot", F = S; or "coordinates", row and column from -1 to 1, F = 2.

        Raises:
            ValueError: another kind.
        """
        if kind == "one_hot":
            return np.eye(self.num_states, dtype=np.float32)
        if kind == "coordinates":
            cells = np.stack(np.divmod(np.arange(self.num_states), self.size[1]), axis=-1)
            return (2 * cells / np.maximum(np.array(self.size) - 1, 1) - 1).astype(np.float32)
        raise ValueError(f'a state is shown as "one_hot" or as "coordinates", not as {kind!r}.')

    def state(self, what: str, cell) -> int:
        """The number of the cell (row, column); `what` it is, for the message.

        Raises:
            ValueError: there is no such cell.
        """
        row, column = _pair(what, cell)
        if not (0 <= row < self.size[0] and 0 <= column < self.size[1]):
            raise ValueError(
                f"{what}: the cell {(row, column)} is outside of a grid of {self.size[0]} rows and "
                f"{self.size[1]} columns, which are counted from 0."
            )
        return row * self.size[1] + column

    def _transitions(self) -> np.ndarray:
        states = np.arange(self.num_states)
        cells = np.stack(np.divmod(states, self.size[1]), axis=-1)
        target = np.clip(cells[:, None] + MOVES, 0, np.array(self.size) - 1)  # [S, A, 2]; over the edge is a stay
        table = target[..., 0] * self.size[1] + target[..., 1]
        table = np.where(self.free[table] & self.free[:, None], table, states[:, None])
        table[self.goal] = self.goal
        return table

    def _distances(self) -> np.ndarray:
        """Breadth first from the goal, a ring at a time."""
        distance = np.full(self.num_states, -1)
        distance[self.goal] = 0
        for ring in range(1, self.num_states):
            reached = (distance[self.next_state] == ring - 1).any(axis=1) & (distance < 0) & self.free
            if not reached.any():
                break
            distance[reached] = ring
        return distance


@gin.configurable
@arguments.checked
class CellRewards:
    """A reward for whoever is meant to want something else than the goal: so much for each step taken in some cells."""

    def __init__(self, cells: tuple[tuple[int, int], ...], reward: float = 1.0, elsewhere: float = 0.0):
        """`cells`: (row, column) of each; `reward` of a step that begins there, `elsewhere` of any other."""
        self._cells, self._reward, self._elsewhere = list(cells), float(reward), float(elsewhere)

    def __call__(self, grid: GridWorld) -> np.ndarray:
        """`[S, A]`; 0 in the goal, where the episode is over.

        Raises:
            ValueError: a cell is outside.
        """
        table = np.full(grid.reward.shape, self._elsewhere)
        table[[grid.state("cells", cell) for cell in self._cells]] = self._reward
        table[grid.goal] = 0.0
        return table


class GridStep(NamedTuple):
    """What a step led to, `[B]` each.

    Attributes:
        state: where the next step begins: in a new episode where the last one is over.
        reward: of the step.
        done: the episode is over, in the goal or cut off.
        cut_off: it was cut off: `cap` steps without the goal.
        final_state: where the step led, which differs from `state` where `done`.
    """

    state: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    cut_off: np.ndarray
    final_state: np.ndarray


class GridBatch:
    """B episodes on one grid, stepped at once; one that is over begins anew by itself.

    Attributes:
        grid: the `GridWorld`.
        state: `[B]` where each now is.
        elapsed: `[B]` steps since each began.
    """

    def __init__(self, grid: GridWorld, num_episodes: int, seed: int = 0):
        """Begins `num_episodes` episodes; `seed` is of their starts."""
        self.grid, self._random = grid, np.random.default_rng(seed)
        self.state, self.elapsed = np.zeros((2, num_episodes), np.int64)
        self.reset()

    def reset(self) -> np.ndarray:
        """Begins an episode everywhere; `[B]` states."""
        self.state = self._random.choice(self.grid.starts, len(self.state))
        self.elapsed = np.zeros_like(self.elapsed)
        return self.state.copy()

    def step(self, action: np.ndarray) -> GridStep:
        """Plays the actions `[B]`, int.

        Raises:
            ValueError: not B of them, or one that is none of the five.
        """
        action = np.asarray(action)
        if action.shape != self.state.shape or action.dtype.kind not in "iu":
            raise ValueError(f"actions are {len(self.state)} whole numbers, not {action.dtype} {action.shape}.")
        if (wrong := (action < 0) | (action >= self.grid.num_actions)).any():
            raise ValueError(f"action {action[wrong][0]} is none of 0 to 4: {', '.join(ACTIONS)}.")
        reward = self.grid.reward[self.state, action]
        final = self.grid.next_state[self.state, action]
        self.elapsed += 1
        arrived = final == self.grid.goal
        done = arrived | (self.elapsed >= self.grid.cap)
        self.state = np.where(done, self._random.choice(self.grid.starts, len(final)), final)
        self.elapsed[done] = 0
        return GridStep(self.state.copy(), reward, done, done & ~arrived, final)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the episodes go on, for a checkpoint."""
        return {"state": self.state.copy(), "elapsed": self.elapsed.copy(), "stream": streams.to_array(self._random)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave.

        Raises:
            ValueError: they are of another number of episodes.
        """
        if np.shape(arrays["state"]) != self.state.shape:
            raise ValueError(f"saved were {np.size(arrays['state'])} episodes; this batch has {len(self.state)}.")
        if (np.asarray(arrays["elapsed"]) < 0).any():
            raise ValueError(f"elapsed is {np.min(arrays['elapsed'])}; an episode has no negative age.")
        self.state, self.elapsed = np.array(arrays["state"]), np.array(arrays["elapsed"])
        self._random = streams.from_array(arrays["stream"])


def _pair(what: str, value) -> tuple[int, int]:
    try:
        first, second = value
        whole = int(first), int(second)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {value!r}; a cell or a size is two whole numbers: row(s), column(s).") from None
    if whole != (first, second):
        raise ValueError(f"{what} is {value!r}; a cell or a size is two whole numbers: row(s), column(s).")
    return whole
