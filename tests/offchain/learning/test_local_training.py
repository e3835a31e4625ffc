"""Local training, and bounds on the norms of its updates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, InvalidInput, PrivacyError
from fedpact.learning.artefact import encode
from fedpact.learning.families import family, family_of
from fedpact.learning.local_training import reach, train_local
from fedpact.learning.strategies import Correction
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.update_bounds import UNBOUNDED, update_norm, update_norm_bounds
from fedpact.privacy.noise import NoiseSource, SeededNoise, SystemNoise
from fedpact.privacy.quantile import QuantileClipping
from tests.support.specifications import SOUND, specification

WIDE = {"shape": [30]}


def data(n=40, width=2, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, width)).astype(np.float32)
    return Dataset(x, generator.integers(0, 3, n), ())


def start(spec):
    return family_of(spec).initial(spec, seed=1)


class Silent(NoiseSource):
    """Adds nothing, so that the arithmetic around the noise shows."""

    def words(self, count):
        return np.zeros(count, dtype=np.uint64)

    def add(self, values, std):
        return values.astype(np.float64)


def test_two_steps_with_momentum_by_hand():
    spec = specification(
        features={"shape": [1]},
        labels=["a", "b"],
        local={"steps": 2, "learning_rate": 0.5, "momentum": 0.5},
    )
    one = Dataset(np.array([[2.0]], np.float32), np.array([0]), ())
    p = 0.5
    weight, velocity = 0.0, 0.0
    for _ in range(2):
        velocity = 0.5 * velocity + (p - 1) * 2
        weight -= 0.5 * velocity
        bias = weight / 2
        p = 1 / (1 + math.exp(-2 * (2 * weight + bias)))
    reported = []
    found = train_local(
        LocalTraining(spec, start(spec), one, noise=None), on_step=lambda *at: reported.append(at)
    )
    assert np.allclose(found["output.weight"], [[weight], [-weight]], atol=1e-6)
    assert found["output.weight"].dtype == np.float32
    assert reported == [(1, 2), (2, 2)]


def test_training_without_privacy_lowers_the_error():
    spec = specification(local={"steps": 200, "learning_rate": 0.5})
    x = np.array([[0, 3], [3, 0], [-3, -3]] * 5, np.float32)
    three = Dataset(x, np.array([0, 1, 2] * 5), ())
    trained = train_local(LocalTraining(spec, start(spec), three, noise=None))
    assert family("softmax-regression").error(spec, trained, three.x, three.y) == 0


def test_sound_training_clips_and_divides_by_the_public_count():
    spec = specification(privacy={**SOUND, "clipping_norm": 0.01})
    many = data()
    moved = train_local(LocalTraining(spec, start(spec), many, noise=Silent()))
    norm = update_norm(start(spec), moved)
    assert 0 < norm <= 0.01
    opposed = Dataset(np.tile(many.x[:1], (40, 1)), np.tile(many.y[:1], 40), ())
    moved = train_local(LocalTraining(spec, start(spec), opposed, noise=Silent()))
    assert update_norm(start(spec), moved) == pytest.approx(0.01, rel=1e-5)
    assert update_norm(start(spec), moved) < 0.01


def test_a_norm_follows_the_quantile_from_step_to_step_and_restarts_each_round():
    follow = {"quantile": 0.5, "learning_rate": 1.0, "count_share": 0.1}
    spec = specification(
        local={"steps": 60, "learning_rate": 1e-9},
        privacy={**SOUND, "clipping_norm": 100.0, "adaptive_clipping": follow},
    )
    first, part = start(spec), data(n=300)
    weights = {name: values.astype(np.float64) for name, values in first.items()}
    model_family = family_of(spec)
    median = np.median(model_family.gradient_norms(spec, weights, part.x, part.y))
    seen = []

    class Listening(SeededNoise):
        def add(self, values, std):
            seen.append(std)
            return super().add(values, std)

    for _ in range(2):
        train_local(LocalTraining(spec, first, part, noise=Listening(1)))
    # A step notes the noise of two tensors and of the count.
    clipping = QuantileClipping.of(spec.privacy)
    norms = np.array(seen).reshape(2, 60, 3)[:, :, 0] / clipping.gradient_multiplier
    assert norms[:, 0] == pytest.approx(100.0)
    assert np.allclose(norms[:, -20:], median, rtol=0.15)
    assert np.allclose(np.array(seen).reshape(2, 60, 3)[:, :, 2], clipping.count_multiplier / 2)


def test_a_sampled_batch_is_divided_by_its_expected_size():
    spec = specification(
        local={"steps": 1, "learning_rate": 1.0, "sampling_rate": 0.25},
        privacy={**SOUND, "clipping_norm": 0.01},
    )
    full = train_local(
        LocalTraining(spec, start(spec), data(), noise=Silent())
    )  # its uniform words are all 0
    once = specification(
        local={"steps": 1, "learning_rate": 1.0}, privacy={**SOUND, "clipping_norm": 0.01}
    )
    whole = train_local(LocalTraining(once, start(once), data(), noise=Silent()))
    assert np.allclose(full["output.weight"], 4 * whole["output.weight"], rtol=1e-5)


def test_sampling_takes_each_record_at_the_given_rate():
    spec = specification(
        local={"steps": 1, "learning_rate": 1.0, "sampling_rate": 0.25}, features={"shape": [1]}
    )
    n = 4000
    alike = Dataset(np.ones((n, 1), np.float32), np.zeros(n, np.int64), ())
    moved = train_local(LocalTraining(spec, start(spec), alike, noise=SeededNoise(3)))
    # Each record that takes part moves output.bias[0] by (2/3) / (0.25 n).
    taken = float(moved["output.bias"][0]) / (2 / 3) * 0.25 * n
    assert abs(taken - 1000) < 5 * math.sqrt(n * 0.25 * 0.75)


def test_noise_differs_between_two_runs_and_has_the_declared_size():
    spec = specification(features=WIDE, privacy={**SOUND, "noise_multiplier": 50.0})
    part = data(n=10, width=30)
    first, second = (
        train_local(LocalTraining(spec, start(spec), part, noise=SystemNoise())) for _ in range(2)
    )
    size = family_of(spec).template(spec).parameters
    expected = math.sqrt(2 * size) * 50.0 / 10
    assert update_norm(first, second) == pytest.approx(expected, rel=0.5)


def test_nothing_is_released_without_a_source_of_noise():
    spec = specification(privacy=SOUND)
    with pytest.raises(PrivacyError):
        train_local(LocalTraining(spec, start(spec), data(), noise=None))
    with pytest.raises(DataError):
        train_local(LocalTraining(specification(), start(spec), data(n=0), noise=None))


def test_bounds_without_privacy_refuse_only_no_update_and_the_absurd():
    spec = specification()
    low, high = update_norm_bounds(spec, 10, 1)
    assert 0 < low < 1e-6
    assert high == UNBOUNDED


def test_bounds_of_one_full_batch_step_by_hand():
    spec = specification(
        features={"shape": [99]},
        local={"steps": 1, "learning_rate": 0.5},
        privacy={**SOUND, "clipping_norm": 2.0, "noise_multiplier": 3.0},
    )
    dimension, tail = 300, math.log(1e9)
    std = 3.0 * 2.0 / 50
    low = 0.5 * std * math.sqrt(299 - 2 * math.sqrt(299 * tail))
    high = 0.5 * (2.0 + std * math.sqrt(dimension + 2 * math.sqrt(dimension * tail) + 2 * tail))
    assert update_norm_bounds(spec, 50, 1) == pytest.approx((low, high), rel=1e-4)


@settings(max_examples=25)
@given(
    st.integers(1, 4),
    st.sampled_from([0.0, 0.9]),
    st.sampled_from([1.0, 0.3]),
    st.sampled_from([0.01, 1.0, 20.0]),
    st.sampled_from([None, {"quantile": 0.9, "learning_rate": 0.5}]),
    st.integers(0, 2**32),
)
def test_honest_updates_are_within_the_bounds(steps, momentum, rate, multiplier, follow, seed):
    steps += follow is not None
    spec = specification(
        features=WIDE,
        local={
            "steps": steps,
            "learning_rate": 2.0,
            "momentum": momentum,
            "sampling_rate": rate,
        },
        privacy={**SOUND, "noise_multiplier": multiplier, "adaptive_clipping": follow},
    )
    part = data(n=60, width=30, seed=seed)
    low, high = update_norm_bounds(spec, 60, 1)
    found = train_local(LocalTraining(spec, start(spec), part, noise=SeededNoise(seed)))
    assert low <= update_norm(start(spec), found) <= high


def test_a_reposted_and_a_random_model_are_outside_the_bounds():
    spec = specification(features=WIDE, privacy={**SOUND, "noise_multiplier": 5.0})
    before = start(spec)
    low, high = update_norm_bounds(spec, 250, 1)
    generator = np.random.default_rng(0)
    random_weights = {
        name: generator.standard_normal(one.shape).astype(np.float32)
        for name, one in before.items()
    }
    assert update_norm(before, before) == 0 < low
    assert update_norm(before, random_weights) > high


def test_the_norm_is_summed_exactly():
    before = {"a": np.zeros(3, np.float32), "b": np.zeros(1, np.float32)}
    after = {"a": np.array([3, 0, 0], np.float32), "b": np.array([4], np.float32)}
    assert update_norm(before, after) == 5.0


# ---------------------------------------------------------------------- epochs

EPOCHS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.1, "momentum": 0.5, "shuffle_seed": 7}


def test_epochs_are_plain_torch_sgd_over_shuffled_batches():
    import torch

    spec = specification(local=EPOCHS, family={"name": "mlp", "parameters": {"hidden": [3]}})
    part = data(n=10)
    found = train_local(LocalTraining(spec, start(spec), part, noise=None, round_and_seat=(3, 1)))
    module = family("mlp").module(spec)
    module.load_state_dict({name: torch.tensor(values) for name, values in start(spec).items()})
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.5)
    shuffle = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, 3, 1])))
    for _ in range(2):
        order = shuffle.permutation(10)
        for batch in (order[:4], order[4:8], order[8:]):
            optimizer.zero_grad()
            logits = module(torch.tensor(part.x[batch]))
            torch.nn.functional.cross_entropy(logits, torch.tensor(part.y[batch])).backward()
            optimizer.step()
    for name, values in module.state_dict().items():
        assert np.array_equal(found[name], values.numpy())


def test_the_batches_follow_from_seed_round_and_seat():
    spec = specification(local=EPOCHS)
    turns = [(1, 0), (1, 0), (2, 0), (1, 1)]
    first, again, later, other = (
        train_local(LocalTraining(spec, start(spec), data(), noise=None, round_and_seat=turn))[
            "output.weight"
        ]
        for turn in turns
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, other)


def test_epochs_do_not_run_without_the_round_and_seat_that_fix_their_batches():
    spec = specification(local=EPOCHS)
    with pytest.raises(InvalidInput, match="round and the seat"):
        train_local(LocalTraining(spec, start(spec), data(), noise=None))


@pytest.mark.parametrize("form", [EPOCHS, {"steps": 3, "learning_rate": 0.1, "momentum": 0.5}])
def test_a_proximal_term_holds_the_model_back(form):
    spec = specification(local=form)
    first = start(spec)
    plain, held, none = (
        train_local(
            LocalTraining(
                spec,
                first,
                data(),
                noise=None,
                round_and_seat=(1, 0),
                correction=Correction(proximal=mu, anchor=first),
            )
        )
        for mu in (0.0, 5.0, 0.0)
    )
    uncorrected = train_local(LocalTraining(spec, first, data(), noise=None, round_and_seat=(1, 0)))
    assert 0 < update_norm(first, held) < update_norm(first, plain)
    assert encode(plain) == encode(none) == encode(uncorrected)


@pytest.mark.parametrize("form", [EPOCHS, {"steps": 10, "learning_rate": 0.1, "momentum": 0.5}])
def test_a_constant_shift_moves_the_model_by_its_reach(form):
    spec = specification(local=form)
    shift = {name: np.ones_like(values) for name, values in start(spec).items()}
    nothing = {name: np.zeros_like(values) for name, values in start(spec).items()}
    alike = Dataset(np.zeros((20, 2), np.float32), np.tile([0, 1, 2], 7)[:20], ())
    found = [
        train_local(
            LocalTraining(
                spec,
                start(spec),
                alike,
                noise=None,
                round_and_seat=(1, 0),
                correction=Correction(shift=one),
            )
        )["output.weight"]
        for one in (shift, nothing)
    ]
    assert len(alike) / 4 * 2 == 10  # as many steps in both forms
    assert np.allclose(found[1] - found[0], reach(spec, len(alike)), rtol=1e-5)
