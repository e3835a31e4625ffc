"""The one-run canary audit: its bound, and the real gradient sum with 5,000 canaries."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import gaussian_multiplier
from fedpact.privacy.attacks.canaries import CanaryAudit, audit, epsilon_lower_bound, p_value
from fedpact.privacy.linear_sums import CentredFeatures, noised, softmax_gradient_sum
from fedpact.privacy.noise import NoiseSource, SystemNoise
from tests.offchain.privacy.attacks.audited import Weakened

CANARIES, GUESSES = 5_000, 200
EPSILON, DELTA = 2.0, 1e-5
NORM = 0.5
STEPS = 4
MULTIPLIER = gaussian_multiplier(EPSILON, DELTA) * math.sqrt(STEPS)


def gradient_scores(noise: NoiseSource, clipping_norm: float = NORM):
    """STEPS steps of the linear model over fixed features; white box.

    Each canary has a feature of its own, so that its gradient points where no other's does; its
    score is the release's component along that gradient.
    """

    def scores(included: NDArray[np.bool_]) -> NDArray[np.float64]:
        x = np.diag(np.where(included, np.float32(10), np.float32(0)))
        features = CentredFeatures.of(x, np.zeros(CANARIES, dtype=np.float32))
        y = np.zeros(CANARIES, dtype=np.int64)
        weights = np.zeros((2, CANARIES), dtype=np.float32)
        seen = np.zeros((2, CANARIES))
        for _ in range(STEPS):
            total = softmax_gradient_sum(features, weights, y, clipping_norm)
            seen += noised(total, NORM, MULTIPLIER, noise)
        return seen[1] - seen[0]

    return scores


def audited(noise: NoiseSource, clipping_norm: float = NORM, seed: int = 0) -> CanaryAudit:
    generator = np.random.default_rng(seed)
    return audit(gradient_scores(noise, clipping_norm), CANARIES, GUESSES, DELTA, generator)


def test_the_stated_epsilon_holds() -> None:
    found = audited(SystemNoise())
    assert found.allows(EPSILON)
    assert found.epsilon > 0.3  # and the audit does see something


@pytest.mark.parametrize(("factor", "clipping_norm"), [(0.0, NORM), (0.4, NORM), (1.0, 10 * NORM)])
def test_missing_noise_and_missing_clipping_are_caught(factor: float, clipping_norm: float) -> None:
    assert not audited(Weakened(factor), clipping_norm).allows(EPSILON)


@pytest.mark.slow
def test_halved_noise_is_caught_in_some_runs() -> None:
    caught = [not audited(Weakened(0.5), seed=seed).allows(EPSILON) for seed in range(10)]
    assert sum(caught) >= 2  # about seven of ten; distinguishability is the sharper check


@pytest.mark.slow
def test_the_stated_epsilon_holds_in_every_run() -> None:
    assert all(audited(SystemNoise(), seed=seed).allows(EPSILON) for seed in range(20))


def test_pure_privacy_is_bounded_by_the_binomial() -> None:
    # P[Binomial(10, e / (1 + e)) >= 9], by hand: 10 q^9 (1 - q) + q^10.
    q = math.e / (1 + math.e)
    expected = 10 * q**9 * (1 - q) + q**10
    assert p_value(100, 10, 9, 1.0, 0.0) == pytest.approx(expected)


def test_delta_adds_what_it_can() -> None:
    # One guess, right: q, and 2 m delta times P[X = 0] / 1.
    assert p_value(100, 1, 1, 0.0, 1e-3) == pytest.approx(0.5 + 2 * 100 * 1e-3 * 0.5)


def test_the_bound_is_where_the_p_value_crosses() -> None:
    found = epsilon_lower_bound(1000, 100, 90, 1e-5, 0.95)
    assert p_value(1000, 100, 90, found, 1e-5) < 0.05
    assert p_value(1000, 100, 90, found + 2e-3, 1e-5) >= 0.05
    assert found == pytest.approx(1.6, abs=0.2)


def test_a_thousand_canaries_cannot_show_more_than_six() -> None:
    assert 5.5 < epsilon_lower_bound(1000, 1000, 1000, 0.0, 0.95) < 6.0


def test_guesses_by_chance_show_nothing() -> None:
    generator = np.random.default_rng(1)
    found = audit(lambda included: np.zeros(1000), 1000, 500, DELTA, generator)
    assert found.epsilon == 0.0
    assert found.right == pytest.approx(250, abs=60)


def test_without_privacy_all_guesses_are_right() -> None:
    found = audit(lambda included: included * 1.0, 1000, 400, DELTA, np.random.default_rng(2))
    assert found.right == found.guesses == 400


@pytest.mark.parametrize("guesses", [0, 1, 101])
def test_guesses_out_of_range_are_refused(guesses: int) -> None:
    with pytest.raises(PrivacyError, match="guesses"):
        audit(lambda included: included * 1.0, 100, guesses, DELTA, np.random.default_rng(0))


def test_a_score_is_needed_for_each_canary() -> None:
    with pytest.raises(PrivacyError, match="score"):
        audit(lambda included: np.zeros(3), 100, 10, DELTA, np.random.default_rng(0))
