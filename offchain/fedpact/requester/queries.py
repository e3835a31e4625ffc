"""Read files of queries, numbers or texts, as the specification requires."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs
from fedpact.data.documents import TEXT, decoded, documents, unpack
from fedpact.data.readers import LABEL_COLUMN, log_ignored, read_table, table_inputs
from fedpact.data.readers.table import UNIT_COLUMN, Table
from fedpact.errors import DataError
from fedpact.types.specification import Specification


def read_queries(path: Path, spec: Specification) -> Inputs:
    """Queries in the form of the training data: float32 (n, *shape), scaled; or documents, (n,).

    Numbers: .npz with x, or a table with the columns that the specification names. Texts: a table
    with a column `text`, .npz of packed texts, or .txt with one text a line. Columns that are not
    used are logged.
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
    elif path.suffix == ".npz":
        found = _packed(path)
    else:
        table = _table(path)
        if TEXT not in table.header:
            raise DataError(f"queries {path}: no column {TEXT!r}: the request is about texts")
        found = documents(table.cells(TEXT))
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
    if path.suffix != ".npz":
        return _columns(path, spec)
    raw = _npz(path)
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


def _columns(path: Path, spec: Specification) -> NDArray[np.float32]:
    """The columns that the specification names, as it asks for them, (n, *shape)."""
    if not spec.features.names:
        raise DataError(
            f"queries {path}: the request names no columns, so a table's cannot be matched: give "
            "an .npz file with x"
        )
    table = _table(path)
    asked = spec.features
    unused = table.records(None, asked.names, None, asked.table).ignored
    series = () if asked.series is None else (asked.series.by, asked.series.order)
    answers = (LABEL_COLUMN, UNIT_COLUMN, None if spec.output is None else spec.output.column)
    log_ignored(path, tuple(name for name in unused if name not in (*answers, *series)))
    return table_inputs(path, table, spec)[0]


def _table(path: Path) -> Table:
    found = None if path.is_dir() else read_table(path)
    if found is None:
        raise DataError(f"queries {path}: a table, .npz, or for texts .txt is needed")
    if not len(found):
        raise DataError(f"queries {path}: no examples")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror}") from error
