"""`fedpact request report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, print_facts

LOST_SLICE = "an evaluation slice is missing from the content store, or does not open"

if TYPE_CHECKING:
    from fedpact.requester.card.quality import Quality
    from fedpact.session import Session


def report(
    context: typer.Context,
    request_id: RequestId,
    output: Annotated[Path, typer.Option(help="Folder for the report; made if it is missing.")],
    as_json: AsJson = False,
) -> None:
    """Write a report as one HTML file.

    It needs no network. Its data are written as JSON, too.

    It shows errors by round, the model on the evaluation slices (to its requester alone), rounds,
    contributions, pay, gas, privacy and the audit.

    Example: fedpact --account bob request report 1 --output reports
    """
    from fedpact.errors import SettingsError

    at = session.of(context)
    client = at.client
    try:
        from fedpact.dashboard.links import Links
        from fedpact.dashboard.report.writing import write_report
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"reports need {error.name}: pip install 'fedpact[dashboard]'"
        ) from error
    links = Links(at.settings.explorer, at.settings.gateway, pages=False)
    verdict, quality = at.audit(request_id), _quality(at, request_id)
    path = write_report(client, at.store, verdict, quality, output, links)
    print_facts({"report": str(path), "data": str(path.with_suffix(".json"))}, as_json=as_json)


def _quality(at: "Session", request_id: int) -> "Quality | str":
    """As the account of the settings measures the delivered model, or why it does not: what is
    missing keeps nobody from the rest of the report."""
    from fedpact.errors import ContentError, ModelError, NotReady, Retryable, SpecificationError

    requester = at.client.market.request(request_id).requester
    if at.settings.account is None or at.address() != requester:
        return f"the evaluation slices are for the requester alone, {requester}"
    try:
        found = at.requester.quality(request_id)
    except (ContentError, ModelError, NotReady, Retryable, SpecificationError) as error:
        return str(error)
    return found or LOST_SLICE
