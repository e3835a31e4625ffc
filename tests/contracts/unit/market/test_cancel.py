"""See cancel.tree."""

from typing import Any

import pytest

from tests.support.scenario import ENDED, PAYMENT, STATUS, SUBMIT, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().opened()


@pytest.fixture(scope="module")
def running(stage: Any) -> Scenario:
    return stage(maxRounds=2).running()


def test_only_the_requester_cancels(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("SharingMarket_NotRequester", s.id, s.providers[0].address):
        s.market_call(s.providers[0], "cancel", s.id)


def test_an_open_request_is_cancelled_and_refundable(s: Scenario) -> None:
    s.cancel()
    assert s.status == STATUS["Cancelled"]
    before = s.chain.balance(s.requester)
    s.refund()
    assert s.chain.balance(s.requester) == before + PAYMENT


def test_a_round_with_submissions_cannot_be_cancelled(
    running: Scenario, expect_revert: Any
) -> None:
    def refused(submitted: int) -> None:
        with expect_revert("TrainingRounds_RoundInProgress", running.id, 1, submitted):
            running.cancel()

    running.submit(0)
    refused(0b001)
    running.submit(1)
    running.submit(2)
    refused(0b111)
    running.vote_all()
    refused(0b111)
    running.tally()
    refused(0b111)
    running.attest_all()
    running.propose()
    running.cancel()
    assert running.status == STATUS["Ended"]


def test_a_round_without_submissions_can_be_cancelled(running: Scenario) -> None:
    receipt = running.cancel()
    event = running.event("RequestEnded", receipt)
    assert (event["round"], event["reached"], event["finalRounds"]) == (1, False, 0)
    assert running.status == STATUS["Ended"]
    assert running.facts.phase == ENDED
    assert running.market.functions.refundable(running.id).call() == PAYMENT


def test_an_expired_round_without_submissions_can_be_cancelled(running: Scenario) -> None:
    running.pass_deadline()
    running.cancel()
    assert running.facts.phase == ENDED


def test_paid_rounds_stay_paid(running: Scenario) -> None:
    running.play_round()
    running.cancel()
    running.deliver()
    claims = [running.market.functions.claimable(running.id, seat).call() for seat in range(3)]
    assert sum(claims) in range(PAYMENT // 2 - 3, PAYMENT // 2 + 1)
    assert running.market.functions.refundable(running.id).call() == PAYMENT // 2


def test_an_ended_request_is_refused(running: Scenario, expect_revert: Any) -> None:
    running.cancel()
    with expect_revert("TrainingRounds_WrongPhase", running.id, ENDED, SUBMIT):
        running.cancel()


def test_a_cancelled_request_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.cancel()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Cancelled"]):
        s.cancel()
