"""Splits a public data set into a folder per provider, an evaluation set and a test set."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition
from fedpact.data.dataset import Inputs
from fedpact.data.documents import are_documents, pack
from fedpact.data.sources import TrainTestData
from fedpact.errors import DataError

DATA_FILE = "data.npz"
MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
PUBLIC_EXAMPLES = 5_000
_PUBLIC_SEED = 2024


@dataclass(frozen=True)
class DataSplit:
    """How to split a data set."""

    providers: int
    partition: str
    """A name for fedpact.data.partition.named."""
    seed: int
    evaluation: float = 0.1
    """Share of the training examples for the requester's evaluation set."""
    allow_one_class: bool = False
    """Whether a provider may have examples of only one label."""


def split_into(source: TrainTestData, how: DataSplit, output: Path) -> dict[str, Any]:
    """Write `provider-<i>/data.npz`, `evaluation.npz`, `test.npz` and the manifest; return it.

    The same source and `how` give the same bytes. Raises DataError, and leaves nothing behind, if
    `output` exists or cannot be written, or the partition is impossible.
    """
    check_new(output)
    private, evaluation = hold_out(source, how.evaluation, how.seed)
    groups = None if source.groups_train is None else source.groups_train[private]
    y = source.y_train[private]
    parts = partition.named(how.partition, y, how.providers, how.seed, groups)
    if source.task == "classification" and not how.allow_one_class:
        partition.check_labels(parts, y)
    with _whole_folder(output) as folder:
        files = []
        for number, part in enumerate(parts, start=1):
            name = f"provider-{number}/{DATA_FILE}"
            (folder / name).parent.mkdir()
            files.append(_write_train(source, private[part], folder, name))
        manifest = {
            "version": MANIFEST_VERSION,
            "source": source.name,
            "partition": how.partition,
            "seed": how.seed,
            "task": source.task,
            "features": source.features,
            "labels": list(source.labels),
            "output": None if source.output is None else source.output.model_dump(),
            "providers": files,
            "units_at_several_providers": _shared_units(source, [private[part] for part in parts]),
            "evaluation": _write_train(source, evaluation, folder, "evaluation.npz"),
            "test": _write(
                source, folder, "test.npz", **stored(source, source.x_test, source.y_test)
            ),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def public_slice(examples: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training examples, ascending: (those declared public, the rest). The same in every
    run, so that choices made on the public ones never depend on private data."""
    order = np.random.default_rng(_PUBLIC_SEED).permutation(examples)
    public, rest = np.split(order, [size])
    return np.sort(public), np.sort(rest)


def check_new(output: Path) -> None:
    """Raise DataError if `output` exists."""
    if output.exists():
        raise DataError(f"{output} already exists: name a new folder")


def hold_out(
    source: TrainTestData, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training examples, ascending: (the providers', the evaluation set).

    If groups are units, whole groups go to the evaluation set until it has `share` of the examples,
    public ones first. Otherwise a classification's set has every label equally often, and at most
    half of any label's examples. Raises DataError if a part would be empty.
    """
    if not 0 < share < 1:
        raise DataError(f"evaluation share {share:g}: it must be between 0 and 1")
    generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    if source.grouped_units and source.groups_train is not None:
        chosen = _whole_groups(source.groups_train, source.public_groups, share, generator)
    elif source.task == "classification":
        chosen = _same_of_every_label(source, share, generator)
    else:
        chosen = generator.permutation(len(source.y_train))[: round(share * len(source.y_train))]
    kept = np.ones(len(source.y_train), dtype=bool)
    kept[chosen] = False
    if kept.all() or not kept.any():
        raise DataError(
            f"{source.name}: an evaluation share of {share:g} leaves "
            f"{kept.sum()} examples to the providers, {(~kept).sum()} to the requester"
        )
    return np.flatnonzero(kept), np.flatnonzero(~kept)


def _whole_groups(
    groups: NDArray[np.int64],
    public: tuple[int, ...],
    share: float,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    others = np.setdiff1d(np.unique(groups), public)
    order = [*public, *generator.permutation(others).tolist()]
    sizes = np.cumsum([np.count_nonzero(groups == group) for group in order])
    taken = max(len(public), int(np.searchsorted(sizes, share * len(groups))) + 1)
    return np.flatnonzero(np.isin(groups, order[:taken]))


def _same_of_every_label(
    source: TrainTestData, share: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    labels, counts = np.unique(source.y_train, return_counts=True)
    each = round(share * len(source.y_train) / len(labels))
    if not 1 <= each <= counts.min() // 2:
        rarest = source.labels[int(labels[counts.argmin()])]
        raise DataError(
            f"{source.name}: an evaluation share of {share:g} takes {each} examples of each "
            f"label; it must be at least 1 and at most half of the {counts.min()} of {rarest!r}"
        )
    return np.concatenate(
        [generator.permutation(np.flatnonzero(source.y_train == one))[:each] for one in labels]
    )


def _write_train(
    source: TrainTestData, rows: NDArray[np.int64], folder: Path, name: str
) -> dict[str, Any]:
    arrays = stored(source, source.x_train[rows], source.y_train[rows])
    units = source.unit_names(rows)
    if units:
        arrays["unit"] = np.array(units)
    return _write(source, folder, name, **arrays)


def _write(
    source: TrainTestData, folder: Path, name: str, **arrays: NDArray[Any]
) -> dict[str, Any]:
    """Save the arrays; returns their entry in the manifest."""
    path = folder / name
    np.savez(path, **arrays)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    y, unit = arrays["y"], arrays.get("unit")
    entry = {
        "file": name,
        "sha256": digest,
        "examples": len(y),
        "units": len(y) if unit is None else len(np.unique(unit)),
    }
    if source.task == "classification":
        names, counts = np.unique(y, return_counts=True)
        entry["labels"] = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return entry


def stored(source: TrainTestData, x: Inputs, y: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file: numbers as they are or documents packed, labels by name."""
    inputs = pack(x) if are_documents(x) else {"x": x}
    return {**inputs, "y": np.array(source.labels)[y] if source.task == "classification" else y}


def _shared_units(source: TrainTestData, parts: partition.Partition) -> int:
    """Number of units at more than one provider: each of these would spend on them."""
    if not source.grouped_units or source.groups_train is None:
        return 0
    groups = source.groups_train
    held = np.concatenate([np.unique(groups[part]) for part in parts])
    return int((np.unique(held, return_counts=True)[1] > 1).sum())


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """A folder that gets its name once all is written; on any failure nothing is left."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror}") from error
    try:
        folder.chmod(0o755)
        yield folder
        os.rename(folder, output)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
