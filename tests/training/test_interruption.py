"""What comes of Ctrl-C and SIGTERM, within and without what must not be cut in two."""

import os
import pickle
import signal
import threading

import pytest

from tf_apil.training import interruption


@pytest.fixture(autouse=True)
def _handlers():
    """Those of a program of ours, and afterwards those that were there."""
    former = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    interruption.raise_on_sigterm()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number, said", [(signal.SIGINT, "stopped by Ctrl-C"), (signal.SIGTERM, "stopped by SIGTERM")])
def test_the_first_is_deferred_and_raised_at_the_end(number, said):
    done = []
    with pytest.raises(interruption.Interrupted) as caught:
        with interruption.deferred() as stop:
            os.kill(os.getpid(), number)
            done.append(stop.signal)
            stop.kept = "all of it is kept."
        done.append("never")
    assert done == [number] and caught.value.signal == number
    assert str(caught.value) == f"{said}: all of it is kept."


@pytest.mark.parametrize("second", interruption.SIGNALS)
def test_the_second_is_raised_at_once(second):
    with pytest.raises(interruption.Interrupted) as caught, interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), second)
        pytest.fail("went on")
    assert caught.value.signal == second and str(caught.value).startswith("stopped by ")


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_outside_it_is_raised_at_once(number):
    with interruption.deferred() as stop:
        pass
    assert stop.signal is None
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
        pytest.fail("went on")


def test_an_error_is_not_hidden_by_an_interruption():
    with pytest.raises(ZeroDivisionError), interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise ZeroDivisionError


def test_handlers_of_the_host_stay():
    seen = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    interruption.raise_on_sigterm()
    with interruption.deferred() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [signal.SIGTERM] and stop.signal is None


def test_in_another_thread_nothing_is_deferred():
    stops = []

    def work():
        with interruption.deferred() as stop:
            stops.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stops[0].signal is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_survives_pickling():
    error = pickle.loads(pickle.dumps(interruption.Interrupted(signal.SIGTERM, "kept")))
    assert (error.signal, error.kept) == (signal.SIGTERM, "kept")
