"""A participant: who it is, what became of its requests, what it earned, its reputation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fedpact.chain.bindings.events import Paid
from fedpact.chain.records import Event
from fedpact.dashboard.index.reading import Transaction
from fedpact.dashboard.index.summary import RequestSummary
from fedpact.dashboard.units import WEI_PER_ETHER, Wei
from fedpact.dashboard.views.blocks import Chart, Fact, Series, View
from fedpact.types.participants import Participant
from fedpact.types.requests import ETHER


class OutcomeRow(View):
    """What one request did to a reputation."""

    time: int
    role: str
    """provider or requester."""
    quality: int
    """1/10,000; 5,000: just the fair share."""
    losses: int
    weight: int
    transaction: str


class PaymentRow(View):
    """One payment of a market."""

    time: int
    request: int
    token: str
    amount: Wei
    credited: bool
    """Kept for withdrawal, since the account did not take it."""
    returned: bool
    """Of a request that the account itself made: what was left of its own money."""
    transaction: str


class ParticipantView(View):
    """All that a participant's page shows."""

    account: str
    status: str
    """none, active or suspended."""
    reputation: int
    """As a provider, 1/10,000."""
    requester_reputation: int
    facts: tuple[Fact, ...]
    requests: tuple[RequestSummary, ...]
    outcomes: tuple[OutcomeRow, ...]
    payments: tuple[PaymentRow, ...]
    earned: Wei
    """In ether, refunds of gas included; without what was returned."""
    gas: int
    gas_fee: Wei
    history: Chart


@dataclass(frozen=True)
class ParticipantSources:
    """What a participant's view is made from."""

    participant: Participant
    requester_reputation: int
    events: list[Event]
    """All that name the account, oldest first."""
    payments: list[Paid]
    transactions: list[Transaction]
    """That the account sent to these contracts."""
    requests: tuple[RequestSummary, ...]
    scores: list[tuple[int, int]]
    """Time and reputation, as of each request that it joined; oldest first."""
    now: int


def participant_view(of: ParticipantSources) -> ParticipantView:
    who = of.participant
    made = {one.request for one in of.requests if one.requester == who.account}
    payments = tuple(
        PaymentRow(
            time=one.at.timestamp or 0,
            request=one.request,
            token=one.token,
            amount=one.amount,
            credited=one.credited,
            returned=one.request in made,
            transaction=one.at.tx_hash,
        )
        for one in of.payments
    )
    return ParticipantView(
        account=who.account,
        status=who.status.name.lower(),
        reputation=who.reputation,
        requester_reputation=of.requester_reputation,
        facts=_facts(of),
        requests=of.requests,
        outcomes=_outcomes(of.events, who.account),
        payments=payments,
        earned=sum(one.amount for one in payments if one.token == ETHER and not one.returned),
        gas=sum(one.gas for one in of.transactions),
        gas_fee=sum(one.fee for one in of.transactions),
        history=_history(of),
    )


def _facts(of: ParticipantSources) -> tuple[Fact, ...]:
    who = of.participant
    registered = next((one.tx_hash for one in of.events if one.name == "Registered"), "")
    key = next(
        (
            o.tx_hash
            for o in reversed(of.events)
            if o.name in ("EncryptionKeyChanged", "Registered")
        ),
        "",
    )
    found = [
        Fact(name="Organisation", value=str(who.organisation), transaction=registered),
        Fact(name="Registered", value=_day(who.registered_at), transaction=registered),
        Fact(name="Encryption key", value=who.encryption_key.hex(), transaction=key),
        Fact(
            name="Attributes",
            value="vouched for by the registrar" if who.attested else "not vouched for",
        ),
    ]
    if who.suspended_from:
        found.append(Fact(name="Suspended from", value=_day(who.suspended_from)))
    return tuple(found)


def _outcomes(events: list[Event], account: str) -> tuple[OutcomeRow, ...]:
    rows = []
    for event in events:
        if event.name not in ("ProvidersRecorded", "RequesterRecorded"):
            continue
        listed = event.args.get("outcomes") or [event.args["outcome"]]
        for outcome in listed:
            if outcome["account"] == account:
                rows.append(
                    OutcomeRow(
                        time=event.timestamp or 0,
                        role="provider" if event.name == "ProvidersRecorded" else "requester",
                        quality=outcome["quality"],
                        losses=outcome["losses"],
                        weight=event.args["weight"],
                        transaction=event.tx_hash,
                    )
                )
    return tuple(rows)


def _history(of: ParticipantSources) -> Chart:
    points = [*of.scores, (of.now, of.participant.reputation)]
    first, last = points[0][1], points[-1][1]
    summary = f"{last} of 10,000 now."
    if len(points) > 1 and first != last:
        summary = f"{first} of 10,000 when it first joined a request, {last} now."
    return Chart(
        kind="line",
        title="Reputation as a provider",
        summary=summary,
        x="joined a request",
        y="of 10,000",
        labels=(*(_minute(time) for time, _ in of.scores), "now"),
        series=(Series(name="reputation", values=tuple(float(one) for _, one in points)),),
        ceiling=10_000,
    )


def earnings_chart(view: ParticipantView) -> Chart:
    """Ether earned, request by request."""
    by_request: dict[int, int] = {}
    for one in view.payments:
        if one.token == ETHER and not one.returned:
            by_request[one.request] = by_request.get(one.request, 0) + one.amount
    shown = list(by_request.items())[-30:]
    return Chart(
        kind="bar",
        title="Earned by request",
        summary=f"Requests that have paid this account: {len(by_request)}.",
        x="request",
        y="ether",
        labels=tuple(str(request) for request, _ in shown),
        series=(Series(name="ether", values=tuple(a / WEI_PER_ETHER for _, a in shown)),),
    )


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _minute(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%m-%d %H:%M")
