"""One folder, one writer: a lock that ends with the process that holds it.

The lock is the kernel's (flock) on the file `.lock` in the folder, which also tells who holds it. A process that is
killed loses the lock and leaves the file, which then means nothing: the next writer takes it over.
"""

import contextlib
import datetime
import fcntl
import functools
import json
import os
import pathlib
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from absl import logging

import zoo_loader
from zoo_loader import guarded

FILE = ".lock"
_MAX_BYTES = 10_000
_held: dict[tuple[int, int], int] = {}  # by the lock file's device and inode: the thread that holds it


class FolderInUse(RuntimeError):
    """Another process, or another thread of this one, writes to the folder."""


@contextlib.contextmanager
def hold(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes this thread the only writer of `folder`. It is made if missing, and removed if it stays empty.

    A thread that holds it already goes on holding it: programs that do several things in a folder hold it for all of
    them. On file systems without locks a warning is logged, and nothing is held.

    Raises:
        FolderInUse: another process or thread holds it; the message tells which.
        OSError: the folder cannot be made or written to, or something else than a file lies in the lock's place.
    """
    folder = pathlib.Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    if _key(path) is not None and _held.get(_key(path)) == threading.get_ident():
        yield folder
        return
    descriptor = _locked(path, folder)
    if descriptor is None:
        path.unlink(missing_ok=True)
        logging.warning("%s is on a file system without locks: see to it that no two programs write to it.", folder)
        yield folder
        return
    key = _key(descriptor)
    _held[key] = threading.get_ident()
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, _owner().encode())
        yield folder
    finally:
        del _held[key]
        with contextlib.suppress(OSError):
            path.unlink()  # before the lock ends: whoever waits for it looks whether the file is still in its place
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()


def one_writer(function: Callable) -> Callable:
    """Makes a function hold the folder that is its first argument. Raises as `hold`."""

    @functools.wraps(function)
    def holding(folder, *args, **kwargs):
        with hold(folder):
            return function(folder, *args, **kwargs)

    return holding


def _locked(path: pathlib.Path, folder: pathlib.Path) -> int | None:
    """A descriptor of the lock file, locked; None where that cannot be done."""
    while True:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise FileExistsError(f"{path} is a link, a folder or a special file in the lock's place: move it away.")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise FolderInUse(
                f"{folder} is in use by {_told(path)}: wait until it has ended, end it, or give another folder."
            ) from None
        except OSError:
            os.close(descriptor)
            return None
        if _key(descriptor) == _key(path):
            return descriptor
        os.close(descriptor)  # its owner ended, and took the file along, between the two steps


def _key(path: pathlib.Path | int) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _owner() -> str:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now, "command": sys.argv}) + "\n"


def _told(path: pathlib.Path) -> str:
    """The owner that a lock file names, in words."""
    try:
        owner = json.loads(guarded.read(path, _MAX_BYTES))
        pid, host, since = int(owner["pid"]), str(owner["host"])[:100], str(owner["since"])[:40]
        command = shlex.join(str(word) for word in owner["command"])
    except (zoo_loader.ZooFileError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    command = command if len(command) <= 160 else command[:157] + "..."
    return f"process {pid} on {guarded.shown(host)} since {guarded.shown(since)} ({guarded.shown(command)})"
