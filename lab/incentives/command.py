"""`python -m lab incentives`: who earns what, and whether honest training is the best response."""

import json
import shlex
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import print_rows, write_text
from lab.harness.standalone import StandaloneStudy

STUDY = StandaloneStudy(
    name="incentives",
    title="Who earns what: honest, lazy, copying, colluding and censoring members, requesters",
    results="incentives.json",
    page="incentives.json",
)


def incentives(
    requests: Annotated[int, typer.Option(help="Requests per strategy.", min=1)] = 1_000,
    partition: Annotated[
        list[str] | None, typer.Option(help="Split of the data; may be repeated.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Random seed; may be repeated.", min=0)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="File that keeps the recorded scores, so that a run can be resumed."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the result to.")
    ] = None,
) -> None:
    """Play requests with every strategy, on scores of real models.

    Example: python -m lab incentives --json docs/results/incentives.json
    """
    from lab.incentives.measure import measure
    from lab.incentives.scores import TRAININGS, Recorded, record

    kept: dict[str, dict[str, object]] = {}
    if scores is not None and scores.exists():
        kept = json.loads(scores.read_text())
    splits, seeds = partition or ["iid", "class2"], seed or [0, 1, 2]
    for training, split, number in product(TRAININGS, splits, seeds):
        name = f"{training} / {split} / {number}"
        if name not in kept:
            typer.echo(f"recording {name}", err=True)
            kept[name] = asdict(record(training, split, number))
            if scores is not None:
                write_text(scores, json.dumps(kept, indent=1) + "\n")
    records = {
        training: [
            Recorded(**kept[f"{training} / {split} / {number}"])  # type: ignore[arg-type]
            for split, number in product(splits, seeds)
        ]
        for training in TRAININGS
    }
    command = shlex.join(["python", "-m", "lab", *sys.argv[1:]])
    result = {
        "command": command,
        "partitions": splits,
        "seeds": seeds,
        **measure(records, requests, seeds[0]),
    }
    if output is not None:
        write_text(output, json.dumps(result, indent=1) + "\n")
    for table in ("models", "alone", "pair", "censors", "requesters"):
        typer.echo(f"\n{table}")
        print_rows(result[table], as_json=False, empty="nothing")
