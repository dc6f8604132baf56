"""Files and folders are written beside their place and then moved there, so that readers see a whole one or none.

What is being written is called `.<name>.<8 hexadecimal digits>.part`, and is held by a lock of the kernel (flock) that
ends with the process, however it ends. A part that nobody holds was left by a process that was killed; the next write
to the same place removes it.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Iterator

_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part(\.(mp4|gif|png|keras))?")
_MAX_NAME_BYTES = 200  # of a part's; file systems allow 255, and the rest of the name needs some


@contextlib.contextmanager
def beside(path: str | os.PathLike, folder: bool = False, suffix: str = "") -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write to, and moves what lies there to `path` at the end.

    After an exception it is removed, and `path` stays as it was. Where `path` is a symbolic link, what it leads to is
    replaced, and the link stays.

    Args:
        path: A file, or with `folder` a folder that is not there. Its own folder is made if missing.
        folder: Whether an empty folder is given, instead of an empty file.
        suffix: Of the path that is given, for writers that go by it: `.mp4`, `.gif`, `.png` or `.keras`.

    Raises:
        FileExistsError: `path` is something else than a regular file.
        OSError: The folder is missing, not writable or full.
    """
    path = target(path)
    if not folder and path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is a folder or a special file, and will not be overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    part, descriptor = _made(path, folder, suffix)
    try:
        yield part
        os.replace(part, path)
    finally:
        remove(part)
        os.close(descriptor)


def write(path: str | os.PathLike, data: bytes | str) -> None:
    """Writes a whole file, text as UTF-8, and flushes it to the disk. Raises as `beside`."""
    with beside(path) as part, open(part, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


def target(path: str | os.PathLike) -> pathlib.Path:
    """Where a write to `path` ends up: what it leads to, if it is a symbolic link."""
    path = pathlib.Path(path)
    return pathlib.Path(os.path.realpath(path)) if path.is_symlink() else path


def sweep(folder: pathlib.Path, name: str | None = None) -> None:
    """Removes the parts in `folder` that killed processes left: those of `name`, or all."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found and (name is None or found["name"] == _stem(name)) and not entry.is_symlink():
                _remove_if_left(pathlib.Path(entry.path))


def remove(path: pathlib.Path) -> None:
    """Removes a file, or a folder with all that is in it, as far as it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _stem(name: str) -> str:
    """`name`, or where it is too long for more to be put around it, a short name that stands for it."""
    raw = os.fsencode(name)
    return name if len(raw) <= _MAX_NAME_BYTES else hashlib.sha256(raw).hexdigest()[:16]


def _made(path: pathlib.Path, folder: bool, suffix: str) -> tuple[pathlib.Path, int]:
    """A new part of `path`, and the descriptor that holds it."""
    while True:
        part = path.with_name(f".{_stem(path.name)}.{secrets.token_hex(4)}.part{suffix}")
        if folder:
            part.mkdir()
            descriptor = os.open(part, os.O_RDONLY)
        else:
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        # Somebody who sweeps may have taken it between these two steps.
        if _locked(descriptor) is not False and part.exists():
            return part, descriptor
        os.close(descriptor)


def _locked(descriptor: int) -> bool | None:
    """Whether a lock was got; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_if_left(part: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if _locked(descriptor):
                remove(part)
        finally:
            os.close(descriptor)
