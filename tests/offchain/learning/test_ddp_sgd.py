"""Mode `paper` trained: DP-SGD, DDP-SGD and Laplace noise, worked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.errors import PrivacyError, SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.families import family, family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.claimed_epsilon import claimed_multiplier
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.types.specification import Specification
from tests.support.specifications import specification

DDP_SGD = {"mode": "paper", "mechanism": "ddp-sgd", "epsilon": 2.0, "delta": 1e-5}
LAPLACE = {"mode": "paper", "mechanism": "laplace", "epsilon": 2.0, "sensitivity": 1.0}


def dp_sgd(norm: float) -> dict[str, object]:
    return {**DDP_SGD, "mechanism": "dp-sgd", "clipping_norm": norm}


class Silent(NoiseSource):
    """Adds nothing, so that steps can be worked by hand; notes what it was asked for."""

    def __init__(self) -> None:
        self.stds: list[float] = []

    def words(self, count: int) -> NDArray[np.uint64]:
        raise AssertionError("no bits are needed")

    def add(self, values: NDArray[np.floating], std: float) -> NDArray[np.float64]:
        self.stds.append(std)
        return values.astype(np.float64)


def pulled(privacy: dict[str, object], epochs: int, rate: float, size: int = 2) -> Specification:
    """A linear regression on inputs of 0: an example of target t has the gradient b - t, of the
    bias alone."""
    return specification(
        task="regression",
        labels=[],
        output={"column": "y", "scale": 1.0},
        features={"shape": [1]},
        family={"name": "linear-regression"},
        local={"epochs": epochs, "batch_size": size, "learning_rate": rate},
        privacy=privacy,
    )


def bias_after(
    spec: Specification, targets: list[float], noise: NoiseSource, start: float = 0.0
) -> float:
    x = np.zeros((len(targets), 1), np.float32)
    first = {
        name: np.full(shape, start if name.endswith("bias") else 0.0, np.float32)
        for name, shape in family("linear-regression").template(spec).tensors
    }
    data = Dataset(x, np.array(targets, np.float32), ())
    model = train_local(LocalTraining(spec, first, data, noise=noise, round_and_seat=(1, 0)))
    (bias,) = (values for name, values in model.items() if name.endswith("bias"))
    return float(bias.item())


def test_ddp_sgd_by_hand() -> None:
    # Targets 4 and 8, batches of two, rate 1/2, from 0: the mean gradient is b - 6.
    # Epoch 0: gradients -4, -8, mean norm 6; b = 3. Epoch 1: -1, -5, mean norm 3; b = 4.5.
    # Epoch 2: gamma = |3 - 6| / 3 = 1, C = 3; gradients 0.5, -3.5, clipped 0.5, -3;
    # b = 4.5 + 1/2 * 2.5 / 2 = 5.125.
    noise, spec = Silent(), pulled(DDP_SGD, 3, 0.5)
    assert bias_after(spec, [4.0, 8.0], noise) == pytest.approx(5.125)
    assert noise.stds == pytest.approx([3 * claimed_multiplier(spec, 2)] * 2)  # weight and bias


def test_ddp_sgd_reads_its_norm_off_the_two_epochs_before_the_last() -> None:
    # One more epoch than above: norms 6, 3, 2 (from 4.5: gradients 0.5, -3.5), b = 5.25 before
    # the last; gamma = |2 - 3| / 2 = 1/2, C = 2.5; gradients 1.25, -2.75, clipped 1.25, -2.5.
    noise, spec = Silent(), pulled(DDP_SGD, 4, 0.5)
    assert bias_after(spec, [4.0, 8.0], noise) == pytest.approx(5.25 + 1.25 / 4)
    assert noise.stds == pytest.approx([2.5 * claimed_multiplier(spec, 2)] * 2)


def test_dp_sgd_clips_and_noises_every_epoch() -> None:
    # Norm 1: gradients -4, -8 both become -1; b = 1/2 * 2 / 2 = 0.5, then 1.0.
    noise, spec = Silent(), pulled(dp_sgd(1.0), 2, 0.5)
    assert bias_after(spec, [4.0, 8.0], noise) == pytest.approx(1.0)
    assert noise.stds == pytest.approx([claimed_multiplier(spec, 2)] * 4)


def test_a_last_batch_that_is_smaller_is_divided_by_its_own_size() -> None:
    # Rate 1 and no clipping to speak of: each batch takes the bias to its own mean.
    spec = pulled(dp_sgd(100.0), 1, 1.0)
    assert bias_after(spec, [3.0, 3.0, 3.0], Silent()) == pytest.approx(3.0)


def test_earlier_epochs_results_are_uploaded_without_their_own_noise() -> None:
    """Why the claim is none: the upload moves with a record far beyond the noise."""
    spec = pulled(DDP_SGD, 3, 0.5, size=100)
    without = bias_after(spec, [0.0] * 100, SeededNoise(0), start=1.0)
    within = bias_after(spec, [1e6] + [0.0] * 99, SeededNoise(0), start=1.0)
    assert abs(within - without) > 1000


def test_the_noise_is_drawn_anew_for_each_batch_and_follows_the_source() -> None:
    spec = pulled(DDP_SGD, 3, 0.5)
    first, again = (bias_after(spec, [4.0, 8.0], SeededNoise(1)) for _ in range(2))
    assert first == again
    assert first != bias_after(spec, [4.0, 8.0], SeededNoise(2))


# ---------------------------------------------------------------------- Laplace


def examples(spec: Specification) -> tuple[Model, Dataset]:
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    return family_of(spec).initial(spec, 0), Dataset(x, np.arange(20) % 3, ())


def noised(spec: Specification, round_noise: int, data_noise: int) -> Model:
    start, data = examples(spec)
    return train_local(
        LocalTraining(
            spec, start, data, noise=SeededNoise(round_noise), data_noise=SeededNoise(data_noise)
        )
    )


def test_laplace_noises_the_data_and_then_the_model() -> None:
    spec = specification(privacy=LAPLACE)
    start, data = examples(spec)
    plain = train_local(LocalTraining(specification(), start, data, noise=None))
    once, other_data, other_model = noised(spec, 1, 2), noised(spec, 1, 3), noised(spec, 4, 2)
    for name in plain:
        assert np.abs(once[name] - plain[name]).max() > 0.01
        assert not np.array_equal(once[name], other_model[name])
    weight = next(name for name in plain if name.endswith("weight"))
    assert not np.array_equal(once[weight], other_data[weight])


def test_laplace_noise_has_the_scale_of_equation_4() -> None:
    privacy = {**LAPLACE, "epsilon": 4.0, "sensitivity": 0.5}
    spec = specification(privacy=privacy, features={"shape": [400]}, local=STILL)
    start = family_of(spec).initial(spec, 0)
    data = Dataset(np.zeros((6, 400), np.float32), np.arange(6) % 3, ())
    model = train_local(
        LocalTraining(spec, start, data, noise=SeededNoise(0), data_noise=SeededNoise(1))
    )
    drawn = np.concatenate([(model[name] - start[name]).ravel() for name in start])
    assert np.abs(drawn).mean() == pytest.approx(0.5 / 4.0, rel=0.1)  # mean |Laplace(b)| is b


STILL = {"steps": 1, "learning_rate": 1e-9}


# ---------------------------------------------------------------------- refusals


def test_training_with_noise_needs_a_source() -> None:
    spec = specification(privacy=LAPLACE)
    start, data = examples(spec)
    with pytest.raises(PrivacyError, match="mode paper needs a source"):
        train_local(LocalTraining(spec, start, data, noise=None))
    with pytest.raises(PrivacyError, match="all rounds share"):
        train_local(LocalTraining(spec, start, data, noise=SeededNoise(0)))


def test_a_family_whose_examples_cannot_be_clipped_is_refused() -> None:
    spec = specification(
        family={"name": "char-lstm", "parameters": {"hidden": 4, "layers": 1}},
        local={"epochs": 3, "batch_size": 2, "learning_rate": 0.1},
        privacy=DDP_SGD,
    )
    with pytest.raises(SpecificationError, match="mode paper needs a network of dense layers"):
        family("char-lstm").check(spec)
