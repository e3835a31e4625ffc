"""The global model of a round."""

import numpy as np
import pytest

from fedpact.consensus.aggregate import global_model
from fedpact.learning.artefact import encode
from fedpact.learning.strategies import Globals
from tests.support.specifications import specification


def model(*values):
    return {"w": np.array(values, np.float32)}


START = model(0, 0)


def next_model(spec, start, models, samples, included, before=None):
    return global_model(spec, 2, Globals(START, start, before), models, samples, included)


def test_included_models_are_weighted_by_samples():
    found = next_model(
        specification(), START, {0: model(0, 4), 1: model(4, 0)}, {0: 100, 1: 300}, [0, 1]
    )
    assert found["w"].tolist() == [3.0, 1.0]


def test_no_weight_exceeds_twice_the_median_of_those_submitted():
    # The median of 100, 100, 1000 is 100: the last counts 200, also when seat 0 is left out.
    models = {1: model(0, 0), 2: model(3, 30)}
    found = next_model(specification(), START, models, {0: 100, 1: 100, 2: 1000}, [1, 2])
    assert found["w"].tolist() == [2.0, 20.0]


def test_the_sample_mean_weighs_as_declared():
    spec = specification(aggregation={"name": "sample-mean"})
    models = {1: model(0, 0), 2: model(3, 33)}
    found = next_model(spec, START, models, {0: 100, 1: 100, 2: 1000}, [1, 2])
    np.testing.assert_allclose(found["w"], [3000 / 1100, 30.0], rtol=1e-6)


def test_models_that_are_left_out_change_nothing():
    models = {0: model(1, 2), 1: model(np.float32(1e30), -1), 2: model(3, 4)}
    samples = {0: 10, 1: 10, 2: 10}
    fewer = {0: models[0], 2: models[2]}
    spec = specification()
    assert encode(next_model(spec, START, models, samples, [0, 2])) == encode(
        next_model(spec, START, fewer, samples, [2, 0])
    )


def test_the_specification_chooses_the_median():
    spec = specification(aggregation={"name": "coordinate-median"})
    models = {0: model(1, 1), 1: model(2, 2), 2: model(99, -99)}
    found = next_model(spec, START, models, {0: 1, 1: 1, 2: 9}, [0, 1, 2])
    assert found["w"].tolist() == [2.0, 1.0]


def test_without_an_included_model_the_global_model_is_kept():
    assert next_model(specification(), START, {}, {0: 5}, []) is START
    with pytest.raises(KeyError):
        next_model(specification(), START, {}, {0: 5}, [0])


def test_the_strategy_takes_the_step_from_the_aggregate():
    spec = specification(strategy={"name": "fedavgm", "parameters": {"momentum": 0.5}})
    models, samples = {0: model(4, 0), 1: model(2, 0)}, {0: 1, 1: 1}
    first = next_model(spec, model(1, 1), models, samples, [0, 1])
    later = next_model(spec, model(1, 1), models, samples, [0, 1], before=model(0, 3))
    assert first["w"].tolist() == [3.0, 0.0]
    assert later["w"].tolist() == [3.5, -1.0]  # 1 + 0.5 * (1 - 0) + (3 - 1), 1 + 0.5 * (1 - 3) - 1
