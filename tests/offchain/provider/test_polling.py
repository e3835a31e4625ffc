"""How often a daemon looks at the chain."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Frame
from fedpact.provider.polling import LONGEST_REST, Pace
from fedpact.provider.request.view import RequestView
from fedpact.types.requests import Phase


def test_who_is_asked_for_nothing_looks_rarely_and_at_once_again_when_it_is() -> None:
    pace = Pace(0.05)
    for number in range(3):
        pace.saw(Frame(number, f"0x{number}", 12 * number))
    pace.succeeded(busy=True)
    assert pace.wait() == 1.0
    pace.may_rest(6.0)
    assert pace.wait() == 6.0
    pace.may_rest(7 * 3600.0)
    assert pace.wait() == LONGEST_REST
    pace.may_rest(0.0)
    assert pace.wait() == 1.0
    pace.succeeded(busy=False)
    assert pace.wait() == pytest.approx(14.4)


def test_a_pushed_head_is_looked_at_unless_nothing_is_asked_or_can_be_read() -> None:
    often, seldom = Pace(0.05), Pace(60.0)
    for pace in (often, seldom):
        pace.succeeded(busy=False)
    assert (often.for_heads(), seldom.for_heads()) == (0.05, 1.0)
    often.succeeded(busy=True)
    assert often.for_heads() == 0.05
    often.may_rest(6.0)
    assert often.for_heads() == math.inf
    often.may_rest(0.0)
    often.failed(None)
    assert often.for_heads() == math.inf


def test_where_blocks_are_slow_no_duty_waits_long_for_its_transaction() -> None:
    """Twenty requests that sent something cost each other twenty seconds a cycle."""
    fast, slow = Pace(0.05), Pace(0.05)
    for number in range(3):
        fast.saw(Frame(number, f"0x{number}", number))
        slow.saw(Frame(number, f"0x{number}", 12 * number))
    assert (fast.patience, slow.patience) == (1.0, 0.1)


@pytest.mark.parametrize(
    ("phase", "seat", "closed", "joined", "rest"),
    [
        (Phase.SUBMIT, 2, True, True, 0.0),
        (Phase.SUBMIT, None, True, True, 9.0),
        (Phase.ATTEST, None, True, True, 9.0),
        (Phase.ENDED, None, True, True, 0.0),
        (Phase.WAITING, None, False, True, 3.0),
        (Phase.WAITING, None, False, False, 0.0),
        (Phase.WAITING, None, True, True, 0.0),
    ],
)
def test_a_member_that_is_not_drawn_rests_for_a_hundredth_of_a_window(
    phase: Phase, seat: int | None, closed: bool, joined: bool, rest: float
) -> None:
    view: Any = SimpleNamespace(
        facts=SimpleNamespace(phase=phase),
        own_seat=seat,
        has_joined=joined,
        pool_facts=SimpleNamespace(closed=closed),
        terms=SimpleNamespace(submit_window=900, start_window=300),
    )
    assert RequestView.rest.fget(view) == rest  # type: ignore[attr-defined]
