"""The noise sampler: its distribution, its lattice, and what it refuses."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import (
    FRACTION_BITS,
    LAYER_BITS,
    LAYERS,
    MAX_VALUES_BITS,
    SAMPLER_EPSILON,
    NoiseSource,
    SeededNoise,
    SystemNoise,
    layer_table,
    rounding_sensitivity,
    sampler_delta,
)


@pytest.mark.parametrize("source", [SystemNoise(), SeededNoise(7)])
def test_draws_follow_the_normal_distribution(source: NoiseSource) -> None:
    drawn = source.normal((400_000,), 3.0)
    assert stats.kstest(drawn, "norm", args=(0, 3.0)).pvalue > 1e-6
    # Each quarter of a standard deviation is one layer of the sampler: all hold their share.
    edges = np.concatenate([[-np.inf], np.arange(-4, 4.01, 0.25), [np.inf]]) * 3.0
    counts = np.histogram(drawn, edges)[0]
    expected = np.diff(stats.norm.cdf(edges, scale=3.0)) * drawn.size
    assert stats.chisquare(counts, expected).pvalue > 1e-6


def test_draws_reach_the_tails() -> None:
    drawn = SystemNoise().normal((2_000_000,), 1.0)
    beyond = int((np.abs(drawn) > 4).sum())
    expected = 2 * stats.norm.sf(4) * drawn.size
    assert abs(beyond - expected) < 6 * math.sqrt(expected)


def test_draws_are_independent_of_each_other_and_of_earlier_ones() -> None:
    source = SystemNoise()
    first, second = source.normal((200_000,), 1.0), source.normal((200_000,), 1.0)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.015
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.015


def test_a_seed_repeats_its_noise_and_the_system_never_does() -> None:
    assert np.array_equal(SeededNoise(3).normal((50,), 1.0), SeededNoise(3).normal((50,), 1.0))
    assert not np.array_equal(SystemNoise().normal((50,), 1.0), SystemNoise().normal((50,), 1.0))


@given(
    hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e3, 1e3)),
    st.floats(0.01, 100),
    st.integers(0, 2**32),
)
def test_noised_values_are_on_one_lattice(values: np.ndarray, std: float, seed: int) -> None:
    noised = SeededNoise(seed).add(values, std)
    half_step = math.ldexp(std, -FRACTION_BITS - 1)
    indices = np.rint(noised / half_step).astype(np.int64)
    assert np.array_equal(indices.astype(np.float64) * half_step, noised)
    assert (indices % 2 == 1).all()
    # The same bits on zeros give the same noise: the value only shifts it, to within rounding.
    shift = noised - SeededNoise(seed).add(np.zeros_like(values), std)
    assert np.abs(shift - values).max(initial=0) <= 1.2 * half_step + 1e-12


@given(st.integers(1, 300), st.floats(0.01, 10))
def test_rounding_to_the_lattice_stays_within_the_stated_sensitivity(size: int, std: float) -> None:
    generator = np.random.default_rng(size)
    one, other = generator.normal(size=(2, size))
    rounded = [SeededNoise(1).add(values, std) for values in (one, other)]
    moved = np.linalg.norm((rounded[0] - rounded[1]) - (one - other))
    assert moved <= rounding_sensitivity(size, std) + 1e-12


def test_shapes_are_kept() -> None:
    source = SystemNoise()
    assert source.normal((2, 0, 3), 1.0).shape == (2, 0, 3)
    assert source.normal((), 1.0).shape == ()
    assert source.add(np.zeros((3, 4), dtype=np.float32), 1.0).shape == (3, 4)


@pytest.mark.parametrize("std", [0.0, -1.0, math.nan, math.inf, 1e-300])
def test_a_standard_deviation_that_protects_nothing_is_refused(std: float) -> None:
    with pytest.raises(PrivacyError, match="standard deviation"):
        SystemNoise().normal((1,), std)
    with pytest.raises(PrivacyError, match="standard deviation"):
        SystemNoise().add(np.zeros(1), std)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(PrivacyError, match="not finite"):
        SystemNoise().add(np.array([0.0, bad]), 1.0)


def test_values_that_drown_the_noise_are_clipped() -> None:
    """Refusing them would tell how large a sum of private records is."""
    found = SystemNoise().add(np.array([1e6, -1e300, 2.0**18]), 1.0)
    limits = np.array([2.0**18, -(2.0**18), 2.0**18])
    assert np.abs(found - limits).max() < 10


class OneCandidate(NoiseSource):
    """Proposes one value, again and again; says how many 64-bit words of the test accept it."""

    def __init__(self, layer_word: int, fraction: int) -> None:
        self._word, self._fraction = layer_word, fraction
        self.test = 0

    def words(self, count: int) -> np.ndarray:
        parts = [self._word, self._fraction, self.test]
        return np.repeat(np.array(parts, dtype=np.uint64), count // 3)

    def accepted(self) -> int:
        """By bisection on the test's word: a word is accepted if all smaller ones are."""
        low, high = 0, 2**64
        while high - low > 1:
            self.test = (low + high) // 2 - 1
            try:
                self._once()
                low = self.test + 1
            except StopIteration:
                high = self.test + 1
        return low

    def _once(self) -> None:
        tries = 0

        def counted(count: int) -> np.ndarray:
            nonlocal tries
            tries += 1
            if tries > 1:
                raise StopIteration
            return type(self).words(self, count)

        self.words = counted  # type: ignore[method-assign]
        self.half_steps(1)


@pytest.mark.parametrize("layer", [0, 1, 7, 18, 30, 39, 40, 44])
@pytest.mark.parametrize("fraction", [0, 1, 2**29 + 12345, 2**30 - 1])
def test_a_value_is_drawn_with_its_exact_probability_up_to_the_stated_factor(
    layer: int, fraction: int
) -> None:
    """ADR 32: words of the layer x accepted words, against exp(-x^2/2) to 60 digits."""
    words, asked = layer_table()
    first = sum(words[:layer])
    accepted = OneCandidate(first, fraction).accepted()
    with localcontext() as context:
        context.prec = 60
        above = (Decimal(fraction) + Decimal("0.5")) / 2**FRACTION_BITS
        lower = Decimal(layer * 2**LAYER_BITS) / 2**FRACTION_BITS
        exact = asked[layer] * (-above * (lower + above / 2)).exp()
        off = abs(Decimal(words[layer] * accepted) / 2**64 / exact - 1)
    # Half of the stated factor: the other half is for the normalising sum.
    assert off <= Decimal(2) ** (-48 if layer < LAYERS - 5 else -34)


def test_the_layers_fill_the_words_and_leave_the_stated_tail() -> None:
    words, asked = layer_table()
    assert sum(words) <= 2**64
    assert all(0 <= word - share < 1 for word, share in zip(words, asked, strict=True))
    assert math.erfc(LAYERS / 4 / math.sqrt(2)) < 2.0**-95
    assert OneCandidate(2**64 - 1, 0).accepted() == 0  # beyond the layers


def test_the_samplers_error_is_what_the_proof_adds_up() -> None:
    """Freedman's inequality at e^-128 (ADR 32): 2^46 values, variance 2^-94, steps up to 2^-34."""
    variance = math.ldexp(1.0, MAX_VALUES_BITS - 94)
    drift = math.ldexp(1.0, MAX_VALUES_BITS - 94)
    largest = math.sqrt(2 * 128 * variance) + 2 * 128 * 2.0**-34 / 3 + drift
    assert 2 * largest < SAMPLER_EPSILON
    # 1.66 million weights over 60 rounds at epsilon 8, for which the old bound passed delta.
    assert 1.66e6 * 60 * (1 + math.exp(8)) * 2.0**-50 > 1e-5
    assert sampler_delta(8.0, 1.66e6 * 60) < 1e-15
