"""An update's norm is measured from the strategy's starting point."""

import numpy as np
import pytest

from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import score_round
from fedpact.data.dataset import Dataset
from fedpact.learning.families import family
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.types.scores import INVALID
from tests.support.specifications import SOUND, specification

SPEC = specification(privacy=SOUND, score="model", strategy={"name": "dlmu"})
SLICE = Dataset(np.array([[1, 2], [3, 4]], np.float32), np.array([0, 1]), ())


@pytest.mark.parametrize("known", [True, False])
def test_an_honest_model_far_from_the_global_one_is_valid_by_its_own_start(known):
    generator = np.random.default_rng(0)
    data = Dataset(
        generator.normal(size=(50, 2)).astype(np.float32), generator.integers(0, 3, 50), ()
    )
    start = family("softmax-regression").initial(SPEC, seed=0)
    own = {name: values + np.float32(100) for name, values in start.items()}
    models = {
        0: train_local(LocalTraining(SPEC, own, data, noise=SeededNoise(1))),
        1: train_local(LocalTraining(SPEC, start, data, noise=SeededNoise(2))),
    }
    scores, _ = score_round(
        RoundInputs(
            SPEC, 2, start, models, {0: 50, 1: 50}, SLICE, starts={0: own} if known else {}
        ),
        ContributionRecord(),
    )
    assert (scores[0] != INVALID) == known
    assert scores[1] != INVALID
