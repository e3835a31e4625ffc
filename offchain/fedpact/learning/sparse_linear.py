"""A linear support vector machine over sparse rows, trained in rounds, without privacy.

One class against the rest, squared hinge loss, ridge penalty (what LIBLINEAR solves by default, Fan
et al. 2008): f(W) = |W|^2 / 2 + C sum_i sum_c max(0, 1 - t_ic x_i . w_c)^2, t_ic = 1 for the row's
own class, else -1. Every round each provider sends the sum of its rows' losses and gradients at the
global weights; they add up to those of all rows, however these are split, so that label-sorted
shards cost nothing. The server descends by L-BFGS (Liu & Nocedal 1989, scipy's), one round an
evaluation: the curvature that it needs comes from gradients it has seen.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from fedpact.errors import DataError, InvalidInput

Weights = NDArray[np.float64]
Shard = tuple[sparse.csr_matrix, NDArray[np.int64]]
MEMORY = 5
"""Pairs of steps and gradients that the server keeps."""


def loss_and_gradient(
    weights: Weights, rows: sparse.csr_matrix, y: NDArray[np.int64]
) -> tuple[float, Weights]:
    """What a provider sends: sums over rows (n, width) with classes y at weights (width, labels).

    Raises DataError for no rows, or shapes that do not match.
    """
    if rows.shape[0] != len(y) or len(y) == 0 or rows.shape[1] != len(weights):
        raise DataError(f"rows of shape {rows.shape}, {len(y)} classes, {len(weights)} weights")
    signs = np.full((len(y), weights.shape[1]), -1.0)
    signs[np.arange(len(y)), y] = 1.0
    short = np.maximum(0.0, 1.0 - signs * np.asarray(rows @ weights))
    return float((short**2).sum()), np.asarray(rows.T @ (-2.0 * signs * short))


def train(
    shards: Sequence[Shard],
    width: int,
    labels: int,
    rounds: int,
    *,
    strength: float = 1.0,
    on_round: Callable[[Weights], None] | None = None,
) -> Weights:
    """The weights (width, labels) of least loss within `rounds` rounds, starting from zero.

    strength: C above. on_round: called with the weights evaluated each round. Raises InvalidInput
    for fewer than two rounds.
    """
    if rounds < 2 or not shards:
        raise InvalidInput(
            f"{rounds} rounds of {len(shards)} providers: it needs 2 rounds and 1 provider at least"
        )
    least, best, used = math.inf, np.zeros((width, labels)), 0

    def round_of(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal least, best, used
        if used == rounds:
            raise _RoundsUsedUp
        used += 1
        weights = flat.reshape(width, labels)
        loss, gradient = float(flat @ flat) / 2, weights.copy()
        for rows, y in shards:
            one, its_gradient = loss_and_gradient(weights, rows, y)
            loss += strength * one
            gradient += strength * its_gradient
        if on_round is not None:
            on_round(weights)
        if loss < least:
            least, best = loss, weights.copy()
        return loss, gradient.reshape(-1)

    with suppress(_RoundsUsedUp):
        optimize.fmin_l_bfgs_b(round_of, np.zeros(width * labels), m=MEMORY, maxfun=rounds)
    return best


class _RoundsUsedUp(Exception):
    """Ends the search in the middle of a line search."""
