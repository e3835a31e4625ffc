"""`python -m lab public-networks`: what private models reach on public networks' features."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.harness.standalone import StandaloneStudy

IMAGE_EPSILONS = (1.0, 2.0, 3.0, 5.0)
TEXT_EPSILONS = (1.0, 2.0, 5.0)
SEEDS = 3


class Part(StrEnum):
    """The data sets, by their names in the results."""

    TEXTS = "20newsgroups"
    IMAGES = "cifar10"


METRICS = {Part.TEXTS: ("macro-auc", "accuracy"), Part.IMAGES: ("accuracy",)}


def missing(path: Path) -> list[str]:
    """Of the rows that both data sets make, those that the file lacks or has of fewer seeds."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    known = {(one["dataset"], one["epsilon"], one["metric"]): one["seeds"] for one in rows}
    return [
        f"{metric} of {part} at epsilon {epsilon:g}"
        for part, epsilons in ((Part.TEXTS, TEXT_EPSILONS), (Part.IMAGES, IMAGE_EPSILONS))
        for epsilon in epsilons
        for metric in METRICS[part]
        if known.get((part, epsilon, metric), 0) < SEEDS
    ]


STUDY = StandaloneStudy(
    name="public-networks",
    title="Public networks: accuracy of private models on their features",
    results="public-features.json",
    page="public-features.json",
    missing=missing,
)


def public_networks(
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds.")] = SEEDS,
    dataset: Annotated[
        list[Part] | None, typer.Option(help="Data set to run; repeatable. Default: both.")
    ] = None,
    windows: Annotated[int, typer.Option(min=1, max=8, help="Of 256 tokens, read of a text.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the results to.")
    ] = None,
) -> None:
    """CIFAR-10 on EfficientNet-Lite0 and 20 Newsgroups on MiniLM, under mode sound.

    Features are computed once, on two cores in about an hour, and kept in .cache/features; a run
    that is interrupted goes on where it stopped. The file is written after each figure; what it
    holds of a data set that is not run stays.

    Example: python -m lab public-networks --json docs/results/public-features.json
    """
    parts = dataset or list(Part)
    kept = json.loads(output.read_text()) if output is not None and output.exists() else []
    found = [row for row in kept if row["dataset"] not in parts]
    for row in _rows(parts, seeds, windows):
        typer.echo(
            f"{row['dataset']}, epsilon {row['epsilon']:g}: {row['metric']} "
            f"{row['mean']:.4f} +- {row['std']:.4f}"
        )
        found.append(row)
        if output is not None:
            output.write_text(json.dumps(found, indent=1) + "\n")


def _rows(parts: list[Part], seeds: int, windows: int) -> Iterator[dict[str, Any]]:
    from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
    from lab.image_requests import request
    from lab.image_requests.request import about, figures
    from lab.public_networks import images, texts

    for epsilon in TEXT_EPSILONS if Part.TEXTS in parts else ():
        runs = [texts.run(epsilon, seed, windows) for seed in range(seeds)]
        found = about(texts.DATA, MINILM.name, texts.PARTITION, texts.PROVIDERS, epsilon)
        found["windows"] = windows
        macro_auc, accuracy = METRICS[Part.TEXTS]
        yield found | figures(macro_auc, [one.macro_auc for one in runs])
        yield found | figures(accuracy, [one.accuracy for one in runs])
    for epsilon in IMAGE_EPSILONS if Part.IMAGES in parts else ():
        reached = [images.run(epsilon, seed) for seed in range(seeds)]
        found = about(
            request.DATA, EFFICIENTNET_LITE0.name, request.PARTITION, request.PROVIDERS, epsilon
        )
        yield found | figures(METRICS[Part.IMAGES][0], reached)
