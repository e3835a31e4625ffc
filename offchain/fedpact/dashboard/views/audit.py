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
    section: str
    """Of the request's page that shows what was checked, with its transactions."""


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


_SECTIONS = {
    name: section
    for section, names in {
        "task": "specification_digest initial_model evaluation_slices",
        "privacy": "privacy",
        "members": "opt_ins invited points faults credits gas_refunds",
        "votes": "medians included scores",
        "errors-table": "finals global_errors",
        "money": "settlement payments refund posters conservation",
    }.items()
    for name in names.split()
}
"""By item; all others: the timeline."""


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
            AuditRow(
                name=one.name.replace("_", " "),
                verdict=one.verdict,
                detail=one.detail,
                section=_SECTIONS.get(one.name, "timeline"),
            )
            for one in items
        ),
    )
