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
    rest = left * right
    while len(rest) > 1:
        half = (len(rest) + 1) // 2
        folded = rest[:half].copy()
        folded[: len(rest) - half] += rest[half:]
        rest = folded
    return float(rest[0]) if len(rest) else 0.0


def length(vector: NDArray[np.float64]) -> float:
    """L2 norm."""
    return math.sqrt(squared_length(vector))


def clipping_factor(vector: NDArray[np.float64], bound: float) -> float:
    """min(1, bound / norm): the factor that shortens a longer vector to `bound`."""
    norm = length(vector)
    return 1.0 if norm <= bound else bound / norm
