"""See refund.tree."""

from typing import Any

import pytest

from tests.support.scenario import PRICE, REFUNDED, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """Paid for, one second ago."""
    bought: Scenario = stage()
    bought.on_offer().buy()
    return bought


def test_an_account_that_bought_nothing_is_not_refunded(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("ResaleMarket_NothingBought", s.id, s.stranger.address):
        s.refund_purchase(s.stranger)


def test_it_is_refused_until_the_deadline_has_passed(s: Scenario, expect_revert: Any) -> None:
    deadline = s.purchase()[2]
    s.chain.next_at(deadline)
    with expect_revert("ResaleMarket_TooEarly", s.id, deadline):
        s.refund_purchase()


def test_a_sealed_purchase_is_not_refunded(s: Scenario, expect_revert: Any) -> None:
    s.seal()
    s.chain.travel(2 * WINDOW)
    with expect_revert("ResaleMarket_NothingBought", s.id, s.buyer.address):
        s.refund_purchase()


def test_a_second_refund_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.chain.travel(WINDOW + 1)
    s.refund_purchase()
    with expect_revert("ResaleMarket_NothingBought", s.id, s.buyer.address):
        s.refund_purchase()


def test_the_price_is_refunded_if_no_key_came(s: Scenario) -> None:
    s.chain.next_at(s.purchase()[2] + 1)
    before = s.chain.balance(s.buyer)
    told = s.event("PurchaseRefunded", s.refund_purchase())
    assert told == {"requestId": s.id, "buyer": s.buyer.address, "amount": PRICE}
    assert s.chain.balance(s.buyer) == before + PRICE
    assert s.purchase()[0] == REFUNDED
    assert s.resale_claimable(0) == 0


def test_a_buyer_that_cannot_receive_may_retry_its_refund(s: Scenario, expect_revert: Any) -> None:
    taker = s.chain.deploy("HostileTaker", s.stranger)
    s.admit(taker, 999)
    s.chain.fund(taker.address, 2 * PRICE)
    s.cache_call(taker.address, "buy", s.id, s.accounts, value=PRICE)
    s.chain.travel(WINDOW + 1)
    s.chain.send(s.stranger, taker.functions.refuse(True))
    with expect_revert("ResaleMarket_TransferFailed", taker.address, PRICE):
        s.refund_purchase(taker.address)
    # Refunding again while the refund is under way gains nothing.
    s.chain.send(s.stranger, taker.functions.refuse(False))
    s.chain.send(s.stranger, taker.functions.reenterResale(s.resale.address, s.id))
    s.refund_purchase(taker.address)
    assert taker.functions.tries().call() == 1
    assert s.chain.balance(taker.address) == 2 * PRICE
