"""The likelihood-ratio attack: what it finds without privacy, and how little with it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.data.sources import digits
from fedpact.errors import PrivacyError
from fedpact.learning.families import family
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.attacks.membership import MembershipAttack, attack, likelihood_ratios, outcome
from fedpact.privacy.noise import SeededNoise
from tests.support.specifications import SOUND, specification

EXAMPLES, MODELS = 120, 24
LABELS = [str(label) for label in range(10)]
LOCAL = {"steps": 40, "learning_rate": 1.0, "momentum": 0.9}


def confidences(privacy: dict):
    """Softmax regression on some digits, half of them with wrong labels: members by heart only."""
    spec = specification(labels=LABELS, features={"shape": [8, 8]}, local=LOCAL, privacy=privacy)
    source = digits()
    x = (source.x_train[:EXAMPLES] / 16).astype(np.float32)
    y = source.y_train[:EXAMPLES].copy()
    y[::2] = np.random.default_rng(5).integers(0, 10, len(y[::2]))
    start = family("softmax-regression").initial(spec, 0)
    noise = SeededNoise(0)

    def train(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        members = Dataset(x[chosen], y[chosen], ())
        model = train_local(LocalTraining(spec, start, members, noise=noise))
        p = family("softmax-regression").predict(spec, model, x)[np.arange(len(y)), y]
        p = np.clip(p, 1e-9, 1 - 1e-9)
        return np.asarray(np.log(p) - np.log1p(-p))

    return train


def attacked(privacy: dict) -> MembershipAttack:
    return attack(confidences(privacy), EXAMPLES, MODELS, np.random.default_rng(0))


def test_members_are_found_without_privacy_and_not_with_it() -> None:
    without = attacked({"mode": "none"})
    within = attacked(SOUND | {"noise_multiplier": 30.0})
    assert without.true_positives > 0.1
    assert within.true_positives < 0.03
    assert within.advantage < 0.1 < without.advantage


def test_the_ratio_is_that_of_two_normals_fitted_without_the_model_itself() -> None:
    # One example, members in models 0 to 3: figures 1, 3, 2, 2; others -1, -3, -2, -2.
    sure = np.array([[1.0], [3.0], [2.0], [2.0], [-1.0], [-3.0], [-2.0], [-2.0]])
    members = np.array([[True]] * 4 + [[False]] * 4)
    found = likelihood_ratios(sure, members)
    # Model 0: inside mean (3 + 2 + 2) / 3, squares about 2: 1 + 0 + 0 over 3; outside mean -2, 2/4.
    inside, outside = 7 / 3, -2.0
    variances = 1 / 3, 2 / 4
    expected = (
        -((1 - inside) ** 2) / (2 * variances[0])
        + (1 - outside) ** 2 / (2 * variances[1])
        - np.log(variances[0] / variances[1]) / 2
    )
    assert found[0, 0] == pytest.approx(expected)
    assert (found[:4] > 0).all()
    assert (found[4:] < 0).all()


def test_shares_are_counted_at_the_threshold() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    members = np.array([[True, True, False, True, False]])
    strict, loose = outcome(scores, members, 0.01), outcome(scores, members, 0.5)
    assert (strict.true_positives, strict.false_positives) == (pytest.approx(2 / 3), 0.0)
    assert (loose.true_positives, loose.false_positives) == (1.0, 0.5)
    assert strict.advantage == pytest.approx(2 / 3)


def test_equal_scores_are_on_one_side_of_every_threshold() -> None:
    found = outcome(np.zeros((1, 4)), np.array([[True, True, False, False]]), 0.4)
    assert found.true_positives == found.false_positives == 0.0


def test_an_attack_needs_models_and_a_share() -> None:
    with pytest.raises(PrivacyError, match="at least 8"):
        attack(confidences({"mode": "none"}), EXAMPLES, 4, np.random.default_rng(0))
    with pytest.raises(PrivacyError, match="between 0 and 1"):
        attack(confidences({"mode": "none"}), EXAMPLES, 8, np.random.default_rng(0), 1.0)
