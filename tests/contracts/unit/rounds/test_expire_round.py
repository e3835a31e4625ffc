"""See expireRound.tree."""

from typing import Any

import pytest

from tests.support.scenario import ATTEST, COMMIT, ENDED, EXPIRED, SUBMIT


def test_a_round_in_progress_does_not_expire(scenario: Any, expect_revert: Any) -> None:
    s = scenario().running()
    s.chain.next_at(s.facts.deadline)
    with expect_revert("TrainingRounds_WrongPhase", s.id, SUBMIT, EXPIRED):
        s.expire_round()


def test_two_submissions_are_enough(scenario: Any, expect_revert: Any) -> None:
    s = scenario().running()
    s.submit(0)
    s.submit(1)
    s.pass_deadline()
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, EXPIRED):
        s.expire_round()


def test_an_ended_request_does_not_expire(scenario: Any, expect_revert: Any) -> None:
    s = scenario().finalised()
    with expect_revert("TrainingRounds_WrongPhase", s.id, ENDED, EXPIRED):
        s.expire_round()


@pytest.mark.parametrize("submitting", [0, 1])
def test_too_few_submissions_end_the_request(scenario: Any, submitting: int) -> None:
    s = scenario().running()
    for seat in range(submitting):
        s.submit(seat)
    deadline = s.facts.deadline
    s.pass_deadline()
    assert (s.facts.phase, s.facts.start, s.facts.deadline) == (EXPIRED, deadline, 0)
    receipt = s.expire_round()
    assert s.event("RoundExpired", receipt) == {"requestId": s.id, "round": 1, "faults": 0}
    assert s.event("RequestEnded", receipt)["finalRounds"] == 0
    assert s.facts.phase == ENDED


def test_missing_a_round_after_a_first_submission_is_a_fault(scenario: Any) -> None:
    s = scenario(maxRounds=2).running()
    s.play_round()
    s.submit(1)
    s.pass_deadline()
    assert s.event("RoundExpired", s.expire_round())["faults"] == 0b101
    assert s.faults == [1, 0, 1]
    assert s.facts.finalRounds == 1
    s.deliver()
    s.claim(1)


def test_leaders_that_never_propose_get_a_fault(scenario: Any, expect_revert: Any) -> None:
    s = scenario(4, maxError=1_250).attested()
    deadline = s.facts.deadline
    assert deadline == s.facts.start + 3 * 1_000
    s.chain.next_at(deadline)
    with expect_revert("TrainingRounds_WrongPhase", s.id, ATTEST, EXPIRED):
        s.expire_round()
    s.chain.next_at(deadline + 1)
    assert s.event("RoundExpired", s.expire_round())["faults"] == 0b0111
    assert s.faults == [1, 1, 1, 0]
    assert s.facts.phase == ENDED


def test_a_no_show_gets_one_fault_where_nobody_proposes(scenario: Any) -> None:
    """The tally has counted it; the leaders alone are at fault when the round expires."""
    s = scenario(4, maxRounds=2).running()
    s.play_round()
    for seat in range(3):
        s.submit(seat)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    assert s.faults == [0, 0, 0, 1]
    s.chain.next_at(s.facts.deadline + 1)
    assert s.event("RoundExpired", s.expire_round())["faults"] == 0b0111
    assert s.faults == [1, 1, 1, 1]
