"""Ctrl-C and SIGTERM: what must not be cut in two is finished first.

Outside of `deferred` an interruption is an exception at once: `KeyboardInterrupt`, of which `Interrupted` is one.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interrupted(KeyboardInterrupt):
    """The program was asked to end.

    Attributes:
        signal: by which signal.
        kept: what of the work is kept, for the user; may be empty.
    """

    def __init__(self, number: int = signal.SIGINT, kept: str = ""):
        super().__init__(number, kept)
        self.signal, self.kept = number, kept

    def __str__(self) -> str:
        name = _NAMES.get(self.signal, f"signal {self.signal}")
        return f"stopped by {name}{': ' * bool(self.kept)}{self.kept}"


class Stop:
    """Whether an end was asked for: `signal` is None, or the signal that came. `kept` goes into the exception."""

    def __init__(self):
        self.signal: int | None = None
        self.kept = ""


def raise_on_sigterm() -> None:
    """From now on SIGTERM is an exception, as Ctrl-C is; unless this process was told to handle it otherwise."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _raise)


@contextlib.contextmanager
def deferred() -> Iterator[Stop]:
    """Within, the first Ctrl-C or SIGTERM is only noted in what this gives; a second one is an exception at once.

    At the end, the first one is raised as an `Interrupted`, unless another exception is under way. Signals go to the
    main thread of a program; in others, and where the program has handlers of its own, nothing is deferred.
    """
    stop, former = Stop(), {}

    def note(number, frame) -> None:
        if stop.signal is not None:
            raise Interrupted(number)
        stop.signal = number

    if threading.current_thread() is threading.main_thread():
        usual = (signal.SIG_DFL, signal.default_int_handler, _raise)
        former = {number: signal.getsignal(number) for number in SIGNALS}
        former = {number: handler for number, handler in former.items() if handler in usual}
    try:
        for number in former:
            signal.signal(number, note)
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if stop.signal is not None:
        raise Interrupted(stop.signal, stop.kept)


@contextlib.contextmanager
def keeping(kept: str) -> Iterator[None]:
    """Adds to an interruption within, which comes at once, what of the work is kept."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(getattr(error, "signal", signal.SIGINT), getattr(error, "kept", "") or kept) from None


def _raise(number, frame) -> None:
    raise Interrupted(number)
