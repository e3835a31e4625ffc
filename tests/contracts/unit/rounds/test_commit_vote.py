"""See commitVote.tree."""

from typing import Any

import pytest

from tests.support.scenario import COMMIT, INVALID, REVEAL, SUBMIT, TALLY, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """Seats 0, 1, 2 have submitted, seat 3 has not."""
    scenario = stage(4).running()
    for seat in range(3):
        scenario.submit(seat)
    scenario.pass_deadline()
    return scenario


def test_it_is_refused_during_the_submissions(scenario: Any, expect_revert: Any) -> None:
    s = scenario().running()
    s.submit(0)
    with expect_revert("TrainingRounds_WrongPhase", s.id, SUBMIT, COMMIT):
        s.commit(0)


def test_it_is_refused_after_the_window(s: Scenario, expect_revert: Any) -> None:
    s.commit(0)
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, REVEAL, COMMIT):
        s.commit(1)


def test_the_tally_is_due_if_nobody_committed(s: Scenario, expect_revert: Any) -> None:
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, TALLY, COMMIT):
        s.commit(1)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 0, s.providers[1].address):
        s.rounds_call(s.providers[1], "commitVote", s.id, 0, b"\1" * 32)


def test_a_seat_that_did_not_submit_cannot_vote(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NoPart", s.id, 1, 3):
        s.commit(3)


def test_a_second_commitment_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.commit(0)
    with expect_revert("TrainingRounds_AlreadyActed", s.id, 1, 0):
        s.commit(0)


def test_a_zero_commitment_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_ZeroCommitment"):
        s.rounds_call(s.providers[0], "commitVote", s.id, 0, bytes(32))


def test_the_commitment_is_stored(s: Scenario) -> None:
    commitment = s.commitment(1, s.vote(1))
    assert s.event("VoteCommitted", s.commit(1)) == {
        "requestId": s.id,
        "round": 1,
        "seat": 1,
        "commitment": commitment,
    }
    # The lower 224 bits, less the lane of the voter.
    kept = int.from_bytes(commitment[4:], "big") & ~(INVALID << 14)
    assert [s.member(seat).lanes for seat in range(4)] == [0, kept, 0, 0]
    assert (s.facts.committed, s.facts.phase) == (0b0010, COMMIT)


def test_the_last_commitment_starts_the_reveals(s: Scenario) -> None:
    for seat in range(3):
        s.commit(seat)
    assert (s.facts.phase, s.facts.start) == (REVEAL, s.chain.now)
