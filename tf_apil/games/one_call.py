"""Lets one call at a time into an object."""

import functools
import os
import time
import weakref
from collections.abc import Callable

_SECONDS_AT_EXIT = 5.0
_all: weakref.WeakSet = weakref.WeakSet()


class Calls:
    """The calls of an object's methods, in order of arrival; the first of them has the object to itself.

    At exit of the program no call is let in any more, and the one that is under way is waited for: a thread that comes
    back from the engine when there is no interpreter left ends in a crash.
    """

    def __init__(self, owner: object):
        """`owner` is the object; it is not kept alive."""
        self.arrived: dict[object, str] = {}  # {ticket: name of the call}
        _all.add(self)
        weakref.finalize(owner, _wait_for_last, self.arrived)


def alone(method: Callable) -> Callable:
    """Makes a method one that shares its object, which has `Calls` as `_calls`, with no other such call.

    Raises:
        RuntimeError: another call is under way, in another thread or, in a signal handler, in the same one. Nothing was
            done then.
    """
    name = method.__name__

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        # An exception such as Ctrl-C's may strike almost anywhere. So nothing has to be taken back but an entry, and
        # that by a single call into C, which none can interrupt.
        arrived, ticket = self._calls.arrived, object()
        try:
            arrived[ticket] = name
            first = [*arrived][0]
            if first is not ticket:
                raise RuntimeError(
                    f"{name} was called while {arrived.get(first, 'another call')} is under way: one thread at a time "
                    f"may use a {type(self).__name__}."
                )
            return method(self, *args, **kwargs)
        finally:
            arrived.pop(ticket, None)

    return call


def _wait_for_last(arrived: dict[object, str]) -> None:
    ticket, deadline = object(), time.monotonic() + _SECONDS_AT_EXIT
    arrived[ticket] = "the end of the program"
    while [*arrived][0] is not ticket and time.monotonic() < deadline:
        time.sleep(0.001)


def _forget_all() -> None:
    """In a process that was forked: the calls that were under way are in the other one."""
    for calls in _all:
        calls.arrived.clear()


os.register_at_fork(after_in_child=_forget_all)
