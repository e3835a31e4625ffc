"""One test for each leaf of end.tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedpact.chain.signed_messages import history_after_round
from fedpact.consensus.large_rounds import MOST, entries
from tests.contracts.large.kit import LargeRounds
from tests.contracts.rounds.kit import ENDED, FAILED, FINALISE, SUBMIT, WAITING, WINDOW
from tests.support.chainkit import events

# -- close -----------------------------------------------------------------------------------------


def test_a_round_is_closed_once_nobody_may_post_it(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    last = r.facts.deadline + 3 * WINDOW
    r.chain.next_at(last)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.close()
    r.chain.mine_at(last + 1)
    assert (r.facts.phase, r.facts.deadline) == (FAILED, 0)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.force(r.trainers[0])


def test_round_one_voids_the_start(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    receipt = r.close_large()
    [failed] = events(r.on.rounds, "RoundFailed", receipt)
    assert (failed["round"], failed["voidStart"]) == (1, True)
    facts = r.facts
    assert (facts.phase, facts.round, facts.turn, facts.deadline) == (WAITING, 0, 1, r.chain.now)
    assert r.earned == []
    with expect_revert("TrainingRounds_NotYourTurn", r.id, 0, 0):
        r.start(0)
    r.start(1)
    assert (r.facts.phase, r.facts.round) == (SUBMIT, 1)


def test_a_later_round_goes_to_another_committee(running: Any) -> None:
    r: LargeRounds = running()
    r.post_large()
    before, seed, points = r.facts.history, r.seed, r.facts.points
    r.close_large()
    facts = r.facts
    assert (facts.phase, facts.round, facts.paidRounds) == (SUBMIT, 3, 1)
    assert facts.history == history_after_round(before, 2, bytes(32), bytes(32))
    assert r.seed != seed
    assert facts.points == points
    assert len(r.earned) == 1


def test_a_cancelled_first_round_ends_the_request(running: Any) -> None:
    r: LargeRounds = running()
    r.halt()
    r.close_large()
    assert (r.outcome.ended, r.outcome.halted, r.outcome.paidRounds) == (True, True, 0)


@pytest.mark.parametrize("paid", [True, False])
def test_the_last_round_ends_the_rounds(running: Any, paid: bool) -> None:
    r: LargeRounds = running(maxRounds=2)
    r.post_large(None if paid else r.large_record(points=[0] * 12))
    r.close_large()
    assert r.facts.phase == (FINALISE if paid else ENDED)


# -- sum -------------------------------------------------------------------------------------------


@pytest.fixture
def over(running: Any) -> LargeRounds:
    """Three rounds, of which the second gave no points."""
    r: LargeRounds = running(maxRounds=3)
    r.post_large()
    r.post_large(r.large_record(points=[0] * 12))
    r.post_large(r.large_record(points=r.points_of_round(trainer=70)))
    return r


def test_rounds_under_way_are_not_summed(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    r.post_large()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.sum()


def test_all_rounds_are_summed_in_their_order(over: LargeRounds, expect_revert: Any) -> None:
    first, last = over.posted
    for lists in (
        [],
        [first],
        [last, first],
        [first, (0,), last],
        [first, last, last],
        [first, (last[0] + 1,)],
        [first, (*last, 0)],
        [first, ()],
    ):
        with expect_revert("TrainingRounds_WrongList"):
            over.sum(lists)
    over.sum()
    with expect_revert("TrainingRounds_WrongPhase"):
        over.sum()


def test_each_member_has_its_sum(over: LargeRounds) -> None:
    rounds = [[word >> 16 * i & 0xFFFF for i in range(12)] for (word,) in over.posted]
    before = len(over.earned)
    receipt = over.sum()
    assert over.earned[before:] == [one.fields for one in entries(rounds)]
    assert (over.facts.phase, over.outcome.ended) == (ENDED, True)
    assert over.outcome.endedAt == over.chain.now
    [ended] = events(over.on.rounds, "RoundsEnded", receipt)
    assert (ended["round"], ended["finalRounds"]) == (3, 2)


def test_more_than_sixteen_have_an_entry_each(running: Any) -> None:
    r: LargeRounds = running(18, maxRounds=1)
    points = [100 if index in r.trainers else 5 * index for index in range(18)]
    points = [min(own, 50) if index in r.judges else own for index, own in enumerate(points)]
    r.post_large(r.large_record(points=points))
    r.sum()
    assert r.earned[1:] == [one.fields for one in entries([points])]
    assert len(r.earned) == 3


def test_who_left_has_no_part(waiting: Any) -> None:
    r: LargeRounds = waiting(18, maxPool=19, maxRounds=1)
    for index in (0, 17):
        r.chain.send(r.members[index], r.on.pool.functions.withdraw(r.id, index))
    r.chain.travel(WINDOW + 1)
    r.chain.next_at(r.on.pool.functions.facts(r.id).call().closedAt + WINDOW)
    r.start(1)
    judges = [r.members.index(one) for one in r.seats]
    points = [50 + index for index in range(18)]
    points = [10 if index in judges else own for index, own in enumerate(points)]
    record = replace(
        r.large_record(points=[0] * 18),
        points=tuple(
            sum(own << 16 * i for i, own in enumerate(points[at : at + 16])) for at in (0, 16)
        ),
    )
    r.post_large(record)
    r.sum()
    assert r.earned[1:] == [one.fields for one in entries([points], left=(0, 17))]


def test_no_lane_overflows_in_the_most_rounds(running: Any) -> None:
    r: LargeRounds = running(maxRounds=50)
    for _ in range(50):
        rich = r.trainers[0]
        points = [0] * 12
        points[rich], points[11 if rich != 11 else 10] = MOST, 1
        r.post_large(
            replace(r.large_record(), points=(sum(p << 16 * i for i, p in enumerate(points)),))
        )
    rounds = [[word >> 16 * i & 0xFFFF for i in range(12)] for (word,) in r.posted]
    r.sum()
    assert r.earned[-1] == entries(rounds)[0].fields


def test_the_sender_is_refunded_up_to_the_cap(running: Any) -> None:
    r: LargeRounds = running(maxRounds=1, gasPerRound=10**15)
    r.post_large()
    call = r.on.rounds.functions.sum(r.id, [list(one) for one in r.posted])
    paid = {"from": r.stranger.address, "gas": 10**7, "gasPrice": 10**9}
    receipt = r.chain.w3.eth.wait_for_transaction_receipt(call.transact(paid))
    *_, entry = events(r.on.rounds, "Credited", receipt)
    assert (entry["cohort"], entry["points"], entry["extra"] & 0xFFFFFFFF) == (0, 0, 0)
    assert entry["extra"] >> 96 == int(r.stranger.address, 16)
    assert 0.85 * receipt["gasUsed"] < entry["extra"] >> 32 & 2**64 - 1 <= 1.1 * receipt["gasUsed"]
    assert r.outcome.earned == r.facts.earned
