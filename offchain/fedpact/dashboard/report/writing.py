"""Writes a request's report."""

from __future__ import annotations

from pathlib import Path

from fedpact.audit import AuditReport
from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.dashboard.direct_reading import sources_of
from fedpact.dashboard.links import Links
from fedpact.dashboard.report.page import page
from fedpact.dashboard.report.view import report_view
from fedpact.errors import InvalidInput
from fedpact.requester.card.quality import Quality


def write_report(
    client: ChainClient,
    store: ContentStore,
    audit: AuditReport,
    quality: Quality | str,
    output: Path,
    links: Links,
) -> Path:
    """Write `request-N.html` and `request-N.json` to the folder `output`; the HTML file's path.

    `quality`: of the delivered model, or why it was not measured. Raises InvalidInput if a file
    cannot be written, NodeUnreachable.
    """
    request = audit.request_id
    sources = sources_of(client, store, request)
    view = report_view(client.chain_id, sources, audit, quality)
    shown = output / f"request-{request}.html"
    try:
        output.mkdir(parents=True, exist_ok=True)
        shown.write_text(page(view, links), encoding="utf-8")
        shown.with_suffix(".json").write_text(view.model_dump_json(indent=1), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write the report to {output}: {error.strerror}") from error
    return shown
