"""The demo's data: real records split across providers, an evaluation set, held-out records."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.readers import read_dataset
from fedpact.data.schema_draft import as_toml, propose
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import stored
from fedpact.demo.drafts import split
from fedpact.demo.options import DemoOptions
from fedpact.demo.recipes import draft, recipe_of
from fedpact.learning.checks import check_dataset
from fedpact.learning.units import samples_of
from fedpact.requester.draft import Draft
from fedpact.types.schema import schema_file
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class DemoData:
    """`parts[i]` are provider i's records, in `files[i]`; nobody else reads that file."""

    draft: Draft
    samples: tuple[int, ...]
    """Number of samples that each provider declares."""
    files: tuple[Path, ...]
    parts: tuple[Dataset, ...]
    evaluation: Dataset
    test: Dataset
    queries: Path
    """The test examples without their answers, as the requester's file of queries."""


def prepare(options: DemoOptions, folder: Path, most: int | None = None) -> DemoData:
    """Split the training records, write one file per provider, and keep an evaluation set.

    `most`: records of a provider; None: as the recipe says. Raises SpecificationError if family,
    strategy, rule or privacy do not suit the data.
    """
    source = sources.load(options.data, options.seed)
    recipe = recipe_of(options)
    asked = draft(source, options, recipe)
    spec = asked.specification
    private, evaluation = split(source, spec.rounds, options.seed, recipe.public)
    shares = [private[rows] for rows in _partition(options, source, private)]

    generator = np.random.default_rng(options.seed)
    shares = [_at_most(most or recipe.records, rows, generator) for rows in shares]
    tested = _at_most(recipe.records, np.arange(len(source.y_test)), generator)
    evaluation = _at_most(recipe.records, evaluation, generator)

    files = tuple(folder / f"provider-{number}.npz" for number in range(1, len(shares) + 1))
    for path, rows in zip(files, shares, strict=True):
        _write(source, rows, path)
        write_schema(path, spec)
    queries = folder / "queries.npz"
    examples = stored(source, source.x_test[tested], source.y_test[tested])
    np.savez(queries, **{name: array for name, array in examples.items() if name != "y"})

    parts = tuple(read_dataset(path, spec) for path in files)
    for part in parts:
        check_dataset(spec, part)
    test = _shaped(spec, source.test_set())
    return DemoData(
        asked,
        tuple(samples_of(spec, part) for part in parts),
        files,
        parts,
        _shaped(spec, source.train_set(evaluation)),
        Dataset(test.x[tested], test.y[tested], ()),
        queries,
    )


def write_schema(data: Path, spec: Specification) -> None:
    """A schema beside a provider's file, with all of the request's labels: which of them a provider
    has is its own business."""
    output = None if spec.output is None else spec.output.column
    proposed = propose(data, spec.category, output_column=output)
    declared = proposed.model_copy(update={"labels": spec.labels})
    schema_file(data).write_text(as_toml(declared))


def _partition(
    options: DemoOptions, source: TrainTestData, private: NDArray[np.int64]
) -> partition.Partition:
    """By the options; otherwise by group where groups are units, by label where there are any."""
    y = source.y_train[private]
    groups = None if source.groups_train is None else source.groups_train[private]
    name = "iid"
    if source.grouped_units:
        name = "group"
    elif source.labels:
        name = f"class{_classes_each(options.providers, len(np.unique(y)))}"
    return partition.named(options.partition or name, y, options.providers, options.seed, groups)


def _classes_each(providers: int, labels: int) -> int:
    """The least number of labels per provider, at least half, that can be split evenly."""
    each = -(-labels // 2)
    while providers * each % labels:
        each += 1
    return each


def _at_most(
    most: int | None, rows: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    if most is None or len(rows) <= most:
        return rows
    return np.sort(generator.choice(rows, most, replace=False))


def _write(source: TrainTestData, rows: NDArray[np.int64], path: Path) -> None:
    """A provider's file: labels by name, and units if groups form them."""
    arrays = stored(source, source.x_train[rows], source.y_train[rows])
    units = source.unit_names(rows)
    np.savez(path, **arrays, **({"unit": np.array(units)} if units else {}))


def _shaped(spec: Specification, data: Dataset) -> Dataset:
    return Dataset(data.x.reshape(len(data), *spec.features.shape), data.y, ())
