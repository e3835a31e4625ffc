"""An audit of a request, item by item, recomputed from chain and store without any key."""

from __future__ import annotations

from fedpact.audit.report import AuditReport, Verdict
from fedpact.dashboard.views.blocks import View


class AuditRow(View):
    """One check."""

    name: str
    verdict: str
    """holds, fails or unavailable."""
    detail: str


class AuditView(View):
    """All checks of a request."""

    request: int
    block: int
    """As of which everything was read."""
    holds: int
    fails: int
    unavailable: int
    """Not to be checked by a stranger: sealed to the members, missing, or not there yet."""
    items: tuple[AuditRow, ...]


def audit_view(report: AuditReport) -> AuditView:
    """What fails comes first."""
    order = (Verdict.FAILS, Verdict.HOLDS, Verdict.UNAVAILABLE)
    items = sorted(report.items, key=lambda one: order.index(one.verdict))
    count = {one: sum(item.verdict is one for item in items) for one in order}
    return AuditView(
        request=report.request_id,
        block=report.block,
        holds=count[Verdict.HOLDS],
        fails=count[Verdict.FAILS],
        unavailable=count[Verdict.UNAVAILABLE],
        items=tuple(
            AuditRow(name=one.name.replace("_", " "), verdict=one.verdict, detail=one.detail)
            for one in items
        ),
    )
