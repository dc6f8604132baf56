"""What a pickle would import or call, as mere notes."""

import dataclasses
from typing import Any

# Modules known better under another name: what `os.system` pickles as depends on the platform.
_FAMILIAR_MODULES = {"posix": "os", "nt": "os", "__builtin__": "builtins"}


@dataclasses.dataclass(frozen=True)
class InertGlobal:
    """A name that the pickle would import. It is only a name here."""

    module: str
    name: str

    def __str__(self) -> str:
        text = clip(f"{self.module}.{self.name}")
        familiar = _FAMILIAR_MODULES.get(self.module)
        return f"{text} (that is, {clip(f'{familiar}.{self.name}')})" if familiar else text


@dataclasses.dataclass(frozen=True, eq=False)
class InertReference:
    """What the pickle says lies outside of it, by its id: in PyTorch's, the numbers of a tensor."""

    id: Any


class InertObject:
    """What a call would have returned: a note of the call, never made.

    Attributes:
        callable: What would have been called, an InertGlobal or the InertObject of an earlier call.
        args: Its positional arguments (a tuple in well-formed pickles).
        kwargs: Its keyword arguments, or None.
        state: What `__setstate__` would have been given, or None.
        items: What would have been appended, added or set: values, or (key, value) pairs.
    """

    __slots__ = ("callable", "args", "kwargs", "state", "items", "_first_callable")

    def __init__(self, callable_: Any, args: Any, kwargs: Any = None):
        self.callable = callable_
        self.args = args
        self.kwargs = kwargs
        self.state = None
        self.items: list = []
        # Calls of calls of calls can be many: the name at their beginning is handed on, not looked for.
        self._first_callable = callable_._first_callable if isinstance(callable_, InertObject) else callable_

    @property
    def callable_name(self) -> str:
        """The dotted name of what would have been called; that of the first call where calls are chained."""
        target = self._first_callable
        return str(target) if isinstance(target, InertGlobal) else f"a {type(target).__name__}"

    def __repr__(self) -> str:
        return f"<InertObject: a call of {self.callable_name}, not made>"


def clip(text: str, width: int = 120) -> str:
    """Shortens text from a file to something fit for one line of an error message."""
    text = "".join(char if char.isprintable() else "?" for char in text[: width + 1])
    return text if len(text) <= width else text[:width] + "..."
