"""A provider's own page: privacy spent and left, what the daemon does and why, costs and pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fedpact.dashboard.index.reading import Transaction
from fedpact.dashboard.units import Wei
from fedpact.dashboard.views.blocks import Chart, ChartSeries, View
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.provider.read_only import Decision, LedgerLook, LedgerRelease

MONTH_SECONDS = 30 * 86_400
MOST_FORECAST = 1_000


class DataSetRow(View):
    """What one data set has spent for life."""

    data_set: str
    name: str
    """In the policy, where that lists several; two with one budget are named together."""
    spent: float
    """Epsilon at the policy's delta."""
    left: float | None
    """Epsilon of the largest full-batch request that still fits after what is held; None: without
    a policy."""
    requests_left: int | None
    """How many more requests like the last one fit; 1,000: at least that many."""
    lasts_until: int | None
    """When those are used up at the pace of the last 30 days, Unix time in seconds; None: nothing
    was charged in them, or it is not known how many fit."""


class SpentRow(View):
    """What one request has cost in privacy."""

    request: int
    """0: the published profile."""
    here: bool
    """Whether it is of this deployment."""
    releases: int
    epsilon: float
    """At the policy's delta, of this request alone."""
    last_at: int


class DutyRow(View):
    """One request, as the daemon has judged it."""

    request: int
    standing: str
    says: str
    """What it does now, or why it does nothing."""
    cost: Wei


class DaemonRow(View):
    """Whether the daemon runs and serves."""

    known: bool
    """Whether it tells its health at an address (setting `monitor`)."""
    serves: bool
    problems: tuple[str, ...]


class LogLine(View):
    """A warning or an error of the daemon's log."""

    time: str
    level: str
    message: str


class OwnView(View):
    """All that a provider's own page shows."""

    account: str
    delta: float
    limit: float | None
    """Epsilon for life, by the policy; None without one."""
    accountant: str
    spent: float
    """Of the most charged data set or unit."""
    left: float | None
    requests_left: int | None
    """Of the data set with the fewest, as is `lasts_until`."""
    lasts_until: int | None
    balance: Wei | None
    """None while no node tells it."""
    daemon: DaemonRow
    data_sets: tuple[DataSetRow, ...]
    by_request: tuple[SpentRow, ...]
    duties: tuple[DutyRow, ...]
    log: tuple[LogLine, ...]
    earned_month: Wei
    """In ether in the last 30 days, refunds of gas and sales of results included."""
    gas_month: int
    fees_month: Wei
    """Of transactions in the last 30 days."""
    spending: Chart


@dataclass(frozen=True)
class OwnSources:
    """What a provider's own view is made from."""

    account: str
    fingerprint: bytes
    """Of this deployment."""
    delta: float
    limit: PrivacyLimit | None
    listed: dict[str, tuple[str, PrivacyLimit]]
    """By `data_id`: names and limit of the data sets that the policy lists."""
    look: LedgerLook | None
    decisions: list[Decision]
    closed: frozenset[int]
    """Requests that nobody can join any more."""
    acting: dict[int, str]
    """What each running request waits for, in words."""
    balance: int | None
    daemon: DaemonRow
    log: tuple[LogLine, ...]
    payments: list[tuple[int, int]]
    """Time and wei of ether that it earned."""
    transactions: list[tuple[int, Transaction]]
    """Time and transaction."""
    now: int


def own_view(of: OwnSources) -> OwnView:
    look, delta = of.look, of.delta
    spends = [*look.data_sets.values(), *look.units] if look else []
    held = [spend for _, spend in look.held] if look else []
    most = max(spends, key=lambda one: one.cost(delta).epsilon, default=Spend.nothing())
    by_request, data_sets = _by_request(of), _data_sets(of)
    forecasts = [
        (one.requests_left, one.lasts_until) for one in data_sets if one.requests_left is not None
    ]
    fewest, lasts_until = min(
        forecasts,
        key=lambda one: (one[0], math.inf if one[1] is None else one[1]),
        default=(None, None),
    )
    recent = of.now - MONTH_SECONDS
    return OwnView(
        account=of.account,
        delta=delta,
        limit=None if of.limit is None else of.limit.epsilon,
        accountant="" if of.limit is None else of.limit.accountant,
        spent=most.cost(delta).epsilon,
        left=_least_left(of) if of.limit is None else of.limit.left(most.with_promised(held)),
        requests_left=fewest,
        lasts_until=lasts_until,
        balance=of.balance,
        daemon=of.daemon,
        data_sets=data_sets,
        by_request=by_request,
        duties=tuple(_duty(one, of) for one in reversed(of.decisions)),
        log=of.log,
        earned_month=sum(wei for time, wei in of.payments if time >= recent),
        gas_month=sum(one.gas for time, one in of.transactions if time >= recent),
        fees_month=sum(one.fee for time, one in of.transactions if time >= recent),
        spending=_chart(by_request),
    )


def _least_left(of: OwnSources) -> float | None:
    """Of the listed data sets, of the one with the least."""
    spends = of.look.data_sets if of.look else {}
    held = of.look.held if of.look else ()
    return min(
        (
            limit.left(
                spends.get(data_id, Spend.nothing()).with_promised(
                    [one for payer, one in held if payer in ("", data_id)]
                )
            )
            for data_id, (_, limit) in of.listed.items()
        ),
        default=None,
    )


def _data_sets(of: OwnSources) -> tuple[DataSetRow, ...]:
    look = of.look
    if look is None:
        return ()
    like = _last_request(look.releases)
    rows = []
    for data_id, spend in look.data_sets.items():
        name, limit = of.listed.get(data_id, ("", None if of.listed else of.limit))
        held = [one for payer, one in look.held if payer in ("", data_id)]
        after = spend.with_promised(held)
        fit = None if limit is None or like is None else _fit(limit, after, like)
        rows.append(
            DataSetRow(
                data_set=data_id,
                name=name,
                spent=spend.cost(of.delta).epsilon,
                left=None if limit is None else limit.left(after),
                requests_left=fit,
                lasts_until=_lasts_until(of, data_id, fit),
            )
        )
    return tuple(rows)


def _lasts_until(of: OwnSources, data_set: str, fit: int | None) -> int | None:
    """When `fit` requests are used up, at the pace at which the data set was charged lately."""
    recent = {
        (one.deployment, one.request)
        for one in (of.look.releases if of.look else ())
        if one.event is not None
        and one.request
        and one.data_set == data_set
        and one.charged_at >= of.now - MONTH_SECONDS
    }
    if fit is None or fit >= MOST_FORECAST or not recent:
        return None
    return of.now + fit * MONTH_SECONDS // len(recent)


def _last_request(releases: tuple[LedgerRelease, ...]) -> Spend | None:
    """What the last request has cost that was charged anything."""
    charged = [one for one in releases if one.event is not None and one.request]
    if not charged:
        return None
    last = (charged[-1].deployment, charged[-1].request)
    parts = [Spend.of(o.event) for o in charged if o.event and (o.deployment, o.request) == last]
    return sum(parts[1:], start=parts[0])


def _fit(limit: PrivacyLimit, spend: Spend, like: Spend) -> int:
    """How often `like` still fits, at most MOST_FORECAST times."""
    low, high = 0, MOST_FORECAST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if limit.allows(spend + like.times(middle)) else (low, middle - 1)
        )
    return low


def _by_request(of: OwnSources) -> tuple[SpentRow, ...]:
    groups: dict[tuple[bytes, int], list[LedgerRelease]] = {}
    for one in of.look.releases if of.look else ():
        if one.event is not None:
            groups.setdefault((one.deployment, one.request), []).append(one)
    return tuple(
        SpentRow(
            request=request,
            here=deployment == of.fingerprint,
            releases=len(found),
            epsilon=sum((Spend.of(o.event) for o in found if o.event), start=Spend.nothing())
            .cost(of.delta)
            .epsilon,
            last_at=found[-1].charged_at,
        )
        for (deployment, request), found in groups.items()
    )


def _duty(one: Decision, of: OwnSources) -> DutyRow:
    says = one.reason
    if one.standing == "joined":
        says = of.acting.get(one.request, one.reason)
    elif one.standing == "new":
        closed = one.request in of.closed
        says = one.reason or ("closed before it was judged" if closed else "not judged yet")
    return DutyRow(request=one.request, standing=one.standing, says=says, cost=one.cost)


def _chart(rows: tuple[SpentRow, ...]) -> Chart:
    shown = rows[-30:]
    return Chart(
        kind="bar",
        title="Epsilon by request",
        summary=f"Charged so far: {len(rows)}. Costs of several do not simply add up.",
        x="request",
        y="epsilon",
        labels=tuple("profile" if not one.request else str(one.request) for one in shown),
        series=(ChartSeries(name="epsilon", values=tuple(one.epsilon for one in shown)),),
    )
