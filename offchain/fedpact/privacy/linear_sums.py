"""Sums of clipped contributions over fixed features, in 32 bits, with a proven sensitivity.

A linear model's gradient of one example is the outer product of its error and its features, so
its norm follows from two short vectors (Goodfellow 2015) and nothing of the model's size is held
for each example. The products are formed in 32 bits, in blocks of 32 examples that are added up
in 64; so a record touches the rounding of its own block alone. How much that, and the casts, can
add to the sensitivity is bounded below and taken off the clipping norm: what is released then has
the stated sensitivity in floating point too (the gap that Casacuberta et al. 2022 attack).

Adjacency is zero-out: a record's row counts as zeros, the others stay in their blocks. Every block
has BLOCK rows, the last one rows of zeros, so that an example's row has the same values to the last
bit wherever it stands. What is not finite counts as zeros: nothing here fails on a record.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError, PrivacyError
from fedpact.privacy.noise import NoiseSource, rounding_sensitivity

BLOCK = 32
"""Examples of one product in 32 bits."""
UNIT_ROUNDOFF = 2.0**-24
"""Of 32-bit arithmetic."""
PRODUCT_ROUNDING = BLOCK * UNIT_ROUNDOFF / (1 - BLOCK * UNIT_ROUNDOFF)
"""Relative to the sum of |terms|, the error of a sum of BLOCK products in any order (Higham 2002,
section 3.1)."""
AFFECTED_BLOCKS = 2
"""Whose rounding a record touches. Records stand in a random order: one that is left out is
replaced by the last of them, so its own block changes, and the last one."""
ROUNDING_MARGIN = AFFECTED_BLOCKS * 2 * BLOCK * PRODUCT_ROUNDING + 1e-6
"""Two neighbouring sums differ by the record's contribution and by the rounding of the affected
blocks of each: at most PRODUCT_ROUNDING * BLOCK * bound for a block whose every term has norm at
most `bound`. The rest is for casts and for the sums in 64 bits."""

LARGEST_NORM = 1e20
"""An example with a longer gradient, or longer factors of one, contributes nothing: scaled to a
clipping norm, which is at least 1e-6, its values would fall among the subnormal numbers, whose
rounding the margin does not cover."""

Features = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True)
class CentredFeatures:
    """A provider's features with the released centre taken off, as the gradient sums take them.

    There is no input of 1 for a bias: centred features hardly need it, and it would add to every
    example's norm.
    """

    x: NDArray[np.float32]
    """(n, d)."""
    norms: NDArray[np.float64]
    """(n,): of each row of `x` as it stands."""

    @classmethod
    def of(cls, x: Features, centre: NDArray[np.float32]) -> "CentredFeatures":
        """Of features (n, d) and a centre (d,); a row that is not finite, or longer than
        LARGEST_NORM, becomes zeros. Raises DataError where shapes do not fit.
        """
        if x.ndim != 2 or centre.shape != (x.shape[1],):
            raise DataError(f"features of shape {x.shape} and a centre of {centre.shape}")
        centred, norms = np.empty(x.shape, dtype=np.float32), np.empty(len(x))
        for start in range(0, len(x), BLOCK):
            part = slice(start, start + BLOCK)
            np.subtract(x[part], centre, out=centred[part])
            norms[part] = _norms(centred[part])
        unusable = ~(norms <= LARGEST_NORM)
        if unusable.any():
            centred[unusable], norms[unusable] = 0.0, 0.0
        return cls(centred, norms)


def feature_sum(x: Features, bound: float) -> NDArray[np.float64]:
    """Sum of the examples, (d,), each scaled down to norm `bound` where it is longer; one that is
    not finite counts as zeros.

    Its sensitivity is at most `bound`, rounding counted.
    """
    _check_bound(bound)
    usable = bound * (1 - ROUNDING_MARGIN)
    total = np.zeros(x.shape[1])
    for start in range(0, len(x), BLOCK):
        block = _filled(x[start : start + BLOCK]).astype(np.float64)
        norms = _norms(block)
        unusable = ~(norms <= LARGEST_NORM)
        if unusable.any():
            block[unusable], norms[unusable] = 0.0, 0.0
        total += (usable / np.maximum(norms, usable)) @ block
    return total


def softmax_gradient_sum(
    features: CentredFeatures,
    weights: NDArray[np.float32],
    y: NDArray[np.int64],
    clipping_norm: float,
) -> NDArray[np.float64]:
    """Sum over the examples of the cross-entropy's clipped gradients, (labels, d).

    Logits are weights @ (x - centre), weights (labels, d). An example contributes
    (p - onehot(y)) outer (x - centre), scaled down to `clipping_norm` where it is longer; the
    sum's sensitivity is at most `clipping_norm`, rounding counted.
    """
    _check_bound(clipping_norm)
    usable = clipping_norm * (1 - ROUNDING_MARGIN)
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    total = np.zeros(weights.shape)
    for start in range(0, len(y), BLOCK):
        part = slice(start, start + BLOCK)
        block = _filled(features.x[part])
        errors = _errors(block, weights, y[part])
        norms = _norms(errors) * _filled(features.norms[part])
        errors *= (usable / np.maximum(norms, usable))[:, None]
        total += errors.astype(np.float32).T @ block
    return total


def softmax_gradient_norms(
    features: CentredFeatures, weights: NDArray[np.float32], y: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Norms, (n,), of the gradients that `softmax_gradient_sum` clips."""
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    found = np.empty(len(y))
    for start in range(0, len(y), BLOCK):
        part = slice(start, start + BLOCK)
        errors = _errors(_filled(features.x[part]), weights, y[part])[: len(y[part])]
        found[part] = _norms(errors) * features.norms[part]
    return found


def _errors(
    block: NDArray[np.float32], weights: NDArray[np.float32], y: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities less the one-hot rows of the labels y, (b,), of a block's first b rows; zeros
    where they are not finite, and in the rows that fill the block. (BLOCK, labels)."""
    with np.errstate(over="ignore", invalid="ignore"):
        errors = softmax_probabilities((block @ weights.T).astype(np.float64))
    errors[np.arange(len(y)), y] -= 1.0
    unusable = ~np.isfinite(errors).all(axis=1)
    unusable[len(y) :] = True
    if unusable.any():
        errors[unusable] = 0.0
    return errors


def _filled(rows: NDArray[Any]) -> NDArray[Any]:
    """A block of BLOCK rows, those that are missing of zeros."""
    if len(rows) == BLOCK:
        return rows
    return np.concatenate([rows, np.zeros((BLOCK - len(rows), *rows.shape[1:]), rows.dtype)])


def noised(
    total: NDArray[np.float64], bound: float, noise_multiplier: float, noise: NoiseSource
) -> NDArray[np.float64]:
    """A sum of sensitivity `bound` with Gaussian noise of std noise_multiplier * bound a value.

    See `sum_std` for the noise, and for what it raises.
    """
    return noise.add(total, sum_std(total.size, bound, noise_multiplier))


def sum_std(values: int, bound: float, noise_multiplier: float) -> float:
    """Standard deviation of the noise on a sum of `values` numbers and sensitivity `bound`.

    The lattice's own rounding enlarges the noise by as much as it adds to the sensitivity.
    Raises PrivacyError for a multiplier so large that the lattice is too coarse for the bound.
    """
    _check_bound(bound)
    extra = rounding_sensitivity(values, noise_multiplier * bound)
    if extra > 0.01 * bound:
        raise PrivacyError(f"noise multiplier {noise_multiplier:g} is too large to be drawn safely")
    return noise_multiplier * (bound + 1.01 * extra)


def _norms(rows: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """L2 norms, (n,), in 64 bits."""
    wide = rows.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", wide, wide)))


def softmax_probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of logits (..., labels), row by row."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def _check_bound(bound: float) -> None:
    if not (np.isfinite(bound) and bound > 0):
        raise PrivacyError(f"clipping norm must be positive and finite, not {bound!r}")
