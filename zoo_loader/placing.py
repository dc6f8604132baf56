"""Files and folders are written beside their place and then moved there, so that readers see a whole one or none.

What is being written is called `.<name>.<8 hexadecimal digits>.part`, and is held by a lock of the kernel (flock) that
ends with the process, however it ends. A part that nobody holds was left by a process that was killed; the next write
to the same place removes it. A folder that is there is set aside as `.<name>.<8 digits>.old` first, since it cannot be
replaced in one step; a process that is killed right then leaves it under that name, and the next write puts it back.
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

_OLD = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.old")
_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part(\.(mp4|gif|png|keras))?")
_MAX_NAME_BYTES = 200  # of a part's; file systems allow 255, and the rest of the name needs some


@contextlib.contextmanager
def beside(path: str | os.PathLike, folder: bool = False, suffix: str = "") -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write to, and moves what lies there to `path` at the end.

    After an exception it is removed, and `path` stays as it was. Where `path` is a symbolic link, what it leads to is
    replaced, and the link stays.

    Args:
        path: A file, or with `folder` a folder. Its own folder is made if missing.
        folder: Whether an empty folder is given, instead of an empty file.
        suffix: Of the path that is given, for writers that go by it: `.mp4`, `.gif`, `.png` or `.keras`.

    Raises:
        FileExistsError: `path` is something else than a regular file, or than a folder.
        OSError: The folder is missing, not writable or full.
    """
    path = target(path)
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        what = "is no folder" if folder else "is a folder or a special file"
        raise FileExistsError(f"{path} {what}, and will not be overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    part, descriptor = _made(path, folder, suffix)
    try:
        yield part
        if folder and path.exists():
            _exchange(part, path)
        else:
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
    """Removes what killed processes left in `folder`, and puts back what they set aside: of `name`, or of all."""
    with contextlib.suppress(OSError):
        for entry in sorted(folder.iterdir()):
            found = _OLD.fullmatch(entry.name) or _PART.fullmatch(entry.name)
            if found and (name is None or found["name"] == _stem(name)) and not entry.is_symlink():
                if entry.name.endswith(".old"):
                    _put_back(entry, entry.with_name(name or found["name"]))
                else:
                    _remove_if_left(entry)


def remove(path: pathlib.Path) -> None:
    """Removes a file, or a folder with all that is in it, as far as it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _exchange(part: pathlib.Path, path: pathlib.Path) -> None:
    """Moves the folder `part` to `path`, and removes the one that is there."""
    old = part.with_suffix(".old")
    os.replace(path, old)
    try:
        os.replace(part, path)
    except OSError:
        os.replace(old, path)
        raise
    remove(old)


def _put_back(old: pathlib.Path, path: pathlib.Path) -> None:
    """Mends what an exchange that was cut off has left; nothing that is in no other place is removed."""
    part = old.with_suffix(".part")
    if part.exists() and not _is_left(part):
        return  # the exchange is under way
    if not path.exists():
        os.replace(old, path)
    elif all((path / file.relative_to(old)).exists() for file in old.rglob("*")):
        remove(old)


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


def _is_left(part: pathlib.Path) -> bool:
    """Whether nobody holds it."""
    descriptor = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return _locked(descriptor) is True
    finally:
        os.close(descriptor)


def _remove_if_left(part: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        if _is_left(part):
            remove(part)
