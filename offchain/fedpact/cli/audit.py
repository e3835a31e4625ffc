"""The auditor."""

from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_json


def audit(
    context: typer.Context,
    request_id: Annotated[int, typer.Argument(help="Number of the request.", metavar="REQUEST")],
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Open the models too, with the account's seal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute a request from chain and content store alone, and say what holds.

    Ends with code 16 when anything does not hold. With --sealed the account must be a member, or
    an auditor that the specification names.

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
