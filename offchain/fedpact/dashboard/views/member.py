"""What one member did and earned in a request, part by part: every sum beside what it adds up."""

from __future__ import annotations

from fedpact.dashboard.views.blocks import SentRow, View
from fedpact.dashboard.views.money import Flow, MemberRow
from fedpact.dashboard.views.request import RequestPage
from fedpact.dashboard.views.rounds import SeatRow
from fedpact.errors import InvalidInput


class MemberRound(View):
    """The member's seat in one round that it was drawn for."""

    round: int
    state: str
    """under way, final, failed or void start."""
    points: int | None
    """None while the round is under way."""
    all_points: int | None
    """Of all seats."""
    seat: SeatRow
    credit_transaction: str
    final_transaction: str
    tally_transaction: str


class MemberView(View):
    """All that a member's page in a request shows."""

    request: int
    title: str
    token: str
    """Of the pay."""
    settled: bool
    member: MemberRow
    all_points: int
    """Of all members."""
    rounds: tuple[MemberRound, ...]
    payments: tuple[Flow, ...]
    sent: tuple[SentRow, ...]
    """About the request."""


def member_view(of: RequestPage, account: str) -> MemberView:
    """Raises InvalidInput for an account that is no member."""
    found = next((one for one in of.members if one.account == account), None)
    if found is None:
        raise InvalidInput(f"{account} is no member of request {of.summary.request}")
    sent = {one.transaction: one for one in of.timeline if one.account == account}
    return MemberView(
        request=of.summary.request,
        title=of.summary.title,
        token=of.money.token,
        settled=of.money.settled,
        member=found,
        all_points=sum(one.points for one in of.members),
        rounds=_rounds(of, account),
        payments=tuple(one for one in of.money.sent if one.account == account),
        sent=tuple(
            SentRow(time=one.time, action=one.action, gas=one.gas, fee=one.fee, transaction=named)
            for named, one in sent.items()
        ),
    )


def _rounds(of: RequestPage, account: str) -> tuple[MemberRound, ...]:
    return tuple(
        MemberRound(
            round=one.round,
            state=one.state,
            points=seat.points,
            all_points=None
            if seat.points is None
            else sum(other.points or 0 for other in one.seats),
            seat=seat,
            credit_transaction=one.credit_transaction,
            final_transaction=one.final_transaction,
            tally_transaction=one.tally_transaction,
        )
        for one in of.rounds
        for seat in one.seats
        if seat.account == account
    )
