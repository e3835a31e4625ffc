"""At the limits: sixteen providers, most rounds, smallest windows, extreme sample counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import settle_accounts
from tests.support.scenario import PAYMENT, WINDOW, Scenario

New = Callable[..., Scenario]
WINDOWS = ("join", "start", "submit", "commit", "reveal", "propose", "deliver")


def test_sixteen_providers_live_two_rounds_and_are_paid(scenario: New) -> None:
    s = scenario(16, maxRounds=2).running()
    s.play_round()
    s.play_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == 0
    assert all(paid)
    assert PAYMENT - sum(paid) < 16
    assert max(gas for used in s.gas.values() for gas in used) < 10_000_000


def test_the_smallest_windows_are_enough(scenario: New) -> None:
    s = scenario(3, **{f"{name}Window": 5 for name in WINDOWS}).running()
    s.play_round()
    s.deliver()
    assert all(settle_accounts(s)[1])


def test_sixteen_in_the_smallest_windows_play_one_of_the_most_rounds(scenario: New) -> None:
    """All limits at once: every action of a round within one second, then nobody acts."""
    s = scenario(16, maxRounds=1_000, **{f"{name}Window": 5 for name in WINDOWS}).running()
    s.chain.rpc("anvil_setBlockTimestampInterval", 0)
    s.play_round()
    s.chain.rpc("anvil_removeBlockTimestampInterval")
    s.pass_deadline()
    s.expire_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == PAYMENT - PAYMENT // 1_000
    assert all(paid)
    assert PAYMENT // 1_000 - sum(paid) < 16


@pytest.mark.parametrize("window", [*WINDOWS])
def test_windows_that_leave_no_time_are_refused(
    scenario: New, expect_revert: Any, window: str
) -> None:
    s = scenario(3, **{f"{window}Window": 4})
    with expect_revert("SharingMarket_BadWindow", 4):
        s.create()


@pytest.mark.parametrize("seat", [16, 255, 256, 2**255, 2**256 - 1])
def test_a_seat_number_without_a_holder_gives_no_access(
    scenario: New, expect_revert: Any, seat: int
) -> None:
    """A stranger passes a seat number above the last one, or the number for no seat."""
    s = scenario(3).running()
    digest = s.digest(0)
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, seat, s.stranger.address):
        s.rounds_call(s.stranger, "submit", s.id, seat, digest)
    s.play_round()
    s.deliver()
    with expect_revert("SharingMarket_NotSeatOwner", s.id, seat, s.stranger.address):
        s.market_call(s.stranger, "claim", s.id, seat)


@pytest.mark.parametrize("beyond", [16, 256, 2**255])
def test_a_member_can_only_use_its_own_seat_number(
    scenario: New, expect_revert: Any, beyond: int
) -> None:
    """Numbers with the same lowest four bits, which would reach into the next seat mask."""
    s = scenario(3).running()
    own = 1
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, own + beyond, s.providers[own].address):
        s.rounds_call(s.providers[own], "submit", s.id, own + beyond, s.digest(own))


@pytest.mark.parametrize("samples", [0, 10**9, 2**32 - 1])
def test_absurd_sample_counts_take_no_seat(scenario: New, expect_revert: Any, samples: int) -> None:
    s = scenario(3)
    s.create()
    with expect_revert("SharingMarket_BadSamples", samples):
        s.join(0, samples)


def test_the_largest_sample_count_buys_no_more_than_two_medians(scenario: New) -> None:
    """It declares ten million samples to dominate the aggregate: they count as 200."""
    s = scenario(3)
    s.create()
    for seat, samples in enumerate((10_000_000, 100, 100)):
        s.join(seat, samples)
    s.start()
    s.submit_all()
    s.vote_all(dict.fromkeys(range(3), 1_000))
    s.tally()
    # 200 of 400 samples weigh (1 + 200 / 400) * 1000, more than 100 do: it leads last.
    assert s.order[2] == 0


def test_a_thousand_rounds_do_not_multiply_what_one_round_pays(scenario: New) -> None:
    """One of a thousand rounds, then no action: a thousandth is paid, the rest is refunded."""
    s = scenario(3, maxRounds=1_000).finalised()
    s.chain.travel(WINDOW + 1)
    s.expire_round()
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == PAYMENT - PAYMENT // 1_000
    assert PAYMENT // 1_000 - sum(paid) < 3
