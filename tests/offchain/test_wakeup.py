"""What begins a daemon's next cycle: a new head, the beat, or the end."""

import math
import time
from collections.abc import Callable
from threading import Event, Thread

import pytest

from fedpact.wakeup import Bell
from tests.support.waiting import PATIENCE

SOON, LONG = 0.05, PATIENCE


def waited(
    bell: Bell, ring: Callable[[], None], heads_after: float, seconds: float = LONG
) -> float:
    """How long a wait took during which the bell was rung again and again."""
    over = Event()

    def keep_ringing() -> None:
        while not over.wait(SOON):
            ring()

    ringing = Thread(target=keep_ringing)
    ringing.start()
    began = time.monotonic()
    bell.wait(seconds, heads_after)
    seconds = time.monotonic() - began
    over.set()
    ringing.join()
    return seconds


def test_a_head_ends_the_wait_at_once_or_after_the_shortest_interval() -> None:
    bell = Bell()
    assert waited(bell, bell.head, 0.0) < LONG / 2
    assert 0.3 <= waited(bell, bell.head, 0.3) < LONG / 2


def test_a_head_that_came_during_a_cycle_begins_none() -> None:
    """When a cycle ends depends on private records; a cycle that began then would show it."""
    bell = Bell()
    bell.head()
    began = time.monotonic()
    bell.wait(0.3, 0.0)
    assert time.monotonic() - began >= 0.3


def test_a_daemon_that_is_asked_for_nothing_sleeps_through_heads() -> None:
    bell = Bell()
    assert waited(bell, bell.head, math.inf, 0.3) >= 0.3


@pytest.mark.parametrize("heads_after", [0.0, math.inf])
def test_the_end_is_heard_whenever_it_comes(heads_after: float) -> None:
    bell = Bell()
    assert waited(bell, bell.stop, heads_after) < LONG / 2
    before = Bell()
    before.stop()
    began = time.monotonic()
    before.wait(LONG, heads_after)
    assert time.monotonic() - began < LONG / 2


def test_what_comes_after_the_end_waits_for_no_loop() -> None:
    """The loop may hang in what is to be given up."""
    bell, called, both = Bell(), list[str](), Event()

    def last() -> None:
        called.append("last")
        both.set()

    bell.afterwards((0.0, lambda: called.append("first")), (SOON, last))
    assert not both.wait(2 * SOON)
    bell.stop()
    assert both.wait(LONG)
    assert called == ["first", "last"]
