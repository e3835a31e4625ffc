"""See refund.tree."""

from typing import Any

from tests.support.scenario import PAYMENT, STATUS, WINDOW, Scenario


def taken_back(s: Scenario) -> int:
    assert s.market.functions.refundable(s.id).call() > 0
    before = s.chain.balance(s.requester)
    event = s.event("Refunded", s.refund())
    assert s.chain.balance(s.requester) == before + event["amount"]
    assert s.market.functions.refundable(s.id).call() == 0
    return event["amount"]


def test_only_the_requester_is_refunded(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    s.cancel()
    with expect_revert("SharingMarket_NotRequester", s.id, s.stranger.address):
        s.market_call(s.stranger, "refund", s.id, [])


def test_a_second_refund_is_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    s.cancel()
    assert taken_back(s) == PAYMENT
    with expect_revert("SharingMarket_AlreadyRefunded", s.id):
        s.refund()


def test_open_and_running_requests_are_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().opened()
    assert s.market.functions.refundable(s.id).call() == 0
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Open"]):
        s.refund()
    s.start()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Running"]):
        s.refund()


def test_it_is_refused_while_the_model_may_be_delivered(scenario: Any, expect_revert: Any) -> None:
    s = scenario(maxRounds=2).finalised()
    s.cancel()
    deadline = s.rounds.functions.outcome(s.id).call().endedAt + 2 * WINDOW
    assert s.market.functions.refundable(s.id).call() == 0
    with expect_revert("SharingMarket_NotDecided", s.id, deadline):
        s.refund()


def test_a_fully_earned_payment_is_not_refunded(scenario: Any, expect_revert: Any) -> None:
    s = scenario().delivered()
    with expect_revert("SharingMarket_NothingToRefund", s.id):
        s.refund()


def test_unused_rounds_are_returned(scenario: Any) -> None:
    s = scenario(maxRounds=3, payment=PAYMENT + 1).finalised()
    s.cancel()
    s.deliver()
    assert taken_back(s) == PAYMENT + 1 - (PAYMENT + 1) // 3
    assert s.request.settled


def test_an_undelivered_model_is_not_paid(scenario: Any, expect_revert: Any) -> None:
    s = scenario().finalised()
    s.chain.travel(2 * WINDOW + 1)
    assert taken_back(s) == PAYMENT
    assert s.request.settled
    with expect_revert("SharingMarket_TooLate"):
        s.deliver()
    with expect_revert("SharingMarket_WrongStatus", s.id, STATUS["Ended"]):
        s.claim(0)


def test_a_request_without_a_final_round_is_refunded_at_once(scenario: Any) -> None:
    s = scenario().running()
    s.pass_deadline()
    s.expire_round()
    assert taken_back(s) == PAYMENT


def test_a_requester_that_cannot_receive_may_retry_its_refund(
    scenario: Any, expect_revert: Any
) -> None:
    s = scenario()
    taker = s.chain.deploy("HostileTaker", s.stranger)
    s.chain.fund(taker.address)
    s.chain.send(
        s.deployed.registrar,
        s.registry.functions.admit(taker.address, 999, b"k" * 32, bytes(32), bytes(32)),
    )
    s.requester = taker.address
    s.create()
    s.cancel()
    s.chain.send(s.stranger, taker.functions.refuse(True))
    with expect_revert("SharingMarket_TransferFailed", taker.address, PAYMENT):
        s.refund()
    assert s.market.functions.refundable(s.id).call() == PAYMENT
