"""The release itself, drawn thousands of times with and without one record, against what is stated.

An audit that trains once cannot see halved noise; here the record is the worst one that a
provider can hold (its gradient is clipped to the full norm in every step), and whoever looks at
the release knows everything but whether the record is in. For full batch the stated cost is that
of Gaussian differential privacy with mu = sqrt(steps) / z (Dong, Roth & Su 2022), which the means
and the spread along the record's gradient measure.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fedpact.data.dataset import Dataset
from fedpact.learning.families import family
from fedpact.learning.local import train_local
from fedpact.privacy.accounting import cost, gaussian_epsilon
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.types.specification import Specification, canonical_json

DRAWS = 4_000
MANY_DRAWS = 20_000
CLIPPING_NORM = 0.8
MULTIPLIER = 1.7
STEPS = 2
LEARNING_RATE = 1e-4
"""So small that all steps see the same gradients: then every step shows the record in full."""


def specification() -> Specification:
    fields = {
        "title": "audit",
        "category": "audit",
        "labels": ["0", "1"],
        "features": {"shape": [2]},
        "family": {"name": "softmax-regression"},
        "local": {"steps": STEPS, "learning_rate": LEARNING_RATE},
        "rounds": 1,
        "min_providers": 2,
        "max_providers": 2,
        "score": "model",
        "max_error": 5000,
        "privacy": {
            "mode": "sound",
            "epsilon": 20.0,
            "delta": 1e-5,
            "clipping_norm": CLIPPING_NORM,
            "noise_multiplier": MULTIPLIER,
        },
        "evaluation": [{"cid": "b", "sha256": "00", "examples": 1}],
        "initial_model": "b",
        "windows": dict.fromkeys(
            ("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 60
        ),
    }
    return Specification.decode(canonical_json(fields))


X = np.array([[0.3, -0.2], [-0.1, 0.4], [0.2, 0.2], [50.0, -80.0]], dtype=np.float32)
Y = np.array([0, 1, 0, 1], dtype=np.int64)


def releases(records: int, noise: NoiseSource, draws: int) -> NDArray[np.float64]:
    """What the release tells of the sum of gradients over the first `records` of four records.

    Undoing the public parts, the start, the learning rate and the number of records, is
    post-processing; with it the two data sets differ by the record's contribution alone.
    Shape (draws, parameters).
    """
    spec = specification()
    template = family(spec.family.name).template(spec)
    start = {name: np.zeros(shape, dtype=np.float32) for name, shape in template.tensors}
    dataset = Dataset(X[:records], Y[:records], ())
    found = np.empty((draws, template.parameters))
    for row in found:
        model = train_local(spec, start, dataset, noise=noise)
        row[:] = np.concatenate([model[name].ravel() for name in sorted(model)])
    return -found * records / LEARNING_RATE


class Weakened(NoiseSource):
    """The system's noise, made smaller (0: none)."""

    def __init__(self, factor: float) -> None:
        self._system, self._factor = SystemNoise(), factor

    def words(self, count: int) -> NDArray[np.uint64]:
        return self._system.words(count)

    def half_steps(self, count: int) -> NDArray[np.int64]:
        return (self._system.half_steps(count) * self._factor).astype(np.int64)


def measured_mu(without: NDArray[np.float64], within: NDArray[np.float64]) -> float:
    """Distance of the two distributions' means over their spread, along the record's gradient."""
    silent = Weakened(0.0)
    direction = (releases(4, silent, 1) - releases(3, silent, 1))[0]
    direction /= np.linalg.norm(direction)
    ours, theirs = within @ direction, without @ direction
    spread = math.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
    return math.inf if spread == 0 else float((ours.mean() - theirs.mean()) / spread)


def assert_as_stated(noise: NoiseSource, draws: int) -> None:
    """Half of the draws are without the record, half with it."""
    each = draws // 2
    mu = measured_mu(releases(3, noise, each), releases(4, noise, each))
    stated = math.sqrt(STEPS) / MULTIPLIER
    error = math.sqrt((2 + stated**2 / 4) / each)
    assert mu == pytest.approx(stated, abs=4.5 * error)


def test_a_record_shows_in_the_release_as_much_as_stated() -> None:
    assert_as_stated(SystemNoise(), DRAWS)


@pytest.mark.slow
def test_a_record_shows_in_many_releases_as_much_as_stated() -> None:
    assert_as_stated(SystemNoise(), MANY_DRAWS)


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_missing_or_halved_noise_is_seen(factor: float) -> None:
    with pytest.raises(AssertionError):
        assert_as_stated(Weakened(factor), 1000)


@pytest.mark.slow
def test_noise_a_fifth_too_small_is_seen_in_many_releases() -> None:
    with pytest.raises(AssertionError):
        assert_as_stated(Weakened(0.8), MANY_DRAWS)  # off by 14 standard errors: never missed


def test_the_stated_epsilon_is_that_of_the_measured_mechanism() -> None:
    stated = cost(GaussianRelease(MULTIPLIER, 1.0, STEPS), 1e-5)
    assert stated.epsilon == pytest.approx(gaussian_epsilon(math.sqrt(STEPS) / MULTIPLIER, 1e-5))


def test_the_noise_is_as_large_in_every_direction_and_normal() -> None:
    found = releases(3, SystemNoise(), 1500)
    std = MULTIPLIER * CLIPPING_NORM * math.sqrt(STEPS)
    spread = np.cov(found, rowvar=False) / std**2
    assert np.abs(spread - np.eye(len(spread))).max() < 6 * math.sqrt(2 / len(found))
    for values in found.T:
        assert stats.kstest((values - values.mean()) / std, "norm").pvalue > 1e-5
