"""Many matches of one game, stepped together on all cores."""

import concurrent.futures
import itertools
import os
from typing import NamedTuple

import mujoco
import numpy as np

from tf_apil.games import physics as physics_lib
from tf_apil.games.game import TIE, Game
from tf_apil.games.snapshot import Snapshot

_BAD_STATE = slice(mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQACC + 1)


class GameStep(NamedTuple):
    """What came of one step of all matches (M matches, 2 seats, D observation entries). The arrays are the caller's.

    Attributes:
        observation: `[M, 2, D]` float32; where a match has ended, the first of the next one.
        reward: `[M, 2]` goal reward + move reward, as the originals' `step` returns it.
        dense_reward: `[M, 2]` the move reward as trainers see it in `info` (with zero-sum shaping).
        sparse_reward: `[M, 2]` the goal reward.
        done: `[M]` bool.
        winner: `[M]` int: seat 0 or 1; -1 for a tie or a match still going on.
        final_observation: `[M, 2, D]` float32, the last of the old match where done, else equal to `observation`.
        elapsed_steps: `[M]` int, the length of the match so far, this step included.
        terms: the signed terms of the move reward, by the originals' names, `[M, 2]` each.
        faults: {match: note} of the matches that ended because their physics blew up.
    """

    observation: np.ndarray
    reward: np.ndarray
    dense_reward: np.ndarray
    sparse_reward: np.ndarray
    done: np.ndarray
    winner: np.ndarray
    final_observation: np.ndarray
    elapsed_steps: np.ndarray
    terms: dict[str, np.ndarray]
    faults: dict[int, str]


class GameBatch:
    """Plays `num_matches` matches of a game at once; a finished match restarts by itself.

    Every match has its own random stream, spawned from one seed, and its own `MjData`: what happens in it depends
    neither on the other matches nor on the number of threads. `mj_step` runs outside Python's lock, so threads use all
    cores.
    """

    def __init__(
        self,
        game_id: str,
        game: Game,
        num_matches: int,
        seed: int | np.random.SeedSequence = 0,
        num_threads: int | None = None,
        physics: str = "original",
    ):
        """Builds the scene and the matches. Call `reset` before the first `step`.

        Args:
            game_id: the id that users know the game by.
            game: its rules.
            num_matches: M, at least 1.
            seed: of all matches' random streams.
            num_threads: cores to step on; None for all that this process may use.
            physics: a name of `physics.PHYSICS`.

        Raises:
            ValueError: unknown physics, or a number of matches or threads below 1.
        """
        if num_matches < 1:
            raise ValueError(f"num_matches is {num_matches}; a batch needs at least 1 match.")
        if num_threads is not None and num_threads < 1:
            raise ValueError(f"num_threads is {num_threads}; give at least 1, or None for all cores.")
        self.game_id, self.game = game_id, game
        self.num_matches, self.physics = num_matches, physics_lib.get(physics)
        self.num_threads = min(num_threads or len(os.sched_getaffinity(0)), num_matches)
        self.model = game.build(self.physics)
        self.datas = [mujoco.MjData(self.model) for _ in range(num_matches)]
        self._state = Snapshot(self.datas)
        self._controls = [data.ctrl for data in self.datas]
        self._warnings = [data.warning.number[_BAD_STATE] for data in self.datas]
        self._warned = np.zeros(num_matches, bool)
        self._random = [np.random.default_rng(s) for s in _sequence(seed).spawn(num_matches)]
        self._elapsed = np.zeros(num_matches, np.int64)
        self._before = np.zeros((num_matches, 2))
        self._started = False
        self._pool = concurrent.futures.ThreadPoolExecutor(max(1, self.num_threads - 1), thread_name_prefix="match")

    @property
    def observation_dim(self) -> int:
        """D."""
        return self.game.observation_dim

    @property
    def action_dim(self) -> int:
        """A."""
        return self.game.action_dim

    def reset(self) -> np.ndarray:
        """Starts every match afresh, going on in its random stream. Returns `[M, 2, D]` float32."""
        for match in range(self.num_matches):
            self._restart(match)
        self._before[:] = self.game.before_step(self._state)
        self._started = True
        return self.game.observe(self._state)

    def step(self, actions: np.ndarray) -> GameStep:
        """Plays one environment step in every match.

        Args:
            actions: `[M, 2, A]`, as the policies gave them: nothing but the engine clamps them.

        Raises:
            ValueError: wrong shape, or an action that is not finite; no match has moved then.
            RuntimeError: `reset` was not called yet.
        """
        actions = self._checked(actions)
        self._simulate(actions)
        faulty = self._blown_up()
        self._elapsed += 1
        with np.errstate(invalid="ignore", over="ignore"):
            verdict = self.game.judge(self._state, actions, self._before, self._elapsed)
            observation = self.game.observe(self._state)
        if len(faulty):
            for array in (*verdict[:3], *verdict.terms.values(), observation):
                array[faulty] = 0.0
            verdict.done[faulty], verdict.winner[faulty] = True, TIE

        elapsed = self._elapsed.copy()
        final_observation = observation
        ended = np.flatnonzero(verdict.done)
        if len(ended):
            for match in ended:
                self._restart(match)
            final_observation = observation.copy()
            observation[ended] = self.game.observe(self._state)[ended]
        self._before[:] = self.game.before_step(self._state)
        return GameStep(
            observation=observation,
            reward=verdict.sparse_reward + verdict.move_reward,
            dense_reward=verdict.dense_reward,
            sparse_reward=verdict.sparse_reward,
            done=verdict.done,
            winner=verdict.winner,
            final_observation=final_observation,
            elapsed_steps=elapsed,
            terms=verdict.terms,
            faults={
                int(m): f"the physics of match {m} blew up at step {elapsed[m]}: its state was not finite or beyond "
                f"{mujoco.mjMAXVAL:g}; the match counts as a tie, its last observation as zeros, and it starts again"
                for m in faulty
            },
        )  # fmt: skip

    def set_state(
        self,
        match: int,
        qpos: np.ndarray,
        qvel: np.ndarray,
        *,
        qacc_warmstart: np.ndarray | None = None,
        elapsed_steps: int | None = None,
        arena_radius: float | None = None,
    ) -> None:
        """Puts one match into a given state, for instance a recorded one.

        Everything derived from the state is computed anew, except where the match is in that state already (to 1e-9):
        then what its last step left stays, as in the originals, so that a recorded match can be replayed row by row.

        Args:
            match: which.
            qpos: `[nq]`, taken as it is (quaternions are not normalised).
            qvel: `[nv]`.
            qacc_warmstart: `[nv]`, where the contact solver starts; None for zeros. With the recorded one, the next
                step repeats bit for bit on the same MuJoCo.
            elapsed_steps: the match's age; None leaves it.
            arena_radius: for Sumo; None leaves it.

        Raises:
            ValueError: a vector has the wrong length or is not finite, or this game has no arena.
        """
        if arena_radius is not None:
            raise ValueError(f"{self.game_id} has no arena, so arena_radius={arena_radius} cannot be set.")
        qpos, qvel = self._vector("qpos", qpos, self.model.nq), self._vector("qvel", qvel, self.model.nv)
        warm = np.zeros(self.model.nv) if qacc_warmstart is None else qacc_warmstart
        warm = self._vector("qacc_warmstart", warm, self.model.nv)
        data = self.datas[match]
        if not (self._started and _same(data.qpos, qpos) and _same(data.qvel, qvel)):
            data.qpos[:], data.qvel[:] = qpos, qvel
            self._derive(match)
        data.qacc_warmstart[:] = warm  # last: the forward pass overwrites it
        if elapsed_steps is not None:
            self._elapsed[match] = elapsed_steps
        self._before[match] = self.game.before_step(self._state)[match]
        self._started = True

    def get_state(self, match: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns copies of `(qpos [nq], qvel [nv])` of one match."""
        return self.datas[match].qpos.copy(), self.datas[match].qvel.copy()

    def observe(self, match: int) -> np.ndarray:
        """Returns `[2, D]` float32, what both seats of one match see now."""
        return self.game.observe(self._state)[match]

    def close(self) -> None:
        """Ends the threads. The batch cannot be stepped afterwards."""
        self._pool.shutdown()

    def _restart(self, match: int) -> None:
        self.game.reset(self.model, self.datas[match], self._random[match])
        self._elapsed[match] = 0
        self._derive(match)

    def _derive(self, match: int) -> None:
        """Computes what follows from a state that was written, contact forces included, and takes it."""
        mujoco.mj_forward(self.model, self.datas[match])
        mujoco.mj_rnePostConstraint(self.model, self.datas[match])
        self._state.take(match)

    def _simulate(self, actions: np.ndarray) -> None:
        """Steps all matches, each thread taking the next one that nobody has taken yet."""
        controls = actions.reshape(self.num_matches, -1)
        queue = itertools.count()

        def work():
            model, substeps, last = self.model, self.physics.substeps, self.num_matches
            while (match := next(queue)) < last:
                data = self.datas[match]
                self._controls[match][:] = controls[match]
                mujoco.mj_step(model, data, substeps)
                mujoco.mj_rnePostConstraint(model, data)
                self._state.take(match)
                self._warned[match] = self._warnings[match].any()

        helpers = [self._pool.submit(work) for _ in range(self.num_threads - 1)]
        work()
        for helper in helpers:
            helper.result()

    def _blown_up(self) -> np.ndarray:
        """Indices of the matches whose state became not finite, or larger than the engine accepts.

        The engine looks before every substep, warns and resets the match's data; after the last one we look ourselves.
        """
        bad = self._warned.copy()
        for values in (self._state.qpos, self._state.qvel):
            bad |= ~((values.max(axis=1) < mujoco.mjMAXVAL) & (values.min(axis=1) > -mujoco.mjMAXVAL))
        return np.flatnonzero(bad)

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        if not self._started:
            raise RuntimeError("step was called before reset: call reset() once, then step(actions).")
        actions = np.asarray(actions)
        expected = (self.num_matches, 2, self.action_dim)
        if actions.shape != expected:
            raise ValueError(
                f"actions have shape {actions.shape}; {self.game_id} with {self.num_matches} matches expects "
                f"{expected}: [match, seat ({', '.join(self.game.seats)}), motor]."
            )
        finite = np.isfinite(actions)
        if not finite.all():
            match, seat, motor = np.argwhere(~finite)[0]
            raise ValueError(
                f"the action of match {match}, seat {seat} ({self.game.seats[seat]}), motor {motor} is "
                f"{actions[match, seat, motor]}; actions must be finite. No match was stepped."
            )
        return actions

    def _vector(self, name: str, value: np.ndarray, length: int) -> np.ndarray:
        value = np.asarray(value, np.float64)
        if value.shape != (length,):
            raise ValueError(f"{name} has shape {value.shape}; {self.game_id} expects ({length},).")
        if not np.isfinite(value).all():
            raise ValueError(f"{name}[{np.flatnonzero(~np.isfinite(value))[0]}] is not finite; nothing was changed.")
        return value


def _sequence(seed: int | np.random.SeedSequence) -> np.random.SeedSequence:
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=0, atol=1e-9)
