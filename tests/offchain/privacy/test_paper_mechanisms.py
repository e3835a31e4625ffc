"""The papers' mechanisms, worked by hand from their equations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import PrivacyError
from fedpact.learning.ddp_sgd import SMALLEST_NORM, dynamic_norm
from fedpact.privacy.accounting import cost
from fedpact.privacy.claimed_epsilon import claimed_multiplier, claimed_release
from fedpact.privacy.laplace import add_laplace
from fedpact.privacy.releases import GaussianRelease
from tests.support.specifications import specification


@pytest.mark.parametrize(
    ("last", "before", "expected"),
    [
        (1.0, 1.0, 1.0),  # gamma 0
        (1.0, 1.5, 1.25),  # gamma 1/2: 1/2 * 1 + 1/2 * 1.5
        (2.0, 1.0, 1.5),  # gamma 1/2, norms rising
        (1.0, 2.0, 1.0),  # gamma 1
        (1.0, 2.5, 1.0),  # gamma 1.5 cut off at 1; uncut 0.25
        (1.0, 3.0, 1.0),  # gamma 2 cut off at 1; uncut -1
        (0.0, 3.0, SMALLEST_NORM),  # gamma divides by zero
        (0.0, 0.0, SMALLEST_NORM),
    ],
)
def test_equation_2_by_hand(last: float, before: float, expected: float) -> None:
    assert dynamic_norm(last, before) == pytest.approx(expected)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_dynamic_norm_is_positive_and_between_the_two(last: float, before: float) -> None:
    found = dynamic_norm(last, before)
    assert found >= SMALLEST_NORM
    assert found <= max(last, before, SMALLEST_NORM) * (1 + 1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_invalid_norms_are_refused(bad: float) -> None:
    with pytest.raises(PrivacyError, match="finite"):
        dynamic_norm(1.0, bad)


def asked(mechanism: str, epochs: int, batch_size: int, rounds: int, **more):
    privacy = {"mode": "paper", "mechanism": mechanism, "epsilon": 2.0, "delta": 1e-5} | more
    local = {"epochs": epochs, "batch_size": batch_size, "learning_rate": 0.1}
    return specification(privacy=privacy, local=local, rounds=rounds)


def test_the_claim_counts_the_noised_steps_alone() -> None:
    dynamic = claimed_release(asked("ddp-sgd", 5, 50, 20), 500)
    assert (dynamic.sampling_rate, dynamic.steps) == (0.1, 10 * 20)
    fixed = claimed_release(asked("dp-sgd", 5, 50, 20, clipping_norm=1.0), 500)
    assert (fixed.sampling_rate, fixed.steps) == (0.1, 5 * 10 * 20)
    assert fixed.noise_multiplier > dynamic.noise_multiplier


def test_the_noise_for_a_claim_is_the_accountants() -> None:
    spec = asked("ddp-sgd", 3, 600, 10)
    release = GaussianRelease(claimed_multiplier(spec, 600), 1.0, 10)
    assert cost(release, 1e-5).epsilon == pytest.approx(2, rel=1e-3)


def test_laplace_noise_has_no_claim_of_this_kind() -> None:
    privacy = {"mode": "paper", "mechanism": "laplace", "epsilon": 1.0, "sensitivity": 1.0}
    with pytest.raises(PrivacyError, match="has no delta"):
        claimed_multiplier(specification(privacy=privacy), 100)


def test_laplace_noise_has_the_scale_of_equation_4() -> None:
    generator = np.random.default_rng(0)
    found = add_laplace(np.full((200, 300), 7.0), 3.0, 1.5, generator) - 7.0
    # Laplace(b) has mean |x| = b and variance 2 b^2, b = 3 / 1.5.
    assert np.abs(found).mean() == pytest.approx(2.0, rel=0.02)
    assert found.var() == pytest.approx(8.0, rel=0.04)


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(0.0, 1.0), (1.0, -1.0), (math.inf, 1.0)])
def test_laplace_noise_out_of_range_is_refused(sensitivity: float, epsilon: float) -> None:
    with pytest.raises(PrivacyError, match="must be positive"):
        add_laplace(np.zeros(2), sensitivity, epsilon, np.random.default_rng(0))
    with pytest.raises(PrivacyError, match="finite"):
        add_laplace(np.array([np.nan]), 1.0, 1.0, np.random.default_rng(0))
