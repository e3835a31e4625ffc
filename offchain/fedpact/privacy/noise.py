"""Gaussian noise that is safe in floating point.

A textbook sampler in floating point leaks: which doubles can be reached depends on the value
that the noise is added to (Mironov 2012; Holohan & Braghin 2021). Here value and noise lie on
one lattice of step std * 2^-32, whatever the data are: the value is rounded to it, the noise is
an integer number of half steps, and they are added as integers. Multiplying the sum by the step
afterwards is post-processing.

Limits, all of them:
* Rounding the value adds at most 1.125 * std * 2^-32 * sqrt(number of values) to the L2
  sensitivity (`rounding_sensitivity`); a clipping margin must leave room for it.
* One drawn value has the probability of an exact Gaussian rounded to the lattice up to a factor
  of 1 +- 2^-47 (1 +- 2^-34 beyond ten standard deviations), and is cut at 11.25 standard
  deviations, beyond which the mass is below 2^-95. So up to 2^46 values add at most
  SAMPLER_EPSILON to epsilon and `sampler_delta` to delta (docs/adr/0032). Every figure of
  `accounting` includes both.
* Time is not constant: the number of rejected candidates can be seen by whoever can time the
  process on the same machine.
* The bits are as good as the operating system's generator.
"""

import math
import os
from abc import ABC, abstractmethod
from decimal import Decimal, localcontext
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError

FRACTION_BITS = 32
"""The lattice has 2^32 steps to a standard deviation."""
LAYER_BITS = 30
"""A layer is 2^30 steps wide: a quarter of a standard deviation."""
CHUNK = 2**14
"""Candidates per draw: few enough for the processor's cache."""
LAYERS = 45
"""11.25 standard deviations."""
MAX_VALUES_BITS = 46
"""The noise of one lifetime has at most 2^46 values: the sampler's error is proven for so many."""
SAMPLER_EPSILON = 2e-6
"""What sampling adds to epsilon, for up to 2^46 values."""
MAX_STEPS_BITS = 50
"""Values of more than 2^50 steps, 2^18 standard deviations, count as that many: dividing them by
the step would not be exact enough. Clipping moves no two sums apart, so it costs no privacy, and
unlike a refusal it tells nothing."""
SMALLEST_STD = 1e-280


def sampler_delta(epsilon: float, values: float = 2.0**MAX_VALUES_BITS) -> float:
    """What sampling adds to delta at `epsilon`, over so many drawn values."""
    return math.ldexp(values, -95) * (1 + math.exp(min(epsilon, 700.0)))


def layer_table() -> tuple[list[int], list[Decimal]]:
    """Of each layer its number of 64-bit words, and how many of them its weight asks for, exactly.

    Layer k weighs exp(-(k/4)^2/2). Its words are rounded up, and the acceptance test takes back
    what that adds. Words that belong to no layer are rejected.
    """
    with localcontext() as context:
        context.prec = 60
        weights = [(-((Decimal(k) / 4) ** 2) / 2).exp() for k in range(LAYERS)]
        total = sum(weights)
        asked = [weight / total * (2**64 - LAYERS) for weight in weights]
    return [math.ceil(share) for share in asked], asked


_WORDS, _ASKED = layer_table()
_LAYER_ENDS = np.array([end - 1 for end in accumulate(_WORDS)], dtype=np.uint64)
_KEPT = np.array(
    [float(asked / words) for words, asked in zip(_WORDS, _ASKED, strict=True)] + [0.0]
)
"""Share of each layer's words that its weight asks for; none of those beyond the layers."""


def rounding_sensitivity(values: int, std: float) -> float:
    """How much rounding `values` numbers to the lattice of `std` can add to an L2 sensitivity."""
    # Half a step each for two neighbouring data sets, and 2^-4 each for the division.
    return 1.125 * math.ldexp(std, -FRACTION_BITS) * math.sqrt(values)


class NoiseSource(ABC):
    """Standard normal numbers on a lattice; a subclass says where the random bits come from."""

    @abstractmethod
    def words(self, count: int) -> NDArray[np.uint64]:
        """`count` independent uniform 64-bit words."""

    def half_steps(self, count: int) -> NDArray[np.int64]:
        """`count` standard normals as odd numbers of half steps, that is of 2^-33.

        Rejection from layers of equal width (as the ziggurat, Marsaglia & Tsang 2000): a layer
        by its weight at the lower edge, a uniform position in it, kept with the density's ratio to
        that weight.
        """
        found = np.empty(count, dtype=np.int64)
        filled = 0
        while filled < count:
            tries = min(max(64, int(1.25 * (count - filled))), CHUNK)
            chosen, position, test = self.words(3 * tries).reshape(3, tries)
            layer = np.searchsorted(_LAYER_ENDS, chosen).astype(np.int64)
            sign = 1 - 2 * (position >> np.uint64(63)).astype(np.int64)
            fraction = (position & np.uint64(2**LAYER_BITS - 1)).astype(np.int64)

            lower = layer * 2.0 ** (LAYER_BITS - FRACTION_BITS)
            above = (fraction + 0.5) * 2.0**-FRACTION_BITS
            # exp(-((lower + above)^2 - lower^2) / 2), of which 64 bits are tested: 53 would be too
            # coarse where the ratio is small.
            ratio = np.exp(-above * (lower + 0.5 * above)) * _KEPT[layer]
            words = (np.minimum(ratio, 1 - 2.0**-53) * 2.0**64).astype(np.uint64)

            magnitude = 2 * ((layer << LAYER_BITS) + fraction) + 1
            kept = (sign * magnitude)[test < words][: count - filled]
            found[filled : filled + kept.size] = kept
            filled += kept.size
        return found

    def normal(self, shape: tuple[int, ...], std: float) -> NDArray[np.float64]:
        """Normal numbers of mean 0 and standard deviation `std` (> 0), of the given shape.

        To noise a value use `add`: value + normal(...) in floating point is not safe.
        """
        _check_std(std)
        drawn = self.half_steps(math.prod(shape)).astype(np.float64)
        return (drawn * math.ldexp(std, -FRACTION_BITS - 1)).reshape(shape)

    def add(self, values: NDArray[np.floating[Any]], std: float) -> NDArray[np.float64]:
        """`values` (any shape, finite) plus independent noise of standard deviation `std`.

        Values are clipped to 2^18 standard deviations first. Raises PrivacyError for a std that is
        not positive and for values that are not finite: whoever sums private records zeroes what
        is not finite before the sum.
        """
        return from_half_steps(self.add_integers(values, std), std)

    def add_integers(self, values: NDArray[np.floating[Any]], std: float) -> NDArray[np.int64]:
        """What `add` gives, as whole numbers of half steps, `std` * 2^-33 each; below 2^52 in size.

        Such numbers of several providers with one `std` add up exactly.
        """
        _check_std(std)
        if not np.isfinite(values).all():
            raise PrivacyError("cannot noise values that are not finite")
        limit = math.ldexp(std, MAX_STEPS_BITS - FRACTION_BITS)
        kept = np.clip(values.astype(np.float64), -limit, limit)
        steps: NDArray[np.float64] = np.rint(kept / math.ldexp(std, -FRACTION_BITS))
        total = 2 * steps.astype(np.int64).reshape(-1) + self.half_steps(values.size)
        return total.reshape(values.shape)


def from_half_steps(total: NDArray[np.int64], std: float) -> NDArray[np.float64]:
    """Whole numbers of half steps of `std` as values."""
    return np.asarray(total.astype(np.float64) * math.ldexp(std, -FRACTION_BITS - 1))


class SystemNoise(NoiseSource):
    """Bits from the operating system, for every release."""

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.frombuffer(os.urandom(8 * count), dtype=np.uint64)


class SeededNoise(NoiseSource):
    """Repeatable bits for simulations and tests. Protects nothing: the seed reveals the noise."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def words(self, count: int) -> NDArray[np.uint64]:
        return self._generator.integers(0, 2**64, size=count, dtype=np.uint64)


def _check_std(std: float) -> None:
    if not (math.isfinite(std) and std >= SMALLEST_STD):
        raise PrivacyError(f"standard deviation of noise must be positive and finite, not {std!r}")
