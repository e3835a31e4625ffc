"""`fedpact privacy`: what a release is measured to reveal, against the stated bound."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import write_text
from fedpact.errors import AuditFailed
from fedpact.privacy.attacks import AuditedMode, Check

app = typer.Typer(help="Test the stated privacy bounds.", no_args_is_help=True)


@app.command()
def audit(
    family: Annotated[str, typer.Argument(help="A model family that supports privacy mode sound.")],
    check: Annotated[
        list[Check] | None, typer.Option(help="Check to run; repeatable. Default: all.")
    ] = None,
    mode: Annotated[
        AuditedMode,
        typer.Option(
            help="adaptive: sound, with a clipping norm that follows a quantile; "
            "secure: the least secure sum, checks draws and participation only; "
            "paper: checks draws and membership only."
        ),
    ] = AuditedMode.SOUND,
    draws: Annotated[int, typer.Option(help="Draws of each release, in the check draws.")] = 2_000,
    canaries: Annotated[
        int | None, typer.Option(help="Number of canaries. Default: 5000; 1000 for images.", min=40)
    ] = None,
    requests: Annotated[
        int, typer.Option(help="Random hostile requests in the check participation.", min=1)
    ] = 50,
    output: Annotated[
        Path | None, typer.Option("--json", help="Write the result to this file (JSON).")
    ] = None,
) -> None:
    """Test the privacy bound that a family states.

    Runs the family's local training on public digits.

    Exits with code 16 if a check fails. A check that holds does not prove privacy: it only failed
    to refute the bound.

    Example: fedpact privacy audit softmax-regression --check draws --draws 2000 --json audit.json
    """
    from dataclasses import asdict

    from fedpact.privacy.accounting import UNIT
    from fedpact.privacy_audit import checks as privacy_audit
    from fedpact.types.privacy import CLAIM

    every = check or privacy_audit.checks_of(family, mode)
    found = [privacy_audit.audit(family, one, mode, draws, canaries, requests) for one in every]
    if output is not None:
        write_text(output, json.dumps([asdict(one) for one in found], indent=1) + "\n")
    for one in found:
        measured = "unbounded" if one.measured is None else f"{one.measured:.4f}"
        typer.echo(
            f"{one.check}, mode {one.mode}: {one.quantity}: stated {one.stated:.4f}, measured "
            f"{measured}: {'holds' if one.holds else 'FAILS'}"
        )
    claimed = f" ({CLAIM})" if mode is AuditedMode.PAPER else ""
    priced = next((one for one in found if one.epsilon), None)  # behaviour costs nothing
    if priced is not None:
        typer.echo(
            f"stated at epsilon {priced.epsilon:.4f}, delta {priced.delta:g}, for a {UNIT} "
            f"replaced by nothing{claimed}"
        )
    failed = [one.check.value for one in found if not one.holds]
    if failed:
        raise AuditFailed(
            f"{family}, mode {mode}: the stated bound is refuted by {', '.join(failed)}"
        )
