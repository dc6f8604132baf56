"""The states of a batch's matches: in the engine, what the matches remember, and their random streams."""

from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import streams
from tf_apil.games.game import Game
from tf_apil.games.snapshot import Snapshot

BAD_STATE = slice(mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQACC + 1)  # of `MjData.warning`
_WHOLE_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class State(NamedTuple):
    """A state to put a match into; `GameBatch.set_state` says what the fields are, and what None means."""

    qpos: np.ndarray
    qvel: np.ndarray
    qacc_warmstart: np.ndarray | None = None
    elapsed_steps: int | None = None
    arena_radius: float | None = None
    touched: bool | None = None


class States:
    """The states of M matches of one game: started afresh, set, saved and restored.

    Attributes:
        game_id, game: as of `GameBatch`.
        model: the compiled scene.
        datas: every match's `MjData`.
        snapshot: what the rules read of these, and what the matches remember.
        progress: `[M, 2]`, what `Game.progress` said of the last state.
        resting: `[M]` bool, whether a match has ended and waits for the next step to restart.
        random: every match's stream.
        started: whether there is anything to go on from.
    """

    def __init__(
        self,
        game_id: str,
        game: Game,
        model: mujoco.MjModel,
        num_matches: int,
        seed: int | np.random.SeedSequence,
    ):
        self.game_id, self.game, self.model = game_id, game, model
        self.datas = [mujoco.MjData(model) for _ in range(num_matches)]
        self.snapshot = Snapshot(self.datas, game.fields, game.touch(model))
        self.progress = np.zeros((num_matches, 2))
        self.resting = np.zeros(num_matches, bool)
        self.random = streams.spawn(seed, num_matches)
        self.started = False
        self._views: dict[tuple[int, int], Snapshot] = {}

    def view(self, matches: slice) -> Snapshot:
        """Returns the snapshot of some matches as views."""
        bounds = matches.start, matches.stop
        if bounds not in self._views:
            self._views[bounds] = self.snapshot.rows(matches)
        return self._views[bounds]

    def resting_in(self, matches: slice) -> set[int]:
        """Returns the numbers of those matches that rest."""
        return set((matches.start + np.flatnonzero(self.resting[matches])).tolist())

    def start(self, matches: np.ndarray) -> np.ndarray:
        """Starts the matches of these numbers afresh. Returns what is seen of them, `[len(matches), 2, D]`."""
        memory = self.snapshot
        for match in matches.tolist():
            start = self.game.reset(self.model, self.datas[match], self.random[match])
            memory.elapsed[match], memory.touched[match], memory.arena_radius[match] = 0, *start
            self._derive(match)
        rows = memory.rows(matches)
        self.progress[matches] = self.game.progress(rows)
        return self.game.observe(rows)

    def observe(self, match: int) -> np.ndarray:
        """Returns `[2, D]`, what is seen of one match."""
        return self.game.observe(self.view(slice(match, match + 1)))[0]

    def model_of(self, match: int) -> mujoco.MjModel:
        """Returns `model` as it is in one match; good until another match is asked for."""
        self.game.fit(self.model, self.snapshot.arena_radius[match])
        return self.model

    def checked(self, state: State) -> State:
        """The same with vectors of float64, zeros for a warm start that is missing.

        Raises:
            ValueError: as of `GameBatch.set_state`.
        """
        radius, nv = state.arena_radius, self.model.nv
        if radius is not None and not self.game.has_arena:
            raise ValueError(f"{self.game_id} has no arena, so arena_radius={radius} cannot be set.")
        if radius is not None and not 0 < radius < np.inf:
            raise ValueError(f"arena_radius is {radius}; it must be a positive number of metres.")
        warm = np.zeros(nv) if state.qacc_warmstart is None else state.qacc_warmstart
        state = state._replace(
            qpos=self._vector("qpos", state.qpos, self.model.nq),
            qvel=self._vector("qvel", state.qvel, nv),
            qacc_warmstart=self._vector("qacc_warmstart", warm, nv),
        )
        if radius is None and self.game.has_arena and not self.started:
            raise ValueError(f"{self.game_id} is played in an arena: give arena_radius, or call reset() first.")
        return state

    def put(self, match: int, state: State) -> None:
        """Puts one match into a state that was `checked`."""
        data, memory = self.datas[match], self.snapshot
        there = self.started and _same(data.qpos, state.qpos) and _same(data.qvel, state.qvel)
        if state.arena_radius is not None:
            there = there and state.arena_radius == memory.arena_radius[match]
            memory.arena_radius[match] = state.arena_radius
        if state.elapsed_steps is not None:
            memory.elapsed[match] = state.elapsed_steps
        self.resting[match] = False
        data.warning.number[BAD_STATE] = 0
        data.qpos[:], data.qvel[:] = state.qpos, state.qvel
        if there:
            memory.take(match)
        else:
            self._derive(match)
        if state.touched is not None:
            memory.touched[match] = state.touched
        elif memory.elapsed[match] == 0:
            memory.touched[match] = self.game.auto_contact
        else:
            memory.watch(match)
        data.qacc_warmstart[:] = state.qacc_warmstart  # last: the forward pass overwrites it
        self.progress[match] = self.game.progress(self.view(slice(match, match + 1)))
        self.started = True

    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the matches go on, by name; copies."""
        states = np.empty(self._shape)
        for data, row in zip(self.datas, states, strict=True):
            mujoco.mj_getState(self.model, data, row, _WHOLE_STATE)
        memory = {f"memory/{name}": values.copy() for name, values in self._memory().items()}
        return memory | {
            "states": states,
            "streams": np.stack([streams.to_array(stream) for stream in self.random]),
            "progress": self.progress.copy(),
            "resting": self.resting.copy(),
        }

    def expect_restorable(self, arrays: dict[str, np.ndarray]) -> None:
        """Refuses what cannot be what `arrays` gave.

        Raises:
            ValueError: it is of another number of matches, or of another game, or of a state that no match comes to.
        """
        states, elapsed = np.asarray(arrays["states"], np.float64), np.asarray(arrays["memory/elapsed"])
        if states.shape != self._shape:
            raise ValueError(f"states of shape {states.shape} were saved; {self.game_id} here needs {self._shape}.")
        if not (np.abs(states) <= mujoco.mjMAXVAL).all():  # NaN, too
            raise ValueError(f"states holds numbers above {mujoco.mjMAXVAL:g}, which no match can come to.")
        if (elapsed < 0).any():
            raise ValueError(f"memory/elapsed is {elapsed.min()}; a match has no negative age.")
        limit = self.game.max_episode_steps
        if limit is not None and (elapsed > limit).any():
            raise ValueError(f"memory/elapsed is {elapsed.max()}; a match of {self.game_id} has {limit} steps at most.")
        if not (np.abs(arrays["progress"]) <= mujoco.mjMAXVAL).all():
            raise ValueError(f"progress holds numbers above {mujoco.mjMAXVAL:g}, which no match can come to.")
        radius = arrays["memory/arena_radius"] if self.game.has_arena else np.ones(1)
        if not ((radius > 0) & (radius <= mujoco.mjMAXVAL)).all():
            raise ValueError("memory/arena_radius must be a positive number of metres everywhere.")
        for words in arrays["streams"]:
            streams.from_array(words)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""
        for name, values in self._memory().items():
            values[:] = arrays[f"memory/{name}"]
        for match, (data, row) in enumerate(zip(self.datas, np.asarray(arrays["states"], np.float64), strict=True)):
            mujoco.mj_setState(self.model, data, row, _WHOLE_STATE)
            self._derive(match)
            mujoco.mj_setState(self.model, data, row, _WHOLE_STATE)  # what deriving has overwritten
        self.random = [streams.from_array(words) for words in arrays["streams"]]
        self.progress[:], self.resting[:] = arrays["progress"], arrays["resting"]
        self.started = True

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.datas), mujoco.mj_stateSize(self.model, _WHOLE_STATE)

    def _memory(self) -> dict[str, np.ndarray]:
        """What matches remember of themselves, by name; not copies."""
        names = ("elapsed", "touched", *(("arena_radius",) if self.game.has_arena else ()))
        return {name: getattr(self.snapshot, name) for name in names}

    def _derive(self, match: int) -> None:
        """Computes what follows from a state that was written, contact forces included, and takes it."""
        model = self.model_of(match)
        mujoco.mj_forward(model, self.datas[match])
        mujoco.mj_rnePostConstraint(model, self.datas[match])
        self.snapshot.take(match)

    def _vector(self, name: str, value: np.ndarray, length: int) -> np.ndarray:
        value = np.asarray(value, np.float64)
        if value.shape != (length,):
            raise ValueError(f"{name} has shape {value.shape}; {self.game_id} expects ({length},).")
        if not np.isfinite(value).all():
            raise ValueError(f"{name}[{np.flatnonzero(~np.isfinite(value))[0]}] is not finite; nothing was changed.")
        return value


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=0, atol=1e-6)
