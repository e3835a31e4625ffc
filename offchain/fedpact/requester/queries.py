"""Queries, numbers or texts, in the form that a specification asks for: from files, and from what a
program holds."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs
from fedpact.data.documents import TEXT, decoded, documents, unpack
from fedpact.data.frames import frame_table, is_frame, is_series
from fedpact.data.readers import LABEL_COLUMN, log_ignored, read_table, table_inputs
from fedpact.data.readers.hdf5 import read_inputs
from fedpact.data.readers.pictures import listed_column, read_listed, read_unlabelled
from fedpact.data.readers.table import UNIT_COLUMN, Table
from fedpact.errors import DataError
from fedpact.types.specification import Specification

ID = "id"
"""Column of a table that names its rows, unless another one is named."""
ARRAY = Path("array")
"""What messages call arrays and lists, in place of a file."""


@dataclass(frozen=True)
class Queries:
    """Queries in the form of the training data."""

    x: Inputs
    """float32 (n, *shape), scaled; or documents, (n,)."""
    rows: NDArray[np.int64]
    """The row, from 0, that each query ends with, (n,): another one only for windows of rows."""
    table: Table | None = None
    """From which they are, if from one."""
    files: tuple[str, ...] = ()
    """Names of the images of a folder, (n,)."""

    def ids(self, column: str | None) -> tuple[str, tuple[str, ...]] | None:
        """Name and entries, (n,), of a column that names the queries; `column` None: the table's
        column `id`, if it has one, or the names of the images.

        Raises DataError for a column that does not exist.
        """
        if self.table is None:
            if column is not None:
                raise DataError(f"queries: no column {column!r}: they are not a table")
            return ("file", self.files) if self.files else None
        if column is None and ID not in self.table.header:
            return None
        cells = self.table.cells(column or ID)
        return column or ID, tuple(cells[row] for row in self.rows)


def queries_of(
    given: Any, spec: Specification, told: set[tuple[str, ...]] | None = None
) -> Queries:
    """Queries from a data frame, whose columns are matched by name; from an array (n, *shape) or
    (n, values), if the specification names no columns; from texts, as a list, a series or an array;
    or from a file (`read_queries`). Values are as in the data, not scaled. `told`: columns that are
    not used, for which the log has a warning already.

    Raises DataError as `read_queries`.
    """
    if isinstance(given, Path):
        return read_queries(given, spec)
    if is_frame(given):
        return _of_table(frame_table(given), spec, told)
    if spec.features.kind == "text":
        return _of_texts(given)
    if spec.features.names:
        raise DataError(
            "queries: the model's columns have names: give a data frame, or a file with a header"
        )
    try:
        raw = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"queries: not an array of numbers ({error})") from error
    return _of_array(ARRAY, raw, spec)


def read_queries(path: Path, spec: Specification) -> Queries:
    """Queries from a file.

    Numbers: .npz or .h5 with x, a table with the columns that the specification names, or images,
    as a table that lists them or a folder of them. Texts: a table with a column `text`, .npz of
    packed texts, or .txt with one text a line. Columns that are not used are logged.
    Raises DataError for another file extension, a missing column, a value that is not a finite
    number, or a shape or kind that differs from the specification's.
    """
    if spec.features.kind == "text" and path.suffix == ".txt":
        lines = decoded(_bytes(path)).splitlines()
        return _of_texts([line for line in lines if line.strip()], path)
    if path.suffix == ".npz":
        if spec.features.kind == "text":
            return _of_texts(_packed(path), path)
        return _of_array(path, _npz(path), spec)
    if path.suffix in (".h5", ".hdf5") and spec.features.kind == "numbers":
        return _of_array(path, read_inputs(path), spec)
    if path.is_dir() and spec.features.kind == "numbers":
        files, images = read_unlabelled(path)
        return replace(_of_array(path, images, spec), files=files)
    found = None if path.is_dir() else read_table(path)
    if found is None:
        raise DataError(f"queries {path}: a table, .npz, or for texts .txt is needed")
    return _of_table(found, spec)


def were_asked(path: Path, spec: Specification) -> bool:
    """Whether these are the queries that the request was made for, by their digest."""
    return path.is_file() and spec.queries == sha256(_bytes(path)).hexdigest()


def _of_table(
    found: Table, spec: Specification, told: set[tuple[str, ...]] | None = None
) -> Queries:
    if not len(found):
        raise DataError(f"queries {found.path}: no examples")
    if spec.features.kind == "text":
        if TEXT not in found.header:
            raise DataError(f"queries {found.path}: no column {TEXT!r}: the request is about texts")
        x: Inputs = documents(found.cells(TEXT))
        return Queries(x, np.arange(len(x)), found)
    asked = spec.features
    if not asked.names:
        listed = listed_column(found)
        if listed is not None:
            images = read_listed(found, listed, None, None).x
            return _of_array(found.path, images, spec, found)
        raise DataError(
            f"queries {found.path}: the request names no columns, so a table's cannot be matched: "
            "give arrays (.npz with x)"
        )
    unused = found.records(None, asked.names, None, asked.table).ignored
    series = () if asked.series is None else (asked.series.by, asked.series.order)
    answers = (LABEL_COLUMN, UNIT_COLUMN, None if spec.output is None else spec.output.column)
    further = tuple(name for name in unused if name not in (*answers, *series))
    if told is None or further not in told:
        log_ignored(found.path, further)
    if told is not None:
        told.add(further)
    return Queries(*table_inputs(found.path, found, spec), found)


def _of_array(
    path: Path, raw: NDArray[Any], spec: Specification, table: Table | None = None
) -> Queries:
    shape = spec.features.shape
    if raw.size == 0 or raw[0].size != int(np.prod(shape)):
        raise DataError(
            f"queries {path}: {raw.shape} does not contain one example of shape {shape} per row"
        )
    if not np.isfinite(raw).all():
        raise DataError(f"queries {path}: a value is not a finite number")
    x = raw.reshape(len(raw), *shape) / spec.features.scale
    return Queries(x.astype(np.float32), np.arange(len(x)), table)


def _of_texts(given: Any, path: Path = ARRAY) -> Queries:
    if isinstance(given, str):
        raise DataError("queries: a text by itself: give a list of texts")
    listed = given.to_list() if is_series(given) else list(given)
    if not listed:
        raise DataError(f"queries {path}: it contains no texts")
    if not all(isinstance(one, str) for one in listed):
        raise DataError(
            f"queries {path}: the request is about texts, and one of these is not a text"
        )
    return Queries(documents([str(one) for one in listed]), np.arange(len(listed)))


def _packed(path: Path) -> Inputs:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return unpack(arrays)
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror or error}") from error
    except (DataError, ValueError) as error:
        raise DataError(f"queries {path}: must contain packed texts ({error})") from error


def _npz(path: Path) -> NDArray[np.floating[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["x"], dtype=np.float64)
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"queries {path}: must contain an array x of numbers ({error})") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror}") from error
