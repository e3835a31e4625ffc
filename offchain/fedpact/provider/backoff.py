"""When a request that failed is tried again: later with each failure, and never past a deadline."""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass

MAX_SECONDS = 60.0
MAX_SECONDS_BLIND = 10.0
"""Where no deadline is known: there may be one."""
PART = 10
"""It is tried again before a tenth of the time that is left has passed."""


@dataclass
class _Wait:
    until: float = 0.0
    failures: int = 0


class Backoffs:
    """Of all requests. What is known of deadlines stays known while nothing can be read."""

    def __init__(self, poll_seconds: float) -> None:
        """`poll_seconds`: the shortest wait."""
        self._poll = poll_seconds
        self._waits: dict[int, _Wait] = {}
        self._deadlines: dict[int, float] = {}
        """By request, as `time.monotonic`."""

    def saw(self, request: int, left: float) -> None:
        """A request's stage ends in `left` seconds; 0 or less: there is no deadline."""
        if left > 0:
            self._deadlines[request] = time.monotonic() + left
        else:
            self._deadlines.pop(request, None)

    def waits(self, request: int) -> bool:
        wait = self._waits.get(request)
        return wait is not None and time.monotonic() < wait.until

    def failed(self, request: int) -> float:
        """Returns the seconds until it is tried again."""
        wait, left = self._waits.setdefault(request, _Wait()), self._left(request)
        most = MAX_SECONDS_BLIND if left is None else min(MAX_SECONDS, left / PART)
        seconds = min(self._poll * 2.0**wait.failures, max(self._poll, most))
        seconds *= random.uniform(0.5, 1.0)
        wait.failures = min(wait.failures + 1, 16)
        wait.until = time.monotonic() + seconds
        return seconds

    def done(self, request: int) -> None:
        """It succeeded, or something new happened in it: it is looked at again at once."""
        self._waits.pop(request, None)

    def keep_only(self, requests: Iterable[int]) -> None:
        """Forget all requests but these."""
        kept = set(requests)
        for known in (self._waits, self._deadlines):
            for request in [one for one in known if one not in kept]:
                del known[request]

    def longest_pause(self) -> float:
        """Seconds that a daemon which reaches nothing may wait before it tries again."""
        left = [seconds for one in self._deadlines if (seconds := self._left(one)) is not None]
        return max(self._poll, min(left) / PART) if left else MAX_SECONDS

    def _left(self, request: int) -> float | None:
        left = self._deadlines.get(request, 0.0) - time.monotonic()
        return left if left > 0 else None
