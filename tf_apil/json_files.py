"""JSON files that lie in folders, read as carefully as foreign ones, and written beside and moved into place.

What an entry may be is said by a check: a function of the value and of its name, which raises a ValueError that tells
both what was expected there and what was found.
"""

import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping

import zoo_loader
from zoo_loader import guarded, placing

Check = Callable[[object, str], None]
MAX_BYTES = 64 * 2**20
MAX_LINE_BYTES = 2**20
_MAX_SHOWN_CHARS = 60


class DamagedFile(ValueError):
    """A file is not what it should be; `reason` tells which entry, what was expected and what was found."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{guarded.shown(path)} is damaged ({reason})")
        self.path, self.reason = path, reason

    def __reduce__(self):
        return type(self), (self.path, self.reason)


def read(path: str | os.PathLike, check: Check, max_bytes: int = MAX_BYTES):
    """What a JSON file holds.

    Raises:
        DamagedFile: it is missing, no regular file, too large, no JSON, or not as `check` says.
    """
    try:
        return _checked(guarded.read(path, max_bytes), check)
    except zoo_loader.ZooFileError as error:
        raise DamagedFile(path, error.reason) from None
    except ValueError as error:
        raise DamagedFile(path, str(error)) from None


def read_lines(path: str | os.PathLike, check: Check) -> Iterator[dict]:
    """What the lines of a file hold, each JSON of its own; a last line that was cut short is left out.

    Raises:
        DamagedFile: as `read`; the message counts lines from 1.
    """
    try:
        cut = None
        for number, line in enumerate(guarded.lines(path, MAX_LINE_BYTES), 1):
            if cut is not None:
                raise DamagedFile(path, cut)
            try:
                yield _checked(line, check)
            except ValueError as error:
                cut = f"line {number}: {error}"
    except zoo_loader.ZooFileError as error:
        raise DamagedFile(path, error.reason) from None


def write(path: str | os.PathLike, value) -> None:
    """Writes a JSON file, its entries sorted. Raises OSError where it cannot be written."""
    placing.write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def _checked(data: bytes, check: Check):
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text: {error}") from None
    check(value, "")
    return value


def _refuse_constant(name: str):
    raise ValueError(f"it holds {name}, which is no JSON")


# Checks.


def anything(value, name: str) -> None:
    """Accepts any value."""


def text(value, name: str) -> None:
    """A string."""
    _expect(isinstance(value, str), "text", value, name)


def number(value, name: str) -> None:
    """A finite number."""
    _expect(isinstance(value, int | float) and not isinstance(value, bool) and _finite(value), "a number", value, name)


def share(value, name: str) -> None:
    """A number from 0 to 1."""
    number(value, name)
    _expect(0 <= value <= 1, "a number from 0 to 1", value, name)


def whole(least: int = 0) -> Check:
    """A whole number of at least `least`."""

    def check(value, name: str) -> None:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        _expect(fits, f"a whole number of at least {least}", value, name)

    return check


def listed(item: Check, length: int | None = None) -> Check:
    """A list, of `length` items where it is given."""

    def check(value, name: str) -> None:
        expected = "a list" if length is None else f"a list of {length}"
        _expect(isinstance(value, list) and length in (None, len(value)), expected, value, name)
        for place, part in enumerate(value):
            item(part, f"{name}[{place}]")

    return check


def optional(item: Check) -> Check:
    """null, or what `item` accepts."""

    def check(value, name: str) -> None:
        if value is not None:
            item(value, name)

    return check


def mapping(item: Check) -> Check:
    """An object whose values `item` accepts."""

    def check(value, name: str) -> None:
        _expect(isinstance(value, dict), "an object", value, name)
        for key, part in value.items():
            item(part, _joined(name, key))

    return check


def record(required: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """An object with the `required` entries, and perhaps `others`; entries of other names may be anything."""

    def check(value, name: str) -> None:
        _expect(isinstance(value, dict), "an object", value, name)
        for key in required:
            if key not in value:
                raise ValueError(f"{_joined(name, key)} is missing")
        for key, item in {**required, **(others or {})}.items():
            if key in value:
                item(value[key], _joined(name, key))

    return check


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _expect(fits: bool, expected: str, value, name: str) -> None:
    if not fits:
        found = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
        found = found if len(found) <= _MAX_SHOWN_CHARS else found[: _MAX_SHOWN_CHARS - 3] + "..."
        raise ValueError(f"{name or 'the file'} must be {expected}, and is {found}")


def is_inner(name: str) -> bool:
    """Whether a name is the path of a file within a folder: relative, with `/`, and nothing that leads out of it."""
    path = pathlib.PurePosixPath(name)
    plain = name.isprintable() and "\\" not in name and str(path) == name
    return plain and not path.is_absolute() and ".." not in path.parts and name != "."
