"""Signals that end or renew a long-running loop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_signals(action: Callable[[], object], *numbers: signal.Signals) -> Iterator[None]:
    """Let these signals call `action` until the block ends, and then do what they did before.

    Only in the main thread, which alone gets them; elsewhere nothing changes.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            before[number] = signal.signal(number, lambda *_: action())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
