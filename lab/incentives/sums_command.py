"""`python -m lab sum-riders`: what masking noise alone earns under secure sums."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import print_rows, write_text
from lab.harness.standalone import StandaloneStudy

STUDY = StandaloneStudy(
    name="sum-riders",
    title="What a member earns under secure sums that masks noise alone",
    results="sum-riders.json",
    page="sum-riders.json",
)


def sum_riders(
    seeds: Annotated[int, typer.Option(help="Random seeds, from 0.", min=1)] = 24,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the result to.")
    ] = None,
) -> None:
    """Play requests for secure sums over digits in which one member trains, or masks noise alone.

    Example: python -m lab sum-riders --json docs/results/sum-riders.json
    """
    from lab.incentives.sums import SIZE, measure

    rows = measure(range(seeds))
    if output is not None:
        result = {
            "command": shlex.join(["python", "-m", "lab", *sys.argv[1:]]),
            "seeds": seeds,
            "members": SIZE.providers,
            "examples_each": SIZE.examples_each,
            "epsilon": SIZE.epsilon,
            "privacy": SIZE.privacy,
            "rows": rows,
        }
        write_text(output, json.dumps(result, indent=1) + "\n")
    print_rows(rows, as_json=False, empty="nothing")
