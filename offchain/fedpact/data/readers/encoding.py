"""What a column's cells mean under its declaration, and the inputs of a model that they become.

Everything follows from the public declaration: the same cell is the same input at every provider,
in the evaluation set and in queries, and nothing is fitted to records.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.documents import documents
from fedpact.data.readers.cells import FALSE, TRUE, is_missing, numbers
from fedpact.data.readers.records import refuse
from fedpact.types.columns import ColumnSchema, seconds
from fedpact.types.layout import FileLayout
from fedpact.types.names import label_key
from fedpact.types.specification import Features


def values_of(
    column: ColumnSchema, cells: Sequence[str], layout: FileLayout
) -> NDArray[np.float64]:
    """The cells as numbers, (n,): a category's or an ordinal's index into its values, a boolean's 0
    or 1, a timestamp's seconds since 1970; NaN where a cell has no such value. Of a text, which has
    no such numbers, zeros: see `texts_of`."""
    match column.type:
        case "text":
            return np.zeros(len(cells))
        case "number":
            return numbers(cells, layout, column.measure)
        case "integer":
            found = numbers(cells, layout, column.measure)
            with np.errstate(invalid="ignore"):
                found[found != np.round(found)] = np.nan
            return found
        case "boolean":
            keys = [cell.strip().casefold().removesuffix(".0") for cell in cells]
            return np.array([1.0 if k in TRUE else 0.0 if k in FALSE else math.nan for k in keys])
        case "timestamp":
            return np.array([_seconds(cell.strip(), column.format) for cell in cells], dtype=float)
        case _:
            index = {key: place for place, key in enumerate(column.keys)}
            return np.array([index.get(label_key(cell), math.nan) for cell in cells], dtype=float)


def texts_of(cells: Sequence[str]) -> NDArray[Any]:
    """The cells of a text, (n,): strings, empty where one says that it has no value."""
    return documents(["" if is_missing(cell) else cell for cell in cells])


def times(cells: Sequence[str], layout: FileLayout) -> NDArray[np.float64]:
    """Numbers, or ISO 8601 dates as seconds since 1970, by which rows are sorted, (n,); NaN for
    neither."""
    found = numbers(cells, layout)
    if np.isfinite(found).any():
        return found
    return np.array([_seconds(cell.strip(), None) for cell in cells], dtype=np.float64)


def encoded(columns: Sequence[ColumnSchema], values: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """The inputs that all columns become, side by side, (n, sum of widths). `values`: of each
    column what `values_of` gives, of a text what `texts_of` gives."""
    return np.hstack([_inputs(one, found) for one, found in zip(columns, values, strict=True)])


def examples(
    features: Features,
    windows: NDArray[np.int64],
    encode: Callable[[Sequence[ColumnSchema], NDArray[np.int64]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Windows (n, rows) of a table's rows as examples (n, *shape): the columns of every row, then
    the static ones of the last.

    `encode(columns, rows)`: inputs of these columns in these rows, (rows, sum of widths).
    """
    static = () if features.series is None else features.series.static
    moving = [one for one in features.table if one.name not in static]
    rows, places = np.unique(windows, return_inverse=True)
    width = windows.shape[1] * sum(one.width for one in moving)
    found = encode(moving, rows)[places.reshape(-1)].reshape(len(windows), width)
    if static:
        once = [one for one in features.table if one.name in static]
        found = np.hstack([found, encode(once, windows[:, -1])])
    return np.asarray(found.reshape(len(windows), *features.shape))


def checked_values(
    path: Path, column: ColumnSchema, cells: Sequence[str], layout: FileLayout
) -> NDArray[Any]:
    """As `values_of` or `texts_of`, for a requester's own cells. Raises DataError naming the first
    example whose cell is no value of the column, or lacks one that nothing takes the place of."""
    if column.type == "text":
        return texts_of(cells)
    found = values_of(column, cells, layout)
    for row in np.flatnonzero(~np.isfinite(found)):
        where = f"example {row + 1}: column {column.name!r}"
        if not is_missing(cells[row]):
            refuse(path, f"{where} has a value that its declaration does not have")
        if column.missing == "omit":
            refuse(
                path, f"{where} has no value: fill it, leave the example out, or declare missing"
            )
    return np.where(np.isfinite(found), found, np.nan)


def _seconds(cell: str, form: str | None) -> float:
    try:
        return seconds(cell, form)
    except ValueError:
        return math.nan


def _inputs(column: ColumnSchema, values: NDArray[Any]) -> NDArray[np.float32]:
    """What `values_of` gives as inputs of a model, (n, column.width): a number within its public
    range, and an ordinal, from -1 to 1; a boolean -1 or 1; a category one input a value (one-hot);
    a text a vector of its encoding.

    NaN remains in the rows that lack a value and where nothing takes its place.
    """
    if column.type == "text":
        from fedpact.features.text.columns import text_inputs  # it loads scipy

        return text_inputs(column, values.tolist())
    low, high = column.limits
    absent = ~np.isfinite(values)
    filled = np.where(absent, np.nan, np.clip(values, low, high))
    if column.constant is not None:
        constant = column.constant
        known = (
            float(column.keys.index(label_key(constant)))
            if isinstance(constant, str)
            else float(constant)
        )
        filled = np.where(absent, known, filled)
    found = np.zeros((len(values), column.width), dtype=np.float32)
    if column.type == "category":
        found[:, : len(column.values)] = filled[:, None] == np.arange(len(column.values))
        found[np.isnan(filled)] = np.nan
    else:
        found[:, 0] = 2 * (filled - low) / (high - low) - 1
    if column.missing == "indicator":
        found[absent] = 0
        found[:, -1] = absent
    return found
