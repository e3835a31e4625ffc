"""See submit.tree."""

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.support.scenario import COMMIT, EXPIRED, NONE, SUBMIT, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage(maxRounds=3).running()


@pytest.fixture
def second(s: Scenario) -> Scenario:
    """Round 2; seat 2 missed round 1."""
    s.submit(0)
    s.submit(1)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    return s


def test_it_is_refused_before_the_start(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    with expect_revert("TrainingRounds_WrongPhase", s.id, NONE, SUBMIT):
        s.submit(0, b"\1" * 32)


def test_it_is_refused_after_the_submissions(s: Scenario, expect_revert: Any) -> None:
    s.submit_all()
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, SUBMIT):
        s.submit(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    for seat in (1, 3, 16, 300):
        with expect_revert("TrainingRounds_NotSeatOwner", s.id, seat, s.providers[0].address):
            s.rounds_call(s.providers[0], "submit", s.id, seat, b"\1" * 32)


def test_a_barred_member_is_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    s.suspend(s.providers[2])
    s.start()
    s.restore(s.providers[2])
    with expect_revert("TrainingRounds_Barred", s.id, 2):
        s.submit(2)


def test_a_suspension_takes_effect_in_the_next_round(s: Scenario, expect_revert: Any) -> None:
    s.suspend(s.providers[2])
    s.play_round()
    assert s.points[2] > 0
    assert (s.facts.round, s.facts.expected, s.facts.barred) == (2, 0b011, 0b100)
    with expect_revert("TrainingRounds_Barred", s.id, 2):
        s.submit(2)


def test_a_second_submission_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.submit(0)
    with expect_revert("TrainingRounds_AlreadyActed", s.id, 1, 0):
        s.submit(0, b"\1" * 32)


def test_a_zero_digest_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_ZeroDigest"):
        s.rounds_call(s.providers[0], "submit", s.id, 0, bytes(32))


def test_a_copied_digest_excludes_nobody(s: Scenario) -> None:
    """Useless to the copier: a model is encrypted under its owner's account."""
    s.submit(2)
    s.submit(1, s.digest(2))
    assert s.facts.submitted == 0b110


def test_a_digest_of_an_earlier_round_is_accepted(second: Scenario) -> None:
    old = keccak(text=f"model {second.id} 1 0")
    second.submit(1, old)
    assert second.facts.submitted == 0b010


def test_it_is_refused_after_the_window(s: Scenario, expect_revert: Any) -> None:
    s.submit(0)
    s.submit(1)
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, SUBMIT):
        s.submit(2)


def test_a_late_submission_to_an_empty_round_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, EXPIRED, SUBMIT):
        s.submit(2)


def test_the_last_second_counts(s: Scenario) -> None:
    s.chain.next_at(s.facts.deadline)
    s.submit(2)
    assert s.facts.submitted == 0b100


def test_a_submission_is_recorded_and_announced(s: Scenario) -> None:
    before = s.facts.history
    assert s.event("ModelSubmitted", s.submit(1)) == {
        "requestId": s.id,
        "round": 1,
        "seat": 1,
        "member": s.providers[1].address,
        "digest": s.digest(1),
    }
    link = [before, 1, 1, s.digest(1)]
    assert s.facts.history == keccak(encode(["bytes32", "uint256", "uint256", "bytes32"], link))
    assert (s.facts.submitted, s.facts.ever, s.facts.phase) == (0b010, 0b010, SUBMIT)


def test_the_last_expected_submission_starts_the_commits(s: Scenario) -> None:
    s.submit_all()
    assert (s.facts.phase, s.facts.start) == (COMMIT, s.chain.now)


def test_a_single_submission_does_not_start_the_commits(scenario: Any) -> None:
    s = scenario().opened()
    s.suspend(s.providers[1])
    s.suspend(s.providers[2])
    s.start()
    s.submit(0)
    assert (s.facts.expected, s.facts.phase) == (0b001, SUBMIT)


def test_a_member_that_missed_a_round_may_come_back(second: Scenario) -> None:
    assert second.facts.expected == 0b011
    second.submit(2)
    assert (second.facts.expected, second.facts.phase) == (0b111, SUBMIT)
    second.submit(0)
    assert second.facts.phase == SUBMIT
    second.submit(1)
    assert second.facts.phase == COMMIT
