"""Random splits of a table's rows that follow from public declarations alone.

A split asks one question of an encoded row (`data.readers.encoding`): whether a number is above a
threshold, whether a difference or a product of two numbers is, whether a category's value is among
some of its values, or whether a text has one of some hashed words, or is on one side of a plane
through the sentence network's rows. Thresholds are where random points of the columns' public
ranges fall, so no record decides about one. Draws use the raw words of PCG64, a fixed stream in all
versions of numpy; evaluation uses single additions, products and comparisons of 64 bits, which
every machine rounds alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.types.columns import ColumnSchema

Rows = NDArray[np.float64]
Questions = Literal["any", "pairs"]
"""See `random_splits`."""
MOST_BUCKETS = 32
"""Of hashed words in one question: a short text has words in a dozen of 256."""
ALONE = 8
"""Of so many questions by `pairs` that begin with a number, one is about that number alone."""


@dataclass(frozen=True)
class Split:
    """True where sum of factors * inputs, or the product of (inputs + offsets), is above the
    threshold."""

    inputs: tuple[int, ...]
    factors: tuple[float, ...]
    """Empty: a product."""
    offsets: tuple[float, ...]
    threshold: float

    def of(self, rows: Rows) -> NDArray[np.bool_]:
        """Of encoded rows, (n, inputs): (n,)."""
        return np.asarray(self.value([rows[:, place] for place in self.inputs]) > self.threshold)

    def value(self, inputs: Sequence[Rows]) -> Rows:
        """What is compared with the threshold, (n,)."""
        if self.factors:
            found = self.factors[0] * inputs[0]
            for factor, one in zip(self.factors[1:], inputs[1:], strict=True):
                found = found + factor * one
            return found
        return (inputs[0] + self.offsets[0]) * (inputs[1] + self.offsets[1])


def is_number(column: ColumnSchema) -> bool:
    """Whether a column is asked about by thresholds: it has an order."""
    return column.type not in ("category", "boolean", "text")


@dataclass(frozen=True)
class _Column:
    """Where a column's inputs are in an encoded row, and what they mean."""

    place: int
    declared: ColumnSchema | None
    """None: an input of arrays, a number from `lowest` to 1."""
    lowest: float = -1.0
    """Of its encoded values."""

    @property
    def is_number(self) -> bool:
        return self.declared is None or is_number(self.declared)

    def at(self, share: float) -> float:
        """The number, encoded, that is at this share of the column's range."""
        return self.lowest + (1 - self.lowest) * share

    @property
    def measure(self) -> str | None:
        return None if self.declared is None else self.declared.measure

    @property
    def middle_and_half(self) -> tuple[float, float]:
        """Middle and half of the public range in the column's own unit."""
        low, high = (-1.0, 1.0) if self.declared is None else self.declared.limits
        return (low + high) / 2, (high - low) / 2


class _Draws:
    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)

    def share(self) -> float:
        """Uniform in [0, 1)."""
        return float(int(self._words.random_raw()) >> 11) * 2.0**-53

    def below(self, bound: int) -> int:
        return int(self.share() * bound)

    def middling(self) -> float:
        """From 0 to 1, mostly near the middle, where measured columns have most of their values."""
        return (self.share() + self.share()) / 2

    def crowded(self) -> float:
        """From 0 to 1. Half of the draws are uniform; the others crowd towards an end, where skewed
        columns have most of their values."""
        share, form = self.share(), self.below(4)
        if form == 0:
            share = share * share * share
        elif form == 1:
            share = 1 - share * share * share
        return share


@lru_cache(maxsize=16)
def random_splits(
    columns: tuple[ColumnSchema, ...],
    inputs: int,
    lowest: float,
    count: int,
    seed: int,
    numbers: float | None = None,
    questions: Questions = "any",
) -> tuple[Split, ...]:
    """`count` splits of rows of `inputs` values.

    `columns`: as the specification's `features.laid_out` has them; none: all inputs are numbers
    from `lowest` to 1. Columns are asked equally often, however many inputs they have, but that
    `numbers` of the splits begin with a column of numbers, where there are other columns.
    `questions`: with `pairs`, a question that begins with a number is mostly about two numbers,
    often with the same unit of measurement, and of different units by their product alone: what is
    measured in one unit can be compared, in others it cannot. Thresholds are then nearer to the
    middle of the ranges.
    """
    draws, known = _Draws(seed), _columns(columns, inputs, lowest)
    measured = [one for one in known if one.is_number]
    others = [one for one in known if not one.is_number]

    def first() -> _Column:
        among = known
        if numbers is not None and measured and others:
            among = measured if draws.share() < numbers else others
        return among[draws.below(len(among))]

    return tuple(_split(first(), measured, draws, questions) for _ in range(count))


def _columns(columns: tuple[ColumnSchema, ...], inputs: int, lowest: float) -> list[_Column]:
    if not columns:
        return [_Column(place, None, lowest) for place in range(inputs)]
    found, place = [], 0
    for one in columns:
        found.append(_Column(place, one))
        place += one.width
    return found


def _split(first: _Column, numbers: list[_Column], draws: _Draws, questions: Questions) -> Split:
    declared = first.declared
    if declared is not None and declared.missing == "indicator" and draws.below(8) == 0:
        return Split((first.place + declared.width - 1,), (1.0,), (), 0.5)
    if declared is not None and declared.type == "category":
        return _members(first, len(declared.values), draws)
    if declared is not None and declared.type == "text":
        return (
            _words(first, declared.width, draws)
            if declared.encoding == "words"
            else _plane(first, declared.width, draws)
        )
    if declared is not None and declared.type == "boolean":
        return Split((first.place,), (1.0,), (), 0.0)
    return _pair(first, numbers, draws) if questions == "pairs" else _any(first, numbers, draws)


def _any(first: _Column, numbers: list[_Column], draws: _Draws) -> Split:
    """About a number, or its difference or product with another one."""
    form, second = draws.below(3), numbers[draws.below(len(numbers))]
    if form == 0 or second.place == first.place:
        return Split((first.place,), (1.0,), (), first.at(draws.crowded()))
    blank = _difference(first, second) if form == 1 else _product(first, second)
    return _between(blank, first.at(draws.crowded()), second.at(draws.crowded()))


def _pair(first: _Column, numbers: list[_Column], draws: _Draws) -> Split:
    """Mostly about two numbers."""
    others = [one for one in numbers if one.place != first.place]
    if not others or draws.below(ALONE) == 0:
        return Split((first.place,), (1.0,), (), first.at(draws.middling()))
    alike = [one for one in others if one.measure is not None and one.measure == first.measure]
    among = alike if alike and draws.below(2) else others
    second = among[draws.below(len(among))]
    if first.measure is None or second.measure is None:
        compared = draws.below(2) == 0
    else:
        compared = first.measure == second.measure
    blank = _difference(first, second) if compared else _product(first, second)
    return _between(blank, first.at(draws.middling()), second.at(draws.middling()))


def _difference(first: _Column, second: _Column) -> Split:
    """Of two numbers: in their unit where they have the same one, else of the encoded values."""
    alike = first.measure is not None and first.measure == second.measure
    factors = (first.middle_and_half[1], -second.middle_and_half[1]) if alike else (1.0, -1.0)
    return Split((first.place, second.place), factors, (), 0.0)


def _product(first: _Column, second: _Column) -> Split:
    """Of two numbers in their own units, up to a factor."""
    (middle, half), (other_middle, other_half) = first.middle_and_half, second.middle_and_half
    offsets = (middle / half, other_middle / other_half)
    return Split((first.place, second.place), (), offsets, 0.0)


def _between(blank: Split, *inputs: float) -> Split:
    """The split whose threshold is where these inputs are."""
    return replace(blank, threshold=float(blank.value([np.array([one]) for one in inputs])[0]))


def _words(column: _Column, buckets: int, draws: _Draws) -> Split:
    """Whether a text has a word in one of some buckets, up to MOST_BUCKETS: hashed words are never
    negative."""
    wanted = 1 << draws.below(MOST_BUCKETS.bit_length())
    places = tuple(sorted({column.place + draws.below(buckets) for _ in range(wanted)}))
    return Split(places, (1.0,) * len(places), (), 0.0)


def _plane(column: _Column, width: int, draws: _Draws) -> Split:
    """On which side of a random plane through the origin a row of the network is."""
    factors = tuple(1.0 if draws.below(2) else -1.0 for _ in range(width))
    return Split(tuple(range(column.place, column.place + width)), factors, (), 0.0)


def _members(column: _Column, values: int, draws: _Draws) -> Split:
    """Whether a category has one of some of its values: at least one, at most half of them."""
    chosen: set[int] = set()
    wanted = 1 + draws.below(max(1, values // 2))
    while len(chosen) < min(wanted, values):
        chosen.add(draws.below(values))
    places = tuple(column.place + one for one in sorted(chosen))
    return Split(places, (1.0,) * len(places), (), 0.5)
