"""Data files as a specification asks for them; one file a format."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs
from fedpact.data.readers import cifar, cmapss, idx, leaf, npz, speeches, table, texts
from fedpact.data.readers.records import Records, first_not_finite, refuse, scaled
from fedpact.errors import DataError
from fedpact.types.specification import RegressionOutput, Specification

LABEL_COLUMN = "label"
FORMATS = (
    "a .csv, .parquet or .npz file, a play's .txt, LEAF's .json files, train_FD001.txt, or a "
    "folder of IDX files, CIFAR batches, LEAF's .json files, or folders of texts"
)


def read_dataset(path: Path, spec: Specification, label_column: str = LABEL_COLUMN) -> Dataset:
    """The examples of `path`, values divided by the specification's scale.

    Tables have a header line. Labels are in the label column, a regression's values in the column
    that its output names; features are the columns that the specification names, or all others in
    the file's order. NPZ: arrays `x` (n, *shape) and `y` (n,) of label names, of numbers that are
    label names, or of a regression's values. Documents come from a table with a column `text`, an
    NPZ file of packed texts, or a folder with a folder of texts for each label. A column or array
    `unit` names each example's privacy unit; without it every example is its own.

    Raises DataError for a file that cannot be read, lacks a column, is empty or ragged, or has a
    label that the specification does not name or a value that is not a finite number.
    """
    if spec.output is not None:
        label_column = spec.output.column
    found = read_records(path, label_column, spec.features.columns)
    if found.kind != spec.features.kind:
        refuse(path, f"it contains {found.kind}, the specification asks for {spec.features.kind}")
    shape = spec.features.shape
    size = int(np.prod(found.x.shape[1:]))
    if size != int(np.prod(shape)):
        raise DataError(
            f"data {path}: examples have {size} values, the specification's shape is {shape}"
        )
    if spec.output is not None:
        y: NDArray[np.float32] | NDArray[np.int64] = outputs(path, found.labels, spec.output)
    else:
        y = label_indices(path, found.labels, spec.labels)
    return Dataset(_inputs(found, spec), y, found.units)


def _inputs(found: Records, spec: Specification) -> Inputs:
    if found.kind == "text":
        return found.x
    return scaled(found.x.reshape(len(found.x), *spec.features.shape), spec.features.scale)


def read_records(
    path: Path, label_column: str = LABEL_COLUMN, columns: tuple[str, ...] = ()
) -> Records:
    """The content of a file or folder in any known format (FORMATS).

    `label_column` and `columns` matter for tables only. Raises DataError as above.
    """
    found = read_unchecked(path, label_column, columns)
    row = first_not_finite(found.x)
    if row is not None:
        value = "a value"
        if found.columns:
            value = f"column {found.columns[int(np.argmin(np.isfinite(found.x[row])))]!r}"
        refuse(path, f"example {row + 1}: {value} is not a finite number")
    return found


def read_unchecked(
    path: Path,
    label_column: str | None = LABEL_COLUMN,
    columns: tuple[str, ...] = (),
    unit_column: str | None = table.UNIT_COLUMN,
) -> Records:
    """As `read_records`, with NaN where a table's cell is no number, and whatever numbers arrays
    have. `label_column`, `unit_column`: None for a table without labels, or whose records are
    units."""
    found = _by_format(path, label_column, columns, unit_column)
    if len(found.x) == 0:
        refuse(path, "no examples")
    if found.x.size == 0:
        refuse(path, "its examples have no values: there are only labels")
    return found


def _by_format(
    path: Path, label_column: str | None, columns: tuple[str, ...], unit_column: str | None
) -> Records:
    if path.is_dir():
        return _folder(path)
    match path.suffix:
        case ".csv":
            return table.read_csv(path, label_column, columns, unit_column)
        case ".parquet":
            return table.read_parquet(path, label_column, columns, unit_column)
        case ".npz":
            return npz.read_npz(path)
        case ".json":
            return leaf.read_leaf([path])
        case ".txt" if path.name.startswith(cmapss.TRAIN_PREFIX):
            return cmapss.read_run_to_failure(path)
        case ".txt":
            return speeches.read_speeches(path)
    refuse(path, f"unknown format; use {FORMATS}")


def _folder(path: Path) -> Records:
    if idx.has_idx(path, "train"):
        return idx.read_idx_pair(path, "train")
    batches = tuple(name for name in cifar.TRAIN_BATCHES if (path / name).is_file())
    if batches:
        return cifar.read_cifar(path, batches)
    files = sorted(path.glob("*.json"))
    if files:
        return leaf.read_leaf(files)
    if texts.has_texts(path):
        return texts.read_texts(path)
    refuse(path, f"unknown format; use {FORMATS}")


def label_indices(path: Path, labels: tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.int64]:
    """Index of each label in the specification's `labels`."""
    index = {name: number for number, name in enumerate(known)}
    for row, label in enumerate(labels, start=1):
        if label not in index:
            refuse(
                path,
                f"example {row} has label {label!r}, the specification has {', '.join(known)}",
            )
    return np.array([index[label] for label in labels], dtype=np.int64)


def outputs(path: Path, labels: tuple[str, ...], output: RegressionOutput) -> NDArray[np.float32]:
    """y = min(raw, cap) / scale."""
    values = np.empty(len(labels), dtype=np.float64)
    for row, label in enumerate(labels, start=1):
        try:
            values[row - 1] = float(label)
        except ValueError:
            refuse(path, f"example {row} has {output.column} {label!r}, not a number")
        if not np.isfinite(values[row - 1]):
            refuse(path, f"example {row} has {output.column} {label!r}, not a finite number")
    return capped(values, output)


def capped(values: NDArray[np.float64], output: RegressionOutput) -> NDArray[np.float32]:
    """min(raw, cap) / scale in 64 bits, rounded to 32."""
    limited = values if output.cap is None else np.minimum(values, output.cap)
    return (limited / output.scale).astype(np.float32)
