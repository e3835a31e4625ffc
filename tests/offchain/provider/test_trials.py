"""An attack: costly requests whose trials hold up others', which are then joined too late."""

import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from fedpact.errors import TrainingFailed, TrainingTooLong
from fedpact.provider import trials as module
from fedpact.provider.trials import Trials
from tests.support.waiting import PATIENCE, wait_until

BRIEF, LONG = 0.2, 4 * PATIENCE
MANY = 20
FIRST, LATER = 1.0, 1e9
"""When trials are due."""


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Ends all costly trials."""
    monkeypatch.setattr(module, "BRIEF_SECONDS", BRIEF)
    event = Event()
    yield event
    event.set()


def costly(over: Event, begun: list[float]) -> Callable[[float], int]:
    """Takes all the time that it gets, and is killed then."""

    def attempt(ends: float) -> int:
        begun.append(ends - time.monotonic())
        over.wait(ends - time.monotonic())
        raise TrainingFailed("it was killed")

    return attempt


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_a_costly_request_does_not_keep_a_cheap_one_from_being_tried(
    over: Event, at_once: int
) -> None:
    """One trial ran at a time, for up to two minutes, and that which was due first before others:
    who asked for many at once kept all others from being joined in their windows."""
    trials, begun = Trials(0.0, at_once, str), list[float]()

    def hostile() -> bool:
        for number in range(MANY):
            trials.result(number, "hostile", costly(over, begun), LONG, FIRST)
        return any(seconds > BRIEF for seconds in begun)

    wait_until(hostile)
    wait_until(lambda: trials.result("cheap", "honest", lambda _: 7, LONG, LATER) == 7)
    assert not over.is_set()
    over.set()
    trials.close()


def test_organisations_take_turns(over: Event) -> None:
    """More accounts are no more turns."""
    trials, begun, order = Trials(0.0, 1, lambda account: account[0]), Event(), list[str]()

    def first(_: float) -> int:
        begun.set()
        over.wait(PATIENCE)
        return 1

    def noted(name: str) -> Callable[[float], int]:
        return lambda _: len(order.append(name) or order)

    trials.result("first", "z", first, LONG, FIRST)
    assert begun.wait(PATIENCE)
    asked = ["a1", "a2", "a3", "b1", "b2"]
    for name in asked:
        assert trials.result(name, name, noted(name), LONG, LATER) is None
    over.set()
    wait_until(lambda: len(order) == len(asked))
    assert order == ["a1", "b1", "a2", "b2", "a3"]
    trials.close()


def test_what_takes_longer_gets_all_its_time_and_is_then_given_up(over: Event) -> None:
    trials, begun = Trials(0.0, 2, str), list[float]()
    failed: list[TrainingTooLong] = []

    def fails() -> bool:
        try:
            trials.result("a", "somebody", costly(over, begun), 10 * BRIEF, LATER)
        except TrainingTooLong as failure:
            failed.append(failure)
        return bool(failed)

    wait_until(fails)
    brief, long = begun
    assert brief <= BRIEF < long <= 10 * BRIEF
    assert str(failed[0]) == "it was killed"
    trials.close()


def test_what_fails_before_its_time_is_over_says_nothing_about_time(over: Event) -> None:
    trials = Trials(PATIENCE, 2, str)

    def attempt(_: float) -> int:
        raise TrainingFailed("its memory")

    with pytest.raises(TrainingFailed, match="its memory") as failed:
        trials.result("a", "somebody", attempt, LONG, LATER)
    assert not isinstance(failed.value, TrainingTooLong)
    trials.close()


def test_what_is_overdue_is_forgotten(over: Event) -> None:
    trials, begun = Trials(0.0, 1, str), list[float]()
    hostile = costly(over, begun)
    wait_until(
        lambda: trials.result("a", "hostile", hostile, LONG, FIRST) or any(s > BRIEF for s in begun)
    )
    assert trials._too_long == {"a": FIRST}
    trials.forget(now=LATER)
    assert trials._too_long == {}
    over.set()
    trials.close()


def test_more_trials_at_once_begin_those_that_wait(over: Event) -> None:
    trials, begun = Trials(0.0, 2, str), list[float]()

    def held(_: float) -> int:
        begun.append(0.0)
        over.wait(PATIENCE)
        return 1

    for number in range(3):
        trials.result(number, "somebody", held, LONG, LATER)
    wait_until(lambda: len(begun) == 1)
    trials.at_once(4)
    wait_until(lambda: len(begun) == 3)
    over.set()
    trials.close()
