"""Random requests in ether and in a token: the market's money, to the unit, against a ledger.

After every step the market holds of each token what came in less what went out, ether forced upon
it apart, and it owes no more than it holds: the pay of open requests, the shares of members that
are not paid, and what accounts could not take. In the end everyone draws what it is owed; less than
a unit a member is left of each request.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.contracts.market.kit import (
    ETHER,
    GWEI,
    OPEN,
    PAID,
    SETTLED,
    WINDOW,
    Contracts,
    Request,
    entry,
    gas_entry,
)
from tests.support.chainkit import Chain, Reverted, address_of, events

POOLS = (3, 18)
"""Paid at once, and in parts."""
TAKE, REFUSE = 0, 1
REQUESTS = st.integers(0, 3)


class Money(RuleBasedStateMachine):
    """Anybody acts at any time; what the contract refuses must move nothing."""

    chain: Chain
    contracts: Contracts
    accounts: Any
    money: Any
    hostile: Any

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.chain.snapshot()
        self.requests: list[Request] = []
        self.held = {ETHER: 0, self.money.address: 0}
        self.forced = 0
        self.collected: dict[int, int] = {}

    def teardown(self) -> None:
        self._everyone_takes_what_is_theirs()
        self.chain.revert(self.snapshot)
        self.chain.next_at(self.chain.now + 1)

    @precondition(lambda self: len(self.requests) < 4)
    @rule(token=st.booleans(), pool=st.sampled_from(POOLS), pay=st.integers(1, 10**16))
    def create(self, token: bool, pool: int, pay: int) -> None:
        members = [self.hostile.address, *self.accounts[2 : 1 + pool]]
        name = self.money.address if token else ETHER
        r = Request(
            *(self.chain, self.contracts, self.accounts, members),
            token=name, pay=pay, gasPerRound=1_000 * GWEI,
        )  # fmt: skip
        r.create()
        r.start()
        self.requests.append(r)
        self.held[ETHER] += r.value
        if token:
            self.held[name] += pay

    @precondition(lambda self: any(not r.outcome.get("ended") for r in self.requests))
    @rule(data=st.data(), reached=st.booleans(), halted=st.booleans())
    def end(self, data: st.DataObject, reached: bool, halted: bool) -> None:
        r = next(r for r in self.requests if not r.outcome.get("ended"))
        if halted:
            r.send(r.requester, "cancel", r.id)
        seats = st.lists(st.integers(0, 2_500), min_size=1, max_size=3)
        entries = [
            entry(points, list(range(3))[: len(points)], flags=PAID if any(points) else 0)
            for points in data.draw(st.lists(seats, max_size=4))
        ]
        posters = data.draw(st.lists(st.integers(1, 3_000), max_size=3))
        entries += [
            gas_entry(gwei, [r.stranger, self.hostile.address][gwei % 2]) for gwei in posters
        ]
        paid = sum(bool(one[2] & PAID) for one in entries)
        r.end(*entries, final_rounds=data.draw(st.integers(0, paid)), reached=reached and paid > 0)

    @rule(which=REQUESTS)
    def deliver(self, which: int) -> None:
        if which < len(self.requests) and self.requests[which].outcome["finalRounds"]:
            self._tries(self.requests[which].deliver)

    @rule(which=REQUESTS, cut=st.integers(0, 6))
    def collect(self, which: int, cut: int) -> None:
        if which < len(self.requests):
            r = self.requests[which]
            end = self.collected.get(r.id, len(r.entries))
            if cut <= end and self._tries(lambda: r.collect(cut, end)):
                self.collected[r.id] = cut

    @rule(which=REQUESTS, accepts=st.booleans())
    def settle(self, which: int, accepts: bool) -> None:
        if which < len(self.requests):
            r = self.requests[which]
            entries = r.entries[: self.collected.get(r.id, len(r.entries))]
            sender = r.requester if accepts else r.stranger
            self._tries(lambda: r.settle(entries, sender=sender))

    @rule(which=REQUESTS, indices=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    def pay(self, which: int, indices: list[int]) -> None:
        if which < len(self.requests):
            self._tries(lambda: self.requests[which].pay(*indices))

    @rule(token=st.booleans())
    def withdraw(self, token: bool) -> None:
        if self.requests:
            name = self.money.address if token else ETHER
            owed = self.requests[0].balance(self.hostile.address, name)
            args = (name, address_of(self.accounts[20]))
            call = lambda: self.requests[0].send(self.hostile.address, "withdraw", *args)  # noqa: E731
            if self._tries(call):
                self.held[name] -= owed

    @rule(way=st.sampled_from([TAKE, REFUSE, REFUSE]))
    def turn_hostile(self, way: int) -> None:
        self.chain.send(self.accounts[0], self.hostile.functions.behave(way))
        listed = self.money.functions.list(self.hostile.address, way == REFUSE)
        self.chain.send(self.accounts[0], listed)

    @rule(seconds=st.sampled_from([1, WINDOW + 1]))
    def wait(self, seconds: int) -> None:
        self.chain.travel(seconds)

    @rule(wei=st.integers(1, 10**6))
    def force(self, wei: int) -> None:
        market = self.contracts.market.address
        self.chain.fund(market, self.chain.balance(market) + wei)
        self.forced += wei

    @invariant()
    def money_in_is_money_out_and_what_is_held(self) -> None:
        assert self._holding(ETHER) == self.held[ETHER] + self.forced
        assert self._holding(self.money.address) == self.held[self.money.address]

    @invariant()
    def nothing_is_owed_that_is_not_held(self) -> None:
        for token, held in self.held.items():
            own = [r for r in self.requests if r.terms["token"] == token]
            owed = sum(r.terms["pay"] for r in own if r.status != SETTLED)
            owed += sum(self._unpaid(r) for r in own)
            if self.requests:
                accounts = [self.hostile, self.requests[0].requester, *self.accounts[2:4]]
                owed += sum(
                    self.requests[0].balance(account.address, token) for account in accounts
                )
            assert owed <= held

    def _tries(self, call: Any) -> bool:
        """Whether the contract took the call; counts what it paid out."""
        try:
            receipt = call()
        except Reverted:
            return False
        for paid in events(self.contracts.market, "Paid", receipt):
            if not paid["credited"]:
                self.held[paid["token"]] -= paid["amount"]
        return True

    def _holding(self, token: str) -> int:
        market = self.contracts.market.address
        if token == ETHER:
            return self.chain.balance(market)
        return int(self.money.functions.balanceOf(market).call())

    def _unpaid(self, r: Request) -> int:
        indices = range(3 if len(r.members) > 16 else 0)
        return sum(r.on.market.functions.unpaid(r.id, index).call() for index in indices)

    def _everyone_takes_what_is_theirs(self) -> None:
        self.turn_hostile(TAKE)
        for which, r in enumerate(self.requests):
            if not r.outcome.get("ended"):
                r.end(entry([5_000, 3_000, 1_000]))
            self.deliver(which)
            if r.status == OPEN:
                self.chain.travel(WINDOW + 1)
            self.settle(which, True)
            self.nothing_is_owed_that_is_not_held()
            assert r.status == SETTLED
            for index in range(3):
                self.pay(which, [index])
        self.withdraw(True)
        self.withdraw(False)
        assert all(0 <= held <= 3 * len(self.requests) for held in self.held.values())


@pytest.fixture
def machine(chain: Chain, contracts: Contracts, accounts: Any, token: Any) -> type[Money]:
    Money.chain, Money.contracts, Money.accounts = chain, contracts, accounts
    Money.money = token("ListingToken")
    Money.hostile = chain.deploy("HostilePayee", accounts[0])
    chain.fund(Money.hostile.address)
    return Money


@pytest.mark.parametrize(
    ("lives", "steps"),
    [(5, 20), pytest.param(200, 50, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])],
)
def test_the_markets_money_is_all_accounted_for(
    machine: type[Money], lives: int, steps: int
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
