"""What a secure sum costs, and that neither dropouts nor colluders take noise off it."""

import math

import numpy as np
import pytest

from fedpact.errors import PrivacyError
from fedpact.privacy.accounting import MAX_STEPS, calibrate, gaussian_epsilon
from fedpact.privacy.linear_sums import sum_std
from fedpact.privacy.noise import SeededNoise, from_half_steps
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost, sum_gap
from tests.support.secure_sum import Party

TERMS = SumTerms(10, 1, 2)
DELTA = 1e-5


def test_the_terms_by_hand() -> None:
    assert (TERMS.least, TERMS.honest, TERMS.threshold) == (9, 7, 7)
    assert (SumTerms(4, 1, 1).honest, SumTerms(4, 1, 1).threshold) == (2, 3)
    assert "at most 2 of them collude; sums of fewer than 9" in TERMS.statement


def test_the_honest_minimum_has_the_noise_of_one_provider_by_itself() -> None:
    sums = SumRelease.calibrated(TERMS, 2.0, DELTA, 60)
    alone = calibrate(2.0, DELTA, 60, 1.0)
    assert sums.multiplier * math.sqrt(TERMS.honest) == pytest.approx(alone, rel=1e-9)
    found = sum_cost((sums,), DELTA)
    assert 1.999 < found.epsilon <= 2
    assert found.epsilon_replacement > found.epsilon
    assert "Kairouz" in found.accountant
    assert sums.release.steps == 60 * TERMS.honest  # whose draws count for the sampler's error


@pytest.mark.parametrize(("missing", "colluding"), [((), ()), ((9,), (0, 1)), ((0,), (8, 9))])
def test_what_colluders_leave_of_the_noise_is_what_is_charged(
    missing: tuple[int, ...], colluding: tuple[int, ...]
) -> None:
    sums = SumRelease.calibrated(TERMS, 2.0, DELTA, 1)
    std = sum_std(4000, 1.0, sums.multiplier)
    noise = [SeededNoise(at).add_integers(np.zeros(4000), std) for at in range(10)]
    party = Party.of(TERMS)
    masked = party.masked(noise, missing)
    left = party.opened(masked).values - sum(noise[at] for at in colluding)
    charged = calibrate(2.0, DELTA, 1, 1.0)
    assert from_half_steps(left, std).std() > 0.96 * charged


def test_a_dispute_costs_what_the_opened_parts_cost() -> None:
    terms = SumTerms(4, 0, 1)
    sums = SumRelease.calibrated(terms, 2.0, DELTA, 20, disputes=3)
    sum_multiplier = sums.multiplier * math.sqrt(terms.honest)
    mu = math.sqrt(17 / sum_multiplier**2 + 3 / sums.multiplier**2)
    assert sum_cost((sums,), DELTA).epsilon == pytest.approx(gaussian_epsilon(mu, DELTA), rel=1e-4)


def test_sums_of_one_schedule_are_charged_together() -> None:
    centring = SumRelease(TERMS, 20 / math.sqrt(TERMS.honest), 1)
    sums = SumRelease.calibrated(TERMS, 2.0, DELTA, 60, beside=(centring,))
    assert sums.multiplier > SumRelease.calibrated(TERMS, 2.0, DELTA, 60).multiplier
    assert 1.999 < sum_cost((centring, sums), DELTA).epsilon <= 2


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize(("members", "std"), [(2, 0.5), (3, 0.7), (5, 1.0), (4, 2.0)])
def test_a_sum_of_discrete_gaussians_is_almost_one(members: int, std: float, shift: float) -> None:
    # Exact convolutions, against the discrete Gaussian of their variance on the same lattice.
    reach = math.ceil(20 * std)
    one = np.exp(-((np.arange(-reach, reach + 1) + shift) ** 2) / (2 * std**2))
    one /= one.sum()
    summed = one
    for _ in range(members - 1):
        summed = np.convolve(summed, one)
    at = np.arange(summed.size) - reach * members + shift * members
    direct = np.exp(-(at**2) / (2 * members * std**2))
    direct /= direct.sum()
    middle = np.abs(at) < 8 * std * math.sqrt(members)
    ratio = np.abs(np.log(summed[middle] / direct[middle])).max()
    assert ratio <= sum_gap(members, std) + 1e-9


def test_more_draws_than_the_sampler_is_proven_for_are_refused() -> None:
    with pytest.raises(PrivacyError, match="can be accounted for"):
        SumRelease.calibrated(TERMS, 2.0, DELTA, MAX_STEPS)
    with pytest.raises(PrivacyError, match="3 disputes in 2 rounds"):
        SumRelease(TERMS, 1.0, 2, 3)
