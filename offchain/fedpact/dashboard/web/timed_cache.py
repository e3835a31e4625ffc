"""Values that are made once for many readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fedpact.errors import Retryable

ValueT = TypeVar("ValueT")


@dataclass
class _Making:
    """A value that is being made."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    readers: int = 0


class TimedCache:
    """Values by key, each for some seconds and one version. Whoever comes while a value is being
    made waits for it: fifty readers make it once.

    most: values that are kept; the one made first goes first. wait: seconds for which a reader
    waits; each occupies a thread of the server.
    """

    def __init__(self, most: int, wait: float) -> None:
        self._most, self._wait = most, wait
        self._lock = threading.Lock()
        self._making: dict[Hashable, _Making] = {}
        self._values: dict[Hashable, tuple[int, float, Any]] = {}
        """Version, end of life and value; the one made first comes first."""

    def __len__(self) -> int:
        """Values that are kept or being made."""
        return len(self._values.keys() | self._making.keys())

    def get(
        self, key: Hashable, version: int, seconds: float, make: Callable[[], ValueT]
    ) -> ValueT:
        """Raises Retryable if the value is not made in time, and what `make` raises."""
        with self._alone(key):
            with self._lock:
                known = self._values.get(key)
            if known and known[0] == version and time.monotonic() < known[1]:
                found: ValueT = known[2]
                return found
            made = make()
            self._keep(key, (version, time.monotonic() + seconds, made))
            return made

    @contextmanager
    def _alone(self, key: Hashable) -> Iterator[None]:
        with self._lock:
            making = self._making.setdefault(key, _Making())
            making.readers += 1
        try:
            with within(making.lock, self._wait, "it is being read"):
                yield
        finally:
            with self._lock:
                making.readers -= 1
                if not making.readers:
                    del self._making[key]

    def _keep(self, key: Hashable, value: tuple[int, float, Any]) -> None:
        now = time.monotonic()
        with self._lock:
            self._values.pop(key, None)
            for other in [one for one, (_, end, _) in self._values.items() if end <= now]:
                del self._values[other]
            while len(self._values) >= self._most:
                del self._values[next(iter(self._values))]
            self._values[key] = value


@contextmanager
def within(lock: threading.Lock, seconds: float, what: str) -> Iterator[None]:
    """Hold a lock. Raises Retryable, with `what` is under way, if it is not free in time."""
    if not lock.acquire(timeout=seconds):
        raise Retryable(f"{what}: try again in a few seconds")
    try:
        yield
    finally:
        lock.release()
