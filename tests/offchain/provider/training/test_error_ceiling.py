"""Whether a training could pass a request's ceiling, on made-up examples that are easy to learn."""

import numpy as np
import pytest

from fedpact.learning.families import family_of
from fedpact.provider.training import error_ceiling
from fedpact.provider.training.error_ceiling import easy_examples, is_tried, least_error
from fedpact.provider.training.time_trial import Work
from fedpact.provider.training.work import LocalWork
from tests.offchain.learning.test_families import ALL
from tests.support.specifications import SOUND, specification

DIGITS = {
    "labels": [str(label) for label in range(10)],
    "features": {"shape": [64]},
    "local": {"steps": 10, "learning_rate": 4.0},
    "score": "model",
    "max_error": 2_000,
}


def asked(units: int, noise: float = 60.0, **changes: object) -> Work:
    privacy = SOUND | {"noise_multiplier": noise}
    spec = specification(**{**DIGITS, "privacy": privacy, **changes})
    return Work.of(spec, family_of(spec).initial(spec, 0), units, 1)


def test_noise_that_is_too_large_for_the_records_leaves_no_model_within_the_ceiling() -> None:
    """It is the same noise for all: the more records, the less it weighs."""
    few = least_error(LocalWork(), asked(100))
    many = least_error(LocalWork(), asked(3_000))
    assert few is not None
    assert many is not None
    assert few > 2_000
    assert many <= 2_000
    quiet = least_error(LocalWork(), asked(100, noise=0.1))
    assert quiet is not None
    assert quiet <= 2_000


def test_noise_weighs_less_as_weights_grow_over_a_requests_rounds() -> None:
    """The first model that passes has small weights still: noise hides them, but no later ones."""
    local = {"steps": 5, "learning_rate": 0.5}
    found = least_error(LocalWork(), asked(300, noise=40.0, rounds=25, local=local))
    assert found is not None
    assert found <= 2_000


def test_what_does_not_pass_without_noise_tells_nothing() -> None:
    lame = asked(100, local={"steps": 1, "learning_rate": 1e-6})
    assert least_error(LocalWork(), lame) is None


def test_what_a_trial_could_not_tell_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_tried(asked(100))
    assert not is_tried(asked(100, score="contribution", max_error=5_000))
    assert not is_tried(asked(100, privacy={"mode": "none"}))
    assert not is_tried(asked(10**6))
    monkeypatch.setattr(error_ceiling, "MOST_BYTES", 4 * 64 * 100)
    assert is_tried(asked(100))
    assert not is_tried(asked(101))


@pytest.mark.parametrize("name", ALL)
def test_every_family_takes_easy_examples(name: str) -> None:
    spec = ALL[name]
    one, other = easy_examples(spec, 40, 2, seed=1), easy_examples(spec, 40, 2, seed=1)
    assert family_of(spec).usable(spec, one.x, one.y).all()
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.y, other.y)
    assert (len(set(one.units)), one.declared_units) == (20, 20)
