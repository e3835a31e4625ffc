"""Signals while a loop runs, and after it."""

import signal
import threading
from contextlib import suppress

from fedpact.signals import on_signals


def test_a_signal_calls_the_action_and_afterwards_does_what_it_did_before() -> None:
    """After a daemon had run in a notebook, Ctrl-C did nothing any more."""
    called = []
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError), on_signals(lambda: called.append(1), signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
        raise ValueError
    assert called == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_change_nothing() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def look() -> None:
        with on_signals(lambda: None, signal.SIGINT):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]
