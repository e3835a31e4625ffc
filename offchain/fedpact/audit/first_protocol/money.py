"""Checks of payments, refund, conservation and reputation, to the wei and the last digit."""

from functools import cached_property
from typing import TYPE_CHECKING

from fedpact.audit.first_protocol.evidence import Evidence
from fedpact.audit.first_protocol.payment import (
    FAULT_LOSS,
    outcome_weight,
    relative_quality,
    shares,
)
from fedpact.audit.report import Unavailable, require
from fedpact.chain.bindings.first_protocol.structs import DELIVERY_WINDOWS, RequestStatus
from fedpact.consensus.payout import pool
from fedpact.consensus.reputation import Sums, added, score
from fedpact.types.requests import seats_of

if TYPE_CHECKING:
    from fedpact.audit.first_protocol.chain import ChainFacts

UNPAID_WEIGHT = 1
"""Weight of faults in a request that paid nobody (SharingMarket, `_settle`)."""


class MoneyChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(self, evidence: Evidence, facts: "ChainFacts") -> None:
        self._e = evidence
        self._facts = facts

    def payments(self) -> str:
        """Each claim is the seat's share of the pool by points; the others are still there."""
        due = self._shares
        for seat, amount in self._e.claims.items():
            require(amount == due[seat], f"seat {seat} was paid {amount} wei, {due[seat]} are due")
        for seat, amount in enumerate(due):
            if seat in self._e.claims:
                continue
            offered = self._facts.claimable(seat)
            require(offered == amount, f"seat {seat} is offered {offered} wei, {amount} are due")
        return f"{sum(self._e.claims.values())} of {sum(due)} wei claimed"

    def refund(self) -> str:
        """The requester gets back what the providers did not earn, once."""
        due = self._e.payment - self._pool
        if not self._decided:
            require(not self._e.refunds, "something was refunded before anything was decided")
            raise Unavailable("not decided yet")
        if self._e.refunds:
            require(self._e.refunds == [due], f"{self._e.refunds} wei refunded, {due} are due")
            return f"{due} wei refunded"
        offered = self._facts.refundable
        require(offered == due, f"{offered} wei are offered, {due} are due")
        return f"{due} wei due"

    def conservation(self) -> str:
        """Payment = claims + refund + what is still due + rounding; the market holds the rest."""
        claimed, refunded = sum(self._e.claims.values()), sum(self._e.refunds)
        kept = self._e.payment - claimed - refunded
        require(kept >= 0, f"{-kept} wei more went out than came in")
        unclaimed = sum(
            amount for seat, amount in enumerate(self._shares) if seat not in self._e.claims
        )
        unrefunded = 0 if self._e.refunds else self._e.payment - self._pool
        rounding = self._pool - sum(self._shares)
        require(
            kept == unclaimed + unrefunded + rounding,
            f"{kept} wei left: {unclaimed} unclaimed, {unrefunded} to refund, {rounding} rounding",
        )
        held, rest = self._facts.market_balance, self._e.paid_in - self._e.paid_out
        require(held >= rest, f"the market holds {held} wei of {rest}")
        return f"{self._e.payment} = {claimed} + {refunded} + {kept} wei"

    def reputation(self) -> str:
        """The outcomes recorded follow from points and faults; scores follow from outcomes."""
        if self._e.settled is None:
            raise Unavailable("not settled yet")
        recorded = {
            one.account: (one.weight, one.quality, one.losses, one.ended_at)
            for one in self._e.outcomes
            if one.tx_hash == self._e.settled_tx
        }
        due = self._outcomes()
        require(recorded == due, f"{recorded} were recorded, {due} follow from the points")
        now = self._facts.frame.timestamp
        for account, _ in self._e.seats.values():
            sums = Sums()
            for one in self._e.outcomes:
                if one.account == account and one.weight:
                    at = self._facts.timestamp(one.block)
                    outcome = (one.weight, one.quality, one.losses, one.ended_at)
                    sums = added(sums, *outcome, at)
            stored, computed = self._facts.reputation(account), score(sums, now)
            require(stored == computed, f"{account}: {stored} in the registry, {computed} computed")
        return f"{len(due)} outcomes"

    @cached_property
    def _pool(self) -> int:
        if self._facts.record.status is not RequestStatus.DELIVERED:
            return 0
        state = self._facts.state
        return pool(
            self._e.payment,
            reached=state.reached,
            paid_rounds=state.paid_rounds,
            max_rounds=self._e.terms.max_rounds,
        )

    @cached_property
    def _shares(self) -> list[int]:
        return shares(self._pool, self._facts.points)

    @property
    def _decided(self) -> bool:
        status, state = self._facts.record.status, self._facts.state
        if status in (RequestStatus.DELIVERED, RequestStatus.CANCELLED):
            return True
        if status is not RequestStatus.ENDED:
            return False
        deadline = state.ended_at + DELIVERY_WINDOWS * self._e.terms.deliver_window
        return state.final_rounds == 0 or self._facts.frame.timestamp > deadline

    def _outcomes(self) -> dict[str, tuple[int, int, int, int]]:
        """Weight, quality, losses and end by account, as settling should have recorded them."""
        points, faults = self._facts.points, self._facts.faults
        took = seats_of(self._facts.state.ever)
        paid = self._pool > 0
        weight = outcome_weight(
            self._pool if paid else self._e.payment, self._facts.reputation_unit
        )
        if weight == 0:
            return {}
        ended_at = self._facts.state.ended_at
        due = {}
        for seat in took:
            if not paid and faults[seat] == 0:
                continue
            quality = relative_quality(points[seat], len(took), sum(points)) if paid else 0
            due[self._e.seats[seat][0]] = (
                weight if paid else UNPAID_WEIGHT,
                quality,
                FAULT_LOSS * faults[seat],
                ended_at,
            )
        return due
