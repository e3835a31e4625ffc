"""`python -m lab digits`: runs the demo's request over five seeds and checks the targets."""

from pathlib import Path
from typing import Annotated

import typer

from lab.harness.standalone import StandaloneStudy

STUDY = StandaloneStudy(
    name="digits",
    title="Digits: accuracy, pay and poisoning of the demo's request",
    results="digits.json",
    page="digits.json",
)


def digits(
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Seed of data and models; may be repeated (default: the five reported)."),
    ] = None,
    noise_seed: Annotated[
        int | None, typer.Option(help="Makes the noise repeatable (default: random).")
    ] = None,
    targets_only: Annotated[
        bool, typer.Option("--targets-only", help="Skip the kinds of poison without a target.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the results to.")
    ] = None,
) -> None:
    """Run the demo's request with honest providers and with each kind of poison; check targets.

    Ends with exit code 1 if a target is missed.

    Example: python -m lab digits --json docs/results/digits.json
    """
    from rich.console import Console
    from rich.progress import Progress

    from lab.digits.measure import measure, write
    from lab.digits.request import REPORTED_SEEDS

    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("digits", total=None)

        def show(run: str) -> None:
            progress.update(task, advance=1, description=run)

        result = measure(
            seed or list(REPORTED_SEEDS), noise_seed, further=not targets_only, on_run=show
        )
    for name, target in result["targets"].items():
        figures = ", ".join(f"{key} {value}" for key, value in target.items() if key != "met")
        console.print(f"{'met' if target['met'] else 'MISSED':6} {name} {figures}")
    if output is not None:
        write(result, output)
    if not all(target["met"] for target in result["targets"].values()):
        raise typer.Exit(1)
