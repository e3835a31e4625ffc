"""Values computed once for many readers, in bounded memory and time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedpact.dashboard.web.timed_cache import TimedCache
from fedpact.errors import Retryable, UnknownRequest
from tests.support.waiting import PATIENCE


def fail() -> None:
    raise UnknownRequest("there is no such request")


def test_many_readers_make_a_value_once() -> None:
    kept, made, come = TimedCache(10, 30.0), [], threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    def read(_: int) -> int:
        come.wait()
        return kept.get("key", 1, 60.0, make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [1] * 8
    assert kept.get("key", 2, 60.0, make) == 2


def test_what_cannot_be_made_leaves_nothing() -> None:
    kept = TimedCache(10, 30.0)
    for number in range(100):
        with pytest.raises(UnknownRequest):
            kept.get(number, 1, 60.0, fail)
    assert len(kept) == 0


def test_values_are_bounded_and_end() -> None:
    kept = TimedCache(10, 30.0)
    number: Callable[[], int] = iter(range(1000)).__next__
    for key in range(50):
        kept.get(key, 1, 60.0, number)
    assert len(kept) == 10
    assert kept.get(49, 1, 60.0, number) == 49
    for key in range(50, 55):
        kept.get(key, 1, 0.0, number)
    # Each of these made way for the next: only the first took the room of another value.
    assert len(kept) == 10
    kept.get(55, 1, 60.0, number)
    assert kept.get(41, 1, 60.0, number) == 41


def test_nobody_waits_for_ever() -> None:
    kept, started, end = TimedCache(10, 0.05), threading.Event(), threading.Event()

    def slow() -> int:
        started.set()
        end.wait(PATIENCE)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.get, "key", 1, 60.0, slow)
        started.wait(PATIENCE)
        with pytest.raises(Retryable, match="try again in a few seconds"):
            kept.get("key", 1, 60.0, slow)
        end.set()
        assert first.result() == 1
