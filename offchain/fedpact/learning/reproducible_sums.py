"""Lengths of vectors, equal to the last bit on every machine.

A library's order of summation may depend on the processor. Here the upper half is added to the
lower one, elementwise, until one value is left: a fixed order whose rounding error grows with
the logarithm of the number of values.
"""

import math

import numpy as np
from numpy.typing import NDArray


def squared_length(vector: NDArray[np.float64]) -> float:
    """Sum of the squares of a vector's values."""
    return inner_product(vector, vector)


def inner_product(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Sum of the products of two vectors' values."""
    return float(_summed(left * right))


def inner_products(rows: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row of (n, d) with a vector, (d,): shape (n,), each as `inner_product` has it."""
    return _summed((rows * vector).T)


def mixture(factors: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the rows of (n, d), each times its factor, (n,): shape (d,)."""
    return _summed(factors[:, None] * rows)


def _summed(rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the first axis, in place: what is given is lost."""
    count = len(rest)
    while count > 1:
        half = (count + 1) // 2
        rest[: count - half] += rest[half:count]
        count = half
    return rest[0] if count else np.zeros(rest.shape[1:])


def length(vector: NDArray[np.float64]) -> float:
    """L2 norm."""
    return math.sqrt(squared_length(vector))


def clipping_factor(vector: NDArray[np.float64], bound: float) -> float:
    """min(1, bound / norm): the factor that shortens a longer vector to `bound`."""
    norm = length(vector)
    return 1.0 if norm <= bound else bound / norm
