"""Many matches of one game, stepped together on all cores."""

import copy
import os

import mujoco
import numpy as np

from tf_apil import arguments
from tf_apil.games import faults, one_call, streams
from tf_apil.games import physics as physics_lib
from tf_apil.games.game import Game, Verdict
from tf_apil.games.snapshot import Snapshot
from tf_apil.games.step import GameStep
from tf_apil.games.under_way import UnderWay
from tf_apil.games.workers import Workers

_BAD_STATE = slice(mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQACC + 1)
_WHOLE_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_LEAST_TO_HALVE = 8  # matches
_CUT_OFF = 500  # steps, in games whose rules have no limit of their own


@arguments.checked
class GameBatch:
    """Plays `num_matches` matches of a game at once; a finished match restarts by itself.

    Every match has its own random stream, spawned from one seed, and its own `MjData`: what happens in it depends
    neither on the other matches nor on the number of threads. `mj_step` runs outside Python's lock, so threads use all
    cores.

    Whoever has policies to ask meanwhile steps one of the `halves` while the other is being thought about:

        game.begin(actions[half], half)     # returns at once
        ...
        step = game.finish(half)            # of those matches alone

    Whoever wants to see a match's end before the next begins sets `rests_at_end`: a match that has ended then stays in
    its last state, and the next step does not play it but only starts it afresh. Its action is not looked at; what
    comes of it is the first observation, with zeros for rewards and `elapsed_steps`.

    One thread at a time may use a batch; a call that finds another one under way raises RuntimeError and does nothing.
    An exception in the middle of a step, such as Ctrl-C's, leaves matches half played: all but `reset`, `restore` and
    `close` then raise `workers.Interrupted`, which is a RuntimeError, and `reset` makes everything good. What was begun
    and is not to be finished is given up by `reset`, `restore` and `close` too.

    Attributes:
        game_id, game: the id that users know the game by, and its rules.
        num_matches: M.
        physics: what it is integrated with.
        num_threads: that step.
        max_steps: after which a match is cut off as a tie; None: never.
        model: the compiled scene. In a game whose matches differ in it (Sumo's arena), ask `model_of`.
        datas: every match's `MjData`.
        rests_at_end: whether matches wait for the next step to restart; False unless set.
        halves: slices of the matches that can be stepped by turns; one of all of them in a small batch.
    """

    def __init__(
        self,
        game_id: str,
        game: Game,
        num_matches: arguments.Count,
        seed: arguments.Whole | np.random.SeedSequence = 0,
        num_threads: arguments.Count | None = None,
        physics: str = "original",
        max_steps: arguments.Count | None = None,
    ):
        """Builds the scene and the matches. Call `reset` before the first `step`.

        Args:
            game_id: the id that users know the game by.
            game: its rules.
            num_matches: M, at least 1.
            seed: of all matches' random streams.
            num_threads: cores to step on; None for all that this process may use.
            physics: a name of `physics.PHYSICS`.
            max_steps: cut matches off after so many steps; None: after 500 in games without a limit (RunToGoal).

        Raises:
            ValueError: unknown physics, or a number of matches, threads or steps below 1.
        """
        self.game_id, self.game = game_id, game
        self.num_matches, self.physics = num_matches, physics_lib.get(physics, game.own_physics)
        self._asked_threads = num_threads
        self.num_threads = min(num_threads or len(os.sched_getaffinity(0)), num_matches)
        self.max_steps = max_steps or (None if game.max_episode_steps else _CUT_OFF)
        self.model = game.build(self.physics)
        self.datas = [mujoco.MjData(self.model) for _ in range(num_matches)]
        # Matches may differ in what the model says (`Game.fit`), so that every worker needs a model of its own.
        self._models = [self.model, *(copy.copy(self.model) for _ in range(self.num_threads - 1))]
        self._state = Snapshot(self.datas, game.fields, game.touch(self.model))
        self._controls = [data.ctrl for data in self.datas]
        self._warnings = [memoryview(data.warning.number[_BAD_STATE]) for data in self.datas]  # cheaper to look at
        self._warned = np.zeros(num_matches, bool)
        self._random = _streams(seed, num_matches)
        self._progress = np.zeros((num_matches, 2))
        self._workers = Workers(self.num_threads)
        self.rests_at_end, self._resting = False, np.zeros(num_matches, bool)
        self._started = False
        middle = num_matches // 2
        small = num_matches < _LEAST_TO_HALVE
        self.halves = (self._all,) if small else (slice(0, middle), slice(middle, num_matches))
        self._parts = {part: self._state.rows(slice(*part)) for part in map(_bounds, (*self.halves, self._all))}
        self._under_way, self._closed = UnderWay(), False
        self._doors = one_call.Doors(self)  # after the workers, whom calls that are under way at exit still need

    @property
    def observation_dim(self) -> int:
        """D."""
        return self.game.observation_dim

    @property
    def action_dim(self) -> int:
        """A."""
        return self.game.action_dim

    @one_call.alone
    def reset(self, seed: int | np.random.SeedSequence | None = None) -> np.ndarray:
        """Starts every match afresh, in new random streams from `seed`, or going on in its own. Returns `[M, 2, D]`.

        Whatever happened before; a step that is under way is given up.

        Raises:
            ValueError: a negative seed.
            RuntimeError: the batch was closed.
        """
        self._expect_open("reset")
        random = self._random if seed is None else _streams(seed, self.num_matches)
        self._give_up()
        self._random = random
        self._resting[:] = False
        self._started = True
        observation = self._fresh(np.arange(self.num_matches))
        self._under_way.clear()
        return observation

    @one_call.alone
    def step(self, actions: np.ndarray) -> GameStep:
        """Plays one environment step in every match.

        A match whose action is not finite, or whose state gets so, ends without a winner, with a note in `faults`; the
        others go on as if nothing had happened.

        Args:
            actions: `[M, 2, A]`, as the policies gave them: nothing but the engine clamps them.

        Raises:
            ValueError: wrong shape; no match has moved then.
            RuntimeError: `reset` was not called yet, a step that was begun is not finished, another thread is using the
                batch, or it was closed; nothing has moved then.
            Interrupted: an exception has cut a step off; call `reset`.
        """
        self._expect_open("step")
        self._under_way.expect_in_order(_bounds(self._all))
        actions, notes = self._checked(actions, 0, self.num_matches)
        try:
            for half in self.halves:  # so that one is judged while the other is still being stepped
                self._start(actions[half], half, {m: note for m, note in notes.items() if half.start <= m < half.stop})
            return GameStep.join([self._finish(half) for half in self.halves])
        except BaseException:
            self._under_way.give_up()  # nobody can finish what nobody knows to be under way
            raise

    @one_call.alone
    def begin(self, actions: np.ndarray, matches: slice) -> None:
        """Starts a step of some matches, and returns at once. `finish` must be called for the same ones.

        Args:
            actions: `[len(matches), 2, A]`.
            matches: one of `halves`.

        Raises:
            ValueError, RuntimeError: as `step`.
        """
        part = _bounds(matches)
        if part not in self._parts:
            raise ValueError(f"matches {matches} are none of the halves {self.halves}.")
        self._expect_open("begin")
        self._under_way.expect_in_order(part)
        actions, notes = self._checked(actions, *part)
        self._start(actions, matches, notes)

    @one_call.alone
    def finish(self, matches: slice) -> GameStep:
        """Waits for the step that was begun, and judges it. Returns the `GameStep` of these matches alone.

        Raises:
            RuntimeError: no step of them was begun, another thread is using the batch, or it was closed.
            Interrupted: an exception has cut the step off; call `reset`.
        """
        self._expect_open("finish")
        return self._finish(matches)

    def _start(self, actions: np.ndarray, matches: slice, notes: dict[int, str]) -> None:
        part = _bounds(matches)
        controls = actions.reshape(len(actions), -1)
        first, game, state, datas, models = part[0], self.game, self._state, self.datas, self._models
        has_arena, substeps = game.has_arena, self.physics.substeps
        all_controls, warnings, warned = self._controls, self._warnings, self._warned
        under_way = self._under_way.enter(part, actions)
        warned[matches] = False

        def play(match: int, worker: int) -> None:  # without `self`, which the workers must not keep alive
            # Python's lock is held in between the engine's calls, and the other threads wait for it: every line counts.
            model, data = models[worker], datas[match]
            if has_arena:
                game.fit(model, state.arena_radius[match])
            all_controls[match][:] = controls[match - first]
            mujoco.mj_step(model, data, substeps)
            mujoco.mj_rnePostConstraint(model, data)
            state.take(match)
            state.watch(match)
            if any(warnings[match]):
                warned[match] = True

        resting = (first + np.flatnonzero(self._resting[matches])).tolist()
        under_way.notes = {match: note for match, note in notes.items() if match not in resting}
        playing = [match for match in range(*part) if match not in (*under_way.notes, *resting)]
        under_way.job = self._workers.start(play, playing)
        under_way.begun = True

    def _finish(self, matches: slice) -> GameStep:
        part = _bounds(matches)
        under_way = self._under_way.take(part)
        self._workers.wait(under_way.job)
        actions, notes = under_way.actions, under_way.notes
        first, state, resting = part[0], self._parts[part], self._resting[matches].copy()
        state.elapsed += ~resting
        notes |= self._blown_up(part, {*notes, *(first + np.flatnonzero(resting)).tolist()})
        verdict, observation = self._judged(matches, actions)

        truncated = ~verdict.done & (state.elapsed >= (self.max_steps or np.inf))
        at_fault = [match - first for match in notes]
        if at_fault:
            verdict.blank(at_fault)
            verdict.done[at_fault], observation[at_fault], truncated[at_fault] = True, 0, False
        if resting.any():
            verdict.blank(resting)
            truncated[resting] = False
        done = verdict.done | truncated

        elapsed, final_observation = state.elapsed.copy(), observation
        restarting = np.flatnonzero(resting | (done & (not self.rests_at_end)))
        if len(restarting):
            final_observation = observation.copy()
            observation[restarting] = self._fresh(restarting + first)
            elapsed[resting], final_observation[resting] = 0, observation[resting]
        self._resting[matches] = done & self.rests_at_end
        self._under_way.leave(part)
        return GameStep(
            observation=observation,
            reward=verdict.sparse_reward + verdict.move_reward,
            dense_reward=verdict.dense_reward,
            sparse_reward=verdict.sparse_reward,
            done=done,
            winner=verdict.winner,
            final_observation=final_observation,
            elapsed_steps=elapsed,
            truncated=truncated,
            agent_done=verdict.agent_done,
            terms=verdict.terms,
            faults=notes,
        )

    @one_call.alone
    def set_state(
        self,
        match: int,
        qpos: np.ndarray,
        qvel: np.ndarray,
        *,
        qacc_warmstart: np.ndarray | None = None,
        elapsed_steps: int | None = None,
        arena_radius: float | None = None,
        touched: bool | None = None,
    ) -> None:
        """Puts one match into a given state, for instance a recorded one.

        Everything derived from the state is computed anew, except where the match is in that state already (to 1e-6):
        then what its last step left stays, as in the originals, so that a recorded match can be replayed row by row.

        Args:
            match: which.
            qpos: `[nq]`, taken as it is (quaternions are not normalised).
            qvel: `[nv]`.
            qacc_warmstart: `[nv]`, where the contact solver starts; None for zeros. With the recorded one, the next
                step repeats bit for bit on the same MuJoCo.
            elapsed_steps: the match's age; None leaves it.
            arena_radius: for Sumo, m; None leaves it.
            touched: whether the parties whose touching matters (Sumo's fighters, Kick's goalkeeper and ball) have
                touched since the match began. None: not yet, where `elapsed_steps` is 0; else as before, or if they
                do in this state.

        Raises:
            ValueError: no such match, a vector has the wrong length or is not finite, or this game has no arena.
            RuntimeError: as `step`.
        """
        self._expect_match(match)
        self._expect_open("set_state")
        self._under_way.expect_in_order(_bounds(self._all))
        has_arena = self.game.has_arena
        if arena_radius is not None and not has_arena:
            raise ValueError(f"{self.game_id} has no arena, so arena_radius={arena_radius} cannot be set.")
        if arena_radius is not None and not 0 < arena_radius < np.inf:
            raise ValueError(f"arena_radius is {arena_radius}; it must be a positive number of metres.")
        qpos, qvel = self._vector("qpos", qpos, self.model.nq), self._vector("qvel", qvel, self.model.nv)
        warm = np.zeros(self.model.nv) if qacc_warmstart is None else qacc_warmstart
        warm = self._vector("qacc_warmstart", warm, self.model.nv)
        data, state = self.datas[match], self._state
        if has_arena and arena_radius is None and not self._started:
            raise ValueError(f"{self.game_id} is played in an arena: give arena_radius, or call reset() first.")
        part = match, match + 1
        self._under_way.enter(part)
        new_arena = arena_radius is not None and arena_radius != state.arena_radius[match]
        if arena_radius is not None:
            state.arena_radius[match] = arena_radius
        if elapsed_steps is not None:
            state.elapsed[match] = elapsed_steps
        self._resting[match] = False
        self.datas[match].warning.number[_BAD_STATE] = 0
        there = self._started and not new_arena and _same(data.qpos, qpos) and _same(data.qvel, qvel)
        data.qpos[:], data.qvel[:] = qpos, qvel
        if there:
            state.take(match)
        else:
            self._derive(match)
        if touched is not None:
            state.touched[match] = touched
        elif state.elapsed[match] == 0:
            state.touched[match] = self.game.auto_contact
        else:
            state.watch(match)
        data.qacc_warmstart[:] = warm  # last: the forward pass overwrites it
        self._progress[match] = self.game.progress(state.rows(slice(*part)))
        self._started = True
        self._under_way.leave(part)

    @one_call.alone
    def get_state(self, match: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns copies of `(qpos [nq], qvel [nv])` of one match.

        Raises:
            ValueError: there is no such match. RuntimeError: a step of it is under way, or was cut off. So for all that
                look at a match.
        """
        self._expect_seen(match)
        return self.datas[match].qpos.copy(), self.datas[match].qvel.copy()

    @one_call.alone
    def observe(self, match: int) -> np.ndarray:
        """Returns `[2, D]` float32, what both seats of one match see now."""
        self._expect_seen(match)
        return self.game.observe(self._state.rows(slice(match, match + 1)))[0]

    @one_call.alone
    def arena_radius(self, match: int) -> float:
        """Returns the radius of one match's arena, m; NaN in a game without one."""
        self._expect_seen(match)
        return float(self._state.arena_radius[match])

    @one_call.alone
    def elapsed_steps(self, match: int) -> int:
        """Returns how many steps one match has lasted."""
        self._expect_seen(match)
        return int(self._state.elapsed[match])

    @one_call.alone
    def is_resting(self, match: int) -> bool:
        """Returns whether one match has ended and waits for the next step to restart (`rests_at_end`)."""
        self._expect_seen(match)
        return bool(self._resting[match])

    @one_call.alone
    def model_of(self, match: int) -> mujoco.MjModel:
        """Returns `model` as it is in one match; good until another match is asked for."""
        self._expect_seen(match)
        return self._model_of(match)

    @one_call.alone
    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the matches go on, by name, for a checkpoint; between two steps.

        Raises:
            RuntimeError: a step is under way, or was cut off.
        """
        self._under_way.expect_in_order(_bounds(self._all))
        return self._arrays()

    def _arrays(self) -> dict[str, np.ndarray]:
        size = mujoco.mj_stateSize(self.model, _WHOLE_STATE)
        states = np.empty((self.num_matches, size))
        for data, row in zip(self.datas, states, strict=True):
            mujoco.mj_getState(self.model, data, row, _WHOLE_STATE)
        memory = {f"memory/{name}": values.copy() for name, values in self._memory().items()}
        return memory | {
            "states": states,
            "streams": np.stack([streams.to_array(stream) for stream in self._random]),
            "progress": self._progress.copy(),
            "resting": self._resting.copy(),
        }

    @one_call.alone
    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave: the matches then go on as if nothing had happened, bit for bit.

        A step that is under way is given up.

        Raises:
            ValueError: it is of another number of matches, or of another game; nothing was changed.
            RuntimeError: the batch was closed.
        """
        self._expect_open("restore")
        states = np.asarray(arrays["states"], np.float64)
        expected = (self.num_matches, mujoco.mj_stateSize(self.model, _WHOLE_STATE))
        if states.shape != expected:
            raise ValueError(f"states of shape {states.shape} were saved; {self.game_id} here needs {expected}.")
        self._give_up()
        if not (np.abs(states) <= mujoco.mjMAXVAL).all():  # NaN, too
            raise ValueError(f"states holds numbers above {mujoco.mjMAXVAL:g}, which no match can come to.")
        if (np.asarray(arrays["memory/elapsed"]) < 0).any():
            raise ValueError(f"memory/elapsed is {np.min(arrays['memory/elapsed'])}; a match has no negative age.")
        for name, values in self._memory().items():
            values[:] = arrays[f"memory/{name}"]
        for match, data in enumerate(self.datas):
            mujoco.mj_setState(self.model, data, states[match], _WHOLE_STATE)
            self._derive(match)
            mujoco.mj_setState(self.model, data, states[match], _WHOLE_STATE)  # what deriving has overwritten
        self._random = [streams.from_array(words) for words in arrays["streams"]]
        self._progress[:], self._resting[:] = arrays["progress"], arrays["resting"]
        self._started = True
        self._under_way.clear()

    @one_call.alone
    def __getstate__(self) -> dict:
        """All that a pickle or a copy is made from, which then goes on as this one does, bit for bit.

        Raises:
            RuntimeError: a step is under way, or was cut off.
        """
        self._under_way.expect_in_order(_bounds(self._all))
        return {
            "made_with": (self.game_id, self.game, self.num_matches, 0, self._asked_threads, self.physics.name),
            "attributes": {name: getattr(self, name) for name in ("max_steps", "rests_at_end", "_started", "_closed")},
            "arrays": self._arrays() if self._started else {},
            "fields": self._state.fields(),
            "streams": [streams.to_array(stream) for stream in self._random],
        }

    def __setstate__(self, state: dict) -> None:
        self.__init__(*state["made_with"])
        if state["arrays"]:
            self.restore(state["arrays"])
            self._state.put(state["fields"])
        self._random = [streams.from_array(words) for words in state["streams"]]
        for name, value in state["attributes"].items():
            setattr(self, name, value)
        if self._closed:
            self._workers.close()

    @one_call.alone
    def close(self) -> None:
        """Ends the threads; a step that is under way is given up. The matches can be looked at, not played, afterwards.

        Raises:
            RuntimeError: another thread is using the batch.
        """
        self._closed = True
        self._under_way.give_up()
        self._workers.close()

    def _memory(self) -> dict[str, np.ndarray]:
        """What matches remember of themselves, by name; not copies."""
        names = ("elapsed", "touched", *(("arena_radius",) if self.game.has_arena else ()))
        return {name: getattr(self._state, name) for name in names}

    @property
    def _all(self) -> slice:
        return slice(0, self.num_matches)

    def _judged(self, matches: slice, actions: np.ndarray) -> tuple[Verdict, np.ndarray]:
        """What the rules say of the states that a step has led to, and what is seen of them."""
        state = self._parts[_bounds(matches)]
        with np.errstate(invalid="ignore", over="ignore"):  # states that blew up are dealt with afterwards
            progress = self.game.progress(state)
            verdict = self.game.judge(state, actions, progress - self._progress[matches])
            observation = self.game.observe(state)
        self._progress[matches] = progress
        return verdict, observation

    def _fresh(self, matches: np.ndarray) -> np.ndarray:
        """Starts matches afresh. Returns what is seen of them, `[len(matches), 2, D]`."""
        for match in matches:
            self._restart(int(match))
        state = self._state.rows(matches)
        self._progress[matches] = self.game.progress(state)
        return self.game.observe(state)

    def _restart(self, match: int) -> None:
        start = self.game.reset(self.model, self.datas[match], self._random[match])
        state = self._state
        state.elapsed[match], state.touched[match], state.arena_radius[match] = 0, *start
        self._derive(match)

    def _derive(self, match: int) -> None:
        """Computes what follows from a state that was written, contact forces included, and takes it."""
        model = self._model_of(match)
        mujoco.mj_forward(model, self.datas[match])
        mujoco.mj_rnePostConstraint(model, self.datas[match])
        self._state.take(match)

    def _model_of(self, match: int) -> mujoco.MjModel:
        self.game.fit(self.model, self._state.arena_radius[match])
        return self.model

    def _give_up(self) -> None:
        """Takes all matches out of order and waits until no worker is at any of them."""
        self._under_way.enter(_bounds(self._all))
        self._workers.drain()

    def _blown_up(self, part: tuple[int, int], but: set[int]) -> dict[int, str]:
        """Notes on the matches, `but` some, whose state became not finite, or larger than the engine accepts.

        The engine looks before every substep, warns and resets the match's data; after the last one we look ourselves.
        """
        bad = faults.blown_up(self._parts[part], self._warned[slice(*part)])
        elapsed = self._parts[part].elapsed
        matches = ((row, part[0] + row) for row in bad)
        return {match: faults.of_state(match, elapsed[row]) for row, match in matches if match not in but}

    def _checked(self, actions: np.ndarray, first: int, last: int) -> tuple[np.ndarray, dict[int, str]]:
        """Checks the shape; notes on, and zeros in place of, what is not finite."""
        if not self._started:
            raise RuntimeError("step was called before reset: call reset() once, then step(actions).")
        actions = np.array(actions)  # a copy: the caller may reuse its own while the step is under way
        expected = (last - first, 2, self.action_dim)
        if actions.shape != expected:
            raise ValueError(
                f"actions have shape {actions.shape}; {self.game_id} with {last - first} matches expects "
                f"{expected}: [match, seat ({', '.join(self.game.seats)}), motor]."
            )
        if np.isfinite(actions).all():
            return actions, {}
        return faults.without_bad(actions), faults.of_actions(actions, first, self.game.seats)

    def _expect_open(self, what: str) -> None:
        if self._closed:
            raise RuntimeError(f"{what} was called after close(): make a new batch.")

    def _expect_match(self, match: int) -> None:
        if not 0 <= match < self.num_matches:
            raise ValueError(f"there is no match {match}; this batch has 0 to {self.num_matches - 1}.")

    def _expect_seen(self, match: int) -> None:
        self._expect_match(match)
        self._under_way.expect_in_order((match, match + 1))

    def _vector(self, name: str, value: np.ndarray, length: int) -> np.ndarray:
        value = np.asarray(value, np.float64)
        if value.shape != (length,):
            raise ValueError(f"{name} has shape {value.shape}; {self.game_id} expects ({length},).")
        if not np.isfinite(value).all():
            raise ValueError(f"{name}[{np.flatnonzero(~np.isfinite(value))[0]}] is not finite; nothing was changed.")
        return value


def _streams(seed: int | np.random.SeedSequence, number: int) -> list[np.random.Generator]:
    return [np.random.default_rng(s) for s in _sequence(seed).spawn(number)]


def _sequence(seed: int | np.random.SeedSequence) -> np.random.SeedSequence:
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=0, atol=1e-6)


def _bounds(matches: slice) -> tuple[int, int]:
    return matches.start, matches.stop
