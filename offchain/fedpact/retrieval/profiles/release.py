"""The release behind a signature: a sum over units, with noise that covers one unit.

Each unit (a document; the rows of one engine) adds one vector of L2 norm at most 1, without
negative values: a document its hashed terms (`features.text.hashing`), a unit of labelled records
the shares of its labels. Replacing a unit by nothing moves the sum by at most 1, by any other unit
at most sqrt(2), since the two vectors' inner product is not negative.

Sums are of whole multiples of 2^-24, so that they are exact and the bound holds to the last bit;
the noise is floating-point safe (`privacy.noise`). Signatures are made from the noised sum alone,
so choosing buckets and their weights costs no more privacy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.noise import NoiseSource, rounding_sensitivity
from fedpact.privacy.releases import GaussianRelease

FRACTION = 2.0**-24
"""Step of the fixed-point numbers."""
_MARGIN = 1.0 - 2.0**-20
"""Rows are shortened by this factor first, so that 32-bit rounding exceeds no norm."""


def release_for(epsilon: float, delta: float) -> GaussianRelease:
    """The release of one noised sum with the least noise that costs `epsilon` at `delta`."""
    return GaussianRelease(calibrate(epsilon, delta, 1, 1.0), 1.0, 1)


def unit_means(rows: sparse.csr_matrix, units: Sequence[bytes]) -> sparse.csr_matrix:
    """The mean of each unit's rows, (distinct units, width), in the order of first appearance.

    A mean of vectors of norm at most 1 has norm at most 1, however many rows a unit has.
    Raises RetrievalError if there are no rows, or not one digest per row.
    """
    if rows.shape[0] != len(units) or not units:
        raise RetrievalError(f"profile: {rows.shape[0]} rows of {len(units)} records")
    number = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    numbers = np.fromiter((number[unit] for unit in units), np.int64, len(units))
    sizes = np.bincount(numbers)
    mean = sparse.csr_matrix(
        (1.0 / sizes[numbers], (numbers, np.arange(len(units)))), shape=(len(number), len(units))
    )
    return sparse.csr_matrix(mean @ rows.astype(np.float64))


def exact_sum(rows: sparse.csr_matrix) -> NDArray[np.float64]:
    """Sum of rows of norm at most 1 (to 32-bit rounding), shape (width,).

    Raises RetrievalError if all rows are zero, or one has a value that is negative or not finite,
    or too large a norm.
    """
    rows = sparse.csr_matrix(rows, dtype=np.float64)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
    longest = float(squares.max(initial=0.0))
    if not longest <= 1 + 2.0**-21 or (rows.data < 0).any():
        raise RetrievalError("profile: rows must have norm at most 1 and no negative value")
    if longest == 0:
        raise RetrievalError("profile: no data have any weight (only common words?)")
    steps = np.trunc(rows.data * (_MARGIN / FRACTION))
    sums = np.bincount(rows.indices, weights=steps, minlength=rows.shape[1])  # whole, under 2^53
    return np.asarray(sums * FRACTION)


def noised_sum(
    total: NDArray[np.float64], release: GaussianRelease, noise: NoiseSource
) -> NDArray[np.float64]:
    """`total` (width,) with noise on every value, also on zeros: safe to publish."""
    return noise.add(total, noise_std(total.size, release))


def noise_std(values: int, release: GaussianRelease) -> float:
    """Standard deviation on each of `values` values, in one unit's norm."""
    std = release.noise_multiplier
    return std * (1 + rounding_sensitivity(values, std))
