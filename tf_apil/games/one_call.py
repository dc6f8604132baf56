"""Lets one call at a time into an object."""

import functools
import os
import time
import weakref
from collections.abc import Callable

_SECONDS_AT_EXIT = 5.0
_all: weakref.WeakSet = weakref.WeakSet()


class Doors:
    """Who is inside an object, in order of arrival; the first of them has it to itself.

    At exit of the program nobody is let in any more, and whoever is inside is waited for: a thread that comes back from
    the engine when there is no interpreter left ends in a crash.
    """

    def __init__(self, owner: object):
        """`owner` is the object; it is not kept alive."""
        self.inside: dict[object, str] = {}  # {ticket: name of the call}
        _all.add(self)
        weakref.finalize(owner, _shut, self.inside)


def alone(method: Callable) -> Callable:
    """Makes a method one that shares its object, which has `Doors` as `_doors`, with no other such call.

    Raises:
        RuntimeError: another call is under way, in another thread or, in a signal handler, in the same one. Nothing was
            done then.
    """
    name = method.__name__

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        # An exception such as Ctrl-C's may strike almost anywhere. So nothing has to be taken back but an entry, and
        # that by a single call into C, which none can interrupt.
        inside, ticket = self._doors.inside, object()
        try:
            inside[ticket] = name
            first = [*inside][0]
            if first is not ticket:
                raise RuntimeError(
                    f"{name} was called while {inside.get(first, 'another call')} is under way: one thread at a time "
                    f"may use a {type(self).__name__}."
                )
            return method(self, *args, **kwargs)
        finally:
            inside.pop(ticket, None)

    return call


def _shut(inside: dict[object, str]) -> None:
    ticket, deadline = object(), time.monotonic() + _SECONDS_AT_EXIT
    inside[ticket] = "the end of the program"
    while [*inside][0] is not ticket and time.monotonic() < deadline:
        time.sleep(0.001)


def _forget_all() -> None:
    """In a process that was forked: whoever was inside is in the other one."""
    for doors in _all:
        doors.inside.clear()


os.register_at_fork(after_in_child=_forget_all)
