"""Collusion: what a third, a half and more of a committee can do, and what they cannot.

Each model scores 1,000 + 100 * seat with every honest voter; a league praises its own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_utils import keccak

from tests.contracts.rounds.kit import ENDED, INVALID, Rounds, mask_of, pack, seats_of

New = Callable[..., Rounds]
WORST = 10_000
FORGED = keccak(text="forged")


def voted(r: Rounds, league: range, rivals: int) -> None:
    """From the submissions to the tally: friends get the best score of the league, all others
    `rivals`."""
    seats = range(len(r.seats))
    r.submit(*seats)
    r.open_slice()
    praise = {seat: 0 if seat in league else rivals for seat in seats}
    r.commit_to({seat: r.vote(seat, seats, praise if seat in league else None) for seat in seats})
    r.reveal(*seats)


def finished(r: Rounds) -> list[int]:
    """The points of a round whose members all attest the same."""
    r.attest(*range(len(r.seats)))
    r.finalise()
    return r.points()


# -- up to a third ------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [4, 9, 16])
def test_a_colluding_third_voids_no_model_and_is_not_paid(running: New, members: int) -> None:
    league = range(members - members // 3, members)
    r = running(members)
    voted(r, league, INVALID)
    points = finished(r)
    assert all(points[: league.start])
    assert points[league.start :] == [0] * len(league)
    assert r.faults() == list(league)


@pytest.mark.parametrize("members", [4, 9, 16])
def test_a_colluding_third_neither_stops_nor_forges_a_round(running: New, members: int) -> None:
    """It votes as others do, so that it may lead; then it attests a made-up model."""
    league = range(members // 3)
    r = running(members)
    voted(r, range(0), 0)
    honest = range(league.stop, members)
    digest = r.global_digest
    r.attest(*league, digest=FORGED)
    r.attest(*honest)
    r.finalise()
    assert r.earned[-1][3] == digest
    assert r.faults() == list(league)
    assert all(r.points()[seat] for seat in honest)


@pytest.mark.parametrize("members", [4, 9, 16])
def test_more_than_a_third_stops_a_round_and_forges_none(running: New, members: int) -> None:
    """The stated limit: without its attestations there is no quorum, but it has none of its own."""
    league = range(members // 3 + 1)
    r = running(members)
    voted(r, range(0), 0)
    r.attest(*league, digest=FORGED)
    r.attest(*range(league.stop, members))
    r.finalise()
    assert (r.facts.phase, r.outcome.finalRounds) == (ENDED, 0)
    # Where the others are a majority, each of the league is at fault.
    assert r.faults() == (list(league) if 2 * len(league) < members else [])


# -- half ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [4, 5, 15, 16])
def test_a_colluding_half_voids_the_others_and_takes_their_pay(running: New, members: int) -> None:
    """The stated limit: they are more than half of the voters on each other model."""
    league = range((members + 1) // 2)
    r = running(members)
    voted(r, league, INVALID)
    assert r.board is not None
    assert r.board.included == mask_of(league)
    points = finished(r)
    assert all(points[seat] > 500 for seat in league)
    # What is left to the others is the part for attesting.
    assert all(points[seat] <= 500 // members for seat in range(league.stop, members))


@pytest.mark.parametrize("members", [4, 5, 15, 16])
def test_one_fewer_than_half_voids_nothing(running: New, members: int) -> None:
    league = range((members + 1) // 2 - 1)
    r = running(members)
    voted(r, league, INVALID)
    points = finished(r)
    assert not any(points[seat] for seat in league)
    assert all(points[league.stop :])


@pytest.mark.parametrize("members", [3, 5, 7, 15])
def test_half_of_an_odd_committee_takes_nothing_and_ends_nothing(
    running: New, members: int
) -> None:
    """10,000 from half of a model's voters lifts it above the ceiling: honest members whose models
    then add nothing share the round equally."""
    league = range((members - 1) // 2)
    r = running(members, maxError=4_000)
    voted(r, league, WORST)
    points = finished(r)
    assert r.faults() == list(league)
    assert not any(points[seat] for seat in league)
    assert all(points[seat] >= 9_000 // members for seat in range(league.stop, members))
    assert r.outcome.finalRounds == 1


# -- few members --------------------------------------------------------------------------------


def test_two_of_three_decide_alone(running: New) -> None:
    """The stated limit: two thirds of a committee decide votes, aggregate and shares."""
    r = running(3)
    voted(r, range(2), INVALID)
    assert finished(r)[2] <= 500 // 3


def test_one_of_three_cannot_void_the_others_models(running: New) -> None:
    """Each model gets two votes, and it takes more than half of them to make it invalid."""
    r = running(3)
    voted(r, range(2, 3), INVALID)
    points = finished(r)
    assert points[2] == 0
    assert all(points[:2])


@pytest.mark.parametrize("members", [4, 5, 8, 16])
def test_calling_all_rivals_invalid_costs_the_liar(running: New, members: int) -> None:
    liar = members - 1
    r = running(members)
    voted(r, range(liar, members), INVALID)
    points = finished(r)
    assert points[liar] == 0
    assert all(points[:liar])
    assert r.faults() == [liar]


def test_one_vote_does_not_punish_all(running: New) -> None:
    """One member gives everybody the worst score: medians stay, and it is not paid."""
    r = running(5)
    voted(r, range(4, 5), WORST)
    assert r.board is not None
    expected = {seat: 1_000 + 100 * seat for seat in range(5)}
    assert r.board.medians & pack(dict.fromkeys(range(5), INVALID)) == pack(expected)
    points = finished(r)
    assert points[4] == 0
    assert all(points[:4])


# -- the requester and a provider ---------------------------------------------------------------


@pytest.mark.parametrize(("ceiling", "quality"), [(9_000, 8_000 * 5_000 // 24_000), (3_000, 0)])
def test_a_slice_leaked_to_a_friend_takes_quality_pay_and_no_more(
    running: New, ceiling: int, quality: int
) -> None:
    """The friend trained on the slice and has error 0; the others have 0.4. A limit: where the
    ceiling leaves the others out, it takes all that is for quality."""
    r = running(4, maxError=ceiling)
    r.post(scores={0: 4_000, 1: 4_000, 2: 4_000, 3: 0})
    votes, attesting, leading = 1_000 // 4, 500 // 4, 500
    rest = quality + votes + attesting
    assert r.points()[:3] == [rest] * 3
    friend = (8_000 if quality == 0 else 3_000) + votes + attesting + leading
    assert r.points()[3] == friend


def test_wrong_models_are_named_by_all(running: New) -> None:
    """A provider submits a digest of nothing: nobody finds the bytes, and it earns no quality."""
    r = running(5)
    seats = range(5)
    r.submit(*seats)
    r.voted(*seats, scores={4: INVALID})
    assert r.board is not None
    assert seats_of(r.board.included) == [0, 1, 2, 3]
    assert finished(r)[4] <= 500 // 5
