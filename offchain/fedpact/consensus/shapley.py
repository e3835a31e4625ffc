"""Shapley values of a round's models: what each takes off the aggregate's error.

v(S) is the error of the aggregate of the models S, v({}) that of the round's global model.
A seat's value is the mean over all orders of v(those before it) - v(those before it and itself)
(Shapley 1953; Ghorbani & Zou 2019): positive where the model helps.

The error of an example (the family's `example_errors`) moves with every step of training, where
the share of wrong answers does not. It is rounded to multiples of 2^-20 and all that follows is in
integers, so that members agree to the last bit although their linear algebra may differ in it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.learning.aggregation import aggregate
from fedpact.learning.artefact import Model
from fedpact.learning.families import family
from fedpact.types.specification import Specification

EXACT_SEATS = 6
"""Up to so many models all 2^n coalitions are evaluated."""
ORDER_BLOCKS = 2
"""Beyond: this many shuffles, each in all its rotations, forwards and backwards."""
ERROR_BITS = 20

Errors = NDArray[np.int64]
"""One error an example, in units of 2^-20."""
Coalition = frozenset[int]


@dataclass(frozen=True)
class Contribution:
    """A seat's Shapley value on one slice, in units of error summed over the examples."""

    total: float
    variance: float
    """Of `total`, estimated from the spread over the examples; of a single one, its square."""
    examples: int


def contributions(
    spec: Specification,
    start: Model,
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    part: Dataset,
) -> dict[int, Contribution]:
    """The contribution of each model to the aggregate on one evaluation slice."""
    example_errors = family(spec.family.name).example_errors
    known: dict[Coalition, Errors] = {}

    def errors(coalition: Coalition) -> Errors:
        if coalition not in known:
            joined = {seat: models[seat] for seat in coalition}
            model = aggregate(spec.aggregation, joined, weights, start) if joined else start
            found = example_errors(spec, model, part.x, part.y)
            known[coalition] = np.rint(np.ldexp(found, ERROR_BITS)).astype(np.int64)
        return known[coalition]

    seats = sorted(models)
    exact = len(seats) <= EXACT_SEATS
    values, scale = _exact(seats, errors) if exact else _by_orders(seats, errors)
    return {seat: _summary(values[seat], scale << ERROR_BITS) for seat in seats}


def _exact(
    seats: Sequence[int], errors: Callable[[Coalition], Errors]
) -> tuple[dict[int, Errors], int]:
    """Shapley values an example, times n! (which keeps them whole), and n!."""
    n = len(seats)
    values: dict[int, Errors] = {}
    for seat in seats:
        others = [other for other in seats if other != seat]
        value = np.zeros_like(errors(frozenset()))
        for size in range(n):
            orders = factorial(size) * factorial(n - 1 - size)
            for chosen in combinations(others, size):
                before = frozenset(chosen)
                value += orders * (errors(before) - errors(before | {seat}))
        values[seat] = value
    return values, factorial(n)


def _by_orders(
    seats: Sequence[int], errors: Callable[[Coalition], Errors]
) -> tuple[dict[int, Errors], int]:
    """Estimates from fixed orders in which every seat takes every place equally often."""
    values = {seat: np.zeros_like(errors(frozenset())) for seat in seats}
    orders = fixed_orders(seats)
    for order in orders:
        before: Coalition = frozenset()
        for seat in order:
            joined = before | {seat}
            values[seat] += errors(before) - errors(joined)
            before = joined
    return values, len(orders)


def fixed_orders(seats: Sequence[int]) -> list[list[int]]:
    """ORDER_BLOCKS shuffles of the seats, each rotated to every start, and each reversed."""
    generator = random.Random(len(seats))
    orders = []
    for _ in range(ORDER_BLOCKS):
        shuffled = list(seats)
        generator.shuffle(shuffled)
        for place in range(len(shuffled)):
            rotated = shuffled[place:] + shuffled[:place]
            orders += [rotated, rotated[::-1]]
    return orders


def _summary(values: Errors, scale: int) -> Contribution:
    """Sum and its variance from values an example in units of 1/scale; exact up to one rounding."""
    whole = [int(value) for value in values]
    m, total = len(whole), sum(whole)
    squares = sum(value * value for value in whole)
    spread = m * squares - total * total if m > 1 else squares
    return Contribution(total / scale, spread / (max(1, m - 1) * scale * scale), m)
