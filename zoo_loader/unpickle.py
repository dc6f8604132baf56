"""Reads foreign pickles without running them.

A pickle is a program for a small stack machine, and Python's own `pickle.load` runs whatever it says: importing
modules, calling functions. Weight files come from strangers, so this module has a stack machine of its own that can
only build data. Arrays, containers, numbers and strings come back as themselves; every name that the pickle would
import becomes an `InertGlobal`, and every call that it would make becomes an `InertObject`, a note of what was asked.
Nothing is imported and nothing is called.

docs/safety.md says what is promised and how it is tested.
"""

import numpy as np

from zoo_loader.errors import ZooFileError
from zoo_loader.inert import InertGlobal, InertObject, InertReference
from zoo_loader.pickle_machine import Machine, Unfinished
from zoo_loader.pickled_numpy import Malformed

__all__ = ["InertGlobal", "InertObject", "check_array", "loads", "loads_array", "loads_noting_calls"]

MAX_FILE_BYTES = 16 * 2**20  # The largest published pickle has 1.5 MB.
MAX_NESTING = 100  # The published files have up to 10.


def loads(data: bytes, name: str, references: bool = False) -> object:
    """Reads a pickle as data.

    Args:
        data: The bytes of the pickle, protocol 0 to 5, untrusted.
        name: What to call the file in errors.
        references: Whether it may refer to what lies outside of it, as PyTorch's do: those become InertReference.

    Returns:
        The value: arrays (read-only), numpy scalars, containers, strings, bytes, numbers, InertGlobal, InertObject.
        Do not print, compare or hash it as a whole: shared parts can make that take exponential time.

    Raises:
        ZooFileError: The bytes are no complete, well-formed pickle, or go past a limit of this module.
    """
    return loads_noting_calls(data, name, references)[0]


def loads_array(data: bytes, name: str) -> np.ndarray:
    """Reads a pickle that holds one array and asks for nothing else, as the published weight vectors do.

    Args:
        data: The bytes of the pickle, untrusted.
        name: What to call the file in errors.

    Returns:
        The array, read-only.

    Raises:
        ZooFileError: As `loads`; or the pickle asks for other calls, or its value is not an array.
    """
    return check_array(*loads_noting_calls(data, name), name)


def check_array(value: object, calls: list[str], name: str) -> np.ndarray:
    """Returns an unpickled value if it is one array that came without calls, and raises ZooFileError if not."""
    if calls:
        raise ZooFileError(
            name,
            f"a weights file holds one array and nothing else, but this pickle asks to call {', '.join(calls[:5])}"
            f"{' and more' if len(calls) > 5 else ''}; nothing was executed. Do not open it with pickle.load",
        )
    if not isinstance(value, np.ndarray):
        raise ZooFileError(name, f"expected a pickled array of weights, found a {type(value).__name__}")
    return value


def loads_noting_calls(data: bytes, name: str, references: bool = False) -> tuple[object, list[str]]:
    """As `loads`; returns the names of what the pickle asks to call, too."""
    if len(data) > MAX_FILE_BYTES:
        raise ZooFileError(name, f"the pickle has {len(data)} bytes; files above {MAX_FILE_BYTES} are not read")
    machine = Machine(len(data), references)
    try:
        value = machine.run(data)
        _check_value(value)
    except Malformed as error:
        calls = f" (before that it asks to call {', '.join(machine.calls[:5])}; nothing was executed)"
        raise ZooFileError(
            name,
            f"cannot be read as a pickle of arrays: {error}{calls if machine.calls else ''}. The file is damaged, or "
            "not what its name says; get it again from where it is published",
        ) from None
    return value, machine.calls


def _children(value: object) -> list:
    if type(value) in (tuple, list):
        return list(value)
    if type(value) is dict:
        return list(value.values())  # Keys are flat already.
    if isinstance(value, InertReference):
        return [value.id]
    if isinstance(value, InertObject):
        return [value.callable, value.args, value.kwargs, value.state, *value.items]
    return []


def _check_value(root: object) -> None:
    """Walks the finished value: nothing unfinished inside, nested no deeper than MAX_NESTING on any path.

    Depth first with an explicit stack. Every container is entered once, so that shared parts cost nothing; its height
    is remembered when it is left. A container that holds itself counts as flat where it closes the circle.
    """
    heights: dict[int, int] = {}
    # Items: the container, its remaining children, the height found so far.
    path: list[list] = [[None, [root], 0]]
    while path:
        container, remaining, _ = path[-1]
        if remaining:
            child = remaining.pop()
            if isinstance(child, Unfinished):
                raise Malformed("it holds an array or dtype that is never filled in")
            if id(child) in heights:
                path[-1][2] = max(path[-1][2], heights[id(child)])
            elif grandchildren := _children(child):
                heights[id(child)] = 0
                path.append([child, grandchildren, 0])
        else:
            height = path.pop()[2] + 1
            heights[id(container)] = height
            if path:
                path[-1][2] = max(path[-1][2], height)
            if height + len(path) > MAX_NESTING:
                raise Malformed(f"it nests values deeper than {MAX_NESTING} levels")
