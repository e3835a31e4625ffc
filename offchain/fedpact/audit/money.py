"""Checks of the settlement: pay, refunds and gas to the wei, reputations to the last digit."""

from collections import Counter
from enum import Enum
from functools import cached_property
from itertools import accumulate

from fedpact.audit.chain import Facts, require_asked
from fedpact.audit.pool import PoolChecks
from fedpact.audit.report import Unavailable, counted, require
from fedpact.audit.reputation import LedgerReplay, RecordedOutcome
from fedpact.audit.request_events import Evidence
from fedpact.chain.abi import MARKET
from fedpact.chain.addresses import checksum
from fedpact.chain.bindings.events import Settled
from fedpact.consensus.payout import (
    LOSS_PER_FAULT,
    MemberSum,
    fold,
    payouts,
    pool,
    refunds_of,
    sums_of,
)
from fedpact.types.requests import ETHER, Earned
from fedpact.types.scores import MAX_SCORE, MAX_SEATS


class PayVerdict(Enum):
    """How a request's members are paid and recorded (SharingMarketStore.sol)."""

    UNPAID = 0
    PAID = 1
    GUILTY = 2


class MoneyChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(
        self, evidence: Evidence, facts: Facts, pool_: PoolChecks, ledger: LedgerReplay
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._pool = pool_
        self._ledger = ledger

    # ------------------------------------------------------------------ items

    def settlement(self) -> str:
        """It was settled once that was decided, or the requester accepted; pool, points and what
        goes back follow from what the rounds earned."""
        settled = self._settled()
        due = (self._whole, self._points, self._e.terms.pay - self._whole, self._gas_left)
        told = (settled.pool, settled.points, settled.refund, settled.gas_refund)
        require(told == due, f"pool, points, refund and gas are {told}, {due} computed")
        at, opens = self._facts.timestamp(settled.at.block), self._decided_at()
        if at > opens:
            return f"{self._verdict.name.lower()}: {self._whole} of {self._e.terms.pay}"
        requester = self._e.requester
        asked = require_asked(self._facts.asked(settled.at, MARKET, "settle"), settled.at, "settle")
        accepted = asked.sender == requester or self._facts.accepted_by(
            requester, bytes(asked.args[3]), settled.at
        )
        require(accepted, f"settled at {at}, before {opens}, and the requester had not accepted")
        return f"accepted by the requester: {self._whole} of {self._e.terms.pay}"

    def payments(self) -> str:
        """Each member was paid its share of the pool by points, or is offered it."""
        self._settled()
        paid = 0
        for index, member in enumerate(self._pool.roster.members):
            share = self._shares.get(index, 0)
            found = self._paid_to(member.account) - self._gas_of(member.account)
            left = self._unpaid.get(index, 0)
            require(
                found + left == share and (found == 0 or left == 0),
                f"{member.account} was paid {found} and is offered {left}; {share} are due",
            )
            paid += found
        return f"{paid} of {sum(self._shares.values())} paid"

    def refund(self) -> str:
        """The requester got back what the members did not earn, and the gas that was not used."""
        self._settled()
        requester, terms = self._e.requester, self._e.terms
        due = terms.pay - self._whole
        gas = self._gas_left + self._gas.get(requester, 0)
        found = self._sum(requester, terms.token)
        if terms.token == ETHER:
            require(found == due + gas, f"{found} wei went back, {due} + {gas} are due")
        else:
            wei = self._sum(requester, ETHER)
            require(
                (found, wei) == (due, gas), f"{found} and {wei} wei went back, {due}, {gas} due"
            )
        return f"{due} of the pay, {self._gas_left} wei of gas"

    def posters(self) -> str:
        """Gas was refunded as the entries say, within the budget; nobody else was paid."""
        members = {one.account for one in self._pool.roster.members}
        for account, wei in self._gas.items():
            if account in members or account == self._e.requester:
                continue
            found = self._sum(account, ETHER)
            require(found == wei, f"{account} was refunded {found} wei of gas, {wei} are due")
        known = members | set(self._gas) | {self._e.requester}
        strangers = sorted({one.account for one in self._e.paid} - known)
        require(not strangers, f"paid, and neither member nor poster: {', '.join(strangers)}")
        return f"{sum(self._gas.values())} of {self._e.terms.gas_budget} wei"

    def conservation(self) -> str:
        """What came in for the request went out or is due, but for rounding; the market holds what
        it owes in all requests."""
        terms = self._e.terms
        tokens = sorted({terms.token, ETHER})
        for token in tokens:
            held = self._facts.held(token)
            rest = sum(one.amount for one in self._e.moved if one.token == token)
            require(held >= rest, f"the market holds {held} of {rest} in the token {token}")
        if self._e.settled is None:
            return f"{terms.value} wei in escrow"
        return ", ".join(self._conserved(token) for token in tokens)

    def _conserved(self, token: str) -> str:
        """Of one token, once the request is settled."""
        terms = self._e.terms
        escrow = terms.gas_budget if token == ETHER else 0
        open_ = rounding = 0
        if token == terms.token:
            escrow += terms.pay
            open_ = sum(self._unpaid.values())
            rounding = self._whole - sum(self._shares.values())
        out = sum(one.amount for one in self._e.paid if one.token == token)
        require(
            escrow == out + open_ + rounding,
            f"{escrow} came in; {out} went out, {open_} are due, {rounding} are rounding",
        )
        return f"{escrow} = {out} + {open_} + {rounding}"

    def reputation(self) -> str:
        """What was recorded of each member follows from its points and faults; the ledger's scores
        follow from what was recorded."""
        settled = self._settled()
        calls = {settled.at.tx_hash, *(one.at.tx_hash for one in self._e.paid)}
        recorded = {one.account: one for one in self._ledger.outcomes(calls)}
        due = self._outcomes(self._weight(settled))
        if len(self._pool.roster.members) > MAX_SEATS:
            due = {account: one for account, one in due.items() if account in recorded}
        require(recorded == due, f"{_shown(recorded)} recorded, {_shown(due)} computed")
        now, timestamp = self._facts.frame.timestamp, self._facts.timestamp
        for member in self._pool.roster.members:
            stored = self._facts.reputation(member.account)
            computed = self._ledger.provider_score_now(member.account, timestamp, now)
            require(
                stored == computed,
                f"{member.account}: {stored} in the ledger, {computed} computed",
            )
        return counted(len(due), "outcome")

    def requester_reputation(self) -> str:
        """What was recorded of the requester follows from what it paid, and its score from that."""
        settled = self._settled()
        recorded = self._ledger.outcomes({settled.at.tx_hash}, requester=True)
        due = self._own_outcome(self._weight(settled))
        require(recorded == due, f"{recorded} recorded, {due} computed")
        requester, now = self._e.requester, self._facts.frame.timestamp
        stored = self._facts.requester_reputation(requester)
        computed = self._ledger.requester_score_now(requester, self._facts.timestamp, now)
        require(stored == computed, f"{stored} in the ledger, {computed} computed")
        return f"{stored}"

    # ------------------------------------------------------------------ what is due

    @cached_property
    def _entries(self) -> list[Earned]:
        return self._e.earned

    @cached_property
    def _sums(self) -> dict[int, MemberSum]:
        return sums_of(self._entries)

    @cached_property
    def _points(self) -> int:
        return sum(one.points for one in self._sums.values())

    @cached_property
    def _paid_rounds(self) -> int:
        return sum(entry.paid for entry in self._entries)

    @property
    def _halted(self) -> bool:
        return self._e.halted is not None

    @cached_property
    def _verdict(self) -> PayVerdict:
        if self._e.disputed is not None:
            return PayVerdict.GUILTY
        if self._e.delivered is not None:
            return PayVerdict.PAID
        final = any(any(entry.digest) for entry in self._entries)
        cancelled = not final and self._halted and self._paid_rounds > 0
        return PayVerdict.PAID if cancelled else PayVerdict.UNPAID

    @cached_property
    def _whole(self) -> int:
        """What the members share."""
        if self._verdict is not PayVerdict.PAID or not self._points:
            return 0
        reached, terms = self._facts.outcome.reached, self._e.terms
        return pool(
            terms.pay,
            reached=reached,
            paid_rounds=self._paid_rounds,
            max_rounds=terms.max_rounds,
        )

    @cached_property
    def _shares(self) -> dict[int, int]:
        return payouts(
            self._entries,
            self._e.terms.pay,
            due=self._verdict is PayVerdict.PAID,
            reached=self._facts.outcome.reached,
            max_rounds=self._e.terms.max_rounds,
        )

    @cached_property
    def _unpaid(self) -> dict[int, int]:
        """What each member is still offered, in pools that are too large to be paid at once."""
        count = len(self._pool.roster.members)
        return {index: self._facts.unpaid(index) for index in range(count) if count > MAX_SEATS}

    @cached_property
    def _gas(self) -> dict[str, int]:
        """Refunds by poster: of the parts that were collected, from the end of the list on, and of
        the rest if it is settled."""
        hashes = [
            *accumulate(self._entries, lambda head, one: fold([one], head), initial=bytes(32))
        ]
        end, budget = len(self._entries), self._e.terms.gas_budget
        found: Counter[str] = Counter()
        parts = []
        for event in self._e.collected:
            require(event.cursor in hashes, "a part was collected that is not in the list")
            begin = hashes.index(event.cursor)
            parts.append(self._entries[begin:end])
            end = begin
        if self._e.settled is not None:
            parts.append(self._entries[:end])
        for part in parts:
            refunds = refunds_of(part, budget)
            budget -= sum(refunds.values())
            found.update({checksum(poster): wei for poster, wei in refunds.items() if wei})
        return dict(found)

    @property
    def _gas_left(self) -> int:
        return self._e.terms.gas_budget - sum(self._gas.values())

    def _decided_at(self) -> int:
        """The last second before anyone may settle."""
        if self._e.disputed is not None:
            return 0
        if self._e.delivered is not None:
            at = self._facts.timestamp(self._e.delivered.at.block)
            return at + self._e.terms.dispute_window
        outcome = self._facts.outcome
        if outcome.final_rounds == 0:
            return 0
        return outcome.ended_at + self._e.terms.deliver_window

    # ------------------------------------------------------------------ reputations

    def _weight(self, settled: Settled) -> int:
        paid = self._verdict is PayVerdict.PAID and self._points > 0
        amount = self._whole if paid else self._e.terms.pay
        timestamp = self._facts.timestamp
        at = timestamp(settled.at.block)
        return self._ledger.weight_of(self._e.terms.token, amount, at, timestamp)

    def _outcomes(self, weight: int) -> dict[str, RecordedOutcome]:
        """By account."""
        found = {}
        if weight == 0:
            return {}
        ended = self._facts.outcome.ended_at
        for index, own in self._sums.items():
            if own == MemberSum():
                continue
            members = self._pool.roster.members
            require(index < len(members), f"an entry names member {index} of {len(members)}")
            account = members[index].account
            if self._verdict is PayVerdict.PAID:
                found[account] = RecordedOutcome(account, weight, own.quality, 0, ended)
            elif self._verdict is PayVerdict.GUILTY and own.points:
                found[account] = RecordedOutcome(account, weight, 0, 0, ended)
            elif self._verdict is PayVerdict.UNPAID and own.losses:
                found[account] = RecordedOutcome(account, 0, 0, own.losses, ended)
        return found

    def _own_outcome(self, weight: int) -> list[RecordedOutcome]:
        if weight == 0:
            return []
        requester, ended = self._e.requester, self._facts.outcome.ended_at
        if self._verdict is PayVerdict.PAID:
            if not self._paid_rounds:
                return []  # Final rounds in which nobody earned.
            blind = sum(entry.paid and entry.blind for entry in self._entries)
            quality = MAX_SCORE * (self._paid_rounds - blind) // self._paid_rounds
            quality = quality // 2 if self._halted else quality
            return [RecordedOutcome(requester, weight, quality, 0, ended)]
        alone = not self._pool.roster.members
        if self._verdict is PayVerdict.UNPAID and self._halted and not alone:
            return [RecordedOutcome(requester, 0, 0, LOSS_PER_FAULT, ended)]
        return []

    # ------------------------------------------------------------------ parts

    def _settled(self) -> Settled:
        if self._e.settled is None:
            raise Unavailable("not settled yet")
        return self._e.settled

    def _sum(self, account: str, token: str) -> int:
        return sum(
            one.amount for one in self._e.paid if (one.account, one.token) == (account, token)
        )

    def _paid_to(self, account: str) -> int:
        """In the token of the terms."""
        return self._sum(account, self._e.terms.token)

    def _gas_of(self, account: str) -> int:
        """What of the ether that a member was paid is gas."""
        return self._gas.get(account, 0) if self._e.terms.token == ETHER else 0


def _shown(outcomes: dict[str, RecordedOutcome]) -> str:
    return ", ".join(
        f"{one.account} (weight {one.weight}, quality {one.quality}, losses {one.losses})"
        for one in outcomes.values()
    )
