"""Attacks on money and reputations that succeeded against the first protocol."""

from fractions import Fraction

import pytest

from tests.contracts.market.kit import (
    BLIND,
    OPEN,
    PAID,
    PAY,
    UNIT,
    WINDOW,
    entry,
)

DELAY = 7 * 24 * 3600
TWO_OF_THREE = entry([5_500, 4_500, 0], faults=0b100)
"""Two of three give the third no points and a fault."""


def rated(r, account, weight, quality):
    """Gives an account a history of this weight: as many requests of at most 100 as it takes."""
    market = r.on.market.address
    r.chain.fund(market)
    while weight:
        part = min(weight, 100)
        call = r.on.ledger.functions.recordProviders(
            [(account.address, quality, 0)], part, r.chain.now
        )
        r.chain.send(market, call)
        weight -= part


def tiny_requests(delivered, number, pay):
    """`number` requests in which two members of three attack member 2."""
    for _ in range(number):
        r = delivered(TWO_OF_THREE, members=3, reached=True, pay=pay, gasPerRound=0)
        r.settle(sender=r.requester)
    return r


def test_forty_one_tiny_requests_do_not_ruin_a_reputation(request_of, delivered):
    """In the first protocol the victim's reputation was 0 afterwards, for 16.8M gas."""
    victim = request_of(members=3)
    victim.create()
    rated(victim, victim.members[2], 500, 6_000)
    before = victim.reputation(victim.members[2])

    r = tiny_requests(delivered, 41, UNIT)

    # The bound: requests of total weight w leave at least W / (W + w) of a reputation.
    weight = 500 + 10
    least = Fraction(before * weight, weight + 41)
    assert least - 1 <= r.reputation(r.members[2]) <= before
    assert r.reputation(r.members[2]) > before * 92 // 100


def test_requests_below_the_unit_do_nothing_to_a_reputation(delivered):
    r = tiny_requests(delivered, 3, UNIT - 1)
    assert r.reputation(r.members[2]) == 4_000


def test_requests_that_pay_nobody_take_no_more_than_a_tenth(request_of):
    """They cost their requester nothing, so their sum must be bounded."""
    for _ in range(15):
        r = request_of(members=3, gasPerRound=0)
        r.create()
        r.start()
        r.end(TWO_OF_THREE, final_rounds=0)
        r.settle()
    assert r.reputation(r.members[2]) == 4_000 - 1_000


@pytest.mark.parametrize("number", [1, 5, 20])
def test_one_large_payment_weighs_as_much_as_its_parts(delivered, number):
    """Splitting a payment into many requests gains an attacker nothing."""
    r = tiny_requests(delivered, number, 20 // number * UNIT)
    assert r.reputation(r.members[2]) == 10 * 4_000 // 30


def test_tokens_that_anybody_makes_buy_no_reputation(delivered, token):
    money = token("PlainToken")
    r = delivered(entry([9_000, 1_000]), token=money.address, reached=True, pay=10**27)
    r.settle(sender=r.requester)
    assert {r.reputation(member) for member in r.members} == {4_000}
    assert r.requester_reputation == 4_000


def test_who_creates_and_cancels_is_known_for_it(request_of):
    """Three such requests spent the providers' lifetime budgets, for 0.28M gas each."""
    for count in range(1, 4):
        r = request_of()
        r.create()
        r.send(r.requester, "cancel", r.id)
        r.settle()
        assert r.requester_reputation == 4_000 - 100 * count


def test_who_cancels_on_submitted_models_pays_for_them(request_of):
    r = request_of()
    r.create()
    r.start()
    r.send(r.requester, "cancel", r.id)
    r.end(entry([2_500] * 4, flags=PAID | BLIND), final_rounds=0)
    before = [r.chain.balance(member) for member in r.members]
    r.settle()
    gained = [r.chain.balance(m) - b for m, b in zip(r.members, before, strict=True)]
    assert gained == [PAY // 4 // 4] * 4


def test_a_suspension_moves_no_pay(chain, delivered):
    """The registrar suspended two of four after round 1: nine tenths of the pool moved."""
    r = delivered(entry([2_500] * 4), entry([2_500] * 4), reached=True)
    for number, member in enumerate(r.members):
        r.admit(member, 100 + number)
    for member in r.members[:2]:
        chain.send(r.on.registrar, r.on.registry.functions.suspend(member.address))
    chain.travel(DELAY)
    before = [chain.balance(member) for member in r.members]

    r.settle()

    gained = [chain.balance(m) - b for m, b in zip(r.members, before, strict=True)]
    assert gained == [PAY // 4] * 4


def test_nobody_takes_delivery_and_payment_back(request_of, expect_revert):
    """The requester had models and its payment back when nobody could deliver within seconds."""
    r = request_of()
    r.create()
    r.start()
    r.end(entry([2_500] * 4))
    r.chain.next_at(r.outcome["endedAt"] + WINDOW)
    r.deliver()

    with expect_revert("SharingMarket_NotDecided"):
        r.settle()
    r.wait()
    r.settle()
    assert sum(r.chain.balance(member) > 10**24 for member in r.members) == 4


def test_a_delivery_of_another_request_is_refused(request_of, expect_revert):
    """Requests with the same key and the same members are sealed differently."""
    first, second = request_of(), request_of()
    for r in (first, second):
        r.create()
        r.start()
        r.end(entry([2_500] * 4))
    assert first.delivery() != second.delivery()
    with expect_revert("SharingMarket_WrongDelivery"):
        second.deliver(first.delivery())
    assert second.status == OPEN
