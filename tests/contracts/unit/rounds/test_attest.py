"""See attest.tree."""

from typing import Any

import pytest

from tests.support.scenario import ATTEST, EXPIRED, INVALID, TALLY, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """Seat 3 submitted and did not vote."""
    scenario = stage(4).committing()
    for seat in range(3):
        scenario.commit(seat)
    scenario.pass_deadline()
    for seat in range(3):
        scenario.reveal(seat)
    scenario.tally()
    return scenario


def test_it_is_refused_before_the_tally(scenario: Any, expect_revert: Any) -> None:
    s = scenario().revealed()
    with expect_revert("TrainingRounds_WrongPhase", s.id, TALLY, ATTEST):
        s.attest(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 0, s.stranger.address):
        s.rounds_call(s.stranger, "attest", s.id, 0, b"\1" * 32, 0)


def test_a_seat_that_did_not_reveal_cannot_attest(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NoPart", s.id, 1, 3):
        s.attest(3)


def test_a_second_attestation_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.attest(0)
    with expect_revert("TrainingRounds_AlreadyActed", s.id, 1, 0):
        s.attest(0)


@pytest.mark.parametrize("mae", [10_001, 16_382, 16_384, 65_535])
def test_an_impossible_error_is_refused(s: Scenario, mae: int, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_BadError", mae):
        s.attest(0, mae=mae)


def test_it_is_refused_after_the_leaders_turns(s: Scenario, expect_revert: Any) -> None:
    deadline = s.facts.deadline
    s.chain.next_at(deadline)
    s.attest(0)
    s.chain.next_at(deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, EXPIRED, ATTEST):
        s.attest(1)


@pytest.mark.parametrize("mae", [0, 10_000, INVALID])
def test_attestation_and_error_are_stored(s: Scenario, mae: int) -> None:
    attestation = s.attestation(2, s.global_digest, mae)
    assert s.event("Attested", s.attest(2, mae=mae)) == {
        "requestId": s.id,
        "round": 1,
        "seat": 2,
        "attestation": attestation,
        "mae": mae,
    }
    # The lower 224 bits, less the lane of seat 2; the one of seat 3 holds the error.
    kept = int.from_bytes(attestation[4:], "big") & ~(INVALID << 28 | INVALID << 42) | mae << 42
    assert s.member(2).lanes == kept
    assert s.facts.attested == 0b100
