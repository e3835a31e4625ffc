"""Trees as families that specifications name, and Algorithm 1 as a strategy."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from fedpact.consensus.aggregate import global_model
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import NEUTRAL, score_round
from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.errors import DataError, ModelError, PrivacyError, SpecificationError
from fedpact.learning.artefact import Template, encode
from fedpact.learning.checks import check_specification
from fedpact.learning.families import LocalModels, family, family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.trees.ensemble import Ensemble, empty
from fedpact.learning.trees.training import Growth
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.noise import SeededNoise
from fedpact.types.scores import INVALID
from lab.texts.algorithm_one import BoostingParticipant, algorithm_one
from tests.support.specifications import specification
from tests.support.text_examples import LABELS, WORDS, text_dataset

GROWN = {
    "decision-tree": {"depth": 4},
    "random-forest": {"depth": 4, "trees": 10, "features": 0.3},
    "boosted-trees": {"depth": 3, "trees": 3, "features": 0.5},
}
TERMS = " ".join(word for words in WORDS.values() for word in words)
EPSILON, DELTA = 8.0, 1e-5
LAPLACE = {"mode": "paper", "mechanism": "laplace", "epsilon": 2.0, "sensitivity": 1.0}


def request(name="boosted-trees", parameters=None, **changes):
    parameters = {**GROWN[name], "terms": TERMS, **(parameters or {})}
    return specification(
        **{
            "labels": list(LABELS),
            "features": {"kind": "text", "shape": []},
            "family": {"name": name, "parameters": parameters},
            "local": {"construction_seed": 3},
            "aggregation": {"name": "union"},
            **changes,
        }
    )


def sound_forest(**changes):
    noise = calibrate(EPSILON, DELTA, 1, 1.0)
    privacy = {"mode": "sound", "epsilon": EPSILON, "delta": DELTA, "noise_multiplier": noise}
    parameters = {"depth": 2, "trees": 200, "bits": 11, "terms": ""}
    return request("random-forest", parameters, privacy=privacy, **changes)


def trained(spec, parts, start=None, round_number=1, noise_seed=0):
    kind = family_of(spec)
    private = spec.privacy.mode.value != "none"
    return {
        seat: train_local(
            LocalTraining(
                spec,
                kind.initial(spec, 0) if start is None else start,
                part,
                noise=SeededNoise(100 * noise_seed + seat) if private else None,
                data_noise=SeededNoise(7 + seat),
                round_and_seat=(round_number, seat),
            )
        )
        for seat, part in enumerate(parts)
    }


def aggregated(spec, parts, models, start=None, round_number=1, included=None):
    kind = family_of(spec)
    first = kind.initial(spec, 0)
    return global_model(
        spec,
        round_number,
        Globals(first, first if start is None else start),
        models,
        {seat: len(part) for seat, part in enumerate(parts)},
        list(models) if included is None else included,
    )


def specialists() -> list[Dataset]:
    """Two labels at each provider."""
    pairs = [(LABELS[0], LABELS[1]), (LABELS[1], LABELS[2]), (LABELS[2], LABELS[0])]
    return [text_dataset(120, 40 + index, pair) for index, pair in enumerate(pairs)]


@pytest.mark.parametrize("name", GROWN)
def test_the_union_knows_labels_that_one_provider_never_saw(name):
    spec, parts, test = request(name), specialists(), text_dataset(120, 9)
    kind = family(name)
    models = trained(spec, parts)
    found = aggregated(spec, parts, models)
    assert Template.of(found) == kind.template(spec)
    assert all(kind.plausible(spec, kind.initial(spec, 0), models[s], 120) for s in models)
    assert kind.error(spec, found, test.x, test.y) < 2500
    assert min(kind.error(spec, one, test.x, test.y) for one in models.values()) > 3000
    probabilities = kind.predict(spec, found, test.x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", GROWN)
def test_the_same_data_grow_the_same_bytes_and_another_seat_other_draws(name):
    spec, part = request(name), text_dataset(120, 1)
    first, second = trained(spec, [part, part]), trained(spec, [part, part])
    assert encode(first[0]) == encode(second[0])
    if name != "decision-tree":  # it sees all features, nothing is drawn
        assert encode(first[0]) != encode(first[1])


@pytest.mark.parametrize("name", GROWN)
def test_the_mean_of_one_providers_trees_is_its_model(name):
    spec, part = request(name), text_dataset(120, 1)
    models = trained(spec, [part])
    assert encode(aggregated(spec, [part], models)) == encode(models[0])


@pytest.mark.parametrize("name", GROWN)
def test_impossible_trees_are_refused(name):
    spec, part, kind = request(name), text_dataset(120, 2), family(name)
    start = kind.initial(spec, 0)
    model = trained(spec, [part])[0]

    def changed(tensor, index, value):
        values = model[tensor].copy()
        values[index] = value
        return {**model, tensor: values}

    assert kind.plausible(spec, start, model, 120)
    wrong = {
        "no tree": start,
        "a feature that there is not": changed("feature", (0, 0), 10**6),
        "half a feature": changed("feature", (0, 0), 0.5),
        "a leaf too large": changed("value", (0, 0, 0), 1e6),
        "a tree more": changed("value", (-1, 0, 0), 0.1),
    }
    refused = {why: not kind.plausible(spec, start, one, 120) for why, one in wrong.items()}
    assert all(refused.values()), refused
    scores, _ = score_round(
        RoundInputs(
            spec,
            1,
            start,
            {0: model, **dict(enumerate(wrong.values(), 1))},
            dict.fromkeys(range(len(wrong) + 1), 120),
            text_dataset(30, 3),
        ),
        ContributionRecord(),
    )
    assert [scores[seat] for seat in range(1, len(wrong) + 1)] == [INVALID] * len(wrong)


def test_a_later_round_may_not_touch_the_trees_before():
    spec, parts, kind = request(rounds=2), [text_dataset(60, 5)], family("boosted-trees")
    start = aggregated(spec, parts, trained(spec, parts))
    model = trained(spec, parts, start, 2)[0]
    assert kind.plausible(spec, start, model, 60)
    values = model["value"].copy()
    values[0] *= 2
    assert not kind.plausible(spec, start, {**model, "value": values}, 60)


@pytest.mark.parametrize("reading", ["parallel", "sequential"])
def test_rounds_of_the_strategy_are_iterations_of_algorithm_one(reading):
    """Against `lab.texts.algorithm_one`, which knows nothing of rounds and seats."""
    spec = request(rounds=3, strategy={"name": "algorithm-one", "parameters": {"reading": reading}})
    parts, kind = specialists(), family("boosted-trees")
    model = kind.initial(spec, 0)
    for number in (1, 2, 3):
        model = aggregated(spec, parts, trained(spec, parts, model, number), model, number)

    class Seat(BoostingParticipant):
        """Draws as the family does: by seed, round and seat."""

        def __init__(self, seat, part):
            rows, growth = kind.rows(spec, part.x), kind.growth(spec)
            super().__init__(rows, part.y, 3, trees=3, growth=growth, seed=0)
            self.seat, self.turn = seat, 0

        def construct(self, received, iteration):
            number = iteration + 1 if reading == "parallel" else self.seat + 1
            seed = np.random.SeedSequence([3, number, self.seat]).generate_state(1)[0]
            from fedpact.learning.trees import training

            return training.boost(received, self._rows, self._y, 3, 3, self._growth, int(seed))

    found = algorithm_one(
        [Seat(seat, part) for seat, part in enumerate(parts)],
        empty(3, 3),
        lambda _: 0.0,
        reading=reading,
        threshold=1.0,
        iterations=3 if reading == "parallel" else 1,
    ).model
    x = text_dataset(30, 6).x
    output = found.output(kind.rows(spec, x))
    likely = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(kind.predict(spec, model, x), likely, rtol=1e-5)


def test_in_sequence_a_seat_that_was_left_out_is_passed_over():
    spec = request(strategy={"name": "algorithm-one", "parameters": {"reading": "sequential"}})
    parts = specialists()
    models = trained(spec, parts)
    assert encode(aggregated(spec, parts, models)) == encode(models[0])
    assert encode(aggregated(spec, parts, models, included=[1, 2])) == encode(models[1])
    assert encode(aggregated(spec, parts, models, round_number=3)) == encode(models[2])
    assert encode(aggregated(spec, parts, models, round_number=4)) == encode(models[0])
    assert encode(aggregated(spec, parts, models, None, 3, [0, 1])) == encode(models[0])


def test_sequence_serves_families_that_descend_too():
    spec = specification(
        strategy={"name": "algorithm-one", "parameters": {"reading": "sequential"}}
    )
    start = family("softmax-regression").initial(spec, 0)
    models = {
        seat: {name: one + np.float32(seat + 1) for name, one in start.items()} for seat in (0, 1)
    }
    found = global_model(spec, 2, Globals(start, start), models, {0: 5, 1: 9}, [0, 1])
    assert encode(found) == encode(models[1])


@pytest.mark.parametrize("name", GROWN)
def test_honest_specialists_stay_in_and_one_with_false_labels_does_not(name):
    spec, kind, evaluation = request(name, {"depth": 5}), family(name), text_dataset(120, 77)
    start, samples = kind.initial(spec, 0), dict.fromkeys(range(3), 120)

    def scores(parts):
        models = trained(spec, parts)
        return score_round(
            RoundInputs(spec, 1, start, models, samples, evaluation), ContributionRecord()
        )[0]

    assert all(score < NEUTRAL for score in scores(specialists()).values())
    whole = [text_dataset(120, seed) for seed in (61, 62, 63)]
    whole[2] = Dataset(whole[2].x, (whole[2].y + 1) % 3, ())
    found = scores(whole)
    assert found[2] > NEUTRAL > max(found[0], found[1])


def test_boosted_trees_are_judged_by_their_part_in_the_mean_of_all():
    """Alone a provider's trees count a third here, as they do among three."""
    spec, parts, kind = request(), specialists(), family("boosted-trees")
    start, models = kind.initial(spec, 0), trained(request(), specialists())
    weights = {seat: len(part) for seat, part in enumerate(parts)}
    alone = kind.coalition(spec, LocalModels(start, {0: models[0]}, weights), models)
    np.testing.assert_allclose(alone["value"], models[0]["value"] / 3, rtol=1e-6)


# ---------------------------------------------------------------------- privacy


@pytest.mark.parametrize("name", GROWN)
def test_the_papers_noise_is_reused_for_vectors_and_drawn_again_for_leaves(name):
    spec, part, kind = request(name, privacy=LAPLACE), text_dataset(120, 1), family(name)
    first, second = (trained(spec, [part], noise_seed=seed)[0] for seed in (1, 2))
    assert np.array_equal(first["feature"], second["feature"])
    assert np.array_equal(first["threshold"], second["threshold"])
    assert not np.array_equal(first["value"], second["value"])
    plain = trained(request(name), [part])[0]
    assert not np.array_equal(first["threshold"], plain["threshold"])
    for seed in range(10):
        model = trained(spec, [part], noise_seed=seed)[0]
        assert kind.plausible(spec, kind.initial(spec, 0), model, 120)
        assert np.isfinite(kind.predict(spec, model, part.x)).all()
    with pytest.raises(PrivacyError, match="needs a source"):
        train_local(
            LocalTraining(spec, kind.initial(spec, 0), part, noise=None, round_and_seat=(1, 0))
        )


def test_a_sound_forest_learns_from_the_sum_of_counts():
    spec, parts, kind = sound_forest(), specialists(), family("random-forest")
    test = text_dataset(300, 9)
    models = trained(spec, parts)
    found = aggregated(spec, parts, models)
    assert Template.of(found) == kind.template(spec)
    assert kind.error(spec, found, test.x, test.y) < 4000
    assert kind.error(spec, kind.initial(spec, 0), test.x, test.y) > 6000
    scores, _ = score_round(
        RoundInputs(spec, 1, kind.initial(spec, 0), models, dict.fromkeys(models, 120), test),
        ContributionRecord(),
    )
    assert all(score < NEUTRAL for score in scores.values())


def test_only_the_declared_mechanism_gives_a_sound_forests_counts():
    spec, part, kind = sound_forest(), text_dataset(150, 3), family("random-forest")
    start = kind.initial(spec, 0)
    for seed in range(20):
        model = trained(spec, [part], noise_seed=seed)[0]
        assert kind.plausible(spec, start, model, 150)
    quiet = {**model, "counts": np.full_like(model["counts"], 150 / 12)}
    wrong = [
        start,
        quiet,
        {**model, "variance": np.zeros_like(model["variance"])},
        {**model, "counts": model["counts"] * 3},
        {**model, "counts": model["counts"] + 50},
    ]
    assert not any(kind.plausible(spec, start, one, 150) for one in wrong)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("decision-tree", {"rounds": 2}, "rounds must be 1"),
        ("random-forest", {"rounds": 2}, "rounds must be 1"),
        ("boosted-trees", {"aggregation": {"name": "weighted-mean"}}, "aggregates by 'union'"),
        ("boosted-trees", {"strategy": {"name": "dlmu"}}, "'dlmu' moves weights"),
        ("boosted-trees", {"parameters": {"depth": 20}}, "depth"),
        ("boosted-trees", {"parameters": {"terms": "tide tide"}}, "named once"),
        ("boosted-trees", {"parameters": {"trees": 100}, "rounds": 200}, "at most 16384"),
        (
            "boosted-trees",
            {"parameters": {"terms": "", "bits": 14}, "privacy": LAPLACE},
            "at most 8192",
        ),
        (
            "boosted-trees",
            {"privacy": sound_forest().privacy.model_dump(mode="json")},
            "cannot bound",
        ),
        (
            "random-forest",
            {"privacy": sound_forest().privacy.model_dump(mode="json")},
            "takes no terms",
        ),
        (
            "boosted-trees",
            {"strategy": {"name": "algorithm-one", "parameters": {"reading": "both"}}},
            "reading",
        ),
    ],
)
def test_specifications_that_tree_families_cannot_serve_are_refused(name, changes, reason):
    with pytest.raises(SpecificationError, match=reason):
        check_specification(request(name, **changes))


@pytest.mark.parametrize("name", GROWN)
@pytest.mark.parametrize(
    ("texts", "labels"), [(["anchor"], [0]), (["anchor tide", "reef", "mast"], [0, 0, 0])]
)
def test_one_document_or_one_class_grows_a_tree_like_any_other(name, texts, labels):
    spec, kind = request(name), family(name)
    part = Dataset(documents(texts), np.array(labels), ())
    model = trained(spec, [part])[0]
    assert kind.plausible(spec, kind.initial(spec, 0), model, len(texts))
    assert kind.predict(spec, model, documents(["reef", ""])).argmax(axis=1).tolist() == [0, 0]


def test_documents_without_any_of_the_words_are_refused():
    part = Dataset(documents(["the of and", "\x00"]), np.array([0, 1]), ())
    with pytest.raises(DataError, match="none of 2 documents has a word"):
        trained(request("decision-tree"), [part])


def test_a_sound_forest_counts_documents_without_any_of_the_words():
    spec = sound_forest()
    part = Dataset(documents(["the of and", "\x00"]), np.array([0, 1]), ())
    model = trained(spec, [part])[0]
    assert {name: one.shape for name, one in model.items()} == dict(
        family_of(spec).template(spec).tensors
    )


def test_trees_grow_on_numbers_too():
    bunch = load_digits()
    x, y = (bunch.data / 16).astype(np.float32), bunch.target.astype(np.int64)
    spec = specification(
        labels=[str(label) for label in range(10)],
        features={"shape": [64], "scale": 16.0},
        family={"name": "random-forest", "parameters": {"trees": 20, "depth": 8}},
        local={"construction_seed": 0},
        aggregation={"name": "union"},
    )
    parts = [Dataset(x[index:1200:3], y[index:1200:3], ()) for index in range(3)]
    found = aggregated(spec, parts, trained(spec, parts))
    assert family("random-forest").error(spec, found, x[1200:], y[1200:]) < 1500


def diabetes(name, **changes):
    bunch = load_diabetes()
    x, y = bunch.data.astype(np.float32), (bunch.target / 400).astype(np.float32)
    spec = specification(
        task="regression",
        labels=[],
        output={"column": "target", "scale": 400.0},
        features={"shape": [10]},
        family={"name": name, "parameters": {**GROWN[name], "features": 0.5}},
        local={"construction_seed": 0},
        aggregation={"name": "union"},
        score="model",
        **changes,
    )
    parts = [Dataset(x[index:330:3], y[index:330:3], ()) for index in range(3)]
    return spec, parts, x[330:], y[330:]


@pytest.mark.parametrize("name", GROWN)
def test_grown_trees_predict_values(name):
    spec, parts, x, y = diabetes(name)
    kind = family(name)
    check_specification(spec)
    models = trained(spec, parts)
    assert all(kind.plausible(spec, kind.initial(spec, 0), one, 110) for one in models.values())
    found = aggregated(spec, parts, models)
    values = kind.predict(spec, found, x)
    assert values.shape == (len(x), 1)
    # Three boosted trees are still on their way from 0 to the values.
    guess = 0.0 if name == "boosted-trees" else np.mean([part.y.mean() for part in parts])
    assert kind.error(spec, found, x, y) < 10_000 * np.abs(y - guess).mean()
    alone = np.mean([kind.predict(spec, one, x) for one in models.values()], axis=0)
    np.testing.assert_allclose(values, alone, rtol=1e-5)


def test_boosted_values_come_closer_in_every_round():
    spec, parts, x, y = diabetes("boosted-trees", rounds=8)
    kind = family_of(spec)
    model, errors = kind.initial(spec, 0), []
    for round_number in range(1, 9):
        models = trained(spec, parts, model, round_number)
        model = aggregated(spec, parts, models, model, round_number)
        errors.append(kind.error(spec, model, x, y))
    assert errors[0] > errors[1] > errors[2]
    mean = np.concatenate([part.y for part in parts]).mean()
    assert errors[7] < 0.9 * 10_000 * np.abs(y - mean).mean()


def test_without_trees_a_value_is_zero():
    spec, _, x, _ = diabetes("boosted-trees")
    kind = family_of(spec)
    assert not kind.predict(spec, kind.initial(spec, 0), x).any()


def test_the_papers_noise_reaches_the_values_too():
    spec, parts, _, _ = diabetes("random-forest", privacy=LAPLACE)
    first, again = trained(spec, parts), trained(spec, parts, noise_seed=1)
    assert not np.array_equal(first[0]["value"], again[0]["value"])


def test_a_model_with_an_unknown_feature_is_refused():
    model = {**empty(1, 2).model(), "feature": np.full((1, 1), 9, np.float32)}
    with pytest.raises(ModelError, match="outside the 3 of its rows"):
        Ensemble.of(model, 3)


def test_growth_follows_the_specification():
    spec = request(parameters={"learning_rate": 0.1, "least_in_leaf": 4})
    assert family("boosted-trees").growth(spec) == Growth(3, 4, 0.5, 0.1)
