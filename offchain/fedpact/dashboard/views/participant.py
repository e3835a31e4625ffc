"""A participant: who it is, what became of its requests, what it earned, its reputation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fedpact.chain.records import Event
from fedpact.consensus.reputation import NEWCOMER, Sums, record, score
from fedpact.dashboard.index.reading import ListedPayment, Transaction
from fedpact.dashboard.index.summary import RequestSummary
from fedpact.dashboard.units import WEI_PER_ETHER, Wei
from fedpact.dashboard.views.blocks import Chart, ChartSeries, Fact, SentRow, View
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
    """One amount that the account earned, or got back from a market."""

    time: int
    request: int
    token: str
    amount: Wei
    credited: bool
    """Kept for withdrawal, since the account did not take it."""
    sale: bool
    """Of the result's sale to others, not of the request."""
    returned: bool
    """Its own money: what was left of its request, or the price of a purchase without a key."""
    transaction: str


class PurchaseRow(View):
    """One result that the account bought."""

    time: int
    request: int
    token: str
    price: Wei
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
    purchases: tuple[PurchaseRow, ...]
    earned: Wei
    """In ether, refunds of gas and sales of results included; without what was returned."""
    gas: int
    gas_fee: Wei
    transactions: tuple[SentRow, ...]
    history: Chart


@dataclass(frozen=True)
class ParticipantSources:
    """What a participant's view is made from."""

    participant: Participant
    requester_reputation: int
    events: list[Event]
    """All that name the account, oldest first."""
    payments: list[ListedPayment]
    transactions: list[tuple[int, Transaction]]
    """Time and transaction that the account sent to these contracts."""
    requests: tuple[RequestSummary, ...]
    """Also those whose result it bought."""
    now: int


def participant_view(of: ParticipantSources) -> ParticipantView:
    who = of.participant
    payments = tuple(
        PaymentRow(
            time=one.time,
            request=one.request,
            token=one.token,
            amount=one.amount,
            credited=one.credited,
            sale=one.sale,
            returned=one.returned,
            transaction=one.transaction,
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
        purchases=_purchases(of),
        earned=sum(one.amount for one in payments if one.token == ETHER and not one.returned),
        gas=sum(one.gas for _, one in of.transactions),
        gas_fee=sum(one.fee for _, one in of.transactions),
        transactions=tuple(
            SentRow(time=at, action=one.action, gas=one.gas, fee=one.fee, transaction=one.hash)
            for at, one in of.transactions
        ),
        history=_history(of),
    )


def _facts(of: ParticipantSources) -> tuple[Fact, ...]:
    who = of.participant
    last = {one.name: one.tx_hash for one in of.events}
    registered = last.get("Registered", "")
    key = last.get("EncryptionKeyChanged", registered)
    profile = last.get("ProfileChanged", registered)
    found = [
        Fact(name="Organisation", value=str(who.organisation), transaction=registered),
        Fact(name="Registered", value=_day(who.registered_at), transaction=registered),
        Fact(name="Encryption key", value=who.encryption_key.hex(), transaction=key),
        Fact(
            name="Attributes",
            value="vouched for by the registrar" if who.attested else "not vouched for",
            transaction=last.get("AttributesAttested", profile) if who.attested else profile,
        ),
    ]
    if who.suspended_from:
        announced = last.get("SuspensionAnnounced", "")
        day = _day(who.suspended_from)
        found.append(Fact(name="Suspended from", value=day, transaction=announced))
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


def _purchases(of: ParticipantSources) -> tuple[PurchaseRow, ...]:
    tokens = {one.request: one.token for one in of.requests}
    return tuple(
        PurchaseRow(
            time=event.timestamp or 0,
            request=event.args["request"],
            token=tokens[event.args["request"]],
            price=event.args["price"],
            transaction=event.tx_hash,
        )
        for event in of.events
        if event.name == "ResultBought" and event.args["buyer"] == of.participant.account
    )


def _history(of: ParticipantSources) -> Chart:
    """Replayed from what the ledger recorded, as the contract computes it."""
    account, sums = of.participant.account, Sums()
    registered = next((one.tx_hash for one in of.events if one.name == "Registered"), "")
    points = [("at first", NEWCOMER, registered)]
    for event in of.events:
        if event.name != "ProvidersRecorded":
            continue
        at = event.timestamp or 0
        for one in event.args["outcomes"]:
            if one["account"] == account:
                said = (event.args["weight"], one["quality"], one["losses"], event.args["endedAt"])
                sums = record(sums, *said, at)
                points.append((_minute(at), score(sums, at), event.tx_hash))
    points.append(("now", of.participant.reputation, points[-1][2]))
    last = of.participant.reputation
    summary = f"{last} of 10,000 now; everybody begins with {NEWCOMER}."
    return Chart(
        kind="line",
        title="Reputation as a provider",
        summary=summary,
        x="a request settled",
        y="of 10,000",
        labels=tuple(label for label, _, _ in points),
        proofs=tuple(proof for _, _, proof in points),
        series=(ChartSeries(name="reputation", values=tuple(float(one) for _, one, _ in points)),),
        ceiling=10_000,
    )


def earnings_chart(view: ParticipantView) -> Chart:
    """Ether earned, request by request."""
    by_request: dict[int, int] = {}
    proofs: dict[int, set[str]] = {}
    for one in view.payments:
        if one.token == ETHER and not one.returned:
            by_request[one.request] = by_request.get(one.request, 0) + one.amount
            proofs.setdefault(one.request, set()).add(one.transaction)
    shown = list(by_request.items())[-30:]
    return Chart(
        kind="bar",
        title="Earned by request",
        summary=f"Requests that have paid this account: {len(by_request)}.",
        x="request",
        y="ether",
        labels=tuple(str(request) for request, _ in shown),
        proofs=tuple(_single(proofs[request]) for request, _ in shown),
        series=(ChartSeries(name="ether", values=tuple(a / WEI_PER_ETHER for _, a in shown)),),
    )


def _single(transactions: set[str]) -> str:
    """Empty for several: no one of them proves their sum."""
    return next(iter(transactions)) if len(transactions) == 1 else ""


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _minute(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%m-%d %H:%M")
