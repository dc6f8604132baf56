"""Reads files that may be anything: pipes, devices, links in a circle, files without end.

Every file that this project reads as data goes through here, foreign or own. Nothing is waited for, and no more is read
than a limit.
"""

import contextlib
import hashlib
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import BinaryIO

from zoo_loader.errors import ZooFileError

_CHUNK_BYTES = 2**20


def read(path: str | os.PathLike, max_bytes: int, expected: str = "a file", why: str = "") -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file; links are followed.
        max_bytes: How large it may be.
        expected: What errors say that was looked for.
        why: Words for the error that tells of the limit.

    Raises:
        ZooFileError: It is missing, no regular file, unreadable or larger than `max_bytes`.
    """
    with _opened(path, max_bytes, expected, why) as (file, size):
        return file.read(size)


def lines(path: str | os.PathLike, max_bytes: int, expected: str = "a file") -> Iterator[bytes]:
    """The lines of a regular file, one after another, without their ends; each may have `max_bytes`.

    Raises:
        ZooFileError: As `read`; or a line is longer than `max_bytes`.
    """
    with _opened(path, None, expected) as (file, _):
        number = 0
        while line := file.readline(max_bytes + 1):
            number += 1
            if len(line) > max_bytes:
                raise ZooFileError(shown(path), f"line {number} has more than {max_bytes} bytes; the file is damaged")
            yield line.rstrip(b"\r\n")


def sha256(path: str | os.PathLike, max_bytes: int, expected: str = "a file") -> str:
    """The SHA-256 of a regular file, in hexadecimal. Raises as `read`."""
    digest = hashlib.sha256()
    with _opened(path, max_bytes, expected) as (file, size):
        while size > 0 and (chunk := file.read(min(size, _CHUNK_BYTES))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def shown(path: str | os.PathLike) -> str:
    """A path for messages: in quotes, its strange characters escaped, if it has such."""
    text = str(path)
    return text if text.isprintable() else repr(text)


@contextlib.contextmanager
def _opened(
    path: str | os.PathLike, max_bytes: int | None, expected: str, why: str = ""
) -> Iterator[tuple[BinaryIO, int]]:
    """The file, open for reading, and its size."""
    path, name = pathlib.Path(path), shown(path)
    not_regular = f"expected {expected}, found a folder or a special file"  # reading from such might never end
    try:
        if not path.exists():
            raise ZooFileError(name, "no such file")
        if not path.is_file():
            raise ZooFileError(name, not_regular)
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # It was swapped for a pipe since.
                raise ZooFileError(name, not_regular)
            if max_bytes is not None and status.st_size > max_bytes:
                raise ZooFileError(name, f"has {status.st_size} bytes; above {max_bytes} nothing is read{why}")
            yield file, status.st_size
    except (OSError, ValueError) as error:
        if isinstance(error, ZooFileError):
            raise
        raise ZooFileError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
