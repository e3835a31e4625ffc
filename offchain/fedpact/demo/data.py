"""The demo's data: real records dealt out to providers, an evaluation set, held-out records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.readers import read_dataset
from fedpact.data.sources import Source
from fedpact.demo.options import DataSource, DemoOptions, Partition
from fedpact.experiments.digits import draft, split
from fedpact.requester.request import draft_specification

DIRICHLET_ALPHA = 0.5


@dataclass(frozen=True)
class DemoData:
    """`parts[i]` is what provider i holds, in `files[i]`; nobody else reads that file."""

    draft: dict[str, Any]
    files: tuple[Path, ...]
    parts: tuple[Dataset, ...]
    evaluation: Dataset
    train: Dataset
    test: Dataset

    @property
    def samples(self) -> tuple[int, ...]:
        return tuple(len(part.y) for part in self.parts)


def prepare(options: DemoOptions, folder: Path) -> DemoData:
    """Deal the training records out and write one file a provider; the requester keeps its set."""
    source = sources.digits(options.seed) if options.data is DataSource.DIGITS else sources.mnist()
    fields = draft(source, options.providers, options.rounds, options.epsilon)
    spec, _ = draft_specification(fields)
    private, evaluation = split(source, fields["rounds"], options.seed)
    files = []
    for number, places in enumerate(_deal(options, source.y_train[private])):
        path = folder / f"provider-{number + 1}.npz"
        chosen = private[places]
        np.savez(path, x=source.x_train[chosen], y=source.y_train[chosen])
        files.append(path)
    return DemoData(
        fields,
        tuple(files),
        tuple(read_dataset(path, spec) for path in files),
        _dataset(source, source.x_train[evaluation], source.y_train[evaluation]),
        _dataset(source, source.x_train[private], source.y_train[private]),
        _dataset(source, source.x_test, source.y_test),
    )


def _deal(options: DemoOptions, y: Any) -> partition.Parts:
    if options.partition is Partition.IID:
        return partition.iid(y, options.providers, options.seed)
    if options.partition is Partition.DIRICHLET:
        return partition.dirichlet(y, options.providers, DIRICHLET_ALPHA, options.seed)
    labels = len(np.unique(y))
    return partition.classes(
        y, options.providers, _classes_each(options.providers, labels), options.seed
    )


def _classes_each(providers: int, labels: int) -> int:
    """The fewest, but half of the labels at least, that can be dealt out evenly."""
    each = -(-labels // 2)
    while providers * each % labels:
        each += 1
    return each


def _dataset(source: Source, x: Any, y: Any) -> Dataset:
    return Dataset((x / source.scale).astype(np.float32), y, ())
