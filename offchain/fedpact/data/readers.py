"""Data files as a specification asks for them: CSV tables and NPZ arrays."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, array_digest, row_digest
from fedpact.errors import DataError
from fedpact.types.specification import Specification

LABEL_COLUMN = "label"


def read_dataset(path: Path, spec: Specification, label_column: str = LABEL_COLUMN) -> Dataset:
    """The examples of a .csv or .npz file, values divided by the specification's scale.

    CSV: a header line; the label column holds label names; the values are the columns that the
    specification names, or all others in the file's order. NPZ: arrays `x` (n, *shape) and `y`
    (n,) of label names, or of numbers that are label names.
    Raises DataError for a file that cannot be read, misses a column, is empty or ragged, or holds
    a label that the specification does not know or a value that is not a finite number.
    """
    if path.suffix == ".csv":
        raw, labels, units = _read_csv(path, spec, label_column)
    elif path.suffix == ".npz":
        raw, labels, units = _read_npz(path)
    else:
        raise DataError(f"data {path}: a .csv or .npz file is needed")
    shape = spec.features.shape
    if len(raw) == 0:
        raise DataError(f"data {path}: no examples")
    if raw[0].size != int(np.prod(shape)):
        raise DataError(
            f"data {path}: {raw[0].size} values an example do not fill the shape {shape}"
        )
    if not np.isfinite(raw).all():
        row = int(np.flatnonzero(~np.isfinite(raw.reshape(len(raw), -1)).all(axis=1))[0])
        raise DataError(f"data {path}: example {row + 1} holds a value that is not finite")
    x = (raw.reshape(len(raw), *shape) / spec.features.scale).astype(np.float32)
    return Dataset(x, _indices(path, labels, spec.labels), units)


def _indices(path: Path, labels: list[str], known: Sequence[str]) -> NDArray[np.int64]:
    index = {name: place for place, name in enumerate(known)}
    for row, label in enumerate(labels, start=1):
        if label not in index:
            raise DataError(
                f"data {path}: example {row} has label {label!r}, the specification knows "
                f"{', '.join(known)}"
            )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _read_csv(
    path: Path, spec: Specification, label_column: str
) -> tuple[NDArray[np.float64], list[str], tuple[bytes, ...]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            rows = [row for row in lines if row]
    except OSError as error:
        raise DataError(f"data {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data {path}: {error}") from error
    if len(set(header)) != len(header):
        raise DataError(f"data {path}: the header line names a column twice")
    if label_column not in header:
        raise DataError(f"data {path}: no label column {label_column!r}")
    columns = spec.features.columns or tuple(name for name in header if name != label_column)
    for column in columns:
        if column not in header:
            raise DataError(f"data {path}: no column {column!r}")
    places = [header.index(column) for column in columns]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(
                f"data {path}: example {number} has {len(row)} cells, the header {len(header)}"
            )
    values = np.empty((len(rows), len(places)), dtype=np.float64)
    for number, row in enumerate(rows):
        try:
            values[number] = [float(row[place]) for place in places]
        except ValueError as error:
            raise DataError(f"data {path}: example {number + 1}: {error}") from error
    label_place = header.index(label_column)
    labels = [row[label_place].strip() for row in rows]
    units = tuple(row_digest(list(zip(header, row, strict=True))) for row in rows)
    return values, labels, units


def _read_npz(path: Path) -> tuple[NDArray[np.float64], list[str], tuple[bytes, ...]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x = np.asarray(arrays["x"], dtype=np.float64)
            y = np.asarray(arrays["y"])
    except OSError as error:
        raise DataError(f"data {path}: {error.strerror or error}") from error
    except (KeyError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"data {path}: arrays x and y are needed ({error})") from error
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"data {path}: x of shape {x.shape} and y of shape {y.shape} do not fit")
    labels = [_label(value) for value in y.tolist()]
    units = tuple(array_digest(row, label) for row, label in zip(x, labels, strict=True))
    return x, labels, units


def _label(value: Any) -> str:
    """The name of a label that may be stored as a number: 3 and 3.0 are "3"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
