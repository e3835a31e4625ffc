"""One test for each leaf of money.tree: market, delivery and ledger are those of all requests."""

from __future__ import annotations

from typing import Any

import pytest

from fedpact.consensus.payout import payouts, sums_of
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from fedpact.types.requests import Earned
from tests.contracts.large.kit import LargeRounds
from tests.contracts.market.kit import PAY, REQUEST_KEY, as_argument
from tests.contracts.rounds.kit import START, WINDOW

UNIT = 10**15


@pytest.fixture
def paid_request(waiting: Any) -> Any:
    """`paid_request(points, members=12, **terms)`: two rounds with these points of each trainer
    are over, summed and delivered."""

    def new(trainer: list[int], members: int = 12, **terms: Any) -> LargeRounds:
        r: LargeRounds = waiting(members, maxRounds=2, **terms)
        key = Point(r.terms["deliveryKeyX"], r.terms["deliveryKeyY"])
        deliveries = Deliveries.seal(REQUEST_KEY, key, bytes(32), r.id, 2)
        r.start_facts = (*START[:3], deliveries.root)
        r.start()
        for _ in range(2):
            judges = r.judges
            own = [10 if i in judges else trainer[i % len(trainer)] for i in range(members)]
            r.post_large(r.large_record(points=own))
        r.sum()
        market = r.on.market.functions
        delivery = as_argument(deliveries.after(2))
        r.sent(r.stranger, "deliver", market.deliver(r.id, r.terms, delivery))
        return r

    return new


def settle(r: LargeRounds) -> Any:
    call = r.on.market.functions.settle(r.id, r.terms, r.earned, b"")
    return r.sent(r.requester, "settle", call)


def entries_of(r: LargeRounds) -> list[Earned]:
    return [Earned(*fields) for fields in r.earned]


def balances(r: LargeRounds) -> list[int]:
    return [r.chain.balance(member) for member in r.members]


def reputations(r: LargeRounds) -> list[int]:
    ledger = r.on.ledger.functions
    return [ledger.reputation(member.address).call() for member in r.members]


def expected_pay(r: LargeRounds) -> list[int]:
    shares = payouts(entries_of(r), PAY, due=True, reached=False, max_rounds=2)
    return [shares[index] for index in range(len(r.members))]


def expected_reputation(quality: int, weight: int) -> int:
    return (weight * quality + 10 * 4_000) // (weight + 10)


def test_each_member_is_paid_what_it_earned(paid_request: Any) -> None:
    r: LargeRounds = paid_request([0, 50, 100, 150])
    before, held = balances(r), r.chain.balance(r.on.market.address)
    settle(r)
    gained = [now - then for now, then in zip(balances(r), before, strict=True)]
    assert gained == expected_pay(r)
    assert sum(gained) > PAY - 12
    assert held - r.chain.balance(r.on.market.address) == sum(gained)


def test_qualities_follow_from_the_fair_share(paid_request: Any) -> None:
    r: LargeRounds = paid_request([0, 50, 100, 150])
    settle(r)
    sums = sums_of(entries_of(r))
    weight = 100  # of a payment of a thousand units
    assert len({own.fair for own in sums.values()}) == 1
    assert reputations(r) == [
        expected_reputation(sums[index].quality, weight) for index in range(12)
    ]


def test_members_of_a_large_pool_are_paid_by_their_index(paid_request: Any) -> None:
    r: LargeRounds = paid_request([50, 100, 150], members=18)
    before = balances(r)
    settle(r)
    assert balances(r) == before
    r.sent(r.stranger, "pay", r.on.market.functions.pay(r.id, r.terms, [*range(18)]))
    assert [now - then for now, then in zip(balances(r), before, strict=True)] == expected_pay(r)


def test_who_cancels_pays_the_round_under_way(running: Any) -> None:
    r: LargeRounds = running(maxRounds=4)
    r.halt()
    r.post_large(r.large_record(blind=True, digest=bytes(32)))
    r.sum()
    before = balances(r)
    settle(r)
    shares = payouts(entries_of(r), PAY, due=True, reached=False, max_rounds=4)
    gained = [now - then for now, then in zip(balances(r), before, strict=True)]
    assert gained == [shares[index] for index in range(12)]
    assert PAY // 4 - 12 < sum(gained) <= PAY // 4


def test_without_points_all_goes_back(running: Any) -> None:
    r: LargeRounds = running(maxRounds=1)
    r.post_large(r.large_record(points=[0] * 12))
    r.chain.travel(WINDOW + 1)
    requester = r.chain.balance(r.requester)
    settle(r)
    assert r.chain.balance(r.requester) - requester == PAY
    assert r.chain.balance(r.on.market.address) == 0


def test_neighbours_that_do_nothing_do_not_look_good_to_each_other(paid_request: Any) -> None:
    """The last two of eighteen have an entry of their own, and a point each in a round."""
    r: LargeRounds = paid_request([100] * 16 + [1, 1], members=18)
    settle(r)
    sums = sums_of(entries_of(r))
    assert all(sums[index].points <= 40 for index in (16, 17))
    assert all(sums[index].quality <= 5_000 * 40 // sums[index].fair for index in (16, 17))
    assert sums[16].fair > 100
