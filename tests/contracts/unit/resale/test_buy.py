"""See buy.tree."""

from typing import Any

import pytest

from tests.support.scenario import NOBODY, PENDING, PRICE, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    offered: Scenario = stage()
    return offered.on_offer()


def test_a_result_without_a_price_is_not_sold(stage: Any, expect_revert: Any) -> None:
    private = stage().delivered()
    with expect_revert("ResaleMarket_NotOffered", private.id):
        private.buy(price=0)


def test_any_amount_but_the_price_is_refused(s: Scenario, expect_revert: Any) -> None:
    for sent in (0, PRICE - 1, PRICE + 1):
        with expect_revert("ResaleMarket_WrongPayment", sent, PRICE):
            s.buy(price=sent)


def test_nothing_is_sold_before_the_delivery(stage: Any, expect_revert: Any) -> None:
    early = stage()
    early.create()
    early.offer()
    with expect_revert("ResaleMarket_NotDelivered", early.id):
        early.buy()
    early.join_all()
    early.start()
    early.play_round()
    with expect_revert("ResaleMarket_NotDelivered", early.id):
        early.buy()


def test_strangers_and_suspended_accounts_cannot_buy(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("ResaleMarket_NotActive", s.stranger.address):
        s.cache_call(s.stranger, "buy", s.id, s.accounts, value=PRICE)
    s.admit(s.buyer, 200)
    s.suspend(s.buyer)
    with expect_revert("ResaleMarket_NotActive", s.buyer.address):
        s.buy()


def test_the_requesters_organisation_cannot_buy(s: Scenario, expect_revert: Any) -> None:
    s.admit(s.buyer, 100)
    for buyer in (s.requester, s.buyer):
        with expect_revert("ResaleMarket_TookPart", s.id, 100):
            s.buy(buyer)


def test_an_organisation_that_submitted_cannot_buy(s: Scenario, expect_revert: Any) -> None:
    s.admit(s.buyer, 103)
    with expect_revert("ResaleMarket_TookPart", s.id, 103):
        s.buy()
    with expect_revert("ResaleMarket_TookPart", s.id, 101):
        s.buy(s.providers[0])


def test_a_member_that_never_submitted_may_buy(scenario: Any) -> None:
    s = scenario()
    s.create()
    s.offer()
    s.join_all()
    s.start()
    s.submit(0)
    s.submit(1)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    s.buy(s.providers[2])
    assert s.purchase(s.providers[2])[0] == PENDING


def test_a_wrong_list_of_accounts_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.admit(s.buyer, 102)
    hidden = [s.accounts[0], s.stranger.address, s.accounts[2]]
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 1, s.stranger.address):
        s.cache_call(s.buyer, "buy", s.id, hidden, value=PRICE)
    with expect_revert("TrainingRounds_WrongNumber", s.id, 2, 3):
        s.cache_call(s.buyer, "buy", s.id, s.accounts[:2], value=PRICE)
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 1, NOBODY):
        s.cache_call(s.buyer, "buy", s.id, [s.accounts[0], NOBODY, s.accounts[2]], value=PRICE)


def test_a_second_purchase_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.buy()
    with expect_revert("ResaleMarket_AlreadyBought", s.id, s.buyer.address):
        s.buy()
    s.seal()
    with expect_revert("ResaleMarket_AlreadyBought", s.id, s.buyer.address):
        s.buy()


def test_a_refunded_buyer_may_buy_again(s: Scenario) -> None:
    s.buy()
    s.chain.travel(WINDOW + 1)
    s.refund_purchase()
    s.buy()
    s.seal()
    assert s.offered == (PRICE, PRICE)


def test_the_price_is_held_until_the_deadline(s: Scenario) -> None:
    held = s.chain.balance(s.resale.address)
    receipt = s.buy()
    deadline = s.chain.now + WINDOW
    assert s.event("ResultBought", receipt) == {
        "requestId": s.id,
        "buyer": s.buyer.address,
        "price": PRICE,
        "deadline": deadline,
    }
    assert list(s.purchase()) == [PENDING, PRICE, deadline]
    assert s.chain.balance(s.resale.address) == held + PRICE
    assert s.resale_claimable(0) == 0
