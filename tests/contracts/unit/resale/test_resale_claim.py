"""See claim.tree."""

from typing import Any

import pytest

from tests.support.scenario import Scenario

ODD = 10**16 + 7


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    """Sold once."""
    sold: Scenario = stage()
    sold.on_offer(ODD).buy(price=ODD)
    sold.seal()
    return sold


def share(s: Scenario, seat: int, earned: int) -> int:
    return earned * s.points[seat] // sum(s.points)


def test_nothing_is_claimable_before_a_key_is_sealed(stage: Any, expect_revert: Any) -> None:
    waiting = stage()
    waiting.on_offer().buy()
    with expect_revert("ResaleMarket_NothingToClaim", waiting.id, 0):
        waiting.claim_resale(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    for seat in (1, 3, 16, 256):
        with expect_revert("ResaleMarket_NotSeatOwner", s.id, seat, s.providers[0].address):
            s.cache_call(s.providers[0], "claim", s.id, seat)


def test_a_second_claim_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.claim_resale(0)
    assert s.resale_claimable(0) == 0
    with expect_revert("ResaleMarket_NothingToClaim", s.id, 0):
        s.claim_resale(0)


def test_a_seat_without_points_is_refused(scenario: Any, expect_revert: Any) -> None:
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
    s.buy()
    s.seal()
    with expect_revert("ResaleMarket_NothingToClaim", s.id, 2):
        s.claim_resale(2)


def test_purchases_are_shared_by_points(s: Scenario, accounts: Any) -> None:
    assert [s.resale_claimable(seat) for seat in range(3)] == [
        share(s, seat, ODD) for seat in range(3)
    ]
    s.claim_resale(0)
    second = accounts[21]
    s.admit(second, 201)
    s.cache_call(second, "buy", s.id, s.accounts, value=ODD)
    s.seal(1, buyer=second)
    assert s.resale_claimable(0) == share(s, 0, 2 * ODD) - share(s, 0, ODD)
    paid = 0
    for seat in range(3):
        before = s.chain.balance(s.providers[seat])
        amount = s.event("ResaleClaimed", s.claim_resale(seat))["amount"]
        assert s.chain.balance(s.providers[seat]) == before + amount
        paid += amount
    paid += share(s, 0, ODD)
    assert paid == sum(share(s, seat, 2 * ODD) for seat in range(3))
    assert s.chain.balance(s.resale.address) == 2 * ODD - paid < 3


def test_a_suspended_member_is_paid(s: Scenario) -> None:
    s.suspend(s.providers[2])
    before = s.chain.balance(s.providers[2])
    s.claim_resale(2)
    assert s.chain.balance(s.providers[2]) > before


def test_forced_ether_changes_nothing(s: Scenario) -> None:
    before = s.resale_claimable(0)
    held = s.chain.balance(s.resale.address)
    s.chain.fund(s.resale.address, held + 10**21)
    assert s.resale_claimable(0) == before
    s.claim_resale(0)
    assert s.chain.balance(s.resale.address) == held + 10**21 - before


@pytest.fixture
def with_contract(contract_provider: Any) -> tuple[Scenario, Any]:
    """Sold once."""
    s, taker = contract_provider(offered=True)
    s.buy()
    s.seal(1)
    return s, taker


def test_a_provider_that_cannot_receive_may_retry_its_claim(
    with_contract: Any, expect_revert: Any
) -> None:
    s, taker = with_contract
    amount = s.resale_claimable(0)
    s.chain.send(s.stranger, taker.functions.refuse(True))
    with expect_revert("ResaleMarket_TransferFailed", taker.address, amount):
        s.claim_resale(0)
    s.chain.send(s.stranger, taker.functions.refuse(False))
    before = s.chain.balance(taker.address)
    s.claim_resale(0)
    assert s.chain.balance(taker.address) == before + amount


def test_a_reentrant_claim_is_paid_once(with_contract: Any) -> None:
    s, taker = with_contract
    amount = s.resale_claimable(0)
    s.chain.send(s.stranger, taker.functions.reenterResale(s.resale.address, s.id))
    before = s.chain.balance(taker.address)
    s.claim_resale(0)
    assert taker.functions.tries().call() == 1
    assert s.chain.balance(taker.address) == before + amount
