"""Aggregation rules."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedpact.errors import ModelError, SpecificationError
from fedpact.learning.aggregation import (
    RULES,
    aggregate,
    centred_clipping,
    check_aggregation,
    coordinate_median,
    multi_krum,
    norm_bounding,
    trimmed_mean,
    weighted_mean,
)
from fedpact.learning.aggregation.krum import krum_scores
from fedpact.learning.artefact import encode
from fedpact.learning.reproducible_sums import clipping_factor, length, squared_length
from fedpact.types.specification import AggregationChoice

VALUES = st.floats(-(2.0**99), 2.0**99, width=32)
TAME = st.floats(-100, 100, width=32)


def committees(values, least=1):
    return st.integers(least, 6).flatmap(
        lambda n: st.lists(
            arrays(np.float32, (3,), elements=values).map(lambda w: {"w": w}),
            min_size=n,
            max_size=n,
        ).map(lambda models: dict(enumerate(models)))
    )


MEAN = AggregationChoice()
SAMPLE_MEAN = AggregationChoice(name="sample-mean")
EQUAL_MEAN = AggregationChoice(name="equal-mean")
MEDIAN = AggregationChoice(name="coordinate-median")
TRIMMED = AggregationChoice(name="trimmed-mean", parameters={"share": 0.2})
KRUM = AggregationChoice(name="multi-krum", parameters={"byzantine": 1, "kept": 3})
CLIPPING = AggregationChoice(name="centred-clipping", parameters={"radius": 2.0, "iterations": 3})
BOUNDING = AggregationChoice(name="norm-bounding", parameters={"bound": 2.0})
EVERY = [MEAN, SAMPLE_MEAN, EQUAL_MEAN, MEDIAN, TRIMMED, KRUM, CLIPPING, BOUNDING]
RULE = st.sampled_from(EVERY)


def model(*values):
    return {"w": np.array(values, np.float32)}


def equal(models):
    return dict.fromkeys(models, 1)


ZERO = model(0, 0, 0)

# ---------------------------------------------------------------------- by hand


def test_the_weighted_mean_by_hand():
    found = weighted_mean({0: model(1, 0), 3: model(5, 8)}, {0: 3, 3: 1, 7: 100})
    assert found["w"].dtype == np.float32
    assert found["w"].tolist() == [2.0, 2.0]


def test_the_equal_mean_by_hand_ignores_samples():
    models = {0: model(1, 0), 3: model(5, 8)}
    assert aggregate(EQUAL_MEAN, models, {0: 3, 3: 1}, ZERO)["w"].tolist() == [3.0, 4.0]


def test_the_median_of_an_odd_and_of_an_even_count_by_hand():
    odd = {0: model(1, 9), 1: model(2, 7), 2: model(30, 8)}
    assert coordinate_median(odd)["w"].tolist() == [2.0, 8.0]
    assert coordinate_median({**odd, 5: model(4, 0)})["w"].tolist() == [3.0, 7.5]


def test_the_trimmed_mean_by_hand():
    models = {seat: model(value) for seat, value in enumerate([7, -90, 1, 1000, 4])}
    assert trimmed_mean(models, 0.0)["w"].tolist() == [np.float32(922 / 5)]
    assert trimmed_mean(models, 0.2)["w"].tolist() == [4.0]  # of 1, 4, 7
    assert trimmed_mean(models, 0.39)["w"].tolist() == [4.0]  # floor(1.95) is one again
    assert trimmed_mean(models, 0.4)["w"].tolist() == [4.0]  # the middle one
    del models[1]
    assert trimmed_mean(models, 0.25)["w"].tolist() == [5.5]  # of 4, 7


def test_a_share_of_a_hundred_models_is_not_changed_by_binary_fractions():
    models = {seat: model(1.0 if seat < 29 else 0.0) for seat in range(100)}
    assert trimmed_mean(models, 0.29)["w"].tolist() == [0.0]


def test_krum_scores_by_hand():
    # n = 5, f = 1: the squares of the distances to the two nearest others.
    models = {seat: model(value) for seat, value in enumerate([0, 1, 3, 7, 100])}
    assert krum_scores(models, 1) == {
        0: 1 + 9,
        1: 1 + 4,
        2: 4 + 9,
        3: 16 + 36,
        4: 93**2 + 97**2,
    }


def test_multi_krum_by_hand():
    models = {seat: model(value) for seat, value in enumerate([0, 1, 3, 7, 100])}
    assert multi_krum(models, equal(models), 1, 1)["w"].tolist() == [1.0]
    assert multi_krum(models, equal(models), 1, 2)["w"].tolist() == [0.5]
    assert multi_krum(models, {**equal(models), 1: 3}, 1, 2)["w"].tolist() == [0.75]


def test_of_equal_krum_scores_the_lowest_seat_is_kept():
    models = {4: model(1, 0), 2: model(-1, 0), 9: model(0, 0)}
    assert krum_scores(models, 0) == {2: 1, 4: 1, 9: 1}
    assert multi_krum(models, equal(models), 0, 1)["w"].tolist() == [-1.0, 0.0]


def test_centred_clipping_by_hand():
    # From 0 the first is within 1, the second is cut to (0.6, 0.8): the mean is (0.55, 0.4).
    models = {0: model(0.5, 0), 1: model(30, 40)}
    found = centred_clipping(models, equal(models), model(0, 0), 1.0, 1)
    assert found["w"] == pytest.approx([0.55, 0.4])
    # The second time from there: (-0.05, -0.4) whole, (29.45, 39.6) cut to 1.
    away = math.hypot(29.45, 39.6)
    found = centred_clipping(models, equal(models), model(0, 0), 1.0, 2)
    assert found["w"] == pytest.approx(
        [0.55 + (-0.05 + 29.45 / away) / 2, 0.4 + (-0.4 + 39.6 / away) / 2]
    )


def test_norm_bounding_by_hand():
    models = {0: model(10.5, 10), 1: model(40, 50)}  # updates (0.5, 0) and (30, 40)
    found = norm_bounding(models, {0: 1, 1: 3}, model(10, 10), 5.0)
    assert found["w"] == pytest.approx([10 + (0.5 + 3 * 3) / 4, 10 + 3 * 4 / 4])


def test_the_mean_is_added_up_in_the_order_of_seats():
    # In float64 2^53 + 1 is 2^53: only the order 0, 1, 2 gives 0 here.
    models = {0: model(2.0**53), 1: model(1), 2: model(-(2.0**53))}
    assert weighted_mean(models, equal(models))["w"].tolist() == [0.0]
    assert weighted_mean(dict(reversed(models.items())), equal(models))["w"].tolist() == [0.0]


def test_lengths_by_hand():
    assert squared_length(np.array([3.0, 4.0, 12.0])) == 169.0
    assert length(np.array([])) == 0.0
    assert clipping_factor(np.array([3.0, 4.0]), 5.0) == 1.0
    assert clipping_factor(np.array([3.0, 4.0]), 1.0) == 0.2
    # In float64 2^54 + 1 is 2^54: the upper half is added to the lower one, (2^54 + 1) + (1 + 1).
    assert squared_length(np.array([2.0**27, 1.0, 1.0, 1.0])) == 2.0**54


# ---------------------------------------------------------------------- properties


@given(committees(VALUES), st.randoms(use_true_random=False), RULE)
def test_the_order_in_which_models_arrive_changes_no_byte(models, shuffler, rule):
    weights = {seat: seat + 1 for seat in models}
    order = list(models)
    shuffler.shuffle(order)
    shuffled = {seat: models[seat] for seat in order}
    assert encode(aggregate(rule, shuffled, weights, ZERO)) == encode(
        aggregate(rule, models, weights, ZERO)
    )


@given(committees(TAME), st.permutations(range(6)), RULE)
def test_a_providers_seat_does_not_matter(models, seats, rule):
    if rule is KRUM:  # but where scores are equal the lowest seat is kept
        rule = AggregationChoice(name="multi-krum", parameters={"byzantine": 0, "kept": 6})
    moved = {seats[seat]: one for seat, one in models.items()}
    found = aggregate(rule, moved, equal(moved), ZERO)["w"]
    assert found == pytest.approx(aggregate(rule, models, equal(models), ZERO)["w"], abs=1e-3)


@given(committees(VALUES), st.sampled_from([MEAN, MEDIAN, TRIMMED, KRUM]))
def test_an_aggregate_is_between_its_models(models, rule):
    found = aggregate(rule, models, dict.fromkeys(models, 3), ZERO)["w"]
    stacked = np.stack([one["w"] for one in models.values()])
    slack = 1e-6 * np.abs(stacked).max(axis=0)
    assert (found >= stacked.min(axis=0) - slack).all()
    assert (found <= stacked.max(axis=0) + slack).all()


WHOLE = st.integers(-1000, 1000).map(float)


@given(committees(WHOLE), arrays(np.float32, (3,), elements=WHOLE), RULE)
def test_moving_all_models_moves_the_aggregate_as_far(models, shift, rule):
    # Whole numbers: differences are exact, so that Krum's choice is the same.
    moved = {seat: {"w": one["w"] + shift} for seat, one in models.items()}
    found = aggregate(rule, moved, equal(moved), {"w": shift})["w"]
    expected = aggregate(rule, models, equal(models), ZERO)["w"] + shift
    assert found == pytest.approx(expected, abs=1e-2)


@given(committees(VALUES), arrays(np.float32, (3,), elements=VALUES))
def test_one_model_of_three_cannot_drag_the_median_beyond_the_others(models, hostile):
    first, second = models[0], models[max(models)]
    found = coordinate_median({0: first, 1: second, 2: {"w": hostile}})["w"]
    assert (found >= np.minimum(first["w"], second["w"])).all()
    assert (found <= np.maximum(first["w"], second["w"])).all()


@given(
    st.lists(arrays(np.float32, (3,), elements=st.floats(-1, 1, width=32)), min_size=4, max_size=4),
    arrays(np.float32, (3,), elements=VALUES),
    st.integers(0, 4),
    st.sampled_from([MEDIAN, TRIMMED, KRUM, CLIPPING, BOUNDING]),
)
def test_one_hostile_model_of_five_hardly_moves_a_robust_rule(honest, hostile, seat, rule):
    placed = [*honest[:seat], hostile, *honest[seat:]]
    models = {index: {"w": one} for index, one in enumerate(placed)}
    found = aggregate(rule, models, equal(models), ZERO)["w"]
    # Krum may keep a hostile model that is no further than the honest are from each other.
    assert np.abs(found).max() <= 6 * math.sqrt(3)


def test_one_hostile_model_moves_the_mean_anywhere():
    models = {**dict.fromkeys(range(4), ZERO), 4: model(1e9, 0, 0)}
    assert aggregate(MEAN, models, equal(models), ZERO)["w"][0] == np.float32(2e8)


@given(committees(TAME), st.sampled_from([CLIPPING, BOUNDING]))
def test_bounds_that_nothing_reaches_leave_the_mean(models, rule):
    wide = {**rule.parameters, **({"radius": 1e6} if rule is CLIPPING else {"bound": 1e6})}
    found = aggregate(rule.model_copy(update={"parameters": wide}), models, equal(models), ZERO)
    assert found["w"] == pytest.approx(weighted_mean(models, equal(models))["w"], abs=1e-4)


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("rule", EVERY, ids=lambda one: one.name)
def test_a_rule_takes_as_many_models_as_the_votes_leave(rule, count):
    models = {seat: model(1, 2, 3) for seat in range(count)}
    start = model(1, 2, 3)
    assert aggregate(rule, models, equal(models), start)["w"].tolist() == [1.0, 2.0, 3.0]


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("rule", EVERY, ids=lambda one: one.name)
def test_what_does_not_fit_together_is_refused(rule):
    with pytest.raises(ModelError):
        aggregate(rule, {}, {}, ZERO)
    several = {0: model(1), 1: model(1, 2), 2: model(1)}
    with pytest.raises(ModelError):
        aggregate(rule, several, equal(several), ZERO)


@pytest.mark.parametrize("rule", [MEAN, KRUM, CLIPPING, BOUNDING], ids=lambda one: one.name)
@pytest.mark.parametrize("weights", [(0, 0, 0), (2, 2, -1)])
def test_weights_without_a_mean_are_refused(rule, weights):
    models = {0: ZERO, 1: ZERO, 2: ZERO}
    with pytest.raises(ModelError, match="weights"):
        aggregate(rule, models, dict(enumerate(weights)), ZERO)


@pytest.mark.parametrize("rule", [CLIPPING, BOUNDING], ids=lambda one: one.name)
def test_a_start_of_another_template_is_refused(rule):
    with pytest.raises(ModelError, match="templates"):
        aggregate(rule, {0: ZERO}, {0: 1}, model(1))


def test_impossible_arguments_are_refused():
    four = {seat: model(seat) for seat in range(4)}
    with pytest.raises(ModelError, match="more than 4 models, not 4"):
        multi_krum(four, equal(four), 1, 1)
    with pytest.raises(ModelError, match="keeps 1 to 4, not 5"):
        multi_krum(four, equal(four), 0, 5)
    with pytest.raises(ModelError, match=r"not 0\.5"):
        trimmed_mean(four, 0.5)
    for radius, iterations in ((0.0, 1), (math.nan, 1), (1.0, 0)):
        with pytest.raises(ModelError, match="centred clipping"):
            centred_clipping(four, equal(four), model(0), radius, iterations)
    with pytest.raises(ModelError, match="norm bounding"):
        norm_bounding(four, equal(four), model(0), -1.0)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("geometric-median", {}, "unknown: one of weighted-mean"),
        ("weighted-mean", {"share": 0.1}, "has no parameter 'share' .it has: none"),
        ("multi-krum", {"byzantine": 1, "keep": 3}, "has no parameter 'keep' .it has: byzantine"),
        ("trimmed-mean", {}, "share: Field required"),
        ("trimmed-mean", {"share": 0.5}, "share: .* less than 0.5"),
        ("multi-krum", {"byzantine": 1.5, "kept": 3}, "byzantine: .* integer"),
        ("centred-clipping", {"radius": math.inf}, "radius: .* finite"),
        ("norm-bounding", {"bound": 0}, "bound: .* greater than 0"),
    ],
)
def test_a_rule_or_parameter_that_makes_no_sense_is_named(name, parameters, said):
    asked = AggregationChoice(name=name, parameters=parameters)
    with pytest.raises(SpecificationError, match=said):
        check_aggregation(asked, 4)


def test_a_committee_too_small_for_krum_is_refused_before_any_work():
    asked = AggregationChoice(name="multi-krum", parameters={"byzantine": 3, "kept": 7})
    check_aggregation(asked, 10)
    with pytest.raises(SpecificationError, match="more than 8 of them, min_providers is 8"):
        check_aggregation(asked, 8)
    with pytest.raises(SpecificationError, match="can keep 6 models, not 7"):
        check_aggregation(asked, 9)


def test_every_rule_is_in_the_registry():
    assert {rule.name for rule in EVERY} == set(RULES)


def test_the_largest_float32_values_do_not_overflow():
    top = float(np.finfo(np.float32).max)
    models = {seat: model(top) for seat in range(16)}
    weights = dict.fromkeys(models, 10_000_000)
    for rule in EVERY[:4]:
        assert aggregate(rule, models, weights, model(0))["w"].tolist() == [top]
