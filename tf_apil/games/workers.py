"""Threads that do small tasks, with the thread that wants them done lending a hand.

An exception such as Ctrl-C's may strike the thread that waits at any moment, so that nothing it does here is sure to
come to its end. Hence it takes locks by `with` alone, changes lists and queues by single calls of theirs, and
`Workers.drain` puts in order whatever was left.
"""

import collections
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterable


class Interrupted(RuntimeError):
    """What was begun was cut off by an exception, and cannot be finished."""


class Job:
    """Some tasks given to `Workers`; `wait` returns when all are done."""

    # `tasks` holds a job as often as it has items. That only wakes workers; `items` say what there is to do.

    def __init__(self, function: Callable[[int, int], None], items: Iterable[int], jobs: list["Job"]):
        self._function, self.items, self._jobs = function, collections.deque(items), jobs
        self._left = [True, *[False] * len(self.items)][
            : len(self.items)
        ]  # one a task that is not done; the last: True
        self._error: BaseException | None = None
        self._cut_off = False
        self._process = os.getpid()
        self._going_on = threading.Lock()  # taken until all are done
        if self._left:
            self._going_on.acquire()

    def wait(self, tasks: queue.SimpleQueue) -> None:
        """Works on whatever of `tasks` is next, of this job or another, until this one is done.

        Raises:
            Interrupted: a task of this job was cut off by an exception that struck whoever was waiting, or it was
                begun before the process was forked.
            Exception: what a task of this job has raised.
        """
        if self._process != os.getpid():
            raise Interrupted("a step was begun before this process was forked, and is not finished in it.")
        while self._left and not self._cut_off:
            try:
                job = tasks.get_nowait()
            except queue.Empty:
                job = self
            if job.items:
                job._cut_off = True  # until it is done: it may never be
                job.do_next(0, Exception)
                job._cut_off = False
            elif job is self:
                with self._going_on:
                    pass
        if self._cut_off:
            raise Interrupted("a step was cut off by an exception, and cannot be finished.")
        if self in self._jobs:
            self._jobs.remove(self)
        if self._error is not None:
            raise self._error

    def do_next(self, worker: int, errors: type[BaseException]) -> None:
        """Does the next task, if there is one left. `errors` belong to whoever waits; others are passed on."""
        try:
            item = self.items.popleft()
        except IndexError:  # the job was given up
            return
        try:
            self._function(item, worker)
        except errors as error:
            self._error = self._error or error
        if self._left.pop():  # the last one
            self._going_on.release()


class Workers:
    """`number` workers: the thread that waits for a job, which is number 0, and `number` - 1 threads.

    One thread at a time may call this. A process that was forked has threads of its own.
    """

    def __init__(self, number: int):
        self._number = number
        self._jobs: list[Job] = []  # begun, and not waited for to their end
        self._spawn()

    def start(self, function: Callable[[int, int], None], items: Iterable[int]) -> Job:
        """Has `function(item, worker)` called for every item, in order of taking; `worker` tells who calls.

        Raises:
            RuntimeError: the threads were ended by `close`.
        """
        if not self._end.alive:
            raise RuntimeError("the threads were ended by close(); nothing can be started any more.")
        if self._process != os.getpid():
            self._spawn()
        job = Job(function, items, self._jobs)
        self._jobs.append(job)
        for _ in range(len(job.items)):
            self._tasks.put(job)
        return job

    def wait(self, job: Job) -> None:
        """Helps until a job is done; see `Job.wait`."""
        job.wait(self._tasks)

    def drain(self) -> None:
        """Gives up all jobs, and returns when nobody works on one any more."""
        if self._process != os.getpid():
            return  # those who did are in another process
        _give_up(self._jobs)
        for lock in self._locks:
            with lock:  # whoever has it is doing a last task
                pass

    def close(self) -> None:
        """Gives up all jobs and ends the threads; returns when they have ended."""
        self._end()

    def _spawn(self) -> None:
        self._process, self._jobs[:] = os.getpid(), []
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._locks = [threading.Lock() for _ in range(1, self._number)]
        threads = [
            threading.Thread(target=_serve, args=(self._tasks, worker, lock), name=f"match-{worker}", daemon=True)
            for worker, lock in enumerate(self._locks, start=1)
        ]
        # At exit too: a thread that comes back from the engine when there is no interpreter left ends in a crash.
        self._end = weakref.finalize(self, _dismiss, self._jobs, self._tasks, threads, self._process)
        for thread in threads:
            thread.start()


def _serve(tasks: queue.SimpleQueue, worker: int, lock: threading.Lock) -> None:
    while (job := tasks.get()) is not None:
        with lock:  # taken before an item is: with the lock free and no item left, nobody is at work
            job.do_next(worker, BaseException)
        del job  # it refers to what it works on, which an idle worker must not keep alive


def _give_up(jobs: list[Job]) -> None:
    for job in list(jobs):
        job.items.clear()
    jobs.clear()


def _dismiss(jobs: list[Job], tasks: queue.SimpleQueue, threads: list[threading.Thread], process: int) -> None:
    if process != os.getpid():
        return
    _give_up(jobs)
    for _ in threads:
        tasks.put(None)
    for thread in threads:
        if thread is not threading.current_thread() and thread.ident is not None:
            thread.join()
