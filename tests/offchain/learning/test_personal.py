"""Personal models: from the published global models and a provider's own records."""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, SpecificationError
from fedpact.learning.artefact import encode
from fedpact.learning.checks import check_specification
from fedpact.learning.families import family_of
from fedpact.learning.personal import PASSES, personal_model
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification

EPOCHS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.2, "momentum": 0.5}
X = np.array([[0, 1], [1, 0], [-1, -1], [0.2, 1], [1, 0.1], [-1, -0.8]], np.float32)
RECORDS = Dataset(X, np.array([0, 1, 2, 0, 1, 2]), ())


def ditto(lam: float = 0.5, **changes: object) -> Specification:
    return specification(
        **{
            "strategy": {"name": "ditto", "parameters": {"lam": lam}},
            "local": EPOCHS,
            "rounds": 2,
            **changes,
        }
    )


def trained(spec: Specification, shift: float = 0.0) -> dict[str, np.ndarray]:
    """From a global model whose values are all shifted."""
    first = family_of(spec).initial(spec, 3)
    shared = {name: values + np.float32(shift) for name, values in first.items()}
    return personal_model(spec, shared, RECORDS)


def test_it_stays_near_the_global_model_as_lambda_asks():
    free, mild, close = (trained(ditto(lam), shift=4.0) for lam in (0.0, 0.5, 4.0))
    shared = family_of(ditto()).initial(ditto(), 3)
    apart = [
        sum(float(np.square(one[name] - shared[name] - 4).sum()) for name in one)
        for one in (free, mild, close)
    ]
    assert apart[0] > 1.5 * apart[1] > 2 * apart[2] > 0


def test_it_fits_the_owner_s_records_better_than_the_global_model():
    spec = ditto(0.01)
    shared = family_of(spec).initial(spec, 3)
    family = family_of(spec)
    errors = [family.error(spec, one, RECORDS.x, RECORDS.y) for one in (shared, trained(spec))]
    assert errors[1] == 0 < errors[0]


def test_a_request_s_noise_and_clipping_are_for_what_is_released():
    steps = {"steps": 20, "learning_rate": 0.5}
    private = ditto(local=steps, privacy={**SOUND, "clipping_norm": 1e-3})
    assert encode(trained(private)) == encode(trained(ditto(local=steps)))


def test_progress_is_told_pass_by_pass():
    told: list[int] = []
    spec = ditto()
    personal_model(spec, family_of(spec).initial(spec, 3), RECORDS, told.append)
    assert told == list(range(1, PASSES + 1))


def test_a_strategy_without_personal_models_is_named():
    with pytest.raises(SpecificationError, match="strategy dlmu makes no personal models"):
        trained(ditto(strategy={"name": "dlmu"}))


def test_a_model_that_diverges_is_not_kept():
    spec = ditto(1e6, local={**EPOCHS, "epochs": 40, "learning_rate": 10.0})
    with pytest.raises(DataError, match="no longer finite"), np.errstate(all="ignore"):
        trained(spec, shift=1.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "family": {"name": "decision-tree", "parameters": {}},
                "local": {"construction_seed": 1},
                "aggregation": {"name": "union"},
            },
            "strategy 'ditto' moves weights",
        ),
        (
            {
                "family": {"name": "scattering-linear", "parameters": {}},
                "features": {"shape": [8, 8]},
                "local": {"steps": 1, "learning_rate": 1.0},
            },
            "statistics that all share",
        ),
    ],
)
def test_a_family_that_cannot_be_drawn_is_refused(changes: dict[str, object], said: str):
    with pytest.raises(SpecificationError, match=said):
        check_specification(ditto(**changes))
