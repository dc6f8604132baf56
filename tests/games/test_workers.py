"""Workers: every task is done once, by a thread or by whoever waits; errors arrive where they are waited for."""

import threading
import time

import pytest

from tf_apil.games.workers import Interrupted, Workers

SECONDS = 20  # after which a test that hangs gives up


@pytest.fixture
def make_workers():
    made = []

    def make(number: int) -> Workers:
        made.append(Workers(number))
        return made[-1]

    yield make
    for workers in made:
        workers.close()


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("match-")}


@pytest.mark.parametrize("number", [1, 2, 4])
def test_every_task_is_done_exactly_once(make_workers, number):
    done, lock = [], threading.Lock()

    def task(item: int, worker: int) -> None:
        with lock:
            done.append((item, worker))

    workers = make_workers(number)
    job = workers.start(task, range(500))
    workers.wait(job)
    assert sorted(item for item, _ in done) == list(range(500))
    assert {worker for _, worker in done} <= set(range(number))


def test_one_worker_is_whoever_waits(make_workers):
    """Nothing happens before; then all of it, in order, as worker 0 and in that very thread."""
    done = []
    workers = make_workers(1)
    job = workers.start(lambda item, worker: done.append((item, worker, threading.current_thread())), "abc")
    time.sleep(0.02)
    assert not done
    workers.wait(job)
    assert done == [(letter, 0, threading.current_thread()) for letter in "abc"]


def test_threads_begin_without_being_waited_for(make_workers):
    begun = threading.Event()
    workers = make_workers(2)
    job = workers.start(lambda item, worker: begun.set(), [0])
    assert begun.wait(SECONDS)
    workers.wait(job)


def test_whoever_waits_lends_a_hand(make_workers):
    """Two tasks that need each other at the same time: the one thread alone would never finish."""
    meeting, done = threading.Barrier(2, timeout=SECONDS), []

    def task(item: int, worker: int) -> None:
        meeting.wait()
        done.append(worker)

    workers = make_workers(2)
    workers.wait(workers.start(task, range(2)))
    assert sorted(done) == [0, 1]


def test_each_thread_has_a_number_of_its_own(make_workers):
    meeting, done = threading.Barrier(4, timeout=SECONDS), []

    def task(item: int, worker: int) -> None:
        meeting.wait()
        done.append((worker, threading.current_thread().name))

    workers = make_workers(4)
    workers.wait(workers.start(task, range(4)))
    assert sorted(done) == [(0, threading.current_thread().name), (1, "match-1"), (2, "match-2"), (3, "match-3")]


@pytest.mark.parametrize("number", [1, 3])
def test_an_error_is_raised_where_it_is_waited_for(make_workers, number):
    """All other tasks are done all the same, and the workers go on."""
    done = []

    def task(item: int, worker: int) -> None:
        if item == 3:
            raise ArithmeticError("three")
        done.append(item)

    workers = make_workers(number)
    job = workers.start(task, range(10))
    with pytest.raises(ArithmeticError, match="three"):
        workers.wait(job)
    assert sorted(done) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    workers.wait(workers.start(task, [10, 11]))
    assert sorted(done)[-2:] == [10, 11]


def test_an_error_belongs_to_its_own_job(make_workers):
    """Waiting for one job may do tasks of the other; what those raise is not its business."""

    def fail(item: int, worker: int) -> None:
        raise ArithmeticError("of the first")

    workers = make_workers(1)
    done = []
    first, second = workers.start(fail, [0]), workers.start(lambda item, worker: done.append(item), [1])
    workers.wait(second)
    assert done == [1]
    with pytest.raises(ArithmeticError, match="of the first"):
        workers.wait(first)


def test_jobs_may_be_waited_for_in_any_order(make_workers):
    done = []
    workers = make_workers(2)
    jobs = [workers.start(lambda item, worker: done.append(item), [number] * 20) for number in range(3)]
    for job in reversed(jobs):
        workers.wait(job)
        workers.wait(job)  # again is no harm
    assert sorted(done) == [0] * 20 + [1] * 20 + [2] * 20


@pytest.mark.parametrize("number", [1, 2])
def test_a_job_without_tasks(make_workers, number):
    workers = make_workers(number)
    workers.wait(workers.start(lambda item, worker: pytest.fail("there is nothing to do"), []))


@pytest.mark.parametrize("how", ["close", "forget"])
def test_threads_end(how):
    before = _threads()
    workers = Workers(3)
    mine = _threads() - before
    assert {thread.name for thread in mine} == {"match-1", "match-2"} and all(thread.daemon for thread in mine)
    workers.wait(workers.start(lambda item, worker: None, range(10)))
    if how == "close":
        workers.close()
    else:
        del workers
    for thread in mine:
        thread.join(SECONDS)
        assert not thread.is_alive()


# What is cut off.


def test_an_interruption_ends_the_wait_at_once(make_workers):
    """The rest is not done, neither by whoever waited nor by the threads; and the workers go on."""
    done, workers = [], make_workers(1)

    def task(item: int, worker: int) -> None:
        if item == 3:
            raise KeyboardInterrupt
        done.append(item)

    job = workers.start(task, range(10))
    with pytest.raises(KeyboardInterrupt):
        workers.wait(job)
    workers.drain()
    workers.wait(workers.start(task, [11, 12]))
    assert done == [0, 1, 2, 11, 12]


def test_a_job_whose_task_was_cut_off_cannot_be_waited_for(make_workers):
    """Whoever waited for the first was interrupted while it did a task of the second, which would wait for ever."""
    workers, in_hand = make_workers(2), threading.Event()

    def slow(item: int, worker: int) -> None:
        assert in_hand.wait(SECONDS)

    def interrupted(item: int, worker: int) -> None:
        in_hand.set()
        raise KeyboardInterrupt

    first = workers.start(slow, [0])
    while workers._tasks.qsize():  # until the other thread has taken it
        time.sleep(0.001)
    second = workers.start(interrupted, [1])
    with pytest.raises(KeyboardInterrupt):
        workers.wait(first)
    with pytest.raises(Interrupted, match="cut off by an exception"):
        workers.wait(second)
    workers.wait(first)


@pytest.mark.parametrize("number", [1, 2])
def test_a_task_that_was_not_begun_is_not_lost(make_workers, number):
    """Whoever waited for another job was interrupted when it had learnt of a task, and before it took it."""
    workers, done, held = make_workers(number), [], threading.Event()
    for _ in range(number - 1):
        workers.start(lambda item, worker: held.wait(SECONDS), [0])
    while number > 1 and workers._tasks.qsize():
        time.sleep(0.001)
    job = workers.start(lambda item, worker: done.append(item), [1, 2, 3])
    assert workers._tasks.get_nowait() is job
    workers.wait(job)
    assert done == [1, 2, 3]
    held.set()


@pytest.mark.parametrize("how", ["drain", "close"])
def test_nobody_is_at_work_after(make_workers, how):
    """Not even those who had a task in hand: they are waited for."""
    workers, begun, running = make_workers(4), threading.Barrier(4, timeout=SECONDS), []

    def task(item: int, worker: int) -> None:
        running.append(item)
        if item < 3:
            begun.wait()
        time.sleep(0.05)
        running.remove(item)

    workers.start(task, range(100))
    begun.wait()
    getattr(workers, how)()
    assert running == []


def test_nothing_is_started_after_the_end(make_workers):
    workers = make_workers(2)
    workers.close()
    with pytest.raises(RuntimeError, match=r"ended by close\(\)"):
        workers.start(lambda item, worker: None, [0])
