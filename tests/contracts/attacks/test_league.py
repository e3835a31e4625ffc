"""Collusion: what a third, a half and more of a committee can do, and what they cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from tests.support.accounts import settle_accounts
from tests.support.scenario import ENDED, INVALID, PAYMENT, WINDOW, Scenario, mask_of, unpack

New = Callable[..., Scenario]
WORST = 10_000


def finished(s: Scenario) -> list[int]:
    """From the reveals to the payment. Returns wei by seat."""
    s.tally()
    s.attest_all()
    s.propose(s.order[0])
    s.deliver()
    return settle_accounts(s)[1]


def league_votes(league: range, providers: int, rivals: int) -> dict[int, dict[int, int]]:
    """Each colluder gives its friends the best score and everybody else `rivals`."""
    scores = {seat: 0 if seat in league else rivals for seat in range(providers)}
    return dict.fromkeys(league, scores)


# -- up to a third ------------------------------------------------------------------------------


@pytest.mark.parametrize("providers", [4, 9, 16])
def test_a_colluding_third_voids_no_model_and_is_not_paid(scenario: New, providers: int) -> None:
    league = range(providers - providers // 3, providers)
    s = scenario(providers).committing()
    s.vote_all(by_voter=league_votes(league, providers, INVALID))
    paid = finished(s)
    assert INVALID not in unpack(s.tallied["medians"], providers)
    assert all(paid[: league.start])
    assert paid[league.start :] == [0] * len(league)
    assert s.faults == [int(seat in league) for seat in range(providers)]


@pytest.mark.parametrize("providers", [4, 9, 16])
def test_a_colluding_third_neither_stops_nor_forges_a_round(
    scenario: New, expect_revert: Any, providers: int
) -> None:
    """It votes as others do, so that it may lead; then it attests and proposes a made-up model.

    Then it is silent. The first honest leader's turn comes, and the others are enough.
    """
    league = range(providers // 3)
    s = scenario(providers).attesting()
    forged = keccak(text="forged")
    for seat in range(providers):
        s.attest(seat, forged if seat in league else None)
    for seat in league:
        s.chain.next_at(s.facts.start + seat * WINDOW + WINDOW // 2)
        with expect_revert("TrainingRounds_NoQuorum"):
            s.propose(seat, forged)
    s.chain.next_at(s.facts.start + len(league) * WINDOW)
    s.propose(len(league))
    assert s.facts.finalDigest == keccak(text=f"global {s.id} 1")
    assert s.faults == [int(seat in league) for seat in range(providers)]


@pytest.mark.parametrize("providers", [4, 9, 16])
def test_more_than_a_third_stops_a_round_and_forges_none(
    scenario: New, expect_revert: Any, providers: int
) -> None:
    """The stated limit: without its attestations there is no quorum, but it has none of its own."""
    league = range(providers // 3 + 1)
    s = scenario(providers).attesting()
    forged = keccak(text="forged")
    for seat in range(providers):
        s.attest(seat, forged if seat in league else None)
    with expect_revert("TrainingRounds_NoQuorum"):
        s.propose(0, forged)
    s.chain.next_at(s.facts.start + len(league) * WINDOW)
    with expect_revert("TrainingRounds_NoQuorum"):
        s.propose(len(league))
    s.pass_deadline()
    s.expire_round()
    assert settle_accounts(s) == (PAYMENT, [0] * providers)


# -- half ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("providers", [4, 5, 15, 16])
def test_a_colluding_half_voids_the_others_and_takes_their_pay(
    scenario: New, providers: int
) -> None:
    """The stated limit: they are more than half of the voters on each other model."""
    league = range((providers + 1) // 2)
    s = scenario(providers).committing()
    s.vote_all(by_voter=league_votes(league, providers, INVALID))
    paid = finished(s)
    assert s.tallied["valid"] == mask_of(league)
    assert all(paid[seat] for seat in league)
    assert not any(paid[league.stop :])
    assert PAYMENT - sum(paid) < providers


@pytest.mark.parametrize("providers", [4, 5, 15, 16])
def test_one_fewer_than_half_voids_nothing(scenario: New, providers: int) -> None:
    league = range((providers + 1) // 2 - 1)
    s = scenario(providers).committing()
    s.vote_all(by_voter=league_votes(league, providers, INVALID))
    s.tally()
    assert s.tallied["valid"] == mask_of(range(providers))
    assert not any(s.points[seat] for seat in league)
    assert all(s.points[league.stop :])


@pytest.mark.parametrize("providers", [3, 5, 7, 15])
def test_half_of_an_odd_committee_ends_the_request_and_earns_nothing(
    scenario: New, providers: int
) -> None:
    """The stated limit: 10,000 from half of a model's voters lifts it above the ceiling."""
    league = range((providers - 1) // 2)
    s = scenario(providers, maxError=4_000).committing()
    s.vote_all(by_voter=league_votes(league, providers, WORST))
    s.tally()
    assert (s.tallied["included"], s.facts.phase) == (mask_of(league), ENDED)
    assert s.faults == [int(seat in league) for seat in range(providers)]
    assert settle_accounts(s) == (PAYMENT, [0] * providers)


@pytest.mark.parametrize("providers", [3, 5])
def test_half_of_an_odd_committee_takes_nothing_of_rounds_before(
    scenario: New, providers: int
) -> None:
    """Earned pay stays, and the spoilt round is paid too: to the members it was meant to hurt."""
    league = range((providers - 1) // 2)
    s = scenario(providers, maxRounds=4, maxError=4_000).finalised()
    before = s.points
    s.submit_all()
    s.vote_all(by_voter=league_votes(league, providers, WORST))
    s.tally()
    assert [s.points[seat] for seat in league] == [before[seat] for seat in league]
    assert all(s.points[seat] > before[seat] for seat in range(league.stop, providers))
    s.deliver()
    back, paid = settle_accounts(s)
    assert back == PAYMENT - PAYMENT * 2 // 4
    assert all(paid)


@pytest.mark.parametrize("providers", [4, 6, 16])
def test_as_many_of_an_even_committee_spoil_nothing(scenario: New, providers: int) -> None:
    league = range(providers // 2 - 1)
    s = scenario(providers, maxError=4_000).committing()
    s.vote_all(by_voter=league_votes(league, providers, WORST))
    paid = finished(s)
    assert s.tallied["included"] == mask_of(range(providers))
    assert all(paid[league.stop :])
    assert not any(paid[seat] for seat in league)


# -- the requester and a provider ---------------------------------------------------------------


def paid_with(s: Scenario, scores: dict[int, int]) -> tuple[int, list[int], list[int]]:
    """All vote these scores. Returns the requester's refund, the points, and wei by seat."""
    s.committing().vote_all(scores)
    s.tally()
    points = s.points
    s.attest_all()
    s.propose(s.order[0])
    s.deliver()
    back, paid = settle_accounts(s)
    return back, points, paid


def test_a_slice_leaked_to_a_friend_moves_part_of_the_quality_pay_and_no_more(
    scenario: New,
) -> None:
    """The friend trained on the slice and has error 0; the others have 0.4, as it had before."""
    friend, honest = 3, dict.fromkeys(range(4), 4_000)
    _, fair, paid_fairly = paid_with(scenario(4), honest)
    back, points, paid = paid_with(scenario(4), {**honest, friend: 0})
    # Of 7,000: 9,000 / (9,000 + 3 * 5,000) instead of a quarter.
    assert points[friend] - fair[friend] == 7_000 * 9_000 // 24_000 - 7_000 // 4 == 875
    # The others keep their equal parts and their votes', and what their quality is beside his.
    assert points[:friend] == [375 + 7_000 * 5_000 // 24_000 + 250] * 3
    # The requester pays as much as ever; what the friend gains is less than what both have paid.
    assert back == 0
    assert paid[friend] - paid_fairly[friend] < PAYMENT * 875 // 9_500


def test_a_leak_that_leaves_the_others_above_the_ceiling_takes_all_of_the_quality_pay(
    scenario: New,
) -> None:
    """The worst case: only the friend is below the ceiling. The others keep their other points."""
    friend, honest = 3, dict.fromkeys(range(4), 4_000)
    back, points, paid = paid_with(scenario(4, maxError=3_000), {**honest, friend: 0})
    assert points == [625, 625, 625, 625 + 7_000]
    assert back == 0
    assert all(paid)
