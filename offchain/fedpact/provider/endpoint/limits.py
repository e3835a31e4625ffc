"""The endpoint's limits, and a rate limit per client by token buckets, bounded in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointLimits:
    """Limits of the endpoint. Sizes in bytes, times in seconds; rates per client address."""

    messages_per_second: float = 100.0
    message_burst: int = 400
    searches_per_second: float = 20.0
    search_burst: int = 40
    message_bytes: int = 1 << 18
    search_bytes: int = 1 << 13
    read_seconds: float = 5.0
    """Time for a request's body to arrive."""
    answer_seconds: float = 10.0
    """Time to compute an answer."""
    message_workers: int = 4
    search_workers: int = 4
    waiting: int = 64
    """Requests that may wait for a worker; more are refused as busy."""
    connections: int = 256


class RateLimit:
    """Allows each client `burst` requests at once and `per_second` on average. Not thread-safe.

    Remembers `max_clients` clients at most.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        max_clients: int = 4096,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._max_clients = max_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Take one of the client's tokens; False if there is none."""
        now = self._clock()
        tokens, at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._max_clients:  # evict the least recently seen client
            self._buckets.popitem(last=False)
        return allowed
