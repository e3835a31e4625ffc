"""What one member did and earned in a request, part by part: every sum beside what it adds up."""

from __future__ import annotations

from fedpact.dashboard.views.blocks import SentRow, View
from fedpact.dashboard.views.money import Flow, MemberRow
from fedpact.dashboard.views.request import RequestPage
from fedpact.dashboard.views.rounds import ForcedRow, LargeRoundView, RoundView, SeatRow
from fedpact.errors import InvalidInput


class MemberRound(View):
    """One round that the member took part in: that it was drawn for, or any large one."""

    round: int
    state: str
    """under way, final, failed or void start."""
    points: int | None
    """None while the round is under way."""
    all_points: int | None
    """Of all that took part."""
    role: str
    """seat, judge or trainer; the last two in large rounds."""
    seat: SeatRow | None
    """None of a trainer of a large round: which models it has is not on chain."""
    forced: ForcedRow | None
    """The model that it put into a large round by itself; None: none."""
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
        raise InvalidInput(f"{account} is not a member of request {of.summary.request}")
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
    found = []
    for one in of.rounds:
        seat = next((each for each in one.seats if each.account == account), None)
        if one.large is not None:
            found.append(_large_round(one, one.large, seat, account))
        elif seat is not None:
            whole = None if seat.points is None else sum(each.points or 0 for each in one.seats)
            found.append(_member_round(one, "seat", seat, seat.points, whole))
    return tuple(found)


def _large_round(
    one: RoundView, large: LargeRoundView, seat: SeatRow | None, account: str
) -> MemberRound:
    known = large.points is not None
    points = large.earned.get(account, 0) if known else None
    forced = next((each for each in large.forced if each.account == account), None)
    role = "trainer" if seat is None else "judge"
    return _member_round(one, role, seat, points, large.points, forced)


def _member_round(
    one: RoundView,
    role: str,
    seat: SeatRow | None,
    points: int | None,
    all_points: int | None,
    forced: ForcedRow | None = None,
) -> MemberRound:
    return MemberRound(
        round=one.round,
        state=one.state,
        points=points,
        all_points=all_points,
        role=role,
        seat=seat,
        forced=forced,
        credit_transaction=one.credit_transaction,
        final_transaction=one.final_transaction,
        tally_transaction=one.tally_transaction,
    )
