"""What members vote: scores of a round's models on the evaluation slice."""

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.consensus.contribution_record import ContributionRecord, Standing
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import EVEN_SHARE, NEUTRAL, UNJUDGED, score_round
from fedpact.consensus.shapley import Contribution, Game, fixed_orders
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.aggregation import weighted_mean
from fedpact.learning.families import family
from fedpact.types.scores import INVALID, is_score
from tests.support.specifications import SOUND, specification

SPEC = specification()
START = family("softmax-regression").initial(SPEC, seed=0)
SLICE = Dataset(np.array([[1, 0], [0, 1], [-1, -1]] * 4, np.float32), np.array([0, 1, 2] * 4), ())
TEACH = np.array([[2, -1], [-1, 2], [-1, -1]], np.float32)
EMPTY = ContributionRecord()


def model(scale=1.0, bias=(0.0, 0.0, 0.0)):
    return {"output.weight": TEACH * np.float32(scale), "output.bias": np.array(bias, np.float32)}


def random_models(count, seed=0):
    generator = np.random.default_rng(seed)
    return {
        seat: {
            name: generator.normal(size=one.shape).astype(np.float32) for name, one in START.items()
        }
        for seat in range(count)
    }


def equal_samples(models):
    return dict.fromkeys(models, 100)


# ---------------------------------------------------------------------- the model's own error


def test_score_model_is_the_models_own_error():
    spec = specification(score="model")
    wrong = model(bias=(100, 0, 0))  # says label 0 to everything: right on a third
    scores, record = score_round(
        RoundInputs(spec, 1, START, {0: model(), 2: wrong, 3: None}, {0: 1, 2: 1, 3: 1}, SLICE),
        EMPTY,
    )
    assert scores == {0: 0, 2: 6667, 3: INVALID}
    assert record == EMPTY


def test_without_a_slice_all_valid_models_count_equal():
    for kind in ("model", "contribution"):
        models = {0: model(), 1: model(-1), 2: None, 3: START}
        scores, record = score_round(
            RoundInputs(specification(score=kind), 1, START, models, equal_samples(models), None),
            EMPTY,
        )
        assert scores == {0: UNJUDGED, 1: UNJUDGED, 2: INVALID, 3: INVALID}
        assert record == EMPTY


def test_an_update_outside_the_declared_mechanism_is_invalid():
    spec = specification(features={"shape": [40]}, privacy=SOUND)
    start = family("softmax-regression").initial(spec, seed=0)
    generator = np.random.default_rng(0)

    def shifted(norm):
        drawn = {n: generator.normal(size=one.shape) for n, one in start.items()}
        length = math.sqrt(sum((one**2).sum() for one in drawn.values()))
        return {n: (one * norm / length).astype(np.float32) for n, one in drawn.items()}

    models = {0: shifted(0.3), 1: start, 2: shifted(1e-4), 3: shifted(5.0)}
    part = Dataset(np.ones((4, 40), np.float32), np.array([0, 1, 2, 0]), ())
    scores, _ = score_round(RoundInputs(spec, 1, start, models, equal_samples(models), part), EMPTY)
    assert [seat for seat, score in scores.items() if score == INVALID] == [1, 2, 3]


def test_a_seat_without_declared_samples_is_an_error():
    with pytest.raises(InvalidInput, match="seats \\[1\\]"):
        score_round(RoundInputs(SPEC, 3, START, {0: model(), 1: model()}, {0: 5}, SLICE), EMPTY)


# ---------------------------------------------------------------------- Shapley values


def contributions(models, weights, part=SLICE):
    return Game(SPEC, START, models, weights, part).contributions(models)


def joined(models, weights, coalition):
    """The global model moved by the coalition's weighted updates, as a share of all weights."""
    total = sum(weights[seat] for seat in models)
    return {
        name: (
            one + sum((models[seat][name] - one) * (weights[seat] / total) for seat in coalition)
        ).astype(np.float32)
        for name, one in START.items()
    }


def total_error(one, part=SLICE):
    return family("softmax-regression").example_errors(SPEC, one, part.x, part.y).sum()


def by_definition(models, weights):
    """The mean over all orders, in floating point."""
    orders = list(itertools.permutations(models))
    values = dict.fromkeys(models, 0.0)
    for order in orders:
        errors = [
            total_error(joined(models, weights, order[:index])) for index in range(len(order) + 1)
        ]
        for index, seat in enumerate(order):
            values[seat] += errors[index] - errors[index + 1]
    return {seat: value / len(orders) for seat, value in values.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_contributions_are_the_mean_over_all_orders(count):
    models = random_models(count)
    weights = {seat: 1 + seat for seat in models}
    found = contributions(models, weights)
    expected = by_definition(models, weights)
    for seat in models:
        assert found[seat].total == pytest.approx(expected[seat], abs=1e-4)
        assert found[seat].examples == 12


@settings(max_examples=10)
@given(st.sampled_from([2, 5, 6, 7, 9]), st.integers(0, 1000))
def test_contributions_add_up_to_the_aggregates_gain(count, seed):
    models = random_models(count, seed)
    weights = equal_samples(models)
    found = contributions(models, weights)
    gained = total_error(START) - total_error(weighted_mean(models, weights))
    assert sum(one.total for one in found.values()) == pytest.approx(gained, abs=1e-4)


def test_equal_models_count_equal_and_one_without_an_update_is_worth_nothing():
    models = {0: model(), 1: model(), 2: START}
    found = contributions(models, equal_samples(models))
    assert found[0].total == found[1].total > 0
    assert (found[2].total, found[2].variance) == (0.0, 0.0)


def test_a_model_without_an_update_takes_its_share_from_the_others():
    two, three = {0: model(0.5), 1: model(0.5)}, {0: model(0.5), 1: model(0.5), 2: START}
    assert contributions(three, equal_samples(three))[0].total < (
        contributions(two, equal_samples(two))[0].total
    )


def test_an_excluded_seat_is_worth_what_it_would_add_to_the_aggregate():
    models, weights = {0: model(0.5), 1: model(0.6), 2: model(-1)}, {0: 100, 1: 100, 2: 200}
    found = Game(SPEC, START, models, weights, SLICE).marginal(2, {0, 1})
    expected = total_error(joined(models, weights, [0, 1])) - total_error(
        joined(models, weights, [0, 1, 2])
    )
    assert found.total == pytest.approx(expected, abs=1e-4)
    assert found.total < 0


def test_an_effect_is_the_root_mean_square_of_what_changes():
    models = {0: model(), 1: START}
    found = Game(SPEC, START, models, {0: 1, 1: 1}, SLICE).effects()
    errors = family("softmax-regression").example_errors
    before, after = (
        errors(SPEC, one, SLICE.x, SLICE.y) for one in (START, joined(models, {0: 1, 1: 1}, [0]))
    )
    assert found[0] == pytest.approx(np.sqrt(np.mean((after - before) ** 2)), rel=1e-4)
    assert found[1] == 0.0


@pytest.mark.parametrize("count", [7, 16])
def test_fixed_orders_put_every_seat_at_every_position_equally_often(count):
    orders = fixed_orders(range(count))
    for index in range(count):
        seats = [order[index] for order in orders]
        assert {seats.count(seat) for seat in range(count)} == {len(orders) // count}
    assert fixed_orders(range(count)) == orders


def test_the_variance_of_a_sum_is_that_within_the_labels_by_hand():
    # One provider: its value an example is error before - error after. Two examples of label 0,
    # whose spread counts, and one of label 1, which counts with its square.
    part = Dataset(np.array([[1, 0], [3, 0], [0, 1]], np.float32), np.array([0, 0, 1]), ())
    one = model(bias=(1, 0, 0))
    found = contributions({0: one}, {0: 1}, part)[0]
    predicted = family("softmax-regression").predict(SPEC, one, part.x)
    gains = [predicted[i, part.y[i]] ** 0.75 - 3**-0.75 for i in range(3)]
    assert found.total == pytest.approx(sum(gains), abs=1e-5)
    assert found.variance == pytest.approx(np.var(gains[:2], ddof=1) * 2 + gains[2] ** 2, rel=1e-3)


# ---------------------------------------------------------------------- the sum over rounds


def test_a_standing_by_hand():
    first = Standing().after(Contribution(total=2.0, variance=1.0, examples=10))
    assert first == Standing()

    second = first.after(Contribution(-3.0, 4.0, 10))
    assert second == Standing(-3.0, 4.0)
    assert not second.harmful  # 3 is not beyond 3 * sqrt(4)

    third = second.after(Contribution(-7.0, 4.0, 10))
    assert third == Standing(-10.0, 8.0)
    assert third.harmful  # 10 is beyond 3 * sqrt(8)

    back = third.after(Contribution(10.0, 1.0, 10))
    assert back == Standing()


def test_a_loss_is_made_good_before_a_gain_is_paid():
    standing, gains = Standing(deficit=-1.0, variance=2.0), []
    for total in (2.0, -3.0, 1.0, 2.5, 1.0):
        standing, gain = standing.paid(Contribution(total, 1.0, 10))
        gains.append(gain)
    assert gains == [2.0, 0.0, 0.0, 0.5, 1.0]
    assert (standing.owed, standing.deficit) == (0.0, -1.0)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_the_gains_paid_add_up_to_the_highest_sum(totals):
    standing, paid, sums = Standing(), 0.0, [0.0]
    for total in totals:
        standing, gain = standing.paid(Contribution(total, 1.0, 10))
        paid += gain
        sums.append(sums[-1] + total)
    assert paid == pytest.approx(max(sums), abs=1e-9)


def test_earlier_gains_do_not_offset_harm():
    standing = Standing().after(Contribution(50.0, 1.0, 20))
    assert standing.after(Contribution(-8.0, 1.0, 20)).harmful


def test_one_bad_example_does_not_prove_harm():
    assert not Standing().after(Contribution(-0.5, 0.25, 1)).harmful


def test_a_score_is_the_models_share_of_the_rounds_gain():
    models = {0: model(0.5), 1: model(0.5), 2: model(0.5)}
    scores, record = score_round(
        RoundInputs(SPEC, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    assert scores == dict.fromkeys(models, NEUTRAL - EVEN_SHARE)
    later, _ = score_round(
        RoundInputs(SPEC, 2, START, models, equal_samples(models), SLICE), record
    )
    assert later == scores


@given(st.integers(0, 1000), st.integers(1, 4))
def test_scores_stay_in_range_and_above_neutral_only_when_harmful(seed, count):
    models, record = random_models(count, seed), EMPTY
    for number in (1, 2):
        inputs = RoundInputs(SPEC, number, START, models, equal_samples(models), SLICE)
        scores, record = score_round(inputs, record)
        for seat, score in scores.items():
            assert is_score(score)
            if score != INVALID:
                assert (score > NEUTRAL) == record.standings[seat].harmful


def test_a_harmful_model_is_left_out_after_a_few_rounds_and_helpful_ones_never():
    record = EMPTY
    models = {0: model(0.5), 1: model(0.6), 2: model(-0.5)}
    for number in range(1, 4):
        scores, record = score_round(
            RoundInputs(SPEC, number, START, models, equal_samples(models), SLICE), record
        )
        assert scores[0] < NEUTRAL
        assert scores[1] < NEUTRAL
    assert scores[2] > NEUTRAL


def test_harm_within_the_tolerance_is_ignored():
    assert Standing().after(Contribution(-1.0, 0.01, 10), tolerated=1.0).deficit == 0.0
    assert Standing().after(Contribution(-2.0, 0.01, 10), tolerated=1.0).harmful


def test_poison_does_not_lower_honest_contributions():
    honest = {0: model(0.5), 1: model(0.6), 2: model(0.55)}
    hostile = {3: model(-4), 4: model(-4)}
    alone, _ = score_round(RoundInputs(SPEC, 1, START, honest, equal_samples(honest), SLICE), EMPTY)
    models = honest | hostile
    beside, record = score_round(
        RoundInputs(SPEC, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    assert {seat: beside[seat] for seat in honest} == alone
    assert beside[3] > NEUTRAL
    assert record.standings[3].harmful


def test_a_harmful_seat_is_included_again_once_its_sum_recovers():
    bad = Standing(deficit=-1.0, variance=0.01)
    models = {0: model(0.5), 1: model(0.5), 2: model(0.5)}
    scores, record = score_round(
        RoundInputs(SPEC, 2, START, models, equal_samples(models), SLICE),
        ContributionRecord({2: bad}),
    )
    assert not record.standings[2].harmful
    assert scores[2] <= NEUTRAL


def test_without_a_mechanism_the_median_bounds_the_norm_and_the_effect():
    models = {0: model(0.5), 1: model(0.6), 2: model(0.5), 3: model(0.01), 4: model(50)}
    scores, record = score_round(
        RoundInputs(SPEC, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    assert [seat for seat, one in scores.items() if one == INVALID] == [3, 4]
    assert set(record.standings) == {0, 1, 2}


def test_a_model_of_the_round_before_once_more_is_invalid_unless_it_is_ones_own():
    last = {0: model(0.5), 1: model(0.6)}
    nearly = {name: one + np.float32(1e-3) for name, one in last[0].items()}
    for posted, expected in ((last[0], INVALID), (nearly, INVALID), (model(0.55), None)):
        models = {0: model(0.52), 1: last[1], 2: posted}
        scores, record = score_round(
            RoundInputs(SPEC, 2, START, models, equal_samples(models), SLICE, published=last), EMPTY
        )
        assert [scores[0] == INVALID, scores[1] == INVALID] == [False, False]
        assert (scores[2] == INVALID) == (expected == INVALID)
        assert (2 in record.standings) == (expected is None)


def test_under_sound_a_model_nearer_to_an_older_one_than_fresh_noise_is_invalid():
    spec = specification(features={"shape": [40]}, privacy=SOUND)
    start = family("softmax-regression").initial(spec, seed=0)
    generator = np.random.default_rng(0)

    def moved(norm):
        drawn = {n: generator.normal(size=one.shape) for n, one in start.items()}
        length = math.sqrt(sum((one**2).sum() for one in drawn.values()))
        return {n: start[n] + (drawn[n] * norm / length).astype(np.float32) for n in start}

    last = {0: moved(0.3), 1: moved(0.3)}
    models = {0: last[0], 1: moved(0.3), 2: last[1]}
    part = Dataset(np.ones((4, 40), np.float32), np.array([0, 1, 2, 0]), ())
    scores, _ = score_round(
        RoundInputs(spec, 2, start, models, equal_samples(models), part, published=last), EMPTY
    )
    assert [seat for seat, score in scores.items() if score == INVALID] == [0, 2]


def test_fewer_steps_allow_smaller_updates_and_more_steps_larger_ones():
    spec = specification(local={"epochs": 1, "batch_size": 1, "learning_rate": 1.0})
    models = {0: model(0.5), 1: model(0.6), 2: model(0.5), 3: model(0.05), 4: model(8)}
    few = {0: 100, 1: 100, 2: 100, 3: 10, 4: 200}
    scores, _ = score_round(RoundInputs(spec, 1, START, models, few, SLICE), EMPTY)
    assert INVALID not in scores.values()
    scores, _ = score_round(
        RoundInputs(spec, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    assert [seat for seat, one in scores.items() if one == INVALID] == [3, 4]


def test_a_seat_that_was_invalid_keeps_its_standing():
    models = {0: model(), 1: model(0.5)}
    _, record = score_round(
        RoundInputs(SPEC, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    _, after = score_round(
        RoundInputs(SPEC, 2, START, {0: model(), 1: None}, equal_samples(models), SLICE), record
    )
    assert after.standings[1] == record.standings[1]


def test_the_record_survives_json_to_the_last_bit():
    models = random_models(4)
    _, record = score_round(
        RoundInputs(SPEC, 1, START, models, equal_samples(models), SLICE), EMPTY
    )
    assert ContributionRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    for bad in ([], {"0": [1]}, {"x": [1, 2, 3]}, {"0": "abc"}, None):
        with pytest.raises(InvalidInput):
            ContributionRecord.from_json(bad)


PROGRAM = """
import json
import numpy as np
from tests.support.specifications import specification
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.scoring import score_round
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.data.dataset import Dataset
from fedpact.learning.families import family

g = np.random.default_rng(7)
spec = specification(features={"shape": [300]}, family={"name": "mlp", "parameters": {}})
start = family("mlp").initial(spec, 1)
models = {s: {n: (w + g.normal(size=w.shape)).astype(np.float32) for n, w in start.items()}
          for s in (3, 0, 2, 1)}
part = Dataset(g.normal(size=(200, 300)).astype(np.float32), g.integers(0, 3, 200), ())
record = ContributionRecord()
for number in (1, 2):
    inputs = RoundInputs(spec, number, start, models, {s: 9 + s for s in models}, part)
    scores, record = score_round(inputs, record)
print(json.dumps([scores, record.to_json()]))
"""


def test_members_with_other_linear_algebra_threads_cast_equal_votes():
    root = Path(__file__).parents[3]
    printed = set()
    for threads in ("1", "2"):
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": f"{root}:{root / 'offchain'}",
            "PYTHONHASHSEED": threads,
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert json.loads(printed.pop())[0].keys() == {"0", "1", "2", "3"}
