"""What a report shows: a request's view, its audit, and the model as its requester measured it."""

from __future__ import annotations

from fedpact.audit import AuditReport
from fedpact.dashboard.views.audit import AuditView, audit_view
from fedpact.dashboard.views.blocks import Chart, Series, View
from fedpact.dashboard.views.quality import calibration_chart, roc_chart
from fedpact.dashboard.views.request import RequestView, Sources, request_view
from fedpact.dashboard.views.timeline import TimelineRow
from fedpact.privacy.accounting import PrivacyCost
from fedpact.requester.card.card import request_cost
from fedpact.requester.card.quality import Quality


class ReportView(View):
    """All that a report shows; the JSON file beside it."""

    chain: int
    request: RequestView
    audit: AuditView
    quality: Quality | None
    """None before the model is delivered, and in a report by anybody but the requester."""
    cost: PrivacyCost | None
    """Of all that one provider releases; None unless the privacy is sound."""
    calibration: Chart | None
    roc: Chart | None
    gas: Chart


def report_view(
    chain: int, sources: Sources, audit: AuditReport, quality: Quality | None
) -> ReportView:
    request, spec = request_view(sources), sources.described.spec
    return ReportView(
        chain=chain,
        request=request,
        audit=audit_view(audit),
        quality=quality,
        cost=None if spec is None else request_cost(spec),
        calibration=None if quality is None else calibration_chart(quality),
        roc=None if quality is None else roc_chart(quality),
        gas=gas_chart(request.timeline),
    )


def gas_chart(timeline: tuple[TimelineRow, ...]) -> Chart:
    """Gas of the request's transactions, by what they call."""
    once = {one.transaction: one for one in timeline}
    used: dict[str, int] = {}
    for one in once.values():
        name = one.action or "other contracts"
        used[name] = used.get(name, 0) + one.gas
    order = sorted(used, key=lambda name: -used[name])
    total, fees = sum(used.values()), sum(one.fee for one in once.values())
    return Chart(
        kind="bar",
        title="Gas by call",
        summary=f"{total:,} gas in {len(once)} transactions, {fees / 10**18:.4g} ether.",
        x="gas",
        y="call",
        labels=tuple(order),
        series=(Series(name="gas", values=tuple(float(used[name]) for name in order)),),
        horizontal=True,
    )
