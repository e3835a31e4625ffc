"""`python -m lab synthetic-features`: what private models reach without any data of others."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.harness.standalone import StandaloneStudy

EPSILONS = (2.0, 3.0, 5.0, 10.0)
SEEDS = 3
METRIC = "accuracy"


def missing(path: Path) -> list[str]:
    """Of the rows that the study makes, those that the file lacks or has of fewer seeds."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    known = {one["epsilon"]: one["seeds"] for one in rows}
    return [f"epsilon {one:g}" for one in EPSILONS if known.get(one, 0) < SEEDS]


STUDY = StandaloneStudy(
    name="synthetic-features",
    title="Accuracy of private models on features learnt from made-up images",
    results="synthetic-features.json",
    page="synthetic-features.json",
    missing=missing,
)


def synthetic_features(
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds.")] = SEEDS,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="Repeatable: 2, 3, 5 or 10. Default: all of them."),
    ] = None,
    tune: Annotated[
        float | None,
        typer.Option(help="Try this learning rate on the public slice instead."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the results to.")
    ] = None,
) -> None:
    """CIFAR-10 on features that were learnt from dead leaves, under mode sound.

    The network is made first, in under a minute of one core, and kept in
    .cache/synthetic-features; the images' features in .cache/features. A run that is interrupted
    goes on where it stopped. The file is written after each figure; other figures in it stay.

    Example: python -m lab synthetic-features --json docs/results/synthetic-features.json
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for one in epsilon or ():
        if one not in EPSILONS:
            raise typer.BadParameter(f"--epsilon {one:g}: 2, 3, 5 or 10")
    asked = [one for one in EPSILONS if epsilon is None or one in epsilon]
    if tune is not None:
        _tune(tune, asked, seeds)
        return
    kept = json.loads(output.read_text()) if output is not None and output.exists() else []
    found = {row["epsilon"]: row for row in kept}
    for row in _rows(asked, seeds):
        typer.echo(f"epsilon {row['epsilon']:g}: {row['mean']:.4f} +- {row['std']:.4f}")
        found[row["epsilon"]] = row
        if output is not None:
            rows = [found[one] for one in sorted(found)]
            output.write_text(json.dumps(rows, indent=1) + "\n")


def _rows(asked: list[float], seeds: int) -> Iterator[dict[str, Any]]:
    from lab.image_requests import request
    from lab.image_requests.request import about, figures
    from lab.synthetic_features import images

    for epsilon in asked:
        name = f"patches of dead leaves {images.network().digest[:12]}"
        said = about(request.DATA, name, request.PARTITION, request.PROVIDERS, epsilon)
        yield said | figures(METRIC, [images.run(epsilon, seed) for seed in range(seeds)])


def _tune(rate: float, asked: list[float], seeds: int) -> None:
    from lab.synthetic_features import images

    for epsilon in asked:
        plan = replace(images.PLANS[int(epsilon)], learning_rate=rate)
        found = [images.tuned(epsilon, plan, seed) for seed in range(seeds)]
        typer.echo(f"epsilon {epsilon:g}: {plan} {sum(found) / len(found):.4f}")
