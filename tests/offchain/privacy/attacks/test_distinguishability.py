"""Releases of the product drawn thousands of times with and without one record, and mutants."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fedpact.errors import PrivacyError
from fedpact.learning.families import family
from fedpact.learning.units import Batch
from fedpact.privacy.accounting import cost, gaussian_epsilon
from fedpact.privacy.attacks.distinguishability import Distinguishability, measure
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy.releases import GaussianRelease
from tests.offchain.privacy.attacks.audited import (
    CLIPPING_NORM,
    FAMILIES,
    MULTIPLIER,
    RECORDS,
    STATED_MU,
    STEPS,
    Release,
    Weakened,
    audited,
    centring,
    drawn_twice,
    draws_of,
    linear_steps,
    scattering,
    training,
    two_providers,
    windows,
)

FEW, MANY = 300, 100_000
TOLERANCE = 0.02
SOFTMAX = "softmax-regression"
RELEASES: dict[str, Release] = {
    **{name: training(name) for name in FAMILIES},
    "windows of a unit": windows,
    "centring": centring,
    "linear steps": linear_steps,
    "scattering statistics": scattering(1),
    "scattering steps": scattering(2),
}
DEAR = ("linear-regression", "mlp", "scattering steps")
EACH = [
    pytest.param(release, id=name, marks=pytest.mark.slow if name in DEAR else ())
    for name, release in RELEASES.items()
]


def measured(
    release: Release, draws: int, noise: NoiseSource | None = None, *, aimed: bool = True
) -> Distinguishability:
    """With `aimed` along the record's own gradient; else the auditor looks for a direction."""
    source = SystemNoise() if noise is None else noise
    without, within = (draws_of(release, records, source) for records in (RECORDS - 1, RECORDS))
    silent = Weakened(0.0)
    direction = release(RECORDS, silent) - release(RECORDS - 1, silent) if aimed else None
    return measure(without, within, draws, direction)


@pytest.mark.parametrize("release", EACH)
def test_a_release_shows_a_record_as_much_as_stated(release: Release) -> None:
    assert measured(release, FEW).agrees(STATED_MU)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_a_hundred_thousand_draws_agree_to_two_hundredths(release: Release) -> None:
    assert measured(release, MANY).agrees(STATED_MU, TOLERANCE)


def test_two_providers_reveal_no_more_than_one() -> None:
    found = measured(two_providers(centring, shared=False), 3_000, aimed=False)
    assert found.agrees(STATED_MU)


def unclipped(real):
    return lambda self, spec, weights, x, y, bound: real(self, spec, weights, x, y, None)


def clipped_as_a_batch(real):
    def gradient_sum(self, spec, weights, x, y, bound):
        total = real(self, spec, weights, x, y, None)
        length = math.sqrt(sum((values**2).sum() for values in total.values()))
        return {name: values * min(1.0, bound / length) for name, values in total.items()}

    return gradient_sum


@pytest.mark.parametrize(
    "mutant", [unclipped, pytest.param(clipped_as_a_batch, marks=pytest.mark.slow)]
)
def test_wrong_clipping_is_detected(mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(family(SOFTMAX))
    monkeypatch.setattr(kind, "gradient_sum", mutant(kind.gradient_sum))
    assert not measured(RELEASES[SOFTMAX], FEW).agrees(STATED_MU)


def test_clipping_windows_instead_of_their_unit_is_detected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Batch, "singles", property(lambda self: self.rows))
    monkeypatch.setattr(Batch, "groups", property(lambda _: []))
    assert measured(windows, 250).mu > 2 * STATED_MU


@pytest.mark.parametrize("factor", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
@pytest.mark.parametrize("release", EACH)
def test_missing_or_halved_noise_is_detected(release: Release, factor: float) -> None:
    assert not measured(release, 250, Weakened(factor)).agrees(STATED_MU)


@pytest.mark.slow
def test_noise_a_tenth_too_small_is_detected_in_many_draws() -> None:
    assert not measured(centring, MANY, Weakened(0.9)).agrees(STATED_MU, TOLERANCE)


def test_a_second_draw_of_one_release_is_detected() -> None:
    found = measured(drawn_twice(centring), 2_000)
    assert not found.agrees(STATED_MU)
    assert found.mu == pytest.approx(math.sqrt(2) * STATED_MU, abs=5 * found.mu_error)


def test_noise_shared_between_providers_is_detected() -> None:
    assert measured(two_providers(centring, shared=True), 400, aimed=False).mu > 100


@pytest.mark.slow
def test_a_normaliser_from_the_drawn_batch_is_detected() -> None:
    """The sum is divided by how many records there are, which is said to be a fixed number."""
    assert not measured(training(SOFTMAX, public_records=RECORDS), 4 * FEW).agrees(STATED_MU)


def test_the_stated_epsilon_is_that_of_the_measured_mechanism() -> None:
    stated = cost(GaussianRelease(MULTIPLIER, 1.0, STEPS), 1e-5)
    assert stated.epsilon == pytest.approx(gaussian_epsilon(STATED_MU, 1e-5))


def test_the_noise_is_as_large_in_every_direction_and_normal() -> None:
    found = draws_of(RELEASES[SOFTMAX], RECORDS - 1, SystemNoise())(800)
    std = MULTIPLIER * CLIPPING_NORM * math.sqrt(STEPS)
    spread = np.cov(found, rowvar=False) / std**2
    assert len(spread) == family(SOFTMAX).template(audited(SOFTMAX)).parameters
    assert np.abs(spread - np.eye(len(spread))).max() < 6 * math.sqrt(2 / len(found))
    for values in found.T:
        assert stats.kstest((values - values.mean()) / std, "norm").pvalue > 1e-5


CENTRE = np.array([0.0, 1.0, 0.0])


def normal(mean: float, std: float, seed: int):
    def draw(count: int) -> NDArray[np.float64]:
        return np.random.default_rng(seed).normal(CENTRE * mean, [1.0, std, 2.0], (count, 3))

    return draw


@pytest.mark.parametrize("mu", [0.0, 0.5, 3.0])
def test_two_normal_distributions_are_as_far_apart_as_they_are(mu: float) -> None:
    assert measure(normal(0, 1, 0), normal(mu, 1, 1), 20_000).agrees(mu)


def test_a_spread_that_reveals_the_record_is_detected() -> None:
    found = measure(normal(0.0, 1.0, 0), normal(3.0, 1.5, 1), 5_000)
    assert found.spread_ratio == pytest.approx(1.5, rel=0.1)
    assert not found.agrees(found.mu)


def test_too_few_draws_measure_nothing() -> None:
    with pytest.raises(PrivacyError, match="at least"):
        measure(normal(0, 1, 0), normal(1, 1, 1), 10)
