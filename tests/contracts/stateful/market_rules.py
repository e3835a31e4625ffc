"""What requester and providers do in the market, at any time."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from fedpact.types.rounds import RequestStatus
from tests.contracts.stateful.draws import ANYONE, NUMBERS, PAYMENTS, PROVIDERS, SEATS, TERMS
from tests.contracts.stateful.life import Life
from tests.contracts.stateful.play import SEALED_KEY


class MarketRules(Life):
    """Requests, committees, delivery, money."""

    @precondition(lambda self: len(self.play.requests) < 3)
    @rule(terms=TERMS, payment=st.one_of(PAYMENTS, st.just(0)), by=ANYONE)
    def create(self, terms: dict[str, Any], payment: int, by: int) -> None:
        self.play.create(self.party(by), payment, **terms)

    @rule(number=NUMBERS, by=ANYONE, samples=st.sampled_from([1, 100, 10**7, 0, 10**9]))
    def join(self, number: int, by: int, samples: int) -> None:
        self.play.join(self.pick(number), self.party(by), samples)

    @rule(number=NUMBERS, joining=st.just(PROVIDERS))
    def crowd_joins(self, number: int, joining: int) -> None:
        m = self.pick(number)
        for party in self.world.parties[1 : joining + 1]:
            if m.status is RequestStatus.OPEN and not m.closed_at:
                self.play.join(m, party, 50 + 37 * party.organisation % 300)

    @rule(number=NUMBERS, seat=SEATS, other=ANYONE)
    def withdraw(self, number: int, seat: int, other: int) -> None:
        m = self.pick(number)
        self.play.withdraw(m, seat, self.holder_or(m, seat, other))

    @precondition(lambda self: any(m.status is RequestStatus.OPEN for m in self.play.requests))
    @rule(seat=st.one_of(st.just(0), SEATS), other=st.one_of(st.just(0), ANYONE))
    def start(self, seat: int, other: int) -> None:
        m = next(m for m in self.play.requests if m.status is RequestStatus.OPEN)
        self.play.start(m, seat, self.holder_or(m, seat, other))

    @rule(number=NUMBERS, by=ANYONE)
    def cancel_or_expire(self, number: int, by: int) -> None:
        m = self.pick(number)
        self.play.expire(m, self.party(by))
        if by > 6:
            self.play.cancel(m, m.requester)
        elif by > 3:
            self.play.cancel(m, self.party(by))

    @precondition(lambda self: self.over())
    @rule(number=NUMBERS, seat=SEATS, other=st.one_of(st.just(0), ANYONE), short=SEATS)
    def deliver(self, number: int, seat: int, other: int, short: int) -> None:
        m = self.over()[number % len(self.over())]
        sealed = bytes(79) if short == 6 else SEALED_KEY
        seat = m.rounds.last_leader if seat > 4 and m.rounds.final_rounds else seat
        self.play.deliver(m, seat, self.holder_or(m, seat, other), sealed)

    @precondition(lambda self: self.over())
    @rule(number=NUMBERS, seat=SEATS, other=ANYONE)
    def take_money(self, number: int, seat: int, other: int) -> None:
        m = self.over()[number % len(self.over())]
        self.play.claim(m, seat, self.holder_or(m, seat, other))
        self.play.refund(m, self.party(other))
        self.play.settle(m, self.party(other))
