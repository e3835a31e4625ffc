"""What the cells of a table mean: numbers in the notation of their file, and missing values."""

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.types.layout import FileLayout

MISSING = frozenset(
    (
        *("", "na", "n/a", "n.a.", "n. a.", "n/d", "n.d.", "nan", "-nan", "nat", "<na>", "nil"),
        *("null", "(null)", "none", "\\n", "-", "--", "---", "\u2013", "\u2014", "\u2212"),
        *("?", ".", "(blank)"),
        *("missing", "unknown", "not available", "not applicable", "no data", "undefined"),
        *("k.a.", "k. a.", "k.a", "keine angabe", "unbekannt", "fehlt", "s/o", "s.o.", "inconnu"),
        # What spreadsheets write for an error, in English, German, French and Spanish.
        *("#n/a", "#na", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#calc!"),
        *("#nv", "#wert!", "#bezug!", "#zahl!", "#valeur!", "#nom?", "#nombre!", "#n/d", "#valor!"),
    )
)
"""Spellings of a missing value, casefolded and without white space at the ends."""
STRAY = 0.1
"""Of a column of numbers, the largest share of cells that are something else."""
TRUE = frozenset(("true", "yes", "y", "t", "1", "on", "ja", "wahr", "oui", "vrai"))
FALSE = frozenset(("false", "no", "n", "f", "0", "off", "nein", "falsch", "non", "faux"))
CURRENCY = (
    r"(?:[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20ba\u20ab\u20b4]"
    r"|USD|EUR|GBP|CHF|JPY|CNY|INR|PLN|SEK|NOK|DKK|CZK)"
)
"""What may stand before a number (regular expression)."""
_GROUP_SPACES = " \u00a0\u202f"
_SPACES = f"[{_GROUP_SPACES}]"
_SHAPE = re.compile(
    rf"[+-]?(?:{CURRENCY}\s?)?[+-]?(?:\d+(?P<one>[.,])(?P<rest>\d+)(?:[eE][+-]?\d+)?"
    r"|\d{1,3}(?P<group>[.,'\u2019 \u00a0\u202f])\d{3}(?:(?P=group)\d{3})*"
    r"(?:(?!(?P=group))(?P<mark>[.,])\d+)?"
    r"|\d+\.?(?:[eE][+-]?\d+)?|[.,]\d+)(?:\s?[^\d\s.,'\u2019+-]\D{0,9})?"
)
"""A number in any notation, with or without a unit after it or a currency before it: with one mark,
with groups of thousands, or whole."""
Notation = tuple[Literal[".", ","], Literal["", ",", ".", " ", "'"]]
"""Decimal mark and separator of thousands."""


def is_missing(cell: str) -> bool:
    return cell.strip().casefold() in MISSING


def number(cell: str, layout: FileLayout, unit: str | None = None) -> float:
    """The cell's number, without its `unit` of measurement after or before it; NaN for what is no
    number."""
    text = cell.strip().replace("\u2212", "-")
    if unit and text.endswith(unit):
        text = text[: -len(unit)].rstrip()
    elif unit and text.lstrip("+-").startswith(unit):
        sign, _, rest = text.partition(unit)
        text = sign + rest.lstrip()
    if layout.decimal == "." and "_" not in text:
        try:
            return float(text)
        except ValueError:
            pass
    if not _form(layout.decimal, layout.thousands).fullmatch(text):
        return math.nan
    for mark in _thousands(layout.thousands):
        text = text.replace(mark, "")
    return float(text.replace(layout.decimal, "."))


def numbers(
    cells: Iterable[str], layout: FileLayout, unit: str | None = None
) -> NDArray[np.float64]:
    """As `number`, of each cell, (n,)."""
    return np.array([number(cell, layout, unit) for cell in cells], dtype=np.float64)


@lru_cache
def _form(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = r"\d+"
    if thousands:
        mark = (
            _SPACES
            if thousands == " "
            else "['\u2019]"
            if thousands == "'"
            else re.escape(thousands)
        )
        whole = rf"(?:\d{{1,3}}(?:{mark}\d{{3}})+|\d+)"
    point = re.escape(decimal)
    return re.compile(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")


def _thousands(mark: str) -> str:
    return {"": "", " ": " \u00a0\u202f", "'": "'\u2019"}.get(mark, mark)


class Ambiguous(Exception):
    """A column whose commas may be decimal marks or separate thousands; or two that disagree."""

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__(columns)
        self.columns = tuple(columns)


def notation(columns: Sequence[Sequence[str]]) -> Notation:
    """The one notation of a file's numbers. Raises Ambiguous if nothing decides between two.

    Only columns in which every cell is missing or a number in some notation count; few may be words
    without a digit.
    """
    found: dict[str, dict[str, int]] = {"decimal": {}, "thousands": {}}
    undecided: dict[str, int] = {}
    for index, cells in enumerate(columns):
        for role, mark in _evidence(cells):
            (undecided if role == "either" else found[role]).setdefault(mark, index)
    decimals, thousands = found["decimal"], found["thousands"]
    if len(decimals) > 1:
        raise Ambiguous(sorted(decimals.values()))
    if not decimals and len(thousands) == 1 and set(thousands) <= {",", "."}:
        decimals = {"," if "." in thousands else ".": next(iter(thousands.values()))}
    if not decimals and "," in undecided:
        raise Ambiguous([undecided[","]])
    decimal: Literal[".", ","] = "," if "," in decimals else "."
    for mark, index in undecided.items():
        if mark != decimal:
            thousands.setdefault(mark, index)
    if len(thousands) > 1 or decimal in thousands:
        raise Ambiguous(sorted({*thousands.values(), *decimals.values()}))
    separator: Literal["", ",", ".", " ", "'"] = next(iter(thousands), "")  # type: ignore[arg-type]
    return decimal, separator


def _evidence(cells: Sequence[str]) -> set[tuple[str, str]]:
    """(`decimal`, `thousands` or `either`, mark) of a column of numbers; empty for another."""
    seen: set[tuple[str, str]] = set()
    words = 0
    for cell in cells:
        text = cell.strip().replace("\u2212", "-")
        if text.casefold() in MISSING:
            continue
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            words += 1
            if words > STRAY * len(cells) or any(map(str.isdigit, text)):
                return set()
            continue
        if (one := shape["one"]) is not None:
            whole = text.lstrip("+-").partition(one)[0]
            grouped = re.fullmatch(r"[1-9]\d{0,2}", whole) and len(shape["rest"]) == 3
            seen.add(("either" if grouped else "decimal", one))
        elif (group := shape["group"]) is not None:
            seen.add(("thousands", " " if group in _GROUP_SPACES else group.replace("\u2019", "'")))
            if shape["mark"]:
                seen.add(("decimal", shape["mark"]))
    return seen
