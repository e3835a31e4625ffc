"""Shapley values of a round's models: by how much each lowers the aggregate's error.

v(S) is the error of the aggregate of the models S, v({}) that of the round's global model. A
seat's value is the mean over all orders of v(those before it) - v(those before it and itself)
(Shapley 1953; Ghorbani & Zou 2019): positive where the model helps.

What the aggregate of S is depends on whether a mechanism bounds the updates:

* Under privacy it is the weighted mean of S. In a small S each model has a large weight, which
  shows its part best beside the noise; the norm shows who did no work.
* Where updates do not move a point (class sums, trees), the family combines S by itself.
* Without privacy, each player keeps its share in the aggregate of all: the weighted updates of S
  over the sum of all players' weights move the global model. A model without an update of its own
  is worth exactly 0, whereas a mean of S would pay it for damping the others.

This game shows harm. What is paid is the value in a second one, `NewGame`, in which what was public
before the round earns nobody anything.

The error of an example (the family's `example_errors`) changes with every step of training, the
share of wrong answers does not. It is rounded to multiples of 2^-20, and all that follows uses
integers, so that members agree to the last bit even if their linear algebra differs in it.
"""

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.learning.aggregation.base import Vector, flatten, restore
from fedpact.learning.artefact import Model, Template
from fedpact.learning.families import LocalModels, family_of
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

EXACT_SEATS = 6
"""Up to this many models, all 2^n coalitions are evaluated."""
ORDER_BLOCKS = 2
"""Beyond, this many shuffles are evaluated, each in all its rotations, forwards and backwards."""
ERROR_BITS = 20
PHANTOM = -1
"""The seat of the player that is not paid."""

Errors = NDArray[np.int64]
"""One error per example, in units of 2^-20."""
Coalition = frozenset[int]


def rounded_errors(spec: Specification, model: Model, part: Dataset) -> Errors:
    """The examples' errors of a model, (n,)."""
    found = family_of(spec).example_errors(spec, model, part.x, part.y)
    rounded: Errors = np.rint(np.ldexp(found, ERROR_BITS)).astype(np.int64)
    return rounded


@dataclass(frozen=True)
class Contribution:
    """A seat's value on one slice, in units of error summed over the examples."""

    total: float
    variance: float
    """Of `total`, from the spread over the examples; without privacy, from the spread within each
    label: a slice holds a fixed number of each label, so a difference between labels is not a
    statistical error. A single example counts with its square."""
    examples: int


class Game:
    """The cooperative game of a round's models on one evaluation slice."""

    def __init__(
        self,
        spec: Specification,
        start: Model,
        models: Mapping[int, Model],
        weights: Mapping[int, int],
        part: Dataset,
    ) -> None:
        """`models` and their `weights` by seat; `start` is the round's global model."""
        self._spec, self._part, self._weights = spec, part, weights
        self._start, self._models = start, models
        self._family = family_of(spec)
        self._template = Template.of(start)
        self._origin = flatten(start)
        self._steps = {
            seat: (flatten(model) - self._origin) * float(weights[seat])
            for seat, model in models.items()
            if self._family.moves
        }
        self._noised = spec.privacy.mode is not PrivacyMode.NONE
        # Noise hits each label's weights independently: there, the spread between labels is error.
        apart = spec.task == "classification" and not self._noised
        labels = part.y if apart else np.zeros(len(part), np.int64)
        self._strata = [labels == label for label in np.unique(labels)]

    def contributions(self, players: Collection[int]) -> dict[int, Contribution]:
        """Shapley value of each player."""
        seats, errors = sorted(players), self._errors(players)
        exact = len(seats) <= EXACT_SEATS
        values, scale = _exact(seats, errors) if exact else _by_orders(seats, errors)
        return {seat: self._summary(values[seat], scale) for seat in seats}

    def marginal(self, seat: int, players: Collection[int]) -> Contribution:
        """By how much one more seat lowers the error of the players' aggregate."""
        errors, before = self._errors([*players, seat]), frozenset(players)
        return self._summary(errors(before) - errors(before | {seat}), 1)

    def error_of_mean(self, seats: Collection[int]) -> float:
        """Error, summed over the examples, of the weighted mean of these models alone."""
        total = int(self._errors(seats)(frozenset(seats)).sum())
        return math.ldexp(total, -ERROR_BITS)

    def effects(self) -> dict[int, float]:
        """How far each model alone moves the errors, for better or worse: the root of the mean
        square over the examples, per unit of weight."""
        total = float(max(1, sum(self._weights[seat] for seat in self._steps)))
        moves = {seat: step / total for seat, step in self._steps.items()}
        found = self.effects_of(moves)
        return {seat: one / max(1, self._weights[seat]) for seat, one in found.items()}

    def effects_of(self, moves: Mapping[int, Vector]) -> dict[int, float]:
        """How far a move of the global model, (d,), changes the errors: the root of the mean square
        over the examples."""
        unmoved = self._rounded(self._start)
        found = {}
        for seat in sorted(moves):
            model = restore(self._origin + moves[seat], self._template)
            changes = (self._rounded(model) - unmoved).tolist()
            squares = sum(one * one for one in changes)
            found[seat] = math.ldexp(math.sqrt(squares / len(changes)), -ERROR_BITS)
        return found

    def _errors(self, players: Collection[int]) -> Callable[[Coalition], Errors]:
        """v, one error per example, of coalitions of `players`."""
        known: dict[Coalition, Errors] = {}

        def errors(coalition: Coalition) -> Errors:
            if coalition not in known:
                known[coalition] = self._rounded(self._aggregate(coalition, players))
            return known[coalition]

        return errors

    def _rounded(self, model: Model) -> Errors:
        return rounded_errors(self._spec, model, self._part)

    def _aggregate(self, coalition: Coalition, players: Collection[int]) -> Model:
        """The aggregate of the coalition's models, as one of `players`."""
        if not self._family.moves:
            chosen = {seat: self._models[seat] for seat in coalition}
            if not chosen:
                return self._start
            local = LocalModels(self._start, chosen, self._weights)
            return self._family.coalition(self._spec, local, players)
        sharing = coalition if self._noised and coalition else players
        total = float(max(1, sum(self._weights[seat] for seat in sharing)))
        return self._moved((self._steps[seat] for seat in sorted(coalition)), total)

    def _moved(self, steps: Iterable[Vector], total: float) -> Model:
        """The global model, moved by the sum of some weighted steps over `total`."""
        move = np.zeros_like(self._origin)
        for one in steps:
            move += one
        return restore(self._origin + move / total, self._template)

    def _summary(self, values: Errors, scale: int) -> Contribution:
        """From values per example in units of 2^-20 / scale; exact up to one rounding."""
        unit = scale << ERROR_BITS
        variance = math.fsum(
            _variance_of_sum(values[rows].tolist()) / (unit * unit) for rows in self._strata
        )
        return Contribution(sum(values.tolist()) / unit, variance, len(values))


class NewGame(Game):
    """The game that is paid: what the models add to what was public before the round.

    Every player keeps its share in the aggregate of all. What earns nobody anything:

    * under privacy, the known part of each update (`public_updates`). It moves the global model
      before anybody joins, so that only new parts are players. Noise makes up most of a new
      part; it is independent of the slice, and what it adds cancels out over the rounds;
    * otherwise the last movement of the global model. It is one more player, the phantom: an update
      that repeats it shares its value with it.
    """

    def __init__(
        self,
        spec: Specification,
        start: Model,
        models: Mapping[int, Model],
        weights: Mapping[int, int],
        part: Dataset,
        *,
        new_parts: Mapping[int, Vector],
        movement: Vector | None,
    ) -> None:
        """`new_parts`: of the models' updates, by seat, each (d,); `movement`: how the last round
        moved the global model, None in the first."""
        super().__init__(spec, start, models, weights, part)
        self._free: dict[int, Vector] = {}
        self._movement = None if self._noised else movement
        if self._noised:
            fresh = {seat: new_parts[seat] * float(weights[seat]) for seat in self._steps}
            self._free = {seat: self._steps[seat] - fresh[seat] for seat in fresh}
            self._steps = fresh

    def contributions(self, players: Collection[int]) -> dict[int, Contribution]:
        """Shapley value of each player, without the phantom's."""
        phantom = [PHANTOM] if self._movement is not None else []
        found = super().contributions([*phantom, *players])
        return {seat: one for seat, one in found.items() if seat != PHANTOM}

    def _aggregate(self, coalition: Coalition, players: Collection[int]) -> Model:
        seats = [seat for seat in sorted(players) if seat != PHANTOM]
        total = float(max(1, sum(self._weights[seat] for seat in seats)))
        steps = [self._free[seat] for seat in seats if self._free]
        steps += [self._steps[seat] for seat in seats if seat in coalition]
        if PHANTOM in coalition and self._movement is not None:
            steps.append(self._movement * total)
        return self._moved(steps, total)


def _exact(
    seats: Sequence[int], errors: Callable[[Coalition], Errors]
) -> tuple[dict[int, Errors], int]:
    """Shapley values per example, times n! (which keeps them integers), and n!."""
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
    """Estimates from fixed orders in which every seat has every position equally often."""
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
    """ORDER_BLOCKS shuffles of the seats, in all rotations, forwards and backwards."""
    generator = random.Random(len(seats))
    orders = []
    for _ in range(ORDER_BLOCKS):
        shuffled = list(seats)
        generator.shuffle(shuffled)
        for first in range(len(shuffled)):
            rotated = shuffled[first:] + shuffled[:first]
            orders += [rotated, rotated[::-1]]
    return orders


def _variance_of_sum(values: Sequence[int]) -> float:
    """Variance of the sum of n independent draws: n times their sample variance; the square of a
    single draw."""
    n, total = len(values), sum(values)
    squares = sum(value * value for value in values)
    return (n * squares - total * total) / (n - 1) if n > 1 else float(squares)
