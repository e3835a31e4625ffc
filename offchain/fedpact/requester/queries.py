"""Read files of queries, numbers or texts, as the specification requires."""

import csv
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs
from fedpact.data.documents import MAX_BYTES, TEXT, decoded, documents, unpack
from fedpact.errors import DataError
from fedpact.types.specification import Specification

LABEL_COLUMN = "label"
"""Ignored in a table of queries, like the column that a regression predicts."""
csv.field_size_limit(MAX_BYTES)


def read_queries(path: Path, spec: Specification) -> Inputs:
    """Queries in the form of the training data: float32 (n, *shape), scaled; or documents, (n,).

    Numbers: .npz with x, or .csv. Texts: .csv with a column `text`, .npz of packed texts, or .txt
    with one text a line.
    Raises DataError for another file extension, a missing column, a value that is not a finite
    number, or a shape or kind that differs from the specification's.
    """
    return _texts(path) if spec.features.kind == "text" else _numbers(path, spec)


def were_asked(path: Path, spec: Specification) -> bool:
    """Whether these are the queries that the request was made for, by their digest."""
    return spec.queries == sha256(_bytes(path)).hexdigest()


def _texts(path: Path) -> Inputs:
    if path.suffix == ".txt":
        lines = decoded(_bytes(path)).splitlines()
        found = documents([line for line in lines if line.strip()])
    elif path.suffix == ".csv":
        rows = _rows(path)
        if TEXT not in rows[0]:
            raise DataError(f"queries {path}: no column {TEXT!r}: the request is about texts")
        if any(row[TEXT] is None for row in rows):
            raise DataError(f"queries {path}: a row ends before its column {TEXT!r}")
        found = documents([row[TEXT] for row in rows])
    elif path.suffix == ".npz":
        found = _packed(path)
    else:
        raise DataError(f"queries {path}: the request is about texts: .txt, .csv or .npz is needed")
    if not len(found):
        raise DataError(f"queries {path}: the file contains no texts")
    return found


def _packed(path: Path) -> Inputs:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return unpack(arrays)
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror or error}") from error
    except (DataError, ValueError) as error:
        raise DataError(f"queries {path}: must contain packed texts ({error})") from error


def _numbers(path: Path, spec: Specification) -> NDArray[np.floating[Any]]:
    if path.suffix == ".npz":
        raw = _npz(path)
    elif path.suffix == ".csv":
        raw = _csv(path, spec)
    else:
        raise DataError(f"queries {path}: a .csv or .npz file is needed")
    shape = spec.features.shape
    if raw.size == 0 or raw[0].size != int(np.prod(shape)):
        raise DataError(
            f"queries {path}: {raw.shape} does not contain one example of shape {shape} per row"
        )
    if not np.isfinite(raw).all():
        raise DataError(f"queries {path}: a value is not a finite number")
    x = raw.reshape(len(raw), *shape) / spec.features.scale
    return x.astype(np.float32)


def _npz(path: Path) -> NDArray[np.floating[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["x"], dtype=np.float64)
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"queries {path}: must contain an array x of numbers ({error})") from error


def _csv(path: Path, spec: Specification) -> NDArray[np.floating[Any]]:
    rows = _rows(path)
    ignored = spec.output.column if spec.output is not None else LABEL_COLUMN
    columns = spec.features.columns or tuple(name for name in rows[0] if name != ignored)
    for column in columns:
        if column not in rows[0]:
            raise DataError(f"queries {path}: no column {column!r}")
    try:
        return np.array([[float(row[name]) for name in columns] for row in rows])
    except (TypeError, ValueError) as error:
        raise DataError(f"queries {path}: {error}") from error


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"queries {path}: {error}") from error
    if not rows:
        raise DataError(f"queries {path}: no rows after the header line")
    return rows


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror}") from error
