"""Threads that do small tasks, with the thread that wants them done lending a hand."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterable


class Job:
    """Some tasks given to `Workers`; `wait` returns when all are done."""

    def __init__(self, tasks: queue.SimpleQueue, count: int):
        self._tasks, self._left, self._error = tasks, count, None
        self._lock, self._done = threading.Lock(), threading.Event()
        if not count:
            self._done.set()

    def wait(self) -> None:
        """Works on whatever task is next, of this job or another, until this one is done.

        Raises:
            Exception: what a task of this job has raised.
        """
        while not self._done.is_set():
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                self._done.wait()
            else:
                _do(task, 0)
        if self._error is not None:
            raise self._error

    def _finished(self, error: BaseException | None) -> None:
        with self._lock:
            self._left -= 1
            self._error = self._error or error
            if not self._left:
                self._done.set()


class Workers:
    """`number` workers: the thread that waits for a job, which is number 0, and `number` - 1 threads."""

    def __init__(self, number: int):
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        for worker in range(1, number):
            threading.Thread(target=_serve, args=(self._tasks, worker), name=f"match-{worker}", daemon=True).start()
        self.close = weakref.finalize(self, _dismiss, self._tasks, number - 1)

    def start(self, function: Callable[[int, int], None], items: Iterable[int]) -> Job:
        """Has `function(item, worker)` called for every item, in order of taking; `worker` tells who calls."""
        items = list(items)
        job = Job(self._tasks, len(items))
        for item in items:
            self._tasks.put((function, item, job))
        return job


def _serve(tasks: queue.SimpleQueue, worker: int) -> None:
    while (task := tasks.get()) is not None:
        _do(task, worker)
        del task  # it refers to its owner, whom an idle worker must not keep alive


def _do(task: tuple, worker: int) -> None:
    function, item, job = task
    error = None
    try:
        function(item, worker)
    except BaseException as caught:  # it belongs to the thread that waits
        error = caught
    job._finished(error)


def _dismiss(tasks: queue.SimpleQueue, number: int) -> None:
    for _ in range(number):
        tasks.put(None)
