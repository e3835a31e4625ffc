"""The papers' mechanisms, worked by hand from their equations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import cost
from fedpact.privacy.ddp_sgd import (
    SMALLEST_NORM,
    LocalPlan,
    claimed_multiplier,
    claimed_release,
    dynamic_norm,
    train,
)
from fedpact.privacy.laplace import add_laplace, observed_sensitivity
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.privacy.noise import NoiseSource, SeededNoise


class Silent(NoiseSource):
    """Draws nothing but zeros, so that steps can be worked by hand; counts its draws."""

    def __init__(self) -> None:
        self.stds: list[float] = []

    def words(self, count: int) -> NDArray[np.uint64]:
        raise AssertionError("no bits are needed")

    def add(self, values: NDArray[np.floating], std: float) -> NDArray[np.float64]:
        self.stds.append(std)
        return values.astype(np.float64)


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
def test_norms_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(PrivacyError, match="finite"):
        dynamic_norm(1.0, bad)


def pull(targets: NDArray[np.float64]):
    """Gradients of sum |w - t_i|^2 / 2: w - t_i."""
    return lambda weights, batch: weights[None, :] - targets[batch]


ORDER = np.array([0, 1])


def test_ddp_sgd_by_hand() -> None:
    # Targets 4 and 8, batches of two, rate 1/2, from 0: the mean gradient is w - 6.
    # Epoch 0: gradients -4, -8, mean norm 6; w = 3. Epoch 1: -1, -5, mean norm 3; w = 4.5.
    # Epoch 2: gamma = |3 - 6| / 3 = 1, C = 3; gradients 0.5, -3.5, clipped 0.5, -3;
    # w = 4.5 + 1/2 * 2.5 / 2 = 5.125.
    noise = Silent()
    plan = LocalPlan(3, 2, 0.5, noise_multiplier=1.5)
    targets = np.array([[4.0], [8.0]])
    found = train(plan, np.zeros(1), pull(targets), [ORDER] * 3, noise)
    assert found == pytest.approx([5.125])
    assert noise.stds == pytest.approx([4.5])  # once, C * sigma


def test_dp_sgd_clips_and_noises_every_epoch() -> None:
    # Norm 1: gradients -4, -8 both become -1; w = 1/2 * 2 / 2 = 0.5, then 1.0.
    noise = Silent()
    plan = LocalPlan(2, 2, 0.5, noise_multiplier=2.0, clipping_norm=1.0)
    found = train(plan, np.zeros(1), pull(np.array([[4.0], [8.0]])), [ORDER] * 2, noise)
    assert found == pytest.approx([1.0])
    assert noise.stds == [2.0, 2.0]


def test_a_last_batch_that_is_smaller_is_divided_by_its_own_size() -> None:
    plan = LocalPlan(1, 2, 1.0, noise_multiplier=1.0, clipping_norm=100.0)
    targets = np.array([[3.0], [3.0], [9.0]])
    found = train(plan, np.zeros(1), pull(targets), [np.array([0, 1, 2])], Silent())
    assert found == pytest.approx([9.0])  # to 3 by the first batch, to 9 by the second


def test_what_earlier_epochs_learnt_is_uploaded_without_noise_of_its_own() -> None:
    """Why the claim is none: with an even norm the upload moves with a record far beyond it."""
    plan = LocalPlan(3, 100, 0.5, noise_multiplier=1.0)
    targets = np.zeros((100, 1))
    orders = [np.arange(100)] * 3
    outlier = targets.copy()
    outlier[0] = 1e6
    without = train(plan, np.ones(1), pull(targets), orders, SeededNoise(0))
    within = train(plan, np.ones(1), pull(outlier), orders, SeededNoise(0))
    assert np.abs(within - without).max() > 1000


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"epochs": 2}, "at least 3 local epochs, not 2"),
        ({"batch_size": 0}, "batches of 0"),
        ({"epochs": 0, "clipping_norm": 1.0}, "0 epochs"),
        ({"clipping_norm": 0.0}, "clipping norm"),
        ({"noise_multiplier": 0.0}, "noise multiplier"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(fields: dict, match: str) -> None:
    given = {"epochs": 3, "batch_size": 2, "learning_rate": 0.1, "noise_multiplier": 1.0} | fields
    with pytest.raises(PrivacyError, match=match):
        LocalPlan(**given)


def test_an_order_is_needed_for_each_epoch() -> None:
    with pytest.raises(PrivacyError, match="3 epochs"):
        train(LocalPlan(3, 2, 0.5, 1.0), np.zeros(1), pull(np.ones((2, 1))), [ORDER] * 2, Silent())


def test_the_claim_counts_the_noised_steps_alone() -> None:
    plan = LocalPlan(5, 50, 0.1, 1.0)
    assert claimed_release(plan, 500, 20) == GaussianRelease(1.0, 0.1, 10 * 20)
    fixed = LocalPlan(5, 50, 0.1, 1.0, clipping_norm=1.0)
    assert claimed_release(fixed, 500, 20) == GaussianRelease(1.0, 0.1, 5 * 10 * 20)


def test_the_noise_for_a_claim_is_the_accountants() -> None:
    plan = LocalPlan(3, 600, 0.1, 1.0)
    multiplier, claim = claimed_multiplier(2.0, 1e-5, plan, 600, 10)
    assert cost(GaussianRelease(multiplier, 1.0, 10), 1e-5).epsilon == pytest.approx(2, rel=1e-3)
    assert (claim.epsilon, claim.note) == (2.0, "claimed by the paper, not guaranteed")


def test_laplace_noise_has_the_scale_of_equation_4() -> None:
    generator = np.random.default_rng(0)
    found = add_laplace(np.full((200, 300), 7.0), 3.0, 1.5, generator) - 7.0
    # Laplace(b) has mean |x| = b and variance 2 b^2, b = 3 / 1.5.
    assert np.abs(found).mean() == pytest.approx(2.0, rel=0.02)
    assert found.var() == pytest.approx(8.0, rel=0.04)


def test_the_sensitivity_of_equation_5_is_the_largest_l1_distance() -> None:
    outputs = [np.array([0.0, 0.0]), np.array([1.0, -1.0]), np.array([0.5, 0.0])]
    assert observed_sensitivity(outputs) == 2.0


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(0.0, 1.0), (1.0, -1.0), (math.inf, 1.0)])
def test_laplace_noise_out_of_range_is_refused(sensitivity: float, epsilon: float) -> None:
    with pytest.raises(PrivacyError, match="must be positive"):
        add_laplace(np.zeros(2), sensitivity, epsilon, np.random.default_rng(0))
    with pytest.raises(PrivacyError, match="finite"):
        add_laplace(np.array([np.nan]), 1.0, 1.0, np.random.default_rng(0))


def test_one_output_has_no_sensitivity() -> None:
    with pytest.raises(PrivacyError, match="two outputs"):
        observed_sensitivity([np.zeros(2)])
