"""See claim.tree."""

from typing import Any

import pytest

from tests.support.scenario import PAYMENT, STATUS, Scenario


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """The target is missed in the only round, which earns the whole payment."""
    return stage(payment=PAYMENT + 13).delivered()


def shares(s: Scenario, pool: int) -> list[int]:
    points = s.points
    return [pool * own // sum(points) for own in points]


def test_it_is_refused_before_the_delivery(stage: Any, expect_revert: Any) -> None:
    ended = stage().finalised()
    with expect_revert("SharingMarket_WrongStatus", ended.id, STATUS["Ended"]):
        ended.claim(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    for seat in (1, 3, 16, 256):
        with expect_revert("SharingMarket_NotSeatOwner", s.id, seat, s.providers[0].address):
            s.market_call(s.providers[0], "claim", s.id, seat)


def test_a_second_claim_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.claim(0)
    with expect_revert("SharingMarket_AlreadyClaimed", s.id, 0):
        s.claim(0)
    assert s.market.functions.claimable(s.id, 0).call() == 0


def test_a_claim_does_not_reopen_an_earlier_one(s: Scenario, expect_revert: Any) -> None:
    s.claim(0)
    s.claim(1)
    with expect_revert("SharingMarket_AlreadyClaimed", s.id, 0):
        s.claim(0)


def test_a_seat_without_points_is_refused(scenario: Any, expect_revert: Any) -> None:
    s = scenario().running()
    s.submit(0)
    s.submit(1)
    s.pass_deadline()
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    s.deliver()
    with expect_revert("SharingMarket_NothingToClaim", s.id, 2):
        s.claim(2)


def test_the_payment_is_shared_by_points(s: Scenario) -> None:
    assert s.facts.reached is False
    expected = shares(s, PAYMENT + 13)
    assert all(expected)
    for seat in range(3):
        before = s.chain.balance(s.providers[seat])
        assert s.market.functions.claimable(s.id, seat).call() == expected[seat]
        event = s.event("Claimed", s.claim(seat))
        assert event["amount"] == expected[seat]
        assert s.chain.balance(s.providers[seat]) == before + expected[seat]
    assert 0 <= PAYMENT + 13 - sum(expected) < 3


def test_a_reached_target_pays_all(scenario: Any) -> None:
    s = scenario(maxRounds=4, target=500).delivered(mae=500)
    assert s.facts.reached
    assert s.facts.round == 1
    expected = shares(s, PAYMENT)
    assert [s.market.functions.claimable(s.id, seat).call() for seat in range(3)] == expected


def test_a_missed_target_pays_the_paid_rounds(scenario: Any) -> None:
    s = scenario(maxRounds=3).finalised()
    s.cancel()
    s.deliver()
    expected = shares(s, PAYMENT // 3)
    assert [s.market.functions.claimable(s.id, seat).call() for seat in range(3)] == expected


def test_a_suspended_member_is_paid(s: Scenario) -> None:
    s.suspend(s.providers[2])
    before = s.chain.balance(s.providers[2])
    s.claim(2)
    assert s.chain.balance(s.providers[2]) > before


def test_forced_ether_changes_nothing(s: Scenario) -> None:
    before = s.market.functions.claimable(s.id, 0).call()
    held = s.chain.balance(s.market.address)
    s.chain.fund(s.market.address, held + 10**21)
    assert s.market.functions.claimable(s.id, 0).call() == before
    s.claim(0)
    assert s.chain.balance(s.market.address) == held + 10**21 - before


def test_a_provider_that_cannot_receive_may_retry_its_claim(
    contract_provider: Any, expect_revert: Any
) -> None:
    s, taker = contract_provider()
    amount = s.market.functions.claimable(s.id, 0).call()
    s.chain.send(s.stranger, taker.functions.refuse(True))
    with expect_revert("SharingMarket_TransferFailed", taker.address, amount):
        s.claim(0)
    s.chain.send(s.stranger, taker.functions.refuse(False))
    before = s.chain.balance(taker.address)
    s.claim(0)
    assert s.chain.balance(taker.address) == before + amount


def test_a_reentrant_claim_is_paid_once(contract_provider: Any) -> None:
    s, taker = contract_provider()
    amount = s.market.functions.claimable(s.id, 0).call()
    s.chain.send(s.stranger, taker.functions.reenter(s.market.address, s.id, s.accounts))
    before = s.chain.balance(taker.address)
    s.claim(0)
    assert taker.functions.tries().call() == 1
    assert s.chain.balance(taker.address) == before + amount
