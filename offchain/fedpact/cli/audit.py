"""`fedpact audit`."""

from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId
from fedpact.cli.output import AsJson, print_json


def audit(
    context: typer.Context,
    request_id: RequestId,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Also decrypt and check the models.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute a request and report what holds.

    It is recomputed from the chain and the content store.

    Exits with code 16 if any check fails. With --sealed, the account must be a member of the
    request or an auditor named in its specification.

    Example: fedpact --account auditor audit 1 --sealed
    """
    from fedpact.audit import Verdict

    report = session.of(context).audit(request_id, sealed=sealed)
    if as_json:
        items = [
            {"name": item.name, "verdict": item.verdict.value, "detail": item.detail}
            for item in report.items
        ]
        print_json({"request": request_id, "block": report.block, "items": items})
    else:
        width = max(len(item.name) for item in report.items)
        for item in report.items:
            said = item.verdict.value.upper() if item.verdict is Verdict.FAILS else item.verdict
            typer.echo(f"{item.name:<{width}}  {said:<11}  {item.detail}")
    report.check()
