"""What the market must do with a request's money, and the accounts around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fedpact.consensus import payment as pay
from fedpact.consensus.reputation import Sums, record, score
from fedpact.types.rounds import RequestStatus, Stage
from tests.contracts.stateful.round_model import Refused, RoundModel, Seat, allow

MAX_SAMPLES = 10_000_000
SEALED_KEY_BYTES = 80


@dataclass
class Party:
    """An account: its registration, organisation, reputation and balance."""

    address: str
    organisation: int = 0
    active: bool = False
    sums: Sums = field(default_factory=Sums)
    wei: int = 0


@dataclass
class World:
    """All accounts, and what the market must hold."""

    parties: list[Party]
    unit: int
    """Payment that gives an outcome weight 1, wei."""
    held: int = 0
    forced: int = 0
    """Wei that was forced in without a call."""

    def of(self, address: str) -> Party:
        return next(party for party in self.parties if party.address == address)

    def is_active(self, address: str) -> bool:
        return self.of(address).active

    def pay(self, address: str, amount: int) -> None:
        self.held -= amount
        self.of(address).wei += amount


@dataclass
class RequestModel:
    """One request: who may do what and when, and who gets how much."""

    world: World
    rounds: RoundModel
    terms: dict[str, Any]
    requester: Party
    payment: int
    join_deadline: int
    status: RequestStatus = RequestStatus.OPEN
    closed_at: int = 0
    claimed: dict[int, int] = field(default_factory=dict)
    """Wei by seat."""
    refunded: int | None = None
    settled: bool = False

    # -- what follows from the facts -------------------------------------------------------------

    @property
    def shown(self) -> RequestStatus:
        if self.status is RequestStatus.RUNNING and self.rounds.phase is Stage.ENDED:
            return RequestStatus.ENDED
        return self.status

    @property
    def pool(self) -> int:
        if self.status is not RequestStatus.DELIVERED:
            return 0
        return pay.pool(
            self.payment,
            reached=self.rounds.reached,
            paid_rounds=self.rounds.paid_rounds,
            max_rounds=self.terms["maxRounds"],
        )

    @property
    def shares(self) -> list[int]:
        return pay.shares(self.pool, self.rounds.points)

    @property
    def deliver_deadline(self) -> int:
        return self.rounds.start + 2 * int(self.terms["deliverWindow"])

    def decided(self, now: int) -> bool:
        """Whether it is final who gets what."""
        if self.shown is RequestStatus.ENDED:
            return self.rounds.final_rounds == 0 or now > self.deliver_deadline
        return self.shown in (RequestStatus.DELIVERED, RequestStatus.CANCELLED)

    def claimable(self, seat: int) -> int:
        return 0 if seat in self.claimed else self.shares[seat]

    def refundable(self, now: int) -> int:
        return self.payment - self.pool if self.decided(now) and self.refunded is None else 0

    def start_deadline(self, turns: int) -> int:
        return (self.closed_at or self.join_deadline) + turns * int(self.terms["startWindow"])

    # -- committee -------------------------------------------------------------------------------

    def _open(self) -> None:
        allow(self.status is RequestStatus.OPEN, "not open")

    def join(self, now: int, party: Party, samples: int) -> None:
        self._open()
        allow(now <= self.join_deadline, "late")
        allow(not self.closed_at, "full")
        allow(0 < samples <= MAX_SAMPLES, "absurd number of samples")
        allow(party.active, "not active")
        allow(party.organisation != self.requester.organisation, "the requester's organisation")
        reputation = score(party.sums, now)
        self.rounds.enlist(Seat(party.address, samples, party.organisation, reputation))
        if len(self.rounds.members) == self.terms["maxProviders"]:
            self.closed_at = now

    def withdraw(self, now: int, seat: int, party: Party) -> None:
        allow(self.status in (RequestStatus.OPEN, RequestStatus.RUNNING), "over")
        self.rounds.unseat(now, seat, party.address)
        if self.status is RequestStatus.OPEN:
            self.closed_at = 0

    def start(self, now: int, seat: int, party: Party, manifest: bytes, key_hash: bytes) -> None:
        self._open()
        members = self.rounds.members
        allow(seat in members, "no such seat")
        if not self.closed_at:
            allow(now > self.join_deadline, "others may join")
            allow(len(members) >= self.terms["minProviders"], "too few")
        rank = len([other for other in members if other < seat])
        allow(now >= self.start_deadline(rank), "not its turn")
        allow(now <= self.start_deadline(len(members)), "too late")
        self.rounds.open(now, seat, party.address, manifest, key_hash)
        self.status = RequestStatus.RUNNING

    def cancel(self, now: int, party: Party) -> None:
        allow(party is self.requester, "not the requester")
        if self.status is RequestStatus.OPEN:
            self.status = RequestStatus.CANCELLED
        else:
            allow(self.status is RequestStatus.RUNNING, "over")
            self.rounds.halt(now)

    def expire(self, now: int) -> None:
        self._open()
        joined = len(self.rounds.members)
        closed = self.closed_at or now > self.join_deadline
        allow(bool(closed), "others may join")
        if joined >= self.terms["minProviders"]:
            allow(now > self.start_deadline(joined), "somebody may start")
        self.status = RequestStatus.CANCELLED

    # -- delivery and money ----------------------------------------------------------------------

    def deliver(self, now: int, seat: int, party: Party, sealed: bytes) -> None:
        first = self.shown is RequestStatus.ENDED
        allow(first or self.shown is RequestStatus.DELIVERED, "not over")
        allow(self.rounds.final_rounds > 0, "nothing to deliver")
        self.rounds.require_seat(seat, party.address)
        allow(len(sealed) == SEALED_KEY_BYTES, "no seal")
        if first:
            allow(now <= self.deliver_deadline, "too late")
            opens = self.rounds.start + self.terms["deliverWindow"]
            allow(seat == self.rounds.last_leader or now >= opens, "the leader's turn")
        self.status = RequestStatus.DELIVERED
        self._settle_once(now)

    def claim(self, now: int, seat: int, party: Party) -> None:
        allow(self.status is RequestStatus.DELIVERED, "not delivered")
        self.rounds.require_seat(seat, party.address)
        amount = self.claimable(seat)
        allow(amount > 0, "nothing to claim")
        self.claimed[seat] = amount
        self.world.pay(party.address, amount)

    def refund(self, now: int, party: Party) -> None:
        allow(party is self.requester, "not the requester")
        amount = self.refundable(now)
        allow(amount > 0, "nothing to refund")
        if self.status is not RequestStatus.CANCELLED:
            self._settle_once(now)
        self.refunded = amount
        self.world.pay(party.address, amount)

    def settle(self, now: int) -> None:
        allow(self.shown in (RequestStatus.ENDED, RequestStatus.DELIVERED), "not over")
        allow(self.decided(now), "delivery may come")
        allow(not self.settled, "twice")
        self._settle_once(now)

    def _settle_once(self, now: int) -> None:
        """Reputations change once a request: by relative quality if paid, else by faults."""
        if self.settled:
            return
        self.settled = True
        weight = pay.outcome_weight(self.pool or self.payment, self.world.unit)
        if weight and not self.pool:
            weight = 1
        points, faults = self.rounds.points, self.rounds.faults
        for seat in self.rounds.ever:
            if not self.pool and not faults[seat]:
                continue
            quality = pay.relative_quality(points[seat], len(self.rounds.ever), sum(points))
            party = self.world.of(self.rounds.seat_at(seat).account)
            party.sums = record(
                *(party.sums, weight, quality if self.pool else 0, pay.loss(faults[seat])),
                *(self.rounds.start, now),
            )


__all__ = ["Party", "Refused", "RequestModel", "World"]
