"""How a node has been answering: latency, head, errors, pauses; and a budget of calls."""

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock

from fedpact.chain.node_errors import Fault, FaultKind, RpcError

LAG = 2
"""Blocks behind the best node's head from which a node counts as lagging."""
HEAD_GOOD_FOR = 60.0
"""Seconds for which a node's head says something about it."""
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
QUOTA_PAUSE = 1.0
"""Seconds after a refusal for too many calls that does not say how long to wait; doubled."""
LONGEST_ASKED_PAUSE = 300.0
"""Seconds; a node may ask for more, and is then asked again this soon."""
SMOOTHING = 0.2
"""Weight of the newest latency in the mean."""


@dataclass
class Health:
    """What is known of one node."""

    latency: float = 0.0
    """Smoothed, in seconds."""
    failures: int = 0
    """In a row."""
    refusals: Counter[FaultKind] = field(default_factory=Counter)
    unanswered: int = 0
    """Calls without a usable answer."""
    head: int = -1
    """Highest block that it reported last; -1: none yet."""
    head_at: float = 0.0
    paused_until: float = 0.0
    quota_until: float = 0.0

    def answered(self, seconds: float) -> None:
        self.latency += SMOOTHING * (seconds - self.latency)
        self.failures = 0

    def failed(self, fault: Fault | None = None) -> None:
        """Pause the node: for as long as it asks, else longer with each failure in a row."""
        now, doubled = time.monotonic(), 2 ** min(self.failures, 10)
        self.failures += 1
        self.paused_until = now + min(SHORTEST_PAUSE * doubled, LONGEST_PAUSE)
        if fault is not None and fault.kind is FaultKind.QUOTA:
            asked = fault.retry_after
            wait = QUOTA_PAUSE * doubled if asked is None else asked
            self.quota_until = now + min(wait, LONGEST_ASKED_PAUSE)

    def reported(self, head: int) -> None:
        self.head, self.head_at = head, time.monotonic()

    @property
    def pause(self) -> float:
        """Seconds for which other nodes are asked first."""
        return max(0.0, max(self.paused_until, self.quota_until) - time.monotonic())

    @property
    def closed_for(self) -> float:
        """Seconds for which it is not asked at all: it had too many calls."""
        return max(0.0, self.quota_until - time.monotonic())

    def known_head(self) -> int:
        """Its head if that is recent, else -1."""
        return self.head if time.monotonic() - self.head_at < HEAD_GOOD_FOR else -1

    def lags(self, best: int) -> bool:
        """Whether its head is too far behind `best`, as far as is known."""
        return 0 <= self.known_head() < best - LAG

    def tier(self, best: int) -> int:
        """0: good; 1: has just failed; 2: lags behind `best`; 3: paused."""
        if self.pause:
            return 3
        if self.lags(best):
            return 2
        return 1 if self.failures else 0


class CallBudget:
    """At most so many calls a minute, in bursts of at most a quarter of them; 0: any number."""

    def __init__(self, calls_per_minute: int) -> None:
        self._rate = calls_per_minute / 60
        self._most = max(1.0, calls_per_minute / 4)
        self._left = self._most
        self._at = time.monotonic()
        self._lock = Lock()

    def take(self, calls: int) -> None:
        """Raises RpcError (quota) with the seconds until there is room."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < min(calls, self._most):
                wait = (min(calls, self._most) - self._left) / self._rate
                message = f"the budget of {self._rate * 60:g} calls a minute is used up"
                fault = Fault(FaultKind.QUOTA, retry_after=wait)
                raise RpcError("budget", 0, message, None, fault)
            self._left -= calls
