"""See withdraw.tree."""

from typing import Any

import pytest

from tests.support.scenario import COMMIT, ENDED, STATUS, SUBMIT, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().opened()


@pytest.fixture(scope="module")
def running(stage: Any) -> Scenario:
    return stage().running()


def test_a_cancelled_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.cancel()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Cancelled"]):
        s.withdraw(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    for seat in (1, 7, 16, 300):
        with expect_revert("TrainingRounds_NotSeatOwner", s.id, seat, s.providers[0].address):
            s.market_call(s.providers[0], "withdraw", s.id, seat)


def test_the_seat_is_freed(s: Scenario) -> None:
    event = s.event("Withdrawn", s.withdraw(1))
    assert (event["provider"], event["seat"]) == (s.providers[1].address, 1)
    assert s.facts.members == 0b101
    assert s.member(1).seat == 255


def test_a_full_committee_opens_again(s: Scenario) -> None:
    s.withdraw(1)
    assert s.request.closedAt == 0
    s.join(1)
    assert s.request.closedAt == s.chain.now


def test_a_member_that_has_submitted_cannot_withdraw(running: Scenario, expect_revert: Any) -> None:
    running.submit(1)
    with expect_revert("TrainingRounds_AlreadyTookPart", running.id, 1):
        running.withdraw(1)


def test_it_is_refused_after_the_end(running: Scenario, expect_revert: Any) -> None:
    running.cancel()
    with expect_revert("TrainingRounds_WrongPhase", running.id, ENDED, SUBMIT):
        running.withdraw(1)


def test_the_commits_start_if_all_others_have_submitted(running: Scenario) -> None:
    running.submit(0)
    running.submit(2)
    assert running.facts.phase == SUBMIT
    running.withdraw(1)
    assert running.facts.phase == COMMIT
    assert running.facts.start == running.chain.now


def test_the_round_no_longer_waits_for_the_seat(running: Scenario) -> None:
    running.submit(0)
    running.withdraw(1)
    facts = running.facts
    assert (facts.members, facts.expected, facts.phase) == (0b101, 0b101, SUBMIT)
