"""A batch survives whatever happens to a step: other threads, Ctrl-C, errors, forks, and the end of the program."""

import linecache
import pathlib
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from comparing import assert_same, random_actions

from tf_apil import games
from tf_apil.games import batch as batch_module
from tf_apil.games import engine, outcome, states, under_way
from tf_apil.games import workers as workers_module
from tf_apil.games.workers import Interrupted

ROOT = pathlib.Path(__file__).parents[2]
ANTS, YSNP = "multicomp/SumoAnts-v0", "multicomp/YouShallNotPassHumans-v0"
SEED = 11


def _batch(matches: int = 9, threads: int = 2, game_id: str = ANTS) -> games.GameBatch:
    batch = games.make(game_id, matches, seed=3, num_threads=threads, physics="draft")
    batch.reset()
    return batch


def _assert_as_new(batch: games.GameBatch) -> None:
    """`reset` recovers it, and its matches are then those of a batch that nothing ever happened to."""
    with_reference = games.make(batch.game_id, batch.num_matches, SEED, 1, physics="draft")
    np.testing.assert_array_equal(batch.reset(seed=SEED), with_reference.reset())
    for actions in random_actions(with_reference, 3):
        assert_same(batch.step(actions), with_reference.step(actions))
    with_reference.close()


def _python(code: str, timeout: float = 120) -> subprocess.CompletedProcess:
    """Runs a program that has `batch`, of which a step takes some ms, and `actions` for it.

    One that takes longer than `timeout`, s, ends with where its threads are.
    """
    start = f"""
        import faulthandler, signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts tests in the background without it
        faulthandler.dump_traceback_later({timeout}, exit=True)
        import numpy as np
        from tf_apil import games
        batch = games.make({YSNP!r}, 32, seed=3, num_threads=4)
        batch.reset()
        actions = np.zeros((32, 2, 17))
    """
    code = textwrap.dedent(start) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=timeout + 60)


# Threads.

CALLS = {
    "reset": lambda batch: batch.reset(),
    "step": lambda batch: batch.step(np.zeros((batch.num_matches, 2, batch.action_dim))),
    "begin": lambda batch: batch.begin(
        np.zeros((batch.halves[0].stop, 2, batch.action_dim)), slice(0, batch.halves[0].stop)
    ),
    "finish": lambda batch: batch.finish(batch.halves[0]),
    "set_state": lambda batch: batch.set_state(0, *batch.get_state(0)),
    "observe": lambda batch: batch.observe(0),
    "arena_radius": lambda batch: batch.arena_radius(0),
    "model_of": lambda batch: batch.model_of(0),
    "restore": lambda batch: batch.restore(batch.arrays()),
    "pickle": pickle.dumps,
}


def _many_threads(matches: int, tries: int) -> None:
    """Four threads on one batch, calling whatever comes to mind: each call is done, or refused by a RuntimeError."""
    batch, failures, counts = _batch(matches), [], {"done": 0, "refused": 0}

    def play(number: int) -> None:
        chance = random.Random(number)
        for _ in range(tries):
            try:
                chance.choices(list(CALLS.values()), [1, 8, 4, 4, 1, 1, 1, 1, 1, 1])[0](batch)
                counts["done"] += 1
            except RuntimeError:
                counts["refused"] += 1
                time.sleep(0.0005)
            except BaseException as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=play, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    assert not failures and counts["done"] and counts["refused"]
    _assert_as_new(batch)
    batch.close()


@pytest.mark.parametrize("matches", [6, 9], ids=["one piece", "halves"])
def test_threads_on_one_batch(matches):
    _many_threads(matches, 40)


@pytest.mark.slow
@pytest.mark.parametrize("matches", [1, 6, 9], ids=["one match", "one piece", "halves"])
def test_threads_on_one_batch_for_long(matches):
    _many_threads(matches, 1000)


@pytest.mark.parametrize("call", [*CALLS, "close"])
@pytest.mark.parametrize("matches", [6, 9], ids=["one piece", "halves"])
def test_nothing_is_done_while_another_thread_is_inside(matches, call):
    """Whoever comes while a step is being played is refused; the step is as if nobody had come."""
    batch, alone = _batch(matches), _batch(matches)
    playing, refused = threading.Event(), threading.Event()
    fit = batch.game.fit
    batch.game.fit = lambda *args: (playing.set(), refused.wait(20), fit(*args))
    steps = []
    actions = random_actions(batch, 2)
    thread = threading.Thread(target=lambda: steps.append(batch.step(actions[0])))
    thread.start()
    assert playing.wait(20)
    first_call = {"set_state": "get_state", "restore": "arrays", "pickle": "__getstate__"}.get(call, call)
    with pytest.raises(RuntimeError, match=f"{first_call} was called while step is under way: one thread at a time"):
        (CALLS | {"close": lambda batch: batch.close()})[call](batch)
    refused.set()
    thread.join(20)
    assert_same(steps[0], alone.step(actions[0]))
    assert_same(batch.step(actions[1]), alone.step(actions[1]))


# Exceptions.


def _cut_off(batch: games.GameBatch) -> None:
    """Lets an error of the rules, in the engine's part of a step, cut it off."""
    fit = batch.game.fit

    def fail(model, radius):
        raise ArithmeticError("in a worker")

    batch.game.fit = fail
    with pytest.raises(ArithmeticError, match="in a worker"):
        batch.step(np.zeros((batch.num_matches, 2, 8)))
    batch.game.fit = fit


@pytest.mark.parametrize("matches, threads", [(1, 1), (6, 2), (9, 1), (9, 3)])
def test_an_error_in_a_worker(matches, threads):
    batch = _batch(matches, threads)
    _cut_off(batch)
    for name in ("step", "set_state", "observe", "arena_radius", "model_of", "restore"):  # restore: its arrays()
        with pytest.raises(Interrupted, match=r"a step of matches 0 to \d was cut off by an exception: call reset\(\)"):
            CALLS[name](batch)
    _assert_as_new(batch)


def test_restore_recovers_too():
    batch, alone = _batch(), _batch()
    kept = batch.arrays()
    _cut_off(batch)
    batch.restore(kept)
    for actions in random_actions(alone, 3):
        assert_same(batch.step(actions), alone.step(actions))


@pytest.mark.parametrize("where", ["progress", "judge", "observe", "reset"])
def test_an_error_in_the_rules(monkeypatch, where):
    """After the physics: the match is a step ahead of what is known of it."""
    batch = _batch()
    batch.set_state(2, *batch.get_state(2), elapsed_steps=499)  # it ends, so that there is something to restart

    def fail(*args):
        raise ArithmeticError(where)

    with monkeypatch.context() as patch:
        patch.setattr(batch.game, where, fail)
        with pytest.raises(ArithmeticError, match=where):
            batch.step(np.zeros((9, 2, 8)))
    with pytest.raises(Interrupted):
        batch.step(np.zeros((9, 2, 8)))
    _assert_as_new(batch)


def test_what_is_refused_cuts_nothing_off():
    batch, alone = _batch(), _batch()
    for call in (
        lambda: batch.step(np.zeros((8, 2, 8))),
        lambda: batch.reset(seed=-1),
        lambda: batch.set_state(0, [0], [0]),
        lambda: batch.restore(_batch(6).arrays()),
        lambda: batch.observe(9),
    ):
        with pytest.raises(ValueError):
            call()
    actions = random_actions(batch, 1)[0]
    assert_same(batch.step(actions), alone.step(actions))


class _Interruption:
    """Raises KeyboardInterrupt before the `moment`-th line that this thread executes in the batch and its workers."""

    FILES = tuple(module.__file__ for module in (batch_module, engine, outcome, states, under_way, workers_module))

    def __init__(self, moment: int):
        self._left, self.struck = moment, False

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exception):
        sys.settrace(None)

    def _trace(self, frame, event, argument):
        if frame.f_code.co_filename not in self.FILES:
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).split()
        if event == "line" and line[0] not in ("with", "pass"):  # between taking a lock and giving it back at once,
            # Python lets no signal in: it does so after calls and as a loop goes round
            self._left -= 1
            if self._left == 0:
                self.struck = True
                raise KeyboardInterrupt
        return self._trace


def _interrupt_everywhere(stride: int, first: int, play) -> int:
    """Interrupts `play(batch)` at every `stride`-th line of it; returns at how many."""
    batch, number = _batch(8), 0
    for moment in range(first, 100_000, stride):
        batch.reset(seed=moment)
        batch.set_state(1, *batch.get_state(1), elapsed_steps=499)
        batch.set_state(6, *batch.get_state(6), elapsed_steps=499)
        try:
            with _Interruption(moment) as interruption:
                play(batch)
        except KeyboardInterrupt:
            number += 1
        assert interruption.struck or moment > 100
        _assert_as_new(batch)
        if not interruption.struck:
            return number
    raise AssertionError("a step has no so many lines")


def _by_halves(batch: games.GameBatch) -> None:
    for half in batch.halves:
        batch.begin(np.zeros((4, 2, 8)), half)
    for half in batch.halves:
        batch.finish(half)


PLAYS = {"step": CALLS["step"], "by halves": _by_halves, "reset": CALLS["reset"]}


@pytest.mark.parametrize("play", PLAYS)
def test_an_interruption_at_some_lines(play):
    assert _interrupt_everywhere(29, 5, PLAYS[play]) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("play", PLAYS)
def test_an_interruption_at_every_line(play):
    assert _interrupt_everywhere(1, 1, PLAYS[play]) >= 100


_SIGNALS = """
    import os, random, signal, threading, time

    chance, interrupted = random.Random(0), 0
    small = games.make({ants!r}, {matches}, seed=3, num_threads=3, physics="draft")
    fresh = games.make({ants!r}, {matches}, seed=3, num_threads=1, physics="draft")
    tape = np.random.default_rng(0).uniform(-1, 1, (4, {matches}, 2, 8))

    def steps():
        if chance.random() < .5:
            while True:
                small.step(tape[0])
        while True:
            for half in small.halves:
                small.begin(tape[0][half], half)
            for half in small.halves:
                small.finish(half)

    small.reset()
    for number in range({tries}):
        delay = chance.uniform(0, .02)
        killer = threading.Thread(target=lambda: (time.sleep(delay), os.kill(os.getpid(), signal.SIGINT)))
        try:
            killer.start()
            steps()
        except KeyboardInterrupt:
            interrupted += 1
        killer.join()
        assert (small.reset(number) == fresh.reset(number)).all()
        for actions in tape:
            one, other = small.step(actions), fresh.step(actions)
            assert (one.observation == other.observation).all() and (one.reward == other.reward).all()
        assert (one.elapsed_steps == len(tape)).all()
    print("interrupted", interrupted)
"""


def _signals(tries: int, matches: int) -> None:
    done = _python(_SIGNALS.format(ants=ANTS, tries=tries, matches=matches), timeout=120 + 3 * tries)
    assert done.stdout == f"interrupted {tries}\n" and done.returncode == 0, done.stderr


def test_ctrl_c_at_random_moments():
    _signals(20, 9)


@pytest.mark.slow
@pytest.mark.parametrize("matches", [1, 6, 9])
def test_ctrl_c_at_many_random_moments(matches):
    _signals(200, matches)


# The end.


LAST_WORDS = {
    "begun": """
        def main():
            for half in batch.halves:
                batch.begin(actions[half], half)
            raise ValueError("in between")
        main()
    """,
    "another thread": """
        import threading, time
        def forever():
            try:
                while True:
                    batch.step(actions)
            except RuntimeError as error:
                assert "the end of the program is under way" in str(error)
        threading.Thread(target=forever, daemon=True).start()
        time.sleep(.05)
        raise SystemExit(3)
    """,
    "signal": """
        import signal
        signal.signal(signal.SIGALRM, lambda *_: exit(3))
        signal.setitimer(signal.ITIMER_REAL, .05)
        while True:
            batch.step(actions)
    """,
}


def _end(last_words: str) -> None:
    done = _python(LAST_WORDS[last_words])
    expected = (1, ["ValueError: in between"]) if last_words == "begun" else (3, [])
    assert (done.returncode, done.stderr.splitlines()[-1:]) == expected, done.stderr


@pytest.mark.parametrize("last_words", ["begun", "another thread"])
def test_a_program_may_end_in_the_middle_of_a_step(last_words):
    _end(last_words)


@pytest.mark.slow
@pytest.mark.parametrize("last_words", LAST_WORDS)
def test_many_programs_may_end_in_the_middle_of_a_step(last_words):
    for _ in range(8):
        _end(last_words)


def test_a_forked_process_plays_on():
    """Its batch has threads of its own; a step that was begun in the other process is cut off in this one."""
    done = _python("""
        import os
        first, expected = batch.halves[0], games.make(batch.game_id, 32, seed=3)
        expected.reset()

        def in_a_child(check):
            child = os.fork()
            if not child:
                try:
                    os._exit(0 if check() else 1)
                finally:
                    os._exit(2)
            assert os.waitpid(child, 0)[1] == 0

        def plays_on():
            return (batch.step(actions).observation == expected.step(actions).observation).all()

        def is_cut_off():
            try:
                batch.finish(first)
            except games.Interrupted:
                return (batch.reset(7) == expected.reset(7)).all() and plays_on()

        in_a_child(plays_on)
        batch.begin(actions[first], first)
        in_a_child(is_cut_off)
        batch.finish(first)
    """)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", ["reset", "step", "begin", "finish", "set_state", "restore"])
def test_after_close(call):
    before = set(threading.enumerate())
    batch = _batch(threads=3)
    observed, state = batch.observe(8), batch.get_state(8)
    batch.close()
    batch.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(RuntimeError, match=rf"{call} was called after close\(\): make a new batch"):
        CALLS[call](batch)
    np.testing.assert_array_equal(batch.observe(8), observed)
    np.testing.assert_array_equal(batch.get_state(8)[0], state[0])


def test_close_in_the_middle_of_a_step():
    before = set(threading.enumerate())
    batch = _batch(threads=3)
    for half in batch.halves:
        batch.begin(np.zeros((half.stop - half.start, 2, 8)), half)
    batch.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(RuntimeError, match="after close"):
        batch.finish(batch.halves[0])
    with pytest.raises(Interrupted):
        batch.observe(0)
