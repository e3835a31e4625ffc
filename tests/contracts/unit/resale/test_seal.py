"""See seal.tree."""

from typing import Any

import pytest

from tests.support.scenario import PRICE, SEALED, WINDOW, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """Paid for, one second ago."""
    bought: Scenario = stage()
    bought.on_offer().buy()
    return bought


def test_no_key_is_sealed_without_a_purchase(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("ResaleMarket_NothingBought", s.id, s.stranger.address):
        s.seal(buyer=s.stranger)


def test_no_key_is_sealed_after_a_refund(s: Scenario, expect_revert: Any) -> None:
    s.chain.travel(WINDOW + 1)
    s.refund_purchase()
    with expect_revert("ResaleMarket_NothingBought", s.id, s.buyer.address):
        s.seal()


def test_the_first_key_must_come_in_time(s: Scenario, expect_revert: Any) -> None:
    deadline = s.purchase()[2]
    s.chain.next_at(deadline + 1)
    with expect_revert("ResaleMarket_TooLate", s.id, deadline):
        s.seal()


def test_the_last_second_is_in_time(s: Scenario) -> None:
    s.chain.next_at(s.purchase()[2])
    s.seal()
    assert s.offered == (PRICE, PRICE)


def test_a_key_has_80_bytes(s: Scenario, expect_revert: Any) -> None:
    for length in (0, 79, 81):
        with expect_revert("ResaleMarket_BadSealedKey", length):
            s.seal(sealed_key=bytes(length))


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    for sender, seat in ((s.stranger, 0), (s.requester, 0), (s.providers[0], 1), (s.stranger, 255)):
        with expect_revert("ResaleMarket_NotSeatOwner", s.id, seat, sender.address):
            s.cache_call(sender, "seal", s.id, seat, s.buyer.address, bytes(80))


def test_a_seat_without_points_cannot_seal(scenario: Any, expect_revert: Any) -> None:
    s = scenario(4, maxError=1_200)
    s.create()
    s.offer()
    s.join_all()
    s.start()
    s.submit_all()
    s.vote_all({0: 1_000, 1: 1_100, 2: 1_100, 3: 16_383})
    s.tally()
    s.attest_all()
    s.propose(s.order[0])
    s.deliver()
    assert s.points[3] == 0
    s.buy()
    with expect_revert("ResaleMarket_NoPoints", s.id, 3):
        s.seal(3)


def test_a_suspended_member_cannot_seal(s: Scenario, expect_revert: Any) -> None:
    s.suspend(s.providers[0])
    with expect_revert("ResaleMarket_NotActive", s.providers[0].address):
        s.seal()
    s.seal(1)


def test_further_keys_are_announced_and_earn_nothing(s: Scenario) -> None:
    s.seal(0)
    s.chain.travel(2 * WINDOW)
    told = s.event("KeySealed", s.seal(1, sealed_key=b"m" * 80))
    assert told["holder"] == s.providers[1].address
    assert told["sealedKey"] == b"m" * 80
    assert s.offered == (PRICE, PRICE)


def test_a_key_earns_the_price(s: Scenario) -> None:
    told = s.event("KeySealed", s.seal(2, sealed_key=b"k" * 80))
    assert told == {
        "requestId": s.id,
        "buyer": s.buyer.address,
        "holder": s.providers[2].address,
        "sealedKey": b"k" * 80,
    }
    assert s.purchase()[0] == SEALED
    assert s.offered == (PRICE, PRICE)
