"""The linear model on scattering features: its statistics round, its steps, what it refuses."""

import numpy as np
import pytest
import torch

from fedpact.consensus.aggregate import global_model
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import UNJUDGED, score_round
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.features.scattering import features, mirrored
from fedpact.learning.calibration import noise_for
from fedpact.learning.checks import check_published
from fedpact.learning.families import family, represented
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.update_bounds import update_norm, update_norm_bounds
from fedpact.privacy.accounting import cost, gaussian_epsilon
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.privacy.releases import GaussianRelease, Schedule, of_request
from fedpact.types.scores import INVALID
from tests.support.specifications import SOUND, specification

N, WIDTH = 70, 81 * 2 * 2
PRIVATE = {**SOUND, "clipping_norm": 0.05, "noise_multiplier": 4.0, "statistics_multiplier": 20.0}
MOMENTUM = {"name": "fedavgm", "parameters": {"momentum": 0.9}}


class Silent(NoiseSource):
    def words(self, count):
        return np.zeros(count, np.uint64)

    def half_steps(self, count):
        return np.zeros(count, np.int64)


def spec_of(**changes):
    fields = {
        "family": {"name": "scattering-linear"},
        "features": {"shape": [8, 8]},
        "rounds": 5,
        "local": {"steps": 1, "learning_rate": 100.0},
        "strategy": MOMENTUM,
        **changes,
    }
    return specification(**fields)


def images(n=N, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.random((n, 8, 8)).astype(np.float32)
    return Dataset(x, generator.integers(0, 3, n), ())


def first(spec):
    return family("scattering-linear").initial(spec, 0)


def trained(spec, number, start, data=None, noise=None):
    source = noise or SeededNoise(number)
    return train_local(
        LocalTraining(spec, start, data or images(), noise=source, round_and_seat=(number, 0))
    )


def centred(spec):
    """The global model after the statistics round."""
    return trained(spec, 1, first(spec), noise=Silent())


def test_the_first_round_releases_the_mean_of_the_features_and_no_weights():
    spec = spec_of(privacy=PRIVATE)
    found = centred(spec)
    rows = features(images().x).astype(np.float16).astype(np.float64)
    assert np.allclose(found["centre"], rows.mean(axis=0), atol=2e-4 * np.abs(rows).max())
    assert not found["weights"].any()
    again = trained(spec, 1, first(spec))
    noise = (again["centre"] - found["centre"]) * N
    assert noise.std() == pytest.approx(20.0, rel=0.15)


def test_later_rounds_step_along_the_gradient_of_the_centred_model():
    spec = spec_of()
    start = centred(spec)
    data = images()
    module = family("scattering-linear").loaded(spec, start)
    outputs = module(torch.from_numpy(data.x))
    torch.nn.functional.cross_entropy(outputs, torch.from_numpy(data.y)).backward()
    found = trained(spec, 2, start)
    expected = start["weights"] - 100.0 * module.weights.grad.numpy()
    assert np.allclose(found["weights"], expected, atol=1e-4)
    assert np.array_equal(found["centre"], start["centre"])
    predicted = family("scattering-linear").predict(spec, found, data.x)
    module = family("scattering-linear").loaded(spec, found)
    assert np.allclose(predicted, torch.softmax(module(torch.from_numpy(data.x)), 1).detach())


def test_an_image_and_its_mirror_image_may_count_as_one():
    spec = spec_of(family={"name": "scattering-linear", "parameters": {"mirrored": 1}})
    data = images()
    found = represented(spec, data)
    assert found.x.shape == (N, family("scattering-linear").template(spec).tensors[0][1][0])
    assert WIDTH / 2 <= found.x.shape[1] < 0.6 * WIDTH
    rows = mirrored(features(data.x).astype(np.float16), (8, 8))
    assert np.array_equal(found.x, rows)
    model = trained(spec, 2, centred(spec), found)
    assert np.array_equal(model["weights"], trained(spec, 2, centred(spec), data)["weights"])
    logits = family("scattering-linear").loaded(spec, model)(torch.from_numpy(data.x))
    predicted = family("scattering-linear").predict(spec, model, data.x)
    assert np.allclose(predicted, torch.softmax(logits, 1).detach())


@pytest.mark.parametrize("norm", [1e-3, 0.05])
def test_no_image_adds_more_than_the_bound(norm):
    spec, one = spec_of(), images(1)
    some = {"weights": np.ones((3, WIDTH)), "centre": np.full(WIDTH, 0.5)}
    of = family("scattering-linear")
    moved = of.gradient_sum(spec, some, one.x, one.y, norm)["weights"]
    assert 0.999 * norm < np.linalg.norm(moved) <= norm
    assert np.linalg.norm(of.statistics_sum(spec, one.x, norm)["centre"]) <= norm


def test_features_from_a_file_are_those_computed_at_once(tmp_path):
    spec, data = spec_of(), images()
    kept = represented(spec, data, tmp_path)
    assert kept.x.shape == (N, WIDTH)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    assert np.array_equal(kept.x, represented(spec, data).x)
    assert represented(spec, kept).x is kept.x
    start = centred(spec)
    assert np.array_equal(
        trained(spec, 2, start, kept)["weights"], trained(spec, 2, start, data)["weights"]
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {"shape": [64]}}, "takes images"),
        ({"features": {"shape": [6, 8]}}, "multiples of 4"),
        ({"rounds": 1}, "at least one more"),
        ({"local": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0}}, "steps are needed"),
        ({"strategy": {"name": "dlmu"}}, "earlier models"),
        ({"privacy": {**PRIVATE, "statistics_multiplier": None}}, "needs a"),
        ({"privacy": {**PRIVATE, "clipping_norm": None}}, "clipping_norm"),
        (
            {
                "privacy": PRIVATE,
                "local": {"steps": 1, "learning_rate": 1.0, "sampling_rate": 0.5},
            },
            "sampling_rate 1",
        ),
        (
            {"family": {"name": "softmax-regression"}, "privacy": PRIVATE},
            "takes no privacy.statistics_multiplier",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_before_any_work(changes, said):
    with pytest.raises(SpecificationError, match=said):
        check_published(spec_of(**changes))


def test_training_must_know_the_round():
    with pytest.raises(InvalidInput, match="round"):
        train_local(LocalTraining(spec_of(), first(spec_of()), images(), noise=None))


def test_an_honest_update_lies_within_the_bounds_of_its_round():
    spec = spec_of(privacy=PRIVATE)
    start = first(spec)
    for number in (1, 2):
        low, high = update_norm_bounds(spec, N, number)
        model = trained(spec, number, start)
        assert low < update_norm(start, model) < high
        start = model
    # noise of 20 / 70 on each of 324 values, then of 4 * 0.05 / 70 * 100 on each of 972
    assert update_norm_bounds(spec, N, 1)[1] == pytest.approx(1 + 20 / N * 324**0.5, rel=0.3)
    assert update_norm_bounds(spec, N, 2)[1] == pytest.approx(5 + 20 / N * 972**0.5, rel=0.3)


def scores_of(spec, number, start, models):
    samples = dict.fromkeys(models, N)
    part = represented(spec, images(30, seed=9))
    return score_round(
        RoundInputs(spec, number, start, models, samples, part), ContributionRecord()
    )[0]


def test_the_statistics_round_is_not_scored_and_moves_nothing_else():
    spec = spec_of(privacy=PRIVATE)
    start = first(spec)
    models = {seat: trained(spec, 1, start, noise=SeededNoise(seat)) for seat in range(3)}
    assert scores_of(spec, 1, start, models) == dict.fromkeys(range(3), UNJUDGED)
    models[1] = {**models[1], "weights": models[1]["weights"] + np.float32(1e-3)}
    assert scores_of(spec, 1, start, models) == {0: UNJUDGED, 1: INVALID, 2: UNJUDGED}


def test_no_later_round_moves_the_centre():
    spec = spec_of(privacy=PRIVATE)
    start = centred(spec)
    models = {seat: trained(spec, 2, start, noise=SeededNoise(seat)) for seat in range(3)}
    models[1] = {**models[1], "centre": models[1]["centre"] + np.float32(1e-3)}
    found = scores_of(spec, 2, start, models)
    assert found[1] == INVALID
    assert INVALID not in (found[0], found[2])


def test_momentum_begins_after_the_statistics_and_leaves_the_centre_to_the_bit():
    spec = spec_of(privacy=PRIVATE)
    models = [first(spec)]
    for number in range(1, 6):
        local = {
            seat: trained(spec, number, models[-1], noise=SeededNoise(10 * number + seat))
            for seat in range(3)
        }
        before = models[-2] if number > 1 else None
        samples, known = {0: 70, 1: 50, 2: 60}, Globals(models[0], models[-1], before)
        models.append(global_model(spec, number, known, local, samples, [0, 1, 2]))
        if number == 2:
            mean = np.average([local[s]["weights"] for s in range(3)], axis=0, weights=[70, 50, 60])
            assert np.allclose(models[-1]["weights"], mean, atol=1e-6)
    assert all(np.array_equal(one["centre"], models[1]["centre"]) for one in models[2:])
    centre = np.average(
        [trained(spec, 1, models[0], noise=SeededNoise(10 + s))["centre"] for s in range(3)],
        axis=0,
        weights=[70, 50, 60],
    )
    assert np.allclose(models[1]["centre"], centre, atol=1e-6)


def test_the_whole_schedule_is_charged_and_each_round_its_own():
    spec = spec_of(privacy=PRIVATE)
    assert GaussianRelease.of_round(spec, 1) == GaussianRelease(20.0, 1.0, 1)
    assert GaussianRelease.of_round(spec, 2) == GaussianRelease(4.0, 1.0, 1)
    schedule = of_request(spec)
    assert schedule == Schedule((GaussianRelease(20.0, 1.0, 1), GaussianRelease(4.0, 1.0, 4)))
    mu = (4 / 16 + 1 / 400) ** 0.5
    assert cost(schedule, 1e-5).epsilon == pytest.approx(gaussian_epsilon(mu, 1e-5), abs=3e-6)


def test_noise_meets_epsilon_over_statistics_and_training_together():
    blank = {**PRIVATE, "epsilon": 2.0, "statistics_multiplier": None}
    found = noise_for(spec_of(privacy=blank))
    spec = spec_of(privacy={**blank, **found})
    assert 1.99 < cost(of_request(spec), 1e-5).epsilon <= 2.0
    share = found["statistics_multiplier"] ** -2
    assert share / (share + 4 * found["noise_multiplier"] ** -2) == pytest.approx(0.01, rel=0.01)
    fixed = {**blank, "statistics_multiplier": 30.0}
    assert noise_for(spec_of(privacy=fixed))["statistics_multiplier"] == 30.0
