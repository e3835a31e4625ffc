"""Computations beside the daemon's cycle."""

import threading
from collections.abc import Callable, Iterator

import pytest

from fedpact.background import Background
from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture
def busy() -> Iterator[tuple[Background, threading.Event]]:
    """One that computes one thing at a time, with its hands full until it is let go."""
    background, go = Background(0.0), threading.Event()
    background.start(lambda: go.wait(PATIENCE), due=0.0)
    yield background, go
    go.set()
    background.close()


def counted(made: list[int]) -> Callable[[], Callable[[], int]]:
    def prepare() -> Callable[[], int]:
        made.append(len(made))
        return lambda: made[-1]

    return prepare


def until_there(
    background: Background, prepare: Callable[[], Callable[[], int]], due: float
) -> int:
    background.patience = 10.0
    found = background.result("a", prepare, due)
    assert found is not None
    return found


def test_what_is_asked_for_again_is_due_later(busy: tuple[Background, threading.Event]) -> None:
    """A score asked for in one phase was given up when that phase ended, and begun again."""
    background, go = busy
    made: list[int] = []
    assert background.result("a", counted(made), due=10) is None
    assert background.result("a", counted(made), due=100) is None
    background.forget(now=50)
    go.set()
    assert until_there(background, counted(made), 100) == 0
    assert made == [0]


def test_what_nobody_asks_for_any_more_is_given_up(
    busy: tuple[Background, threading.Event],
) -> None:
    background, go = busy
    made: list[int] = []
    assert background.result("a", counted(made), due=10) is None
    background.forget(now=50)
    go.set()
    assert until_there(background, counted(made), 100) == 1


def test_a_result_waits_for_one_more_question() -> None:
    """One that came between the last question and the end of its time was lost, and made again."""
    background, made = Background(0.0), list[int]()
    for key in ("asked for", "forgotten"):
        background.begin(key, counted(made), due=10)
        background._running[key][0].result(PATIENCE)
    background.forget(now=50)
    assert background.result("asked for", counted(made), due=10) is not None
    background.forget(now=50)
    assert made == [0, 1]
    assert not background._running
    background.close()


def test_more_computations_at_once_begin_those_that_wait_and_fewer_let_those_that_run_end() -> None:
    background, over = Background(0.0), threading.Event()
    running, most = set[int](), list[int]()

    def compute(number: int) -> Callable[[], None]:
        def held() -> None:
            running.add(number)
            most.append(len(running))
            over.wait(PATIENCE)
            running.discard(number)

        return held

    for number in range(6):
        background.start(compute(number))
    background.at_once(3)
    wait_until(lambda: len(running) == 3)
    background.at_once(1)
    over.set()
    wait_until(lambda: len(most) == 6 and not running)
    assert max(most) == 3
    over.clear()
    wait_until(lambda: sum(one.is_alive() for one in background._threads) == 1)
    most.clear()
    for number in range(2):
        background.start(compute(number))
    wait_until(lambda: running)
    over.set()
    wait_until(lambda: len(most) == 2 and not running)
    assert most == [1, 1]
    background.close()
