"""What a daemon waits for between two cycles."""

import time
from queue import Empty, SimpleQueue


class Bell:
    """Rings for a new head and for the end. Threads and signal handlers may ring it."""

    def __init__(self) -> None:
        self.stopped = False
        # The one queue whose `put` a signal handler may call at any moment.
        self._rung: SimpleQueue[None] = SimpleQueue()

    def head(self) -> None:
        """There is a new head."""
        self._rung.put(None)

    def stop(self) -> None:
        self.stopped = True
        self._rung.put(None)

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
