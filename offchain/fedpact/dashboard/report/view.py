"""What a report shows: a request's view, its audit, and the model as its requester measured it."""

from __future__ import annotations

from fedpact.audit import AuditReport
from fedpact.dashboard.views.audit import AuditView, audit_view
from fedpact.dashboard.views.blocks import Chart, ChartSeries, View
from fedpact.dashboard.views.quality import calibration_chart, roc_chart
from fedpact.dashboard.views.request import RequestPage, Sources, request_view
from fedpact.dashboard.views.timeline import TimelineRow
from fedpact.requester.card.quality import Quality


class ReportView(View):
    """All that a report shows; the JSON file beside it."""

    chain: int
    request: RequestPage
    audit: AuditView
    quality: Quality | None
    """None where it was not measured."""
    unmeasured: str
    """Why not; else empty."""
    calibration: Chart | None
    roc: Chart | None
    gas: Chart


def report_view(
    chain: int, sources: Sources, audit: AuditReport, quality: Quality | str
) -> ReportView:
    """`quality`: of the delivered model, or why it was not measured."""
    request = request_view(sources)
    found = None if isinstance(quality, str) else quality
    return ReportView(
        chain=chain,
        request=request,
        audit=audit_view(audit),
        quality=found,
        unmeasured=quality if isinstance(quality, str) else "",
        calibration=None if found is None else calibration_chart(found),
        roc=None if found is None else roc_chart(found),
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
        series=(ChartSeries(name="gas", values=tuple(float(used[name]) for name in order)),),
        horizontal=True,
    )
