"""What the columns of a table seem to be: a proposal for their owner, never used without one."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.cells import CURRENCY, FALSE, STRAY, TRUE, is_missing, numbers
from fedpact.data.readers.encoding import values_of
from fedpact.data.readers.table import Table
from fedpact.types.columns import MAX_MAGNITUDE, ColumnSchema, ColumnType, check_range
from fedpact.types.layout import FileLayout
from fedpact.types.names import label_key

Seen = ColumnType | Literal["empty", "constant", "other"]
DAY = 86_400.0
"""Seconds, to which the range of times is widened."""
FEW = 50
"""Different values of a category at most; with more, words are free text or names."""
LONG = 40
"""Characters of a cell that is no name."""
WORDS = 4
"""Of a cell that is no name either."""
RARE = 5
"""A category's value with fewer examples is not proposed: its name would tell of single records."""
DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")
_NAMED_ID = re.compile(
    r"(^|[\W_])(id|ids|uid|uuid|guid|udi|key|serial|nr|no|number|code)($|[\W_])|(Id|ID)$"
)
_NUMBER = r"[\d.,'\u2019 \u00a0\u202f]*\d(?:[eE][+-]?\d+)?"
_WITH_UNIT = re.compile(rf"[+-]?{_NUMBER}\s*(?P<unit>[^\d\s.,'\u2019+-]\D{{0,9}})")
_WITH_CURRENCY = re.compile(rf"[+-]?(?P<unit>{CURRENCY})\s*[+-]?{_NUMBER}")
PLACEHOLDERS = {
    *(sign * (10.0**digits - 1) for digits in range(2, 11) for sign in (1, -1)),
    *(999.9, -999.9, 9999.9, -9999.9, -999.25),
    *(32_767.0, -32_768.0, 65_535.0, 2_147_483_647.0, -2_147_483_648.0, 4_294_967_295.0),
}
"""Numbers that often stand for a missing one, if they are FAR from all others."""
FAR = 10
"""Times the width of the others."""


@dataclass(frozen=True)
class SeenColumn:
    """What one column seems to be."""

    name: str
    type: Seen
    missing: int
    """Cells without a value."""
    distinct: int
    """Different values."""
    note: str = ""
    """Why it is not proposed as an input; empty if it is."""
    measure: str | None = None
    format: str | None = None
    rare: int = 0
    """Values of a category that too few examples have to be named."""
    stray: int = 0
    """Cells of a column of numbers that are neither numbers nor known to be missing."""
    placeholders: int = 0
    """Cells with a number that seems to stand for a missing one."""


def look_at(table: Table, name: str) -> SeenColumn:
    cells = table.cells(name)
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    missing, distinct = len(cells) - len(present), len(set(present))
    if not present:
        return SeenColumn(name, "empty", missing, 0, "no value at all")
    if distinct == 1 and not missing:
        numeric = np.isfinite(numbers(present[:1], table.layout)).all()
        note = "" if numeric else "the same value everywhere"
        return SeenColumn(name, "constant", missing, 1, note)
    kind, measure, form, note = _type(name, present, table.layout, distinct)
    rare = stray = placeholders = 0
    values = numbers(present, table.layout, measure)
    if kind in ("number", "integer", "boolean") and np.isfinite(values).any():
        near = _without_placeholders(values)
        stray = int((~np.isfinite(values)).sum())
        placeholders = len(values) - stray - len(near)
        note = note or _too_large(near)
    if kind == "category":
        counts = Counter(map(label_key, present)).values()
        rare = sum(count < RARE for count in counts)
        if rare == len(counts):
            return SeenColumn(
                name, "other", missing, distinct, "each of its words is in few examples only"
            )
    return SeenColumn(name, kind, missing, distinct, note, measure, form, rare, stray, placeholders)


def proposed(table: Table, seen: SeenColumn) -> ColumnSchema | None:
    """The declaration of a column as `seen`; None for one that is of no use. What lacks a value is
    indicated.

    Whole numbers, and a number that is everywhere the same, are proposed as numbers: another
    provider's column of that name may hold others.
    """
    name, cells = seen.name, table.cells(seen.name)
    if seen.type == "identifier":
        return ColumnSchema(name=name, type="identifier")
    gaps = seen.missing or seen.rare or seen.stray
    missing: Literal["omit", "indicator"] = "indicator" if gaps else "omit"
    if seen.type in ("number", "integer", "boolean", "constant") and not seen.note:
        values = numbers(cells, table.layout, seen.measure)
        if np.isfinite(values).any():
            limits = rounded(_without_placeholders(values))
            return ColumnSchema(name=name, range=limits, measure=seen.measure, missing=missing)
    match seen.type:
        case "boolean":
            return ColumnSchema(name=name, type="boolean", missing=missing)
        case "text":
            return ColumnSchema(name=name, type="text", encoding="words")
        case "category":
            counts = Counter(label_key(cell) for cell in cells if not is_missing(cell))
            named = sorted(value for value, count in counts.items() if count >= RARE)
            return ColumnSchema(name=name, type="category", values=tuple(named), missing=missing)
        case "timestamp":
            times = moments(table, seen)
            first, last = np.nanmin(times), np.nanmax(times)
            limits = (float(first // DAY * DAY), float(last // DAY * DAY + DAY))
            return _timestamp(seen).model_copy(update={"range": limits, "missing": missing})
    return None


def moments(table: Table, seen: SeenColumn) -> NDArray[np.float64]:
    """A column's times in seconds since 1970, or its numbers, (n,); NaN for neither."""
    cells = table.cells(seen.name)
    if seen.type == "timestamp":
        return values_of(_timestamp(seen), cells, table.layout)
    return numbers(cells, table.layout, seen.measure)


def _timestamp(seen: SeenColumn) -> ColumnSchema:
    return ColumnSchema(name=seen.name, type="timestamp", range=(0.0, 1.0), format=seen.format)


def _too_large(values: NDArray[np.float64]) -> str:
    try:
        check_range("", rounded(values))
    except ValueError:
        return f"values beyond {MAX_MAGNITUDE:g}: give them in another unit of measurement"
    return ""


def rounded(values: NDArray[np.generic]) -> tuple[float, float]:
    """From the lowest to the highest finite value, widened to two significant digits of the
    width."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return low, low + 1.0
    power = math.floor(math.log10(high - low)) - 1
    step = 10.0**power
    return (
        round(math.floor(low / step) * step, -power),
        round(math.ceil(high / step) * step, -power),
    )


def _type(
    name: str, present: list[str], layout: FileLayout, distinct: int
) -> tuple[Seen, str | None, str | None, str]:
    """(type, unit of measurement, format of dates, why it is no input)."""
    measure = _measure(present)
    values = numbers(present, layout, measure)
    known = np.isfinite(values)
    if known.all() or (distinct > 2 and (~known).sum() <= STRAY * len(present)):
        if measure is not None:
            return "number", measure, None, ""
        read = [cell for cell, one in zip(present, known, strict=True) if one]
        return _numeric(name, read, values[known])
    folded = {cell.casefold() for cell in present}
    if len(folded) == 2 and folded & TRUE and folded & FALSE and folded <= TRUE | FALSE:
        return "boolean", None, None, ""
    dated = _dates(present)
    if len(dated) > 1:
        return "other", None, None, "day and month may be either way round: declare its format"
    if dated:
        return "timestamp", None, dated[0], ""
    if _is_prose(present, distinct):
        return "text", None, None, ""
    if distinct <= FEW and distinct <= max(2, len(present) // 2):
        return "category", None, None, ""
    return "identifier", None, None, "names single examples or things"


def _is_prose(present: Sequence[str], distinct: int) -> bool:
    """Whether cells are free text: one is long, or there are many different ones of which most have
    a few words."""
    if any(" " in cell and len(cell) > LONG for cell in present):
        return True
    wordy = sum(len(cell.split()) >= WORDS for cell in present)
    return distinct > FEW and wordy > len(present) / 2


def _numeric(
    name: str, present: list[str], values: NDArray[np.float64]
) -> tuple[Seen, str | None, str | None, str]:
    if set(map(label_key, present)) <= {"0", "1"}:
        return "boolean", None, None, ""
    if not (values == np.round(values)).all():
        return "number", None, None, ""
    unique = len(set(present)) == len(present) > 2
    if unique and (values[1:] - values[:-1] == 1).all():
        return "identifier", None, None, "numbers the rows"
    if _NAMED_ID.search(name):
        return "identifier", None, None, "its name says that it identifies something"
    leading = any(len(cell) > 1 and cell[0] == "0" and cell.isdecimal() for cell in present)
    if leading:
        return "identifier", None, None, "codes with leading zeros"
    return "integer", None, None, ""


def _measure(present: Sequence[str]) -> str | None:
    """The unit of measurement or currency with which all numbers but few are written."""
    found = (_WITH_UNIT.fullmatch(cell) or _WITH_CURRENCY.fullmatch(cell) for cell in present)
    counts = Counter(match["unit"].rstrip() for match in found if match)
    unit, count = counts.most_common(1)[0] if counts else ("", 0)
    return unit if count >= (1 - STRAY) * len(present) and count else None


def _without_placeholders(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The finite ones, without those at either end that stand for a missing number."""
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    ends = finite.min(), finite.max()
    others = finite[(finite != ends[0]) & (finite != ends[1])]
    width = np.ptp(others) if len(others) else 0.0
    for end in ends:
        if width and end in PLACEHOLDERS and abs(others - end).min() > FAR * width:
            finite = finite[finite != end]
    return finite


def _dates(present: Sequence[str]) -> list[str | None]:
    """Formats in which every cell is a date; None: ISO 8601."""
    if all(_parses(cell, None) for cell in present):
        return [None]
    return [form for form in DATES if all(_parses(cell, form) for cell in present)]


def _parses(cell: str, form: str | None) -> bool:
    try:
        datetime.fromisoformat(cell) if form is None else datetime.strptime(cell, form)
    except ValueError:
        return False
    return True
