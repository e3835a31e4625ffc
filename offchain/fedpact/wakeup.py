"""What a service waits for between two cycles, and what it gives up when it ends."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

LAST_CALLS = 3.0
"""Seconds after the end was rung for which a service still waits for its nodes."""


class Bell:
    """Rings for a new head and for the end. Threads and signal handlers may ring it."""

    def __init__(self) -> None:
        self.stopped = False
        # The one queue whose `put` a signal handler may call at any moment.
        self._rung: SimpleQueue[None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()

    def head(self) -> None:
        """There is a new head."""
        self._rung.put(None)

    def stop(self) -> None:
        self.stopped = True
        self._rung.put(None)
        self._ended.put(None)

    def afterwards(self, *steps: tuple[float, Callable[[], object]]) -> None:
        """Once the end was rung, call these in a thread, one after the other, each so many seconds
        after that: the loop itself may be waiting for what they give up."""

        def follow() -> None:
            self._ended.get()
            began = time.monotonic()
            for seconds, step in steps:
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                step()

        Thread(target=follow, name="end", daemon=True).start()

    def wait(self, seconds: float, heads_after: float) -> None:
        """For `seconds`, until the end, or until a head that comes from now on; for a head not
        before `heads_after` seconds."""
        began = time.monotonic()
        until = began + seconds
        while not self._rung.empty():
            self._rung.get()
        while not self.stopped and (left := until - time.monotonic()) > 0:
            try:
                self._rung.get(timeout=left)
            except Empty:
                return
            until = min(until, began + heads_after)
