"""Checks the type and the range of every setting where it is given, before anything is built or written.

    @gin.configurable
    @arguments.checked
    class Learner:
        def __init__(self, learning_rate: arguments.NonNegative = 3e-4, memory: Literal["none", "gru"] = "none"): ...

The annotations of the signature say what is allowed: plain types, classes, unions, tuples, `Literal`, and `Annotated`
with a `Range`, with a function that raises ValueError, or with a text that describes the type in messages. Numbers are
finite; True is no number; a list will do for a tuple.

`**settings: arguments.FieldsOf(Config)` takes the fields of a dataclass, by their names, annotations and defaults; the
callee makes it: `Config(**settings)`.

Of a protocol that is not `runtime_checkable` nothing is checked. What depends on several settings at once is for the
callee to check.
"""

import collections.abc
import dataclasses
import difflib
import functools
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np

_LONGEST = 200  # characters of a value in a message


class UnknownSetting(TypeError, ValueError):
    """A keyword argument that does not exist: a TypeError as everywhere in Python, and a wrong value of a gin file."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Limits of a number, or of an object with a `range` of (least, greatest), such as an annealer.

    Attributes:
        least, most: the limits, which themselves are allowed.
        above, below: limits which are not.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def holds(self, value) -> bool:
        """Whether `value` lies within the limits."""
        low, high = getattr(value, "range", (value, value))
        return self.least <= low <= high <= self.most and low > self.above and high < self.below

    def __str__(self) -> str:
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"between {self.least:g} and {self.most:g}"
        limits = {"above": self.above, "of at least": self.least, "of at most": self.most, "below": self.below}
        return " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit))


Count = Annotated[int, Range(least=1)]
Whole = Annotated[int, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(0, 1)]
LogStd = Annotated[float, Range(-20, 5)]  # beyond, exp(...) or its inverse is no deviation of a motor's noise


def not_empty(value) -> None:
    """Raises ValueError where a tuple or a text is empty; for `Annotated`."""
    if not value:
        raise ValueError(f"{value!r} is empty.")


class Kind(NamedTuple):
    """What an annotation allows.

    Attributes:
        words: what it is, for messages.
        check: takes a value; False where it does not fit, or ValueError, with a message of its own.
    """

    words: str
    check: Callable[[Any], bool]


def checked(target: Callable) -> Callable:
    """Makes a function, or a class's constructor, check its arguments. Below `gin.configurable` in the decorators.

    Raises:
        TypeError: a parameter has no annotation, or one that is not understood here.
    """
    if isinstance(target, type):
        target.__init__ = _checked(vars(target)["__init__"], target.__name__)
        return target
    return _checked(target, target.__name__)


@dataclasses.dataclass(frozen=True)
class FieldsOf:
    """What `**settings` are annotated with that are the fields of a dataclass.

    Attributes:
        config: the dataclass.
    """

    config: type

    def __call__(self) -> None:
        """Annotations are callable."""

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """One for each field, to be given by its name."""
        fields = inspect.signature(self.config).parameters.values()
        return [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]


def _expanded(function: Callable) -> tuple[inspect.Signature, dict[str, Any]]:
    """The signature and the annotations of a function, `**settings` that are `FieldsOf` a dataclass written out."""
    signature, hints = inspect.signature(function), typing.get_type_hints(function, include_extras=True)
    parameters = []
    for parameter in signature.parameters.values():
        fields = hints.get(parameter.name)
        if isinstance(fields, FieldsOf):
            parameters += fields.parameters
            hints |= typing.get_type_hints(fields.config, include_extras=True)
        else:
            parameters.append(parameter)
    return signature.replace(parameters=parameters), hints


def _checked(function: Callable, owner: str) -> Callable:
    signature, hints = _expanded(function)
    named = [p.name for p in signature.parameters.values() if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    missing = [name for name in named if name not in hints]
    if missing:
        raise TypeError(f"{owner}: {', '.join(missing)} must be annotated, so that settings can be checked.")
    kinds = {name: kind_of(hints[name]) for name in named}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        unknown = [] if open_ended else [name for name in kwargs if name not in signature.parameters]
        if unknown:
            near = difflib.get_close_matches(unknown[0], named, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UnknownSetting(f"{owner} has no setting {unknown[0]!r}.{hint}")
        bound = signature.bind_partial(*args, **kwargs)
        for name, value in bound.arguments.items():
            if name in kinds:
                value = bound.arguments[name] = value.item() if isinstance(value, np.generic) else value
                check(f"{owner}.{name}", value, kinds[name])
        return function(*bound.args, **bound.kwargs)

    wrapper.__signature__ = signature  # gin asks `inspect.getfullargspec`, which does not look through wrappers
    wrapper.kinds = kinds
    return wrapper


def check(name: str, value, kind: Kind) -> None:
    """Raises ValueError where the setting called `name` cannot be `value`."""
    try:
        fits = kind.check(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if fits:
        return
    if isinstance(value, type):
        raise ValueError(
            f"{name} is the class {value.__name__}, not one of it; it must be {kind.words}. In gin, write "
            f"@{value.__name__}() with brackets."
        )
    text = repr(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    hint = ""
    if isinstance(value, float) and value.is_integer() and "whole number" in kind.words:
        hint = f" Whole numbers are written without a point or an exponent: {int(value)}."
    raise ValueError(f"{name} is {text}; it must be {kind.words}.{hint}")


def kind_of(annotation) -> Kind:
    """What an annotation allows.

    Raises:
        TypeError: it is not understood.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        return functools.reduce(_limited, arguments[1:], kind_of(arguments[0]))
    if origin is typing.Literal:
        options = [(type(a), a) for a in arguments]  # True is not 1
        return Kind(_listed([repr(a) for a in arguments]), lambda v: (type(v), v) in options)
    if origin in (typing.Union, types.UnionType):
        kinds = [kind_of(a) for a in arguments]
        return Kind(_listed([kind.words for kind in kinds]), lambda v: any(kind.check(v) for kind in kinds))
    if origin is tuple:
        return _tuple(arguments)
    if origin is collections.abc.Callable or annotation is collections.abc.Callable:
        return Kind("a function or a class (in gin, @Name without brackets)", callable)
    if isinstance(annotation, type):
        article = "an" if annotation.__name__[0] in "AEIOU" else "a"
        open_protocol = getattr(annotation, "_is_protocol", False) and not annotation._is_runtime_protocol
        return Kind(f"{article} {annotation.__name__}", lambda v: open_protocol or isinstance(v, annotation))
    raise TypeError(f"the annotation {annotation!r} is not understood; see tf_apil/arguments.py.")


def kinds_of(target: Callable) -> dict[str, Kind]:
    """What the arguments of a checked function or class may be, by their names; of anything else, nothing."""
    return getattr(target.__init__ if isinstance(target, type) else target, "kinds", {})


def _limited(kind: Kind, limit) -> Kind:
    """`kind`, of which only some values are allowed, or which has other words."""
    if isinstance(limit, str):
        return kind._replace(words=limit)
    if isinstance(limit, Range):
        comma = "," if " or " in kind.words else ""
        return Kind(f"{kind.words}{comma} {limit}", lambda v: kind.check(v) and limit.holds(v))
    if callable(limit):
        return kind._replace(check=lambda v: kind.check(v) and (limit(v), True)[1])
    raise TypeError(f"{limit!r} limits no setting; see tf_apil/arguments.py.")


def _tuple(arguments: tuple) -> Kind:
    """Of entries of one kind, any number of them (`tuple[X, ...]`); or of so many."""
    endless = arguments[-1] is Ellipsis
    kinds = [kind_of(a) for a in arguments if a is not Ellipsis]
    words = [kind.words for kind in kinds]
    size = "such as (..., ...), of any number of entries" if endless else f"of {len(kinds)} entries"
    entries = f"each {words[0]}" if len(set(words)) == 1 else ", ".join(words)

    def check(value) -> bool:
        if not isinstance(value, tuple | list) or not (endless or len(value) == len(kinds)):
            return False
        return all(kind.check(v) for kind, v in zip(kinds * len(value) if endless else kinds, value, strict=False))

    return Kind(f"a tuple {size}: {entries}", check)


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and -math.inf < value < math.inf


_PLAIN = {
    bool: Kind("True or False", lambda v: isinstance(v, bool)),
    int: Kind("a whole number", lambda v: isinstance(v, numbers.Integral) and not isinstance(v, bool)),
    float: Kind("a finite number", _is_number),
    str: Kind("a text in quotes", lambda v: isinstance(v, str)),
    types.NoneType: Kind("None", lambda v: v is None),
}  # fmt: skip
