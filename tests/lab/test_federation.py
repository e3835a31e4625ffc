"""Plain federated training: who trains, what is measured, how it resumes."""

from dataclasses import replace

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, InvalidInput, SpecificationError
from fedpact.learning.artefact import encode
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import STRATEGIES
from fedpact.learning.training_inputs import LocalTraining
from lab.federation.training import (
    Federation,
    State,
    decode_state,
    measured,
    mirrored,
    moved,
    predictions_of,
    train_federation,
    train_round,
)
from tests.support.specifications import specification

STEPS = {"steps": 1, "learning_rate": 0.1}
EPOCHS = {"epochs": 1, "batch_size": 8, "learning_rate": 0.2, "momentum": 0.5}
CENTRES = np.array([[0, 3], [3, 0], [-3, -3]], np.float32)


def part(seed, n=24, labels=(0, 1, 2)):
    generator = np.random.default_rng(seed)
    y = generator.choice(np.array(labels), n)
    return Dataset((CENTRES[y] + generator.normal(size=(n, 2))).astype(np.float32), y, ())


def federation(name="fedavg", sampled=2, providers=4, **changes):
    fields = {"rounds": 3, "strategy": {"name": name}, "local": EPOCHS, **changes}
    parts = [
        part(number, labels=[(0, 1), (1, 2), (0, 2)][number % 3]) for number in range(providers)
    ]
    return Federation(specification(**fields), parts, sampled, seed=5)


TEST = part(99, 200)


def test_the_sample_of_a_round_depends_on_seed_and_round():
    found = federation(sampled=3, providers=20)
    samples = [found.sample(number) for number in range(1, 50)]
    assert samples == [found.sample(number) for number in range(1, 50)]
    assert all(len(set(one)) == 3 and one == sorted(one) for one in samples)
    assert set().union(*samples) == set(range(20))


def test_a_round_of_fedavg_is_the_weighted_mean_of_the_sampled_providers():
    found = federation()
    state = State.first(found)
    outcome = train_round(found, state)
    assert list(outcome.locals) == found.sample(1)
    for provider, model in outcome.locals.items():
        alone = train_local(
            LocalTraining(
                found.spec,
                state.globals_.start,
                found.parts[provider],
                noise=None,
                round_and_seat=(1, provider),
            )
        )
        assert encode(model) == encode(alone)
    bias = [model["output.bias"].astype(np.float64) for model in outcome.locals.values()]
    joined = outcome.state.globals_.start["output.bias"]
    assert np.allclose(joined, np.mean(bias, axis=0), atol=1e-7)


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_interrupted_run_gives_the_same_result_as_an_uninterrupted_one(name):
    found = federation(name)
    kept = []
    whole, curves = train_federation(found, TEST, on_round=lambda done, state: kept.append(state()))
    for state in kept[:2]:
        again, same = train_federation(found, TEST, resumed=state)
        assert encode(again) == encode(whole)
        assert (same.global_, same.local) == (curves.global_, curves.local)
    assert len(curves.global_) == len(curves.local) == 3
    assert curves.global_[-1] > 0.5


def test_local_models_are_measured_on_their_own_labels():
    found = federation(sampled=1, providers=1, rounds=1)
    _, curves = train_federation(found, TEST)
    own = train_round(found, State.first(found)).locals[0]
    kept = np.isin(TEST.y, [0, 1])
    shares = np.bincount(found.parts[0].y, minlength=3) / np.bincount(TEST.y, minlength=3)
    inside = Dataset(TEST.x[kept], TEST.y[kept], ())
    expected = measured(found, own, inside, shares[inside.y])
    assert curves.local == [expected]
    _, on_own = train_federation(found, TEST, own_tests=[inside])
    assert on_own.local == [measured(found, own, inside)]


def test_mirrored_pictures_are_others_in_each_round():
    pictures = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3)
    whole = Dataset(np.repeat(pictures, 10, axis=0), np.zeros(40, np.int64), ())
    first, again, other = (
        mirrored(whole, np.random.SeedSequence([5, 0, number])).x for number in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
    turned = (first == whole.x[..., ::-1]).all(axis=(1, 2, 3))
    assert 10 < turned.sum() < 30
    assert (first[~turned] == whole.x[~turned]).all()


def test_moved_pictures_are_others_in_each_round():
    whole = Dataset(
        np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5).repeat(40, 0), np.zeros(40), ()
    )
    first, again, second = (
        moved(whole, 2, np.random.SeedSequence([5, 0, number])).x for number in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    around = np.pad(whole.x[0, 0], 2)
    places = {
        (top, left): around[top : top + 5, left : left + 5] for top in range(5) for left in range(5)
    }
    found = {at for one in first for at, there in places.items() if np.array_equal(one[0], there)}
    assert all(any(np.array_equal(one[0], there) for there in places.values()) for one in first)
    assert len(found) > 10


def test_a_provider_trains_on_mirrored_pictures():
    found = federation(sampled=1, providers=1)
    turned = replace(found, mirrored=True)
    models = [train_round(one, State.first(one)).locals[0] for one in (found, turned)]
    assert encode(models[0]) != encode(models[1])
    part = mirrored(found.parts[0], np.random.SeedSequence([found.seed, 0, 1]))
    alike = replace(found, parts=[part])
    assert encode(train_round(alike, State.first(alike)).locals[0]) == encode(models[1])


def test_scaffolds_server_control_is_the_mean_of_all_providers():
    found = federation("scaffold", sampled=2, providers=4)
    state = State.first(found)
    for _ in range(4):
        state = train_round(found, state).state
    controls = [memory.models["control"]["output.bias"] for memory in state.memories.values()]
    assert len(controls) > 2
    server = state.globals_.server.models["control"]["output.bias"]
    assert np.abs(server).max() > 1e-3
    assert np.allclose(server, np.sum(controls, axis=0) / 4, atol=1e-6)


def test_ditto_is_measured_by_the_models_that_providers_keep():
    mild, plain = federation("ditto", sampled=4), federation(sampled=4)
    kept, shared = (train_round(one, State.first(one)) for one in (mild, plain))
    assert encode(kept.state.globals_.start) == encode(shared.state.globals_.start)
    assert encode(kept.locals[0]) != encode(shared.locals[0])


def test_a_regression_is_measured_by_its_mean_absolute_error():
    spec = specification(
        task="regression",
        labels=[],
        output={"column": "y", "scale": 1.0},
        family={"name": "linear-regression"},
        local={**EPOCHS, "learning_rate": 0.05},
        rounds=20,
    )
    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 2)).astype(np.float32)
    data = Dataset(x, (x @ [1.0, -2.0] + 0.5).astype(np.float32), ())
    _, curves = train_federation(Federation(spec, [data, data], 2, seed=0), data)
    assert curves.global_[-1] < 0.01 < curves.global_[0]


@pytest.mark.parametrize("name", ["oblivious-trees", "generalised-linear"])
def test_the_laboratory_measures_what_the_product_predicts(name: str) -> None:
    numbers = {"task": "regression", "labels": [], "output": {"column": "y", "scale": 1.0}}
    for parameters, changes in (
        ({"loss": "poisson", "priors": [9.0]}, numbers),
        ({"class_weights": [1.0, 100.0], "priors": [0.9, 0.1]}, {"labels": ["a", "b"]}),
    ):
        family = {"name": name, "parameters": parameters}
        spec = specification(family=family, local=STEPS, features={"shape": [3]}, **changes)
        x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        y = np.full(50, 9.0, np.float32) if changes is numbers else np.arange(50) % 2
        data = Dataset(x, y, ())
        whole = Federation(spec, [data], 1, seed=0)
        model = family_of(spec).initial(spec, 0)
        found = predictions_of(whole, model, x)
        assert np.allclose(found, family_of(spec).predict(spec, model, x), atol=1e-5)
        missed = measured(whole, model, data) - (0 if changes is numbers else 0.5)
        assert abs(missed) < 1e-5


def test_an_invalid_federation_is_refused_before_any_work():
    with pytest.raises(InvalidInput, match="5 of 4"):
        federation(sampled=5)
    with pytest.raises(SpecificationError, match="mu"):
        federation(strategy={"name": "fedprox", "parameters": {"mu": -1}})
    empty = [part(0), Dataset(np.empty((0, 2), np.float32), np.empty(0, np.int64), ())]
    with pytest.raises(DataError, match="provider 2"):
        Federation(specification(local=EPOCHS), empty, 1, seed=0)


def test_a_learning_rate_that_diverges_is_reported():
    found = federation(local={**EPOCHS, "learning_rate": 1e6})
    far = [Dataset(one.x * np.float32(1e34), one.y, ()) for one in found.parts]
    found = replace(found, parts=far)
    with pytest.raises(DataError, match="learning rate"):
        train_federation(found, TEST)


def test_a_state_of_something_else_is_refused():
    kept = []
    train_federation(federation(), TEST, on_round=lambda done, state: kept.append(state()))
    with pytest.raises(InvalidInput, match="not a state"):
        decode_state(federation(), kept[0][:-100])
    with pytest.raises(InvalidInput, match="other tensors"):
        decode_state(federation(family={"name": "mlp", "parameters": {}}), kept[0])
