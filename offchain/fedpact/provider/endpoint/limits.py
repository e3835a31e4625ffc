"""How often one client may ask: token buckets, of which a bounded number is remembered."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointLimits:
    """What the endpoint bears. Sizes in bytes, times in seconds."""

    messages_per_second: float = 100.0
    message_burst: int = 400
    searches_per_second: float = 20.0
    search_burst: int = 40
    """Each for one client address."""
    message_bytes: int = 1 << 18
    search_bytes: int = 1 << 13
    read_seconds: float = 5.0
    """For a request's body to arrive."""
    answer_seconds: float = 10.0
    """For an answer to be found."""
    message_workers: int = 4
    search_workers: int = 4
    waiting: int = 64
    """Requests that may wait for a worker; more are told to come back."""
    connections: int = 256


class RateLimit:
    """`per_second` in the long run and `burst` at once for each client; for one thread."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        most: int = 4096,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Takes one of the client's tokens, if there is one."""
        now = self._clock()
        tokens, at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._most:  # forgets whoever was silent longest
            self._buckets.popitem(last=False)
        return allowed
