"""Waiting after failures never reaches past a deadline."""

import itertools
import time

import pytest

from fedpact.provider import backoff
from fedpact.provider.backoff import Backoffs

POLL = 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(backoff.random, "uniform", lambda _, high: high)
    return now


def tries(waits: Backoffs, clock: list[float], end: float) -> list[float]:
    """When a request that always fails is tried before `end`."""
    found = []
    while clock[0] < end:
        if not waits.waits(1):
            found.append(clock[0])
            waits.failed(1)
        clock[0] += 0.25
    return found


@pytest.mark.parametrize("window", [5, 20, 60, 600])
def test_it_is_tried_until_shortly_before_a_deadline(clock: list[float], window: int) -> None:
    waits = Backoffs(POLL)
    end = clock[0] + window
    waits.saw(1, window)
    made = tries(waits, clock, end)
    assert end - made[-1] <= 2 * POLL
    gaps = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert max(gaps) <= max(POLL, window / 10) + 0.25
    assert len(made) < 15 + 10 * window**0.5


def test_a_deadline_stays_known_while_nothing_can_be_read(clock: list[float]) -> None:
    """It also bounds the wait of a daemon that reaches no node."""
    waits = Backoffs(POLL)
    assert waits.longest_pause() == backoff.MAX_SECONDS
    waits.saw(1, 40)
    waits.saw(2, 400)
    clock[0] += 20
    assert waits.longest_pause() == 2
    clock[0] += 30
    assert waits.longest_pause() == pytest.approx(35)
    waits.keep_only([1])
    assert waits.longest_pause() == backoff.MAX_SECONDS


def test_without_a_known_deadline_it_waits_for_seconds(clock: list[float]) -> None:
    waits = Backoffs(POLL)
    waited = [waits.failed(1) for _ in range(20)]
    assert max(waited) == backoff.MAX_SECONDS_BLIND


def test_what_happens_in_a_request_ends_its_wait(clock: list[float]) -> None:
    """Others may have opened a stage with a short window."""
    waits = Backoffs(POLL)
    waits.saw(1, 6000)
    for _ in range(10):
        waits.failed(1)
    assert waits.waits(1)
    waits.done(1)
    assert not waits.waits(1)
    assert waits.failed(1) == POLL
