"""A draft of a schema, read off a provider's records for their owner to review."""

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tomlkit
from numpy.typing import NDArray

from fedpact.data.column_inference import look_at, proposed, rounded
from fedpact.data.readers import LABEL_COLUMN, read_table, read_unchecked
from fedpact.data.readers.cells import numbers
from fedpact.data.readers.records import Records
from fedpact.data.readers.table import UNIT_COLUMN
from fedpact.errors import DataError, InvalidInput
from fedpact.types.columns import ColumnSchema, check_range
from fedpact.types.layout import FileLayout
from fedpact.types.names import label_key
from fedpact.types.schema import RECORD, DataSchema
from fedpact.types.series import Series

MAX_LABELS = 1000
"""Of a classification; a column with more distinct entries is hardly one of labels."""
WARNING = """\
What this file says is public: a daemon decides from it alone which requests it joins.
It was read off your records. Round or widen what you do not want to be known, before
you serve. Values outside a range count as its nearer end; labels that are not listed
do not count. `units` may be larger than the number that you have.
"""


def propose(
    path: Path,
    category: str,
    *,
    label_column: str | None = None,
    output_column: str | None = None,
    unit: str | None = None,
    layout: FileLayout | None = None,
    columns: tuple[str, ...] = (),
    left_out: Collection[str] = (),
    series: Series | None = None,
) -> DataSchema:
    """The schema that the records at `path` suggest, with a new `data_id`. Of a table's columns it
    has those that `data.column_inference` takes for inputs or identifiers.

    Args:
        category: what the data are about.
        label_column: a table's column of label names; default `label`.
        output_column: for a regression, what it predicts: a table's column; of arrays, the name of
            their `y`.
        unit: a table's column that names privacy units, or `record`.
        layout: how the file writes a table; None: find it.
        columns: of a table those that may be inputs; none: all. A table with a column `text` holds
            documents unless this names columns.
        left_out: columns that are not proposed.
        series: of a table whose rows follow one another in time.

    Raises:
        DataError: a file that cannot be read, no column of use, or too many labels.
        InvalidInput: a table whose unit is not named.
    """
    regression = output_column is not None
    label = None if regression else label_column or LABEL_COLUMN
    unit_column = UNIT_COLUMN if unit is None else unit if unit != RECORD else None
    found = read_unchecked(path, output_column or label, columns, unit_column, layout)
    if found.columns and unit is None and not found.grouped_units:
        raise InvalidInput(
            "say what one privacy unit is: --unit COLUMN where rows with the same entry belong to "
            "one person or machine, --unit record where each row stands for another"
        )
    counts = np.unique(np.unique(list(found.units), return_counts=True)[1])
    shared = {
        "data_id": secrets.token_hex(16),
        "category": category,
        "kind": found.kind,
        "units": len(set(found.units)),
        "examples_per_unit": int(counts.max()),
        "unit": (unit or UNIT_COLUMN) if found.grouped_units else RECORD,
        "labels": () if regression else _labels(path, found),
        "label_column": label or LABEL_COLUMN,
        "file": found.layout,
    }
    if found.kind == "text":
        return DataSchema(**shared)  # type: ignore[arg-type]
    output = None
    if output_column is not None:
        values = numbers(found.labels, found.layout)
        output = ColumnSchema(name=output_column, range=_range(path, output_column, values))
    if found.columns:
        names = [name for name in found.columns if name not in left_out]
        declared = _columns(path, found.layout, names)
        if output is not None:
            declared = (*declared, output)
        return DataSchema(**shared, columns=declared, series=series)  # type: ignore[arg-type]
    return DataSchema(
        **shared,  # type: ignore[arg-type]
        shape=tuple(found.x.shape[1:]),
        value_range=_range(path, "x", found.x),
        output=output,
    )


def as_toml(schema: DataSchema) -> str:
    """The schema as a TOML file with the warning on top."""
    document = tomlkit.document()
    for line in WARNING.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    fields = schema.model_dump(mode="json", exclude_defaults=True)
    if schema.is_table:
        fields = {"unit": schema.unit, **fields}
    for name, value in fields.items():
        if name == "columns":
            tables = tomlkit.aot()
            for column in value:
                if column.get("type") == "timestamp":
                    column["range"] = [_date(limit) for limit in column["range"]]
                tables.append(tomlkit.item(column))
            document.add(name, tables)
        else:
            document.add(name, tomlkit.item(value))
    return tomlkit.dumps(document)


def _date(limit: float) -> str:
    return datetime.fromtimestamp(limit, UTC).isoformat()


def _labels(path: Path, found: Records) -> tuple[str, ...]:
    """Each name in its common form; an example without one does not count."""
    names = sorted({label_key(label) for label in found.labels} - {""})
    if not names:
        raise DataError(f"data {path}: no example has a label")
    if len(names) > MAX_LABELS:
        raise DataError(
            f"data {path}: {len(names)} different labels: is it a regression? Name its column as "
            "the output"
        )
    return tuple(names)


def _columns(path: Path, layout: FileLayout, names: Sequence[str]) -> tuple[ColumnSchema, ...]:
    table = read_table(path, layout)
    assert table is not None
    found = (proposed(table, look_at(table, name)) for name in names)
    columns = tuple(column for column in found if column is not None)
    if not any(column.is_input for column in columns):
        raise DataError(f"data {path}: no column is of use as an input")
    return columns


def _range(path: Path, name: str, values: NDArray[np.generic]) -> tuple[float, float]:
    """As `rounded`; of bytes, all that they can hold."""
    if values.dtype == np.uint8:
        return 0.0, 255.0
    if not np.isfinite(values).any():
        raise DataError(f"data {path}: column {name!r} holds no number")
    found = rounded(values)
    try:
        check_range(name, found)
    except ValueError as error:
        raise DataError(f"data {path}: {error}: give it in another unit of measurement") from error
    return found
