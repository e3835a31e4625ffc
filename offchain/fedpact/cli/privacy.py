"""Privacy audits: what a release is seen to tell, against what is stated."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import write_text
from fedpact.errors import AuditFailed
from fedpact.privacy.audit import AuditedMode, Check

app = typer.Typer(help="Checks of the privacy that is stated.", no_args_is_help=True)


@app.command()
def audit(
    family: Annotated[str, typer.Argument(help="A model family that can do sound.")],
    check: Annotated[
        list[Check] | None, typer.Option(help="May be given several times; all if left out.")
    ] = None,
    mode: Annotated[
        AuditedMode,
        typer.Option(
            help="adaptive: sound, its norm following a quantile; paper: by draws and membership."
        ),
    ] = AuditedMode.SOUND,
    draws: Annotated[int, typer.Option(help="Of each release, in the check draws.")] = 2_000,
    canaries: Annotated[int | None, typer.Option(help="Else 5000, of images 1000.", min=40)] = None,
    output: Annotated[Path | None, typer.Option("--json", help="File for the findings.")] = None,
) -> None:
    """Run a family's own local training on public digits, and hold it against its stated figure.

    Ends with code 16 where a check fails. A check that holds shows no privacy: it failed to refute.

    Example: fedpact privacy audit softmax-regression --check draws --draws 2000 --json audit.json
    """
    from dataclasses import asdict

    from fedpact.privacy_audit import checks as privacy_audit
    from fedpact.types.specification import CLAIM

    every = check or privacy_audit.checks_of(family, mode)
    found = [privacy_audit.audit(family, one, mode, draws, canaries) for one in every]
    if output is not None:
        write_text(output, json.dumps([asdict(one) for one in found], indent=1) + "\n")
    for one in found:
        measured = "without bound" if one.measured is None else f"{one.measured:.4f}"
        typer.echo(
            f"{one.check}, mode {one.mode}: {one.quantity}: stated {one.stated:.4f}, measured "
            f"{measured}: {'holds' if one.holds else 'FAILS'}"
        )
    claimed = f" ({CLAIM})" if mode is AuditedMode.PAPER else ""
    typer.echo(f"stated at epsilon {found[0].epsilon:.4f}, delta {found[0].delta:g}{claimed}")
    failed = [one.check.value for one in found if not one.holds]
    if failed:
        raise AuditFailed(f"{family}, mode {mode}: {', '.join(failed)} refutes what is stated")
