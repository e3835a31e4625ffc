"""Claims of all accounts at the end of a request."""

from __future__ import annotations

from tests.support.scenario import Scenario


def settle_accounts(s: Scenario) -> tuple[int, list[int]]:
    """Everyone claims. Returns the requester's refund and the wei of each seat.

    Holds on the way that the contract never owes more than it has, and that nobody gets paid twice.
    """
    held = s.chain.balance(s.market.address)
    owed = [s.market.functions.claimable(s.id, seat).call() for seat in range(len(s.providers))]
    back = s.market.functions.refundable(s.id).call()
    assert sum(owed) + back <= s.payment
    paid = []
    for seat, amount in enumerate(owed):
        before = s.chain.balance(s.providers[seat])
        if amount:
            s.claim(seat)
        paid.append(s.chain.balance(s.providers[seat]) - before)
    before = s.chain.balance(s.requester)
    if back:
        s.refund()
    got_back = s.chain.balance(s.requester) - before
    assert (got_back, paid) == (back, owed)
    assert s.chain.balance(s.market.address) == held - got_back - sum(paid)
    assert s.market.functions.refundable(s.id).call() == 0
    return got_back, paid
