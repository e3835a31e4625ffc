"""`fedpact family`: model families of installed packages, and of your own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import AsJson, print_json, print_rows
from fedpact.types.device import PROCESSOR

app = typer.Typer(
    help="List model families, write one of your own, try it.",
    no_args_is_help=True,
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the installed families and their packages.

    Example: fedpact family list
    """
    from importlib.metadata import version

    from fedpact.learning.families import FAMILIES
    from fedpact.learning.packages import package_of, packaged

    own = {"package": "fedpact", "version": version("fedpact"), "sha256": None}
    rows: dict[str, dict[str, str | None]] = dict.fromkeys(FAMILIES, own)
    for name in sorted({*packaged()} - {*FAMILIES}):
        found = package_of(name)
        pinned = {"version": found.version, "sha256": found.digest}
        rows[name] = {"package": found.name, **pinned}
    if as_json:
        print_json([{"family": name, **one} for name, one in rows.items()])
        return
    for name, one in rows.items():
        # Not in a table: it would shorten the digest, which a policy may list.
        parts = (f"{name:<20}", one["package"], one["version"], one["sha256"])
        typer.echo(" ".join(part for part in parts if part))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the family, such as sensor-cnn.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where to write the package. Default: ./NAME.")
    ] = None,
) -> None:
    """Write a package with a working family to start from.

    The package has a network of two layers, which you replace, a draft that asks for it, and tests.

    Example: fedpact family new sensor-cnn
    """
    from fedpact.learning.families.new_package import write_package

    target = folder or Path(name)
    for path in write_package(name, target):
        typer.echo(path)
    typer.echo(f"next: pip install -e {target}; fedpact family check {target}/draft.toml")


@app.command()
def check(
    draft: Annotated[Path, typer.Argument(help="A draft that asks for the family (TOML or JSON).")],
    device: Annotated[
        str,
        typer.Option(help="Device for the checks of privacy: cpu, cuda, cuda:1, mps, auto."),
    ] = PROCESSOR,
    as_json: AsJson = False,
) -> None:
    """Test the family that a draft asks for.

    It tests template, predictions, gradients against autograd, clipping of each example, noise,
    device and threads. The exit code is 1 if a check fails.

    It finds mistakes. It cannot find malice: read a package before you list it in your policy.

    Example: fedpact family check draft.toml
    """
    from fedpact.learning.devices import resolved
    from fedpact.privacy_audit.family_check import check_family
    from fedpact.requester.draft import Draft

    found = check_family(Draft.read(draft).specification, resolved(device))
    rows = [asdict(one) for one in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, as_json=False, empty="")
    if not all(one.passed for one in found):
        raise typer.Exit(1)
