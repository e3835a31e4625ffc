"""Data files as a specification asks for them; one file a format."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs
from fedpact.data.readers import (
    cifar,
    cmapss,
    columnar,
    database,
    delimited,
    hdf5,
    idx,
    leaf,
    npz,
    objects,
    pictures,
    speeches,
    table,
    texts,
    workbook,
)
from fedpact.data.readers.cells import numbers
from fedpact.data.readers.charset import PACKED
from fedpact.data.readers.encoding import checked_values, encoded, examples, times
from fedpact.data.readers.records import Records, first_not_finite, refuse, scaled
from fedpact.data.readers.table import Table
from fedpact.data.readers.windows import window_rows
from fedpact.errors import DataError
from fedpact.types.columns import ColumnSchema
from fedpact.types.layout import FileLayout
from fedpact.types.names import label_key
from fedpact.types.specification import RegressionOutput, Specification

log = logging.getLogger(__name__)

LABEL_COLUMN = "label"
FORMATS = (
    "a table (.csv, .tsv, each also .gz or .zst, .xlsx, .parquet, .feather, .arrow, .json, .jsonl, "
    ".sql.toml), arrays (.npz, .h5), a play's .txt, train_FD001.txt, or a folder of IDX files, "
    "CIFAR batches, LEAF's .json files, or folders of texts or images"
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
    if spec.features.table or spec.features.series is not None:
        found = None if path.is_dir() else read_table(path)
        if found is None:
            refuse(path, "the request names the columns of a table, and this is none")
        return table_dataset(found, spec, label_column)
    label_column = _answer_column(spec, label_column)
    return records_dataset(path, read_unchecked(path, label_column, spec.features.columns), spec)


def table_dataset(found: Table, spec: Specification, label_column: str = LABEL_COLUMN) -> Dataset:
    """As `read_dataset`, of a table that is at hand."""
    label_column = _answer_column(spec, label_column)
    if not len(found):
        refuse(found.path, "no examples")
    if not (spec.features.table or spec.features.series is not None):
        records = found.records(label_column, spec.features.columns, table.UNIT_COLUMN)
        return records_dataset(found.path, records, spec)
    series = spec.features.series
    unit = table.UNIT_COLUMN if series is None else series.by
    records = found.records(label_column, spec.features.names, unit, spec.features.table)
    used = () if series is None else (series.order,)
    log_ignored(found.path, tuple(name for name in records.ignored if name not in used))
    x, ends = table_inputs(found.path, found, spec)
    units = tuple(records.units[end] for end in ends)
    if spec.output is not None:
        return Dataset(x, outputs(found.path, records, spec.output)[ends], units)
    return Dataset(x, label_indices(found.path, records.labels, spec.labels)[ends], units)


def records_dataset(path: Path, found: Records, spec: Specification) -> Dataset:
    """As `read_dataset`, of records that are at hand; messages name `path`."""
    _check_records(path, found)
    if found.kind != spec.features.kind:
        refuse(path, f"it contains {found.kind}, the specification asks for {spec.features.kind}")
    log_ignored(path, found.ignored)
    shape = spec.features.shape
    size = int(np.prod(found.x.shape[1:]))
    if size != int(np.prod(shape)):
        raise DataError(
            f"data {path}: examples have {size} values, the specification's shape is {shape}"
        )
    if spec.output is not None:
        y: NDArray[np.float32] | NDArray[np.int64] = outputs(path, found, spec.output)
    else:
        y = label_indices(path, found.labels, spec.labels)
    return Dataset(_inputs(found, spec), y, found.units)


def _answer_column(spec: Specification, label_column: str) -> str:
    return label_column if spec.output is None else spec.output.column


def table_inputs(
    path: Path, found: Table, spec: Specification
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A requester's own table as a specification that names columns asks: examples (n, *shape), and
    the row that each ends with (n,).

    Raises DataError for a cell that its column's declaration does not have, and for a series of
    which no machine has the rows of one window.
    """
    asked = spec.features
    windows = _windows(path, found, spec)
    if not asked.table:
        raw = np.stack([numbers(found.cells(name), found.layout) for name in asked.columns], axis=1)
        _check_finite(path, raw, asked.columns)
        if raw.shape[1] * windows.shape[1] != int(np.prod(asked.shape)):
            refuse(path, f"{raw.shape[1]} inputs a row do not fill the shape {list(asked.shape)}")
        rows = scaled(raw, asked.scale)
        return rows[windows].reshape(len(windows), *asked.shape), windows[:, -1]
    values = {
        one.name: checked_values(path, one, found.cells(one.name), found.layout)
        for one in asked.table
    }

    def encode(columns: Sequence[ColumnSchema], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        return encoded(columns, [values[one.name][chosen] for one in columns])

    return examples(asked, windows, encode), windows[:, -1]


def _windows(path: Path, found: Table, spec: Specification) -> NDArray[np.int64]:
    """The rows of each example, (n, rows)."""
    series = spec.features.series
    if series is None:
        return np.arange(len(found))[:, None]
    groups = [cell.strip() for cell in found.cells(series.by)]
    order = None
    if series.order is not None:
        order = times(found.cells(series.order), found.layout)
        _check_finite(path, order[:, None], (series.order,))
    windows = window_rows(series, groups, order)
    if not len(windows):
        refuse(path, f"no {series.by!r} has the {series.window} rows of a window")
    return windows


def _check_finite(path: Path, values: NDArray[np.float64], columns: Sequence[str]) -> None:
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, place = wrong[0]
        refuse(path, f"example {row + 1}: column {columns[place]!r} is not a finite number")


def feature_names(path: Path, label_column: str | None) -> tuple[str, ...]:
    """The columns of a table that `read_dataset` takes unless a specification names them: all but
    the label's, the unit's and a row number's. Empty for texts, lists of images, and arrays."""
    found = None if path.is_dir() else read_table(path)
    return () if found is None else table_features(found, label_column)


def table_features(found: Table, label_column: str | None) -> tuple[str, ...]:
    """As `feature_names`, of a table that is at hand."""
    if table.TEXT_COLUMN in found.header or pictures.listed_column(found):
        return ()
    others = (label_column, table.UNIT_COLUMN, found.index)
    return tuple(name for name in found.header if name not in others)


def log_ignored(path: Path, columns: Sequence[str]) -> None:
    """Warn of a table's columns that are not used, so that none is left out unseen."""
    if columns:
        log.warning("data %s: columns that are not used: %s", path, table.listed(columns))


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
    _check_records(path, found)
    return found


def _check_records(path: Path, found: Records) -> None:
    """Raise DataError for a table without a header, and for a value that is not finite."""
    if not found.layout.header:
        refuse(path, "its first line does not name the columns: add a line that does")
    row = first_not_finite(found.x)
    if row is not None:
        value = "a value"
        if found.columns:
            value = f"column {found.columns[int(np.argmin(np.isfinite(found.x[row])))]!r}"
        refuse(path, f"example {row + 1}: {value} is not a finite number")


def read_unchecked(
    path: Path,
    label_column: str | None = LABEL_COLUMN,
    columns: tuple[str, ...] = (),
    unit_column: str | None = table.UNIT_COLUMN,
    layout: FileLayout | None = None,
    declared: tuple[ColumnSchema, ...] = (),
) -> Records:
    """As `read_records`, with NaN where a table's cell is no number, and whatever numbers arrays
    have. `label_column`, `unit_column`: None for a table without labels, or whose records are
    units. `layout`: how the file writes a table; None: find it. `declared`: what each of `columns`
    holds, if not numbers."""
    found = _by_format(path, label_column, columns, unit_column, layout, declared)
    if len(found.x) == 0:
        refuse(path, "no examples")
    if found.x.size == 0:
        refuse(path, "its examples have no values: there are only labels")
    return found


def read_table(
    path: Path,
    layout: FileLayout | None = None,
    decimal: Literal[".", ","] | None = None,
) -> Table | None:
    """The table in a file, in the declared layout; None: find the layout, whose decimal mark may be
    given. None for a file or folder that holds no table.

    Raises DataError for a table that cannot be read for certain, or has a column without a name.
    """
    found = _table(path, layout, decimal)
    if found is not None:
        found.require_names()
    return found


def _table(
    path: Path,
    layout: FileLayout | None = None,
    decimal: Literal[".", ","] | None = None,
) -> Table | None:
    """As `read_table`, with columns that have no name."""
    if not path.exists():
        refuse(path, "No such file or directory")
    if path.name.endswith(database.SUFFIX):
        return database.read_database(path)
    suffix = Path(path.stem).suffix if path.suffix in PACKED else path.suffix
    match suffix.lower():
        case ".csv" | ".tsv":
            return delimited.read_delimited(path, layout, decimal)
        case ".xlsx":
            return workbook.read_workbook(path, layout)
        case ".parquet" | ".feather" | ".arrow":
            return columnar.read_columnar(path)
        case ".jsonl":
            return objects.read_json(path, layout)
        case ".json" if not path.is_dir() and not leaf.is_leaf(path):
            return objects.read_json(path, layout)
    return None


def _by_format(
    path: Path,
    label_column: str | None,
    columns: tuple[str, ...],
    unit_column: str | None,
    layout: FileLayout | None,
    declared: tuple[ColumnSchema, ...],
) -> Records:
    if path.is_dir():
        return _folder(path)
    # One record more may be what gives a column a cell, or fills a gap in the row numbers.
    found = _table(path, layout) if declared else read_table(path, layout)
    if found is not None:
        listed = None if columns else pictures.listed_column(found)
        if listed is not None:
            return pictures.read_listed(found, listed, label_column, unit_column)
        return found.records(label_column, columns, unit_column, declared)
    match path.suffix.lower():
        case ".npz":
            return npz.read_npz(path)
        case ".h5" | ".hdf5":
            return hdf5.read_hdf5(path)
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
    if pictures.has_pictures(path):
        return pictures.read_pictures(path)
    if texts.has_texts(path):
        return texts.read_texts(path)
    refuse(path, f"unknown format; use {FORMATS}")


def label_indices(path: Path, labels: tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.int64]:
    """Index of each label in the specification's `labels`."""
    index = {label_key(name): number for number, name in enumerate(known)}
    keys = [label_key(label) for label in labels]
    for row, (label, key) in enumerate(zip(labels, keys, strict=True), start=1):
        if not key:
            refuse(path, f"example {row} has no label: label it, or leave it out")
        if key not in index:
            refuse(
                path,
                f"example {row} has label {label!r}, the specification has {', '.join(known)}",
            )
    return np.array([index[key] for key in keys], dtype=np.int64)


def outputs(path: Path, found: Records, output: RegressionOutput) -> NDArray[np.float32]:
    """y = min(raw, cap) / scale."""
    return capped(label_numbers(path, found, output.column), output)


def label_numbers(path: Path, found: Records, name: str) -> NDArray[np.float64]:
    """The labels of a regression, (n,). Raises DataError for one that is no finite number."""
    values = numbers(found.labels, found.layout)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        label = found.labels[wrong[0]]
        if not label.strip():
            refuse(path, f"example {wrong[0] + 1} has no {name}: add it, or leave the example out")
        said = label.lstrip("+-").casefold() in ("nan", "inf", "infinity")
        refuse(
            path,
            f"example {wrong[0] + 1} has {name} {label!r}, not a {'finite ' if said else ''}number",
        )
    return values


def capped(values: NDArray[np.float64], output: RegressionOutput) -> NDArray[np.float32]:
    """min(raw, cap) / scale in 64 bits, rounded to 32."""
    limited = values if output.cap is None else np.minimum(values, output.cap)
    return (limited / output.scale).astype(np.float32)
