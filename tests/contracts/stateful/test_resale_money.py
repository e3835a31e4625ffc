"""Random purchases of a finished result: the contract's money, to the wei, against a ledger.

After every step the contract holds what was paid in, less claims and refunds, ether forced upon it
apart; each seat can claim its share of what sealed purchases earned, less what it drew; a purchase
is refunded or earned, never both. In the end all that is owed is drawn, and less than a wei a seat
is left.
"""

from __future__ import annotations

from collections.abc import Iterator
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

from tests.support.chainkit import Chain, Reverted, address_of
from tests.support.scenario import PENDING, REFUNDED, SEALED, WINDOW, Scenario

PRICE = 10**4 + 7
SEATS = range(3)
BUYERS = st.integers(0, 2)


class Purchases(RuleBasedStateMachine):
    """Anybody acts at any time; the contract refuses what the ledger does not allow."""

    s: Scenario
    buyers: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.s.chain.snapshot()
        self.book: dict[int, tuple[int, int]] = {}
        self.earned = self.paid_in = self.paid_out = self.forced = 0
        self.drawn = dict.fromkeys(SEATS, 0)
        self.points = self.s.points

    def teardown(self) -> None:
        self._everyone_takes_what_is_theirs()
        self.s.chain.revert(self.snapshot)
        self.s.chain.next_at(self.s.chain.now + 1)

    @rule(buyer=BUYERS, price=st.sampled_from([PRICE] * 4 + [PRICE - 1, 0]))
    def buy(self, buyer: int, price: int) -> None:
        allowed = price == PRICE and self._status(buyer) not in (PENDING, SEALED)
        call = self.s.resale.functions.buy(self.s.id, self.s.accounts)
        if self._does(allowed, self.buyers[buyer], call, price):
            self.book[buyer] = (PENDING, self.s.chain.now + WINDOW)
            self.paid_in += PRICE

    @rule(buyer=BUYERS, sender=st.integers(0, 3), seat=st.sampled_from([0, 1, 2, 2, 3]))
    def seal(self, buyer: int, sender: int, seat: int) -> None:
        account = self.s.stranger if sender == 3 else self.s.providers[sender]
        status, deadline = self.book.get(buyer, (0, 0))
        in_time = status == SEALED or (status == PENDING and self.s.chain.now + 1 <= deadline)
        buyer_address = address_of(self.buyers[buyer])
        call = self.s.resale.functions.seal(self.s.id, seat, buyer_address, bytes(80))
        if self._does(in_time and sender == seat < 3, account, call) and status == PENDING:
            self.book[buyer] = (SEALED, deadline)
            self.earned += PRICE

    @rule(seat=st.sampled_from(SEATS))
    def claim(self, seat: int) -> None:
        due = self._share(seat) - self.drawn[seat]
        call = self.s.resale.functions.claim(self.s.id, seat)
        if self._does(due > 0, self.s.providers[seat], call):
            self.drawn[seat] += due
            self.paid_out += due

    @rule(buyer=BUYERS)
    def refund(self, buyer: int) -> None:
        status, deadline = self.book.get(buyer, (0, 0))
        allowed = status == PENDING and self.s.chain.now + 1 > deadline
        call = self.s.resale.functions.refund(self.s.id)
        if self._does(allowed, self.buyers[buyer], call):
            self.book[buyer] = (REFUNDED, deadline)
            self.paid_out += PRICE

    @precondition(lambda self: any(status == PENDING for status, _ in self.book.values()))
    @rule(seconds=st.sampled_from([1, WINDOW // 2, WINDOW + 1]))
    def wait(self, seconds: int) -> None:
        self.s.chain.travel(seconds)

    @rule(wei=st.integers(1, 10**6))
    def force(self, wei: int) -> None:
        self.s.chain.fund(self.s.resale.address, self.s.chain.balance(self.s.resale.address) + wei)
        self.forced += wei

    @invariant()
    def money_in_is_money_out_and_what_is_held(self) -> None:
        held = self.s.chain.balance(self.s.resale.address)
        assert held == self.paid_in - self.paid_out + self.forced

    @invariant()
    def the_chain_says_what_the_book_says(self) -> None:
        assert self.s.offered == (PRICE, self.earned)
        for seat in SEATS:
            assert self.s.resale_claimable(seat) == self._share(seat) - self.drawn[seat]
        for buyer, (status, deadline) in self.book.items():
            assert list(self.s.purchase(self.buyers[buyer])) == [status, PRICE, deadline]

    def _does(self, allowed: bool, sender: Any, call: Any, value: int = 0) -> bool:
        """Sends the call one second after the last block; it must succeed exactly if allowed."""
        self.s.chain.next_at(self.s.chain.now + 1)
        try:
            self.s.chain.send(sender, call, value)
        except Reverted:
            assert not allowed
            return False
        assert allowed
        return True

    def _status(self, buyer: int) -> int:
        return self.book.get(buyer, (0, 0))[0]

    def _share(self, seat: int) -> int:
        return self.earned * self.points[seat] // sum(self.points)

    def _everyone_takes_what_is_theirs(self) -> None:
        self.s.chain.travel(WINDOW + 1)
        for buyer in range(len(self.buyers)):
            self.refund(buyer)
        for seat in SEATS:
            self.claim(seat)
        assert 0 <= self.paid_in - self.paid_out < len(SEATS)


@pytest.fixture(scope="module")
def machine(stage: Any, session_chain: Chain, accounts: Any) -> Iterator[type[Purchases]]:
    Purchases.s = stage()
    Purchases.s.on_offer(PRICE)
    Purchases.buyers = accounts[19:22]
    for number, account in enumerate(Purchases.buyers):
        Purchases.s.admit(account, 300 + number)
    return Purchases


@pytest.mark.parametrize(
    ("lives", "steps"),
    [(6, 25), pytest.param(200, 50, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])],
)
def test_the_resale_markets_money_is_all_accounted_for(
    machine: type[Purchases], lives: int, steps: int
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
