"""Text files of delimited cells: `.csv`, `.tsv`, also packed as `.gz` or `.zst`."""

import csv
import io
import math
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, cast

from fedpact.data.documents import MAX_BYTES
from fedpact.data.readers.cells import Ambiguous, is_missing, notation, number
from fedpact.data.readers.charset import detected, text_of, unpacked
from fedpact.data.readers.records import refuse
from fedpact.data.readers.table import Table, table_of
from fedpact.types.layout import PLAIN, FileLayout

Separator = Literal[",", ";", "\t", "|"]
SEPARATORS: tuple[Separator, ...] = ("\t", ";", "|", ",")
"""In the order in which they are believed if several fit."""
_OTHER: dict[str, Literal[".", ","]] = {".": ",", ",": "."}
SAMPLE = 500
"""Rows by which the separator is found."""
csv.field_size_limit(MAX_BYTES)


def read_delimited(
    path: Path,
    layout: FileLayout | None = None,
    decimal: Literal[".", ","] | None = None,
) -> Table:
    """The table in `path`, as `layout` says; None: find the layout. `decimal`: its decimal mark, if
    that is known; the other mark then separates thousands.

    Raises DataError for what cannot be decoded or unpacked, for ragged rows, and where the layout
    is not certain.
    """
    data = unpacked(path)
    if layout is not None:
        rows = _cells(path, text_of(path, data, layout.encoding), layout)
        return _table(path, rows, layout, data)
    text, encoding = detected(path, data)
    separator = _separator(text)
    layout = FileLayout(encoding=encoding, separator=separator)
    rows = _cells(path, text, layout)
    if rows and not _names_columns(rows[0], rows[1:SAMPLE]):
        layout = layout.model_copy(update={"header": False})
    found = _table(path, rows, layout, data)
    try:
        mark, thousands = notation(found.columns) if decimal is None else (decimal, _OTHER[decimal])
    except Ambiguous as error:
        names = " and ".join(repr(found.header[index]) for index in error.columns)
        refuse(
            path,
            f"column {names}: a comma or point may be a decimal mark or separate thousands; write "
            "the numbers with a decimal point and no thousands, or declare decimal and thousands",
            error,
        )
    return found.with_layout(
        found.layout.model_copy(update={"decimal": mark, "thousands": thousands})
    )


def _cells(path: Path, text: str, layout: FileLayout) -> list[list[str]]:
    try:
        return [row for row in _rows(text, layout.separator) if row]
    except csv.Error as error:
        refuse(path, f"{error}: a quotation mark is missing or misplaced", error)


def _table(path: Path, rows: list[list[str]], layout: FileLayout, data: bytes) -> Table:
    found = table_of(path, "csv", rows, layout)
    if data.startswith(BOM_UTF8) and found.raw_header:
        # Rows had digests with the mark in the first column's name.
        found.raw_header[0] = "\ufeff" + found.raw_header[0]
    return found


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """Excel's first line `sep=;` is no content."""
    source = io.StringIO(text, newline="")
    if text[:4].casefold() == "sep=" and text[5:6] in ("\r", "\n"):
        source.readline()
    return csv.reader(source, delimiter=separator, strict=True)


def _separator(text: str) -> Separator:
    if text[:4].casefold() == "sep=" and text[4:5] in SEPARATORS and text[5:6] in ("\r", "\n"):
        return cast(Separator, text[4])
    fits: dict[Separator, float] = {}
    for separator in SEPARATORS:
        try:
            widths = [len(row) for row in islice(_rows(text, separator), SAMPLE) if row]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            fits[separator] = sum(width == widths[0] for width in widths) / len(widths)
    return max(fits, key=lambda one: fits[one]) if fits else ","


def _names_columns(first: list[str], rows: list[list[str]]) -> bool:
    """Whether the first row is a header rather than an example.

    Numbers are names only where they count the columns, as pandas does by default."""
    comma = FileLayout(decimal=",")

    def numeric(cell: str) -> bool:
        return not (math.isnan(number(cell, PLAIN)) and math.isnan(number(cell, comma)))

    cells = [cell.strip() for cell in first]
    numbers = [cell for cell in cells if numeric(cell)]
    if not numbers:
        return True
    if [int(cell) for cell in numbers if cell.isdecimal()] in (
        list(range(len(numbers))),
        list(range(1, len(numbers) + 1)),
    ):
        return True
    below = [row for row in rows if len(row) == len(cells)]
    for index, cell in enumerate(cells):
        column = [row[index].strip() for row in below if not is_missing(row[index])]
        if column and not numeric(cell) and all(map(numeric, column)):
            return True  # a word above numbers is a name
    return False
