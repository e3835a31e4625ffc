"""Aggregation rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedpact.errors import ModelError
from fedpact.learning.aggregation import aggregate, coordinate_median, weighted_mean
from fedpact.learning.artefact import encode
from fedpact.types.specification import Aggregation

VALUES = st.floats(-(2.0**99), 2.0**99, width=32)
MODELS = st.integers(1, 6).flatmap(
    lambda n: st.lists(
        arrays(np.float32, (3,), elements=VALUES).map(lambda w: {"w": w}), min_size=n, max_size=n
    ).map(lambda models: dict(enumerate(models)))
)

NAMES = ["weighted-mean", "coordinate-median"]


def _rule(name):
    return Aggregation(name=name)


RULES = st.sampled_from(NAMES).map(_rule)


def model(*values):
    return {"w": np.array(values, np.float32)}


def test_the_weighted_mean_by_hand():
    found = weighted_mean({0: model(1, 0), 3: model(5, 8)}, {0: 3, 3: 1, 7: 100})
    assert found["w"].dtype == np.float32
    assert found["w"].tolist() == [2.0, 2.0]


def test_the_median_of_an_odd_and_of_an_even_count_by_hand():
    odd = {0: model(1, 9), 1: model(2, 7), 2: model(30, 8)}
    assert coordinate_median(odd)["w"].tolist() == [2.0, 8.0]
    assert coordinate_median({**odd, 5: model(4, 0)})["w"].tolist() == [3.0, 7.5]


def test_the_mean_is_added_up_in_the_order_of_seats():
    # In float64 2^53 + 1 is 2^53: only the order 0, 1, 2 gives 0 here.
    models = {0: model(2.0**53), 1: model(1), 2: model(-(2.0**53))}
    weights = dict.fromkeys(models, 1)
    assert weighted_mean(models, weights)["w"].tolist() == [0.0]
    assert weighted_mean(dict(reversed(models.items())), weights)["w"].tolist() == [0.0]


@given(MODELS, st.randoms(use_true_random=False), RULES)
def test_the_order_in_which_models_arrive_changes_no_byte(models, shuffler, rule):
    weights = {seat: seat + 1 for seat in models}
    order = list(models)
    shuffler.shuffle(order)
    shuffled = {seat: models[seat] for seat in order}
    assert encode(aggregate(rule, shuffled, weights, {})) == encode(
        aggregate(rule, models, weights, {})
    )


@given(MODELS, RULES)
def test_an_aggregate_lies_between_its_models(models, rule):
    found = aggregate(rule, models, dict.fromkeys(models, 3), {})["w"]
    stacked = np.stack([one["w"] for one in models.values()])
    slack = 1e-6 * np.abs(stacked).max(axis=0)
    assert (found >= stacked.min(axis=0) - slack).all()
    assert (found <= stacked.max(axis=0) + slack).all()


@given(MODELS, arrays(np.float32, (3,), elements=VALUES))
def test_one_model_of_three_cannot_drag_the_median_beyond_the_others(models, hostile):
    first, second = models[0], models[max(models)]
    found = coordinate_median({0: first, 1: second, 2: {"w": hostile}})["w"]
    assert (found >= np.minimum(first["w"], second["w"])).all()
    assert (found <= np.maximum(first["w"], second["w"])).all()


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ModelError):
        aggregate(Aggregation(), {}, {}, {})
    with pytest.raises(ModelError):
        aggregate(Aggregation(name="coordinate-median"), {0: model(1), 1: model(1, 2)}, {}, {})
    for weights in ({0: 0, 1: 0}, {0: 2, 1: -1}):
        with pytest.raises(ModelError):
            aggregate(Aggregation(), {0: model(1), 1: model(2)}, weights, {})


def test_the_largest_float32_values_do_not_overflow():
    top = float(np.finfo(np.float32).max)
    models = {seat: model(top) for seat in range(16)}
    weights = dict.fromkeys(models, 10_000_000)
    for rule in map(_rule, NAMES):
        assert aggregate(rule, models, weights, {})["w"].tolist() == [top]
