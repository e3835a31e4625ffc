"""One test for each leaf of start.tree."""

from __future__ import annotations

from typing import Any

import pytest

from fedpact.chain.signed_messages import history_after_start
from fedpact.consensus.draw import first_seed, next_seed
from tests.contracts.rounds.kit import ENDED, START, SUBMIT, WINDOW, Rounds


@pytest.fixture
def r(rounds_of: Any) -> Rounds:
    made: Rounds = rounds_of(3, maxPool=4, minPool=3)
    made.create()
    return made


def test_an_open_pool_does_not_start(r: Rounds, expect_revert: Any) -> None:
    r.enrol()
    with expect_revert("TrainingRounds_PoolNotReady", r.id):
        r.start()


def test_too_few_members_do_not_start_and_expire(r: Rounds, expect_revert: Any) -> None:
    r.enrol(r.members[:2])
    with expect_revert("TrainingRounds_NotExpired", r.id):
        r.send(r.stranger, "expire")
    r.chain.travel(WINDOW + 1)
    with expect_revert("TrainingRounds_PoolNotReady", r.id):
        r.start()
    r.send(r.stranger, "expire")
    assert r.outcome.ended
    assert not r.outcome.anySubmission


def test_turns_to_start(r: Rounds, expect_revert: Any) -> None:
    r.enrol()
    r.chain.travel(WINDOW + 1)
    closed = r.on.pool.functions.facts(r.id).call().closedAt
    with expect_revert("TrainingRounds_NotMember", r.id, 0, r.members[1].address):
        r.start(0, r.members[1])
    r.chain.next_at(closed + WINDOW - 1)
    with expect_revert("TrainingRounds_NotYourTurn", r.id, 1, closed + WINDOW):
        r.start(1)
    with expect_revert("TrainingRounds_Zero"):
        r.send(r.members[0], "start", 0, (bytes(32), *START[1:]))
    r.chain.next_at(closed + 3 * WINDOW + 1)
    with expect_revert("TrainingRounds_TooLate", r.id, closed + 3 * WINDOW):
        r.start(0)
    r.send(r.stranger, "expire")
    assert r.outcome.ended


def test_a_start_opens_round_one(r: Rounds, expect_revert: Any) -> None:
    r.enrol()
    r.chain.travel(WINDOW + 1)
    assert r.outcome.running is False
    r.start()
    facts = r.facts
    assert (facts.phase, facts.round, facts.expected, facts.size) == (SUBMIT, 1, 0b111, 3)
    assert facts.history == history_after_start(r.terms_hash, START)
    assert r.outcome.deliveryHash == START[3]
    assert (r.outcome.running, r.outcome.ended, r.outcome.anySubmission) == (True, False, False)
    r.submit(1)
    assert r.outcome.anySubmission
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.send(r.stranger, "expire")


def test_seeds_follow_the_blocks_of_starts_and_rounds(running: Any) -> None:
    r: Rounds = running(6, cohort=3)
    mix = r.chain.w3.eth.get_block("latest")["mixHash"]
    seed = first_seed(r.id, int.from_bytes(mix, "big"))
    assert r.facts.seed == seed
    assert r.facts.drawn
    assert tuple(r.members.index(m) for m in r.seats) == r.drawn([1] * 6)
    r.post()
    mix = r.chain.w3.eth.get_block("latest")["mixHash"]
    assert r.facts.seed == next_seed(seed, int.from_bytes(mix, "big"))
    assert tuple(r.members.index(m) for m in r.seats) == r.drawn([1] * 6)


def test_only_the_market_halts(r: Rounds, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotMarket", r.requester.address):
        r.send(r.requester, "halt")


def test_a_waiting_request_is_cancelled_at_once(r: Rounds, expect_revert: Any) -> None:
    r.enrol()
    r.halt()
    assert r.outcome.ended
    assert r.outcome.halted
    r.chain.travel(WINDOW + 1)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()


def test_a_cancelled_round_pays_what_was_submitted(running: Any) -> None:
    r: Rounds = running(3)
    r.halt()
    r.submit(1)
    assert r.facts.phase == SUBMIT
    r.pass_deadline()
    r.tally()
    assert r.points() == [0, 9_000, 0]
    assert r.faults() == []
    assert (r.facts.phase, r.outcome.paidRounds, r.outcome.halted) == (ENDED, 1, True)


def test_a_cancelled_round_of_all_pays_equally_without_delay(running: Any) -> None:
    r: Rounds = running(3)
    r.submit(0, 1)
    r.halt()
    r.submit(2)
    r.tally()
    assert r.points() == [3_000] * 3
    assert r.facts.phase == ENDED


def test_a_cancelled_round_that_nobody_entered_owes_nothing(running: Any) -> None:
    r: Rounds = running(3)
    r.halt()
    r.pass_deadline()
    r.close()
    assert r.points() == [0, 0, 0]
    assert r.faults() == []
    assert r.outcome.ended
    assert r.outcome.paidRounds == 0


def test_a_round_past_its_submissions_takes_its_course(running: Any, expect_revert: Any) -> None:
    r: Rounds = running(3)
    r.submit(0, 1, 2)
    r.halt()
    r.voted(0, 1, 2)
    r.attest(0, 1, 2)
    r.finalise()
    assert sum(r.points()) > 9_900
    assert (r.facts.phase, r.outcome.finalRounds) == (ENDED, 1)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.halt()


def test_the_terms_are_open_while_the_request_waits(r: Rounds) -> None:
    assert r.on.rounds.functions.openTerms(r.id).call() == r.terms_hash
