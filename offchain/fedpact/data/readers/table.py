"""A table as text, whatever file it is from, and the records in it."""

import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fedpact.data.dataset import row_digest
from fedpact.data.readers.cells import numbers
from fedpact.data.readers.encoding import texts_of, values_of
from fedpact.data.readers.records import NO_NUMBER, Records, label_name, refuse
from fedpact.data.readers.texts import text_records
from fedpact.types.columns import ColumnSchema
from fedpact.types.layout import FileLayout
from fedpact.types.names import label_key

UNIT_COLUMN = "unit"
"""Rows with the same entry in this column are one unit of privacy; it is never a feature."""
TEXT_COLUMN = "text"
"""A table with this column holds documents, unless other columns are named."""
INDEX_NAMES = ("", "index", "level_0", "Unnamed: 0", "__index_level_0__")
"""What pandas calls the column of row numbers that it writes."""
UNSEEN = "\u200b\u2060\ufeff"
"""Spaces of no width, which copying from web pages leaves."""
WRITTEN = ("csv", "xlsx")
"""Formats in which a label that reads `nan` was written so; in others it is no number."""


@dataclass(frozen=True)
class Table:
    """A table as text, a list of cells for each column."""

    path: Path
    kind: str
    """Its format."""
    header: list[str]
    """In Unicode's NFKC, as all names of columns are compared, without white space at the ends."""
    columns: list[list[str]]
    raw_header: list[str]
    """As it is in the file: rows had digests of it before schemas declared columns."""
    layout: FileLayout
    index: str | None = None
    """Column that only numbers the rows. It is never used."""

    def with_layout(self, layout: FileLayout) -> "Table":
        """The same cells, with another notation of numbers."""
        return replace(self, layout=layout)

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def cells(self, name: str) -> list[str]:
        """Raises DataError for a column that does not exist."""
        place = self._places.get(normalised(name))
        if place is None:
            refuse(self.path, f"no column {name!r}; it has {listed(self.header)}")
        return self.columns[place]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.header)}

    def records(
        self,
        label_column: str | None,
        columns: tuple[str, ...],
        unit_column: str | None,
        declared: tuple[ColumnSchema, ...] = (),
    ) -> Records:
        """The values of `columns`, or of all but the label's and the unit's in the file's order;
        NaN where a cell is no number.

        `label_column`: None for a table without labels. `declared`: what each of `columns` holds,
        if not numbers. Raises DataError naming the example where a row has no unit.
        """
        label_column, unit_column = _normal(label_column), _normal(unit_column)
        places = self._places
        self._check(label_column, columns, unit_column)
        used = {label_column, unit_column, self.index}
        if TEXT_COLUMN in places and not columns:
            others = tuple(name for name in self.header if name not in {*used, TEXT_COLUMN})
            return replace(self._documents(label_column, unit_column), ignored=others)
        named = columns or tuple(name for name in self.header if name not in used)
        units: tuple[str, ...] = ()
        if unit_column is not None and unit_column in places:
            units = self._units(unit_column)
        wanted = [normalised(name) for name in named]
        values = np.empty((len(self), len(wanted)), dtype=np.float64)
        words = []
        for index, name in enumerate(wanted):
            cells = self.columns[places[name]]
            if not declared:
                values[:, index] = numbers(cells, self.layout)
                continue
            column = declared[index]
            values[:, index] = values_of(column, cells, self.layout)
            if column.type == "text":
                words.append((column.name, tuple(texts_of(cells).tolist())))
            elif column.values:
                words.append((column.name, tuple(map(label_key, cells))))
            elif column.type == "timestamp":  # more digits than 32 bits hold
                words.append((column.name, tuple(map(repr, values[:, index].tolist()))))
        used |= set(wanted)
        if declared:  # that they number the rows depends on every row
            used |= set(INDEX_NAMES)
        return Records(
            self.kind,
            values,
            self._labels(label_column),
            columns=named,
            groups=units,
            grouped_units=bool(units),
            rows=self._digests(),
            ignored=tuple(name for name in self.header if name not in used),
            words=tuple(words),
            layout=self.layout,
        )

    def require_names(self) -> None:
        """Raise DataError for a column without a name, unless it numbers the rows."""
        if "" in self.header and self.index != "":
            refuse(self.path, f"column {self.header.index('') + 1} has no name: give it one")

    def _digests(self) -> tuple[bytes, ...]:
        rows = zip(*self.columns, strict=True)
        return tuple(row_digest(list(zip(self.raw_header, row, strict=True))) for row in rows)

    def _documents(self, label_column: str | None, unit_column: str | None) -> Records:
        """The column `text` alone; a document has no unit beside itself."""
        if unit_column in self.header:
            refuse(self.path, f"a column {unit_column!r} beside texts: each text is a unit")
        return text_records(self.kind, self.cells(TEXT_COLUMN), list(self._labels(label_column)))

    def _labels(self, label_column: str | None) -> tuple[str, ...]:
        if label_column is None:
            return ("",) * len(self)
        labels = tuple(cell.strip() for cell in self.cells(label_column))
        if self.kind in WRITTEN:
            return labels
        return tuple("" if label == NO_NUMBER else label for label in labels)

    def _check(
        self,
        label_column: str | None,
        columns: tuple[str, ...],
        unit_column: str | None,
    ) -> None:
        places = self._places
        missing = {label_column, *map(normalised, columns)} - {None, *places}
        if missing and not self.layout.header:
            refuse(self.path, "its first line does not name the columns: add a line that does")
        if label_column is not None and label_column not in places:
            refuse(
                self.path,
                f"no label column {label_column!r}; it has {listed(self.header)}: say which it is"
                " (--label COLUMN, in Python label=, in a schema label_column)",
            )
        for column in map(normalised, columns):
            if column not in places:
                refuse(self.path, f"no column {column!r}; it has {listed(self.header)}")
            if column in (label_column, unit_column):
                refuse(self.path, f"column {column!r} cannot be a feature")

    def _units(self, unit_column: str) -> tuple[str, ...]:
        units = tuple(cell.strip() for cell in self.cells(unit_column))
        if "" in units:
            refuse(self.path, f"example {units.index('') + 1} has an empty {unit_column!r}")
        return units


def table_of(path: Path, kind: str, rows: list[list[str]], layout: FileLayout) -> Table:
    """A table from rows of text, the first of which is the header if the layout has one.

    Raises DataError for ragged rows, and for columns with the same name.
    """
    raw, examples = (rows[0], rows[1:]) if layout.header and rows else (None, rows)
    width = len(raw if raw is not None else examples[0]) if rows else 0
    for number, row in enumerate(examples, start=1):
        if len(row) != width:
            first = "the header" if raw is not None else "the first"
            refuse(path, f"example {number} has {len(row)} cells, {first} {width}")
    columns = [list(cells) for cells in zip(*examples, strict=True)] or [[] for _ in range(width)]
    return columnar(path, kind, raw, columns, layout)


def columnar(
    path: Path,
    kind: str,
    names: Sequence[str] | None,
    columns: list[list[str]],
    layout: FileLayout,
) -> Table:
    """A table from columns of text; `names` None: they have none. Raises DataError as above."""
    raw = [f"column_{n}" for n in range(1, len(columns) + 1)] if names is None else list(names)
    # A separator at the end of every line is no column.
    while raw and not raw[-1].strip() and not any(cell.strip() for cell in columns[-1]):
        raw, columns = raw[:-1], columns[:-1]
    header = [normalised(name) for name in raw]
    index = next((n for n, c in zip(header, columns, strict=True) if _numbers_rows(n, c)), None)
    twice = next((name for name, count in Counter(header).items() if name and count > 1), None)
    if twice is not None:
        places = " and ".join(str(n) for n, name in enumerate(header, 1) if name == twice)
        refuse(path, f"the header names a column twice: {twice!r}, columns {places}; rename one")
    return Table(path, kind, header, columns, raw, layout, index)


def _numbers_rows(name: str, cells: list[str]) -> bool:
    if name not in INDEX_NAMES or len(cells) < 2:
        return False
    start = {"0": 0, "1": 1}.get(cells[0])
    return start is not None and cells == [str(n) for n in range(start, start + len(cells))]


def cell_text(value: Any) -> str:
    """A typed cell as the text that it would be in a CSV file."""
    return "" if value is None else label_name(value)


def normalised(name: str) -> str:
    """A column's name in Unicode's NFKC, without white space at the ends, seen or not."""
    return unicodedata.normalize("NFKC", name).strip(string.whitespace + UNSEEN).strip()


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a message, the first of many."""
    shown = ", ".join(repr(name) for name in names[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _normal(name: str | None) -> str | None:
    return None if name is None else normalised(name)
