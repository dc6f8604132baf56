"""Many matches of one game, stepped together on all cores."""

import os

import mujoco
import numpy as np

from tf_apil import arguments
from tf_apil.games import faults, one_call, outcome, streams
from tf_apil.games import physics as physics_lib
from tf_apil.games.engine import Engine
from tf_apil.games.game import Game
from tf_apil.games.states import State, States
from tf_apil.games.step import GameStep
from tf_apil.games.under_way import Part, UnderWay
from tf_apil.games.workers import Workers

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
        num_threads: how many threads step them.
        max_steps: after so many a match is cut off as a tie; None: never.
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
        self.rests_at_end = False
        middle = num_matches // 2
        small = num_matches < _LEAST_TO_HALVE
        self.halves = (slice(0, num_matches),) if small else (slice(0, middle), slice(middle, num_matches))
        self._states = States(game_id, game, self.model, num_matches, seed)
        self.datas = self._states.datas
        self._engine = Engine(self._states, self.physics.substeps, self.num_threads)
        self._workers = Workers(self.num_threads)
        self._under_way, self._closed = UnderWay(), False
        self._calls = one_call.Calls(self)  # after the workers, whom calls that are under way at exit still need

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
        states = self._states
        random = states.random if seed is None else streams.spawn(seed, self.num_matches)
        self._give_up()
        states.random, states.started = random, True
        states.resting[:] = False
        observation = states.start(np.arange(self.num_matches))
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
        self._under_way.expect_in_order(self._all)
        actions, notes = self._checked(actions, self._all)
        try:
            for half in self.halves:  # so that one is judged while the other is still being stepped
                self._start(_part(half), actions[half], notes)
            return GameStep.join([self._finish(_part(half)) for half in self.halves])
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
        part = _part(matches)
        if part not in (self._all, *map(_part, self.halves)):
            raise ValueError(f"matches {matches} are none of the halves {self.halves}.")
        self._expect_open("begin")
        self._under_way.expect_in_order(part)
        actions, notes = self._checked(actions, part)
        self._start(part, actions, notes)

    @one_call.alone
    def finish(self, matches: slice) -> GameStep:
        """Waits for the step that was begun, and judges it. Returns the `GameStep` of these matches alone.

        Raises:
            RuntimeError: no step of them was begun, another thread is using the batch, or it was closed.
            Interrupted: an exception has cut the step off; call `reset`.
        """
        self._expect_open("finish")
        return self._finish(_part(matches))

    def _start(self, part: Part, actions: np.ndarray, notes: dict[int, str]) -> None:
        """Has the workers step the matches of a part, but those that rest and those that there are `notes` on."""
        step = self._under_way.enter(part, actions)
        matches, resting = range(*part), self._states.resting_in(slice(*part))
        step.notes = {match: note for match, note in notes.items() if match in matches and match not in resting}
        idle = resting | step.notes.keys()
        task = self._engine.task(part[0], actions)
        step.job = self._workers.start(task, [match for match in matches if match not in idle])
        step.begun = True

    def _finish(self, part: Part) -> GameStep:
        step = self._under_way.take(part)
        self._workers.wait(step.job)
        result = outcome.of_step(
            self._states, slice(*part), step.actions, step.notes, self._engine.warned, self.max_steps, self.rests_at_end
        )
        self._under_way.leave(part)
        return result

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
        self._under_way.expect_in_order(self._all)
        given = self._states.checked(State(qpos, qvel, qacc_warmstart, elapsed_steps, arena_radius, touched))
        self._under_way.enter((match, match + 1))
        self._states.put(match, given)
        self._under_way.leave((match, match + 1))

    @one_call.alone
    def get_state(self, match: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns copies of `(qpos [nq], qvel [nv])` of one match.

        Raises:
            ValueError: there is no such match.
            RuntimeError: a step of it is under way, or was cut off. All methods that look at one match raise the same.
        """
        self._expect_seen(match)
        return self.datas[match].qpos.copy(), self.datas[match].qvel.copy()

    @one_call.alone
    def observe(self, match: int) -> np.ndarray:
        """Returns `[2, D]` float32, what both seats of one match see now."""
        self._expect_seen(match)
        return self._states.observe(match)

    @one_call.alone
    def arena_radius(self, match: int) -> float:
        """Returns the radius of one match's arena, m; NaN in a game without one."""
        self._expect_seen(match)
        return float(self._states.snapshot.arena_radius[match])

    @one_call.alone
    def elapsed_steps(self, match: int) -> int:
        """Returns how many steps one match has lasted."""
        self._expect_seen(match)
        return int(self._states.snapshot.elapsed[match])

    @one_call.alone
    def is_resting(self, match: int) -> bool:
        """Returns whether one match has ended and waits for the next step to restart (`rests_at_end`)."""
        self._expect_seen(match)
        return bool(self._states.resting[match])

    @one_call.alone
    def model_of(self, match: int) -> mujoco.MjModel:
        """Returns `model` as it is in one match; good until another match is asked for."""
        self._expect_seen(match)
        return self._states.model_of(match)

    @one_call.alone
    def arrays(self) -> dict[str, np.ndarray]:
        """All that decides how the matches go on, by name, for a checkpoint; between two steps.

        Raises:
            RuntimeError: a step is under way, or was cut off.
        """
        self._under_way.expect_in_order(self._all)
        return self._states.arrays()

    @one_call.alone
    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what `arrays` gave: the matches then go on as if nothing had happened, bit for bit.

        A step that is under way is given up.

        Raises:
            ValueError: it is of another number of matches, of another game, or of a state that no match comes to;
                nothing was changed.
            RuntimeError: the batch was closed.
        """
        self._expect_open("restore")
        self._states.expect_restorable(arrays)
        self._give_up()
        self._states.restore(arrays)
        self._under_way.clear()

    @one_call.alone
    def __getstate__(self) -> dict:
        """All that a pickle or a copy is made from, which then goes on as this one does, bit for bit.

        Raises:
            RuntimeError: a step is under way, or was cut off.
        """
        self._under_way.expect_in_order(self._all)
        states = self._states
        return {
            "made_with": (self.game_id, self.game, self.num_matches, 0, self._asked_threads, self.physics.name),
            "attributes": {name: getattr(self, name) for name in ("max_steps", "rests_at_end", "_closed")},
            "arrays": states.arrays() if states.started else {},
            "fields": states.snapshot.fields(),
            "streams": [streams.to_array(stream) for stream in states.random],
        }

    def __setstate__(self, state: dict) -> None:
        self.__init__(*state["made_with"])
        if state["arrays"]:
            self._states.restore(state["arrays"])
            self._states.snapshot.put(state["fields"])
        self._states.random = [streams.from_array(words) for words in state["streams"]]
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

    @property
    def _all(self) -> Part:
        return 0, self.num_matches

    def _give_up(self) -> None:
        """Takes all matches out of order and waits until no worker is at any of them."""
        self._under_way.enter(self._all)
        self._workers.drain()

    def _checked(self, actions: np.ndarray, part: Part) -> tuple[np.ndarray, dict[int, str]]:
        """Checks the shape; notes on, and zeros in place of, what is not finite."""
        if not self._states.started:
            raise RuntimeError("step was called before reset: call reset() once, then step(actions).")
        actions = np.array(actions)  # a copy: the caller may reuse its own while the step is under way
        number = part[1] - part[0]
        expected = (number, 2, self.action_dim)
        if actions.shape != expected:
            raise ValueError(
                f"actions have shape {actions.shape}; {self.game_id} with {number} matches expects "
                f"{expected}: [match, seat ({', '.join(self.game.seats)}), motor]."
            )
        if np.isfinite(actions).all():
            return actions, {}
        return faults.without_bad(actions), faults.of_actions(actions, part[0], self.game.seats)

    def _expect_open(self, what: str) -> None:
        if self._closed:
            raise RuntimeError(f"{what} was called after close(): make a new batch.")

    def _expect_match(self, match: int) -> None:
        if not 0 <= match < self.num_matches:
            raise ValueError(f"there is no match {match}; this batch has 0 to {self.num_matches - 1}.")

    def _expect_seen(self, match: int) -> None:
        self._expect_match(match)
        self._under_way.expect_in_order((match, match + 1))


def _part(matches: slice) -> Part:
    return matches.start, matches.stop
