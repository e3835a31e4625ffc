"""`python -m lab tables`: the table family against central training, with and without privacy."""

from pathlib import Path
from typing import Annotated

import typer

from lab.harness.standalone import StandaloneStudy


def _missing(path: Path) -> list[str]:
    from lab.tables.measure import missing

    return missing(path)


STUDY = StandaloneStudy(
    name="tables",
    title="Tables: random trees of three providers against central boosting",
    results="tables.json",
    page="tables.json",
    missing=_missing,
)


def tables(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Name of a table; may be repeated (default: all).")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed; may be repeated (default: 0, 1, 2).")
    ] = None,
    proposals: Annotated[
        bool, typer.Option(help="Compare instead what `fedpact request new` would propose.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the results to.")
    ] = None,
) -> None:
    """Train the table family at three providers, at epsilon 2 and without privacy, and centrally.

    Rows of tables that were not run stay in the file. With --proposals, every draft that
    `fedpact request new` tries is estimated on the evaluation set and then trained.

    Example: python -m lab tables --json docs/results/tables.json
    """
    from rich.console import Console

    from fedpact.errors import InvalidInput
    from lab.tables import measure
    from lab.tables import proposals as proposed
    from lab.tables.measure import SEEDS, TASKS

    console = Console()
    names = dataset or list(TASKS)
    for name in names:
        if name not in TASKS:
            raise InvalidInput(f"no table {name!r}: one of {', '.join(TASKS)}")
    study = proposed if proposals else measure
    for row in study.rows(names, seed or list(SEEDS), lambda run: console.print(run, style="dim")):
        console.print(row)
        if output is not None:
            study.write(row, output)
