"""One test for each leaf of before.tree."""

from __future__ import annotations

from typing import Any

import pytest

from fedpact.chain.signed_messages import history_after_start
from fedpact.consensus.draw import first_seed
from tests.contracts.large.kit import LargeRounds
from tests.contracts.rounds.kit import ENDED, FINALISE, START, SUBMIT, WAITING, WINDOW


def test_only_the_market_prepares_and_halts(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    plan = (b"\x01" * 32, bytes(32), 9_000, 0, 1, 0, 0, 50, *[WINDOW] * 5, 0, 0)
    with expect_revert("TrainingRounds_NotMarket", r.stranger.address):
        r.chain.send(r.stranger, r.on.rounds.functions.prepare(9, plan))
    with expect_revert("TrainingRounds_NotMarket", r.requester.address):
        r.send(r.requester, "halt")


@pytest.mark.parametrize(
    "changes", [{"minPool": 3}, {"minPool": 2}, {"maxPool": 1_025}, {"maxRounds": 51}]
)
def test_a_pool_that_does_not_fit_is_refused(
    waiting: Any, expect_revert: Any, changes: dict[str, int]
) -> None:
    with expect_revert("LargeRounds_BadPlan"):
        waiting(**changes)


@pytest.mark.parametrize("changes", [{"maxError": 0}, {"maxRounds": 0}, {"approvalRule": 2}])
def test_a_plan_out_of_bounds_is_refused(
    waiting: Any, expect_revert: Any, changes: dict[str, int]
) -> None:
    with expect_revert("TrainingRounds_BadPlan"):
        waiting(**changes)


def test_a_plan_at_its_bounds_waits_for_members(waiting: Any) -> None:
    r: LargeRounds = waiting(minPool=4, maxPool=1_024, maxRounds=50)
    assert r.facts.phase == WAITING
    assert r.on.rounds.functions.openTerms(r.id).call() == r.terms_hash


def test_who_may_not_start(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting(maxPool=13)
    with expect_revert("TrainingRounds_PoolNotReady", r.id):
        r.start()
    r.chain.travel(WINDOW + 1)
    closed = r.on.pool.functions.facts(r.id).call().closedAt
    with expect_revert("TrainingRounds_NotMember", r.id, 0, r.members[1].address):
        r.start(0, r.members[1])
    r.chain.next_at(closed + WINDOW - 1)
    with expect_revert("TrainingRounds_NotYourTurn", r.id, 1, closed + WINDOW):
        r.start(1)
    with expect_revert("TrainingRounds_Zero"):
        r.send(r.members[0], "start", 0, (bytes(32), *START[1:]))
    r.start()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()


def test_a_start_opens_round_one_to_a_committee(running: Any) -> None:
    r: LargeRounds = running()
    facts = r.facts
    mix = int.from_bytes(r.chain.w3.eth.get_block("latest")["mixHash"], "big")
    assert (facts.phase, facts.round, facts.members, facts.forced) == (SUBMIT, 1, 12, 0)
    assert (facts.turn, facts.deadline) == (1, r.chain.now + WINDOW)
    assert facts.seed == first_seed(r.id, mix)
    assert [r.members[index] for index in r.judges] == r.seats
    assert facts.history == history_after_start(r.terms_hash, START)
    outcome = r.outcome
    assert outcome.deliveryHash == START[3]
    assert (outcome.running, outcome.ended, outcome.anySubmission) == (True, False, False)


def test_all_turns_to_start_run_out(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    with expect_revert("TrainingRounds_NotExpired", r.id):
        r.send(r.stranger, "expire")
    r.chain.travel(12 * WINDOW + 1)
    r.send(r.stranger, "expire")
    assert r.outcome.ended
    assert r.facts.phase == ENDED
    with expect_revert("TrainingRounds_WrongPhase"):
        r.send(r.stranger, "expire")


def test_a_waiting_request_is_cancelled_at_once(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    r.halt()
    assert (r.outcome.ended, r.outcome.halted, r.outcome.running) == (True, True, False)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.halt()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.on.rounds.functions.openTerms(r.id).call()


def test_a_round_under_way_takes_its_course(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    r.halt()
    assert (r.facts.phase, r.facts.halted) == (SUBMIT, True)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.halt()
    r.post_large(r.large_record(blind=True))
    assert r.facts.phase == FINALISE
    r.sum()
    assert (r.outcome.ended, r.outcome.paidRounds, r.outcome.halted) == (True, 1, True)


def test_rounds_that_are_over_are_not_cancelled(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running(maxRounds=1)
    r.post_large()
    for phase in (FINALISE, ENDED):
        assert r.facts.phase == phase
        with expect_revert("TrainingRounds_WrongPhase"):
            r.halt()
        if phase == FINALISE:
            r.sum()
