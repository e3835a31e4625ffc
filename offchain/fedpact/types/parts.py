"""The parts of an example: what of it is numbers, a window of rows or a text.

An example is one vector of these parts, one after the other. Families of dense layers take it as
it is; a network of one's own may take it apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedpact.types.columns import ColumnSchema
from fedpact.types.series import SeriesWindows

WINDOW, COLUMNS = "window", "columns"
"""What the part of a window's rows, and that of all other columns but texts, are called."""


@dataclass(frozen=True)
class Part:
    name: str
    """`window`, `columns`, or the name of a text's column."""
    start: int
    """Of its values in the vector."""
    shape: tuple[int, ...]
    """(rows, inputs of a row) of a window, (inputs,) of others."""

    @property
    def size(self) -> int:
        size = 1
        for one in self.shape:
            size *= one
        return size

    def of(self, x: Any) -> Any:
        """This part of examples (n, *shape), numpy's or torch's: (n, *self.shape)."""
        flat = x.reshape(x.shape[0], -1)
        return flat[:, self.start : self.start + self.size].reshape(x.shape[0], *self.shape)


def check_order(table: Sequence[ColumnSchema], series: SeriesWindows | None) -> None:
    """Raise ValueError unless columns come in the order of their parts: of rows, static, texts; and
    for static columns or texts that cannot be."""
    static = () if series is None else series.static
    names = [column.name for column in table]
    if len(set(static)) != len(static):
        raise ValueError("series: static names one column twice")
    unknown = next((name for name in static if name not in names), None)
    if unknown is not None:
        raise ValueError(f"series: static column {unknown!r} is not in table")
    if series is not None:
        moving = next((c.name for c in table if c.type == "text" and c.name not in static), None)
        if moving is not None:
            raise ValueError(
                f"series: column {moving!r} is a text: a window has one, so list it in static"
            )
        if len(static) == len(table):
            raise ValueError("series: all columns are static: windows need one that moves")
    if list(table) != ordered(table, static):
        raise ValueError("table: columns of rows come first, then static ones, then texts")


def ordered(table: Sequence[ColumnSchema], static: Sequence[str]) -> list[ColumnSchema]:
    """The columns in the order of their parts."""
    return sorted(table, key=lambda one: (one.type == "text", one.name in static))


def parts_of(
    table: Sequence[ColumnSchema], series: SeriesWindows | None, shape: tuple[int, ...]
) -> tuple[Part, ...]:
    """Of examples of `shape`: their parts, in order. Without declared columns there is one."""
    if not table:
        return (Part(COLUMNS if series is None else WINDOW, 0, shape),)
    static = () if series is None else series.static
    found: list[Part] = []
    if series is not None:
        width = sum(one.width for one in table if one.name not in static)
        found.append(Part(WINDOW, 0, (series.window, width)))
    once = [one for one in table if series is None or one.name in static]
    plain = sum(one.width for one in once if one.type != "text")
    if plain:
        found.append(Part(COLUMNS, _end(found), (plain,)))
    for text in (one for one in once if one.type == "text"):
        found.append(Part(text.name, _end(found), (text.width,)))
    return tuple(found)


def shape_of(table: Sequence[ColumnSchema], series: SeriesWindows | None) -> tuple[int, ...]:
    """Of one example of declared columns: a window alone keeps its rows, all else is a vector."""
    parts = parts_of(table, series, ())
    return parts[0].shape if len(parts) == 1 else (_end(parts),)


def laid_out(
    table: Sequence[ColumnSchema], series: SeriesWindows | None
) -> tuple[ColumnSchema, ...]:
    """The columns that an example's values are of, in order: those of a window's rows repeat."""
    if series is None:
        return tuple(table)
    moving = tuple(one for one in table if one.name not in series.static)
    return moving * series.window + tuple(one for one in table if one.name in series.static)


def _end(parts: Sequence[Part]) -> int:
    return parts[-1].start + parts[-1].size if parts else 0
