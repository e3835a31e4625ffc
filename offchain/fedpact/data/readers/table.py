"""Tables: CSV with a header line, and Parquet (extra `parquet`)."""

import csv
import math
import unicodedata
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import row_digest
from fedpact.data.documents import MAX_BYTES
from fedpact.data.readers.records import Records, label_name, refuse
from fedpact.data.readers.texts import text_records

UNIT_COLUMN = "unit"
"""Rows with the same entry in this column are one unit of privacy; it is never a feature."""
TEXT_COLUMN = "text"
"""A table with this column holds documents, unless other columns are named."""
csv.field_size_limit(MAX_BYTES)


@dataclass(frozen=True)
class Table:
    """A table as text."""

    path: Path
    header: list[str]
    """In Unicode's NFKC, as all names of columns are compared."""
    rows: list[list[str]]
    raw_header: list[str]
    """As it is in the file: rows had digests of it before schemas declared columns."""

    def records(
        self, kind: str, label_column: str | None, columns: tuple[str, ...], unit_column: str | None
    ) -> Records:
        """The values of `columns`, or of all but the label's and the unit's in the file's order;
        NaN where a cell is no number.

        `label_column`: None for a table without labels. Raises DataError naming the example where
        a row is ragged or has no unit.
        """
        label_column, unit_column = _normal(label_column), _normal(unit_column)
        self._check(label_column, columns, unit_column)
        if TEXT_COLUMN in self.header and not columns:
            return self._documents(kind, label_column, unit_column)
        named = columns or tuple(
            name for name in self.header if name not in (label_column, unit_column)
        )
        units: tuple[str, ...] = ()
        if unit_column is not None and unit_column in self.header:
            units = self._units(unit_column)
        return Records(
            kind,
            self._values(named),
            self._labels(label_column),
            columns=named,
            groups=units,
            grouped_units=bool(units),
            rows=tuple(
                row_digest(list(zip(self.raw_header, row, strict=True))) for row in self.rows
            ),
        )

    def _documents(self, kind: str, label_column: str | None, unit_column: str | None) -> Records:
        """The column `text` alone; a document has no unit beside itself."""
        if unit_column in self.header:
            refuse(self.path, f"a column {unit_column!r} beside texts: each text is a unit")
        cell = self.header.index(TEXT_COLUMN)
        texts = [row[cell] for row in self.rows]
        return text_records(kind, texts, list(self._labels(label_column)))

    def _labels(self, label_column: str | None) -> tuple[str, ...]:
        if label_column is None:
            return ("",) * len(self.rows)
        cell = self.header.index(label_column)
        return tuple(row[cell].strip() for row in self.rows)

    def _check(
        self, label_column: str | None, columns: tuple[str, ...], unit_column: str | None
    ) -> None:
        if len(set(self.header)) != len(self.header):
            refuse(self.path, "the header line names a column twice")
        if label_column is not None and label_column not in self.header:
            refuse(self.path, f"no label column {label_column!r}")
        for column in map(normalised, columns):
            if column not in self.header:
                refuse(self.path, f"no column {column!r}")
            if column in (label_column, unit_column):
                refuse(self.path, f"column {column!r} cannot be a feature")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.header):
                refuse(
                    self.path,
                    f"example {number} has {len(row)} cells, the header {len(self.header)}",
                )

    def _units(self, unit_column: str) -> tuple[str, ...]:
        cell = self.header.index(unit_column)
        units = tuple(row[cell].strip() for row in self.rows)
        if "" in units:
            refuse(self.path, f"example {units.index('') + 1} has an empty {unit_column!r}")
        return units

    def _values(self, columns: tuple[str, ...]) -> NDArray[np.float64]:
        """One column of numbers a name; NaN for a cell that is no number."""
        values = np.empty((len(self.rows), len(columns)), dtype=np.float64)
        for index, column in enumerate(columns):
            cell = self.header.index(normalised(column))
            values[:, index] = [number_or_nan(row[cell]) for row in self.rows]
        return values


def read_csv(
    path: Path,
    label_column: str | None,
    columns: tuple[str, ...] = (),
    unit_column: str | None = UNIT_COLUMN,
) -> Records:
    try:
        with path.open("rb") as file:
            mark = "\ufeff" if file.read(3) == BOM_UTF8 else ""
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, strict=True)
            raw = next(lines, [])
            rows = [row for row in lines if row]
    except OSError as error:
        refuse(path, error.strerror or str(error), error)
    except (UnicodeDecodeError, csv.Error) as error:
        refuse(path, str(error), error)
    raw_header = [mark + name if place == 0 else name for place, name in enumerate(raw)]
    return Table(path, list(map(normalised, raw)), rows, raw_header).records(
        "csv", label_column, columns, unit_column
    )


def read_parquet(
    path: Path,
    label_column: str | None,
    columns: tuple[str, ...] = (),
    unit_column: str | None = UNIT_COLUMN,
) -> Records:
    """Cells count as the text that they would be in a CSV file, in units too."""
    if not path.is_file():
        refuse(path, "no such file")
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        refuse(path, "reading Parquet needs pyarrow: pip install 'fedpact[parquet]'", error)
    try:
        # One file: a folder's name such as `part=3` must not become a column.
        table = parquet.ParquetFile(path).read()
        cells = [[_cell(one) for one in column.to_pylist()] for column in table.columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        refuse(path, str(error).splitlines()[0], error)
    rows = [list(row) for row in zip(*cells, strict=True)]
    raw = list(table.column_names)
    return Table(path, list(map(normalised, raw)), rows, raw).records(
        "parquet", label_column, columns, unit_column
    )


def normalised(name: str) -> str:
    """A column's name in Unicode's NFKC."""
    return unicodedata.normalize("NFKC", name)


def _normal(name: str | None) -> str | None:
    return None if name is None else normalised(name)


def number_or_nan(cell: str) -> float:
    """NaN for what is no number."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _cell(value: Any) -> str:
    return "" if value is None else label_name(value)
