"""Where networks train: what a setting means here, and that `sound` is refused where arithmetic
does not keep what it rests on. A GPU is tried where there is one."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
import torch

from fedpact.data.dataset import Dataset
from fedpact.errors import PrivacyError, SettingsError, TrainingFailed
from fedpact.learning import devices, example_gradients
from fedpact.learning.families import family_of, torch_family
from fedpact.learning.families.device_probe import check_device
from fedpact.learning.families.random_examples import drawn_examples
from fedpact.learning.families.torch_family import TorchFamily
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy_audit.family_check import Outcome, check_family
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification

CNN = specification(
    features={"shape": [8, 8]},
    family={"name": "cnn", "parameters": {"form": "mnist", "channels": [2], "hidden": [4]}},
    privacy=SOUND,
)
LSTM = specification(
    features={"shape": [4]},
    family={"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 3}},
    privacy=SOUND,
)
LINEAR = specification(features={"shape": [4]}, privacy=SOUND)
OTHERS = [
    one
    for one, there in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    )
    if there
]


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("setting", "here", "found"),
    [
        ("cpu", {"cuda": 2}, "cpu"),
        ("auto", {}, "cpu"),
        ("auto", {"mps": True}, "mps"),
        ("auto", {"cuda": 1, "mps": True}, "cuda"),
        ("cuda", {"cuda": 1}, "cuda"),
        ("cuda:1", {"cuda": 2}, "cuda:1"),
        ("mps", {"mps": True}, "mps"),
    ],
)
def test_a_setting_names_a_device_that_is_here(
    monkeypatch: pytest.MonkeyPatch, setting: str, here: dict[str, int], found: str
) -> None:
    pretend(monkeypatch, **here)
    assert devices.resolved(setting) == found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cuda", "device cuda: .* finds no CUDA device here: set device to cpu or auto"),
        ("cuda:2", "device cuda:2: .* finds 0 CUDA|device cuda:2: .* finds no CUDA"),
        ("mps", "device mps: .* finds no Apple GPU here"),
        ("tpu", "'tpu' is not one of cpu, cuda, cuda:NUMBER, mps, auto"),
    ],
)
def test_a_device_that_is_not_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, setting: str, said: str
) -> None:
    pretend(monkeypatch)
    with pytest.raises(SettingsError, match=said):
        devices.resolved(setting)


def test_a_second_device_is_refused_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=1)
    with pytest.raises(SettingsError, match="finds 1 CUDA devices here, numbered from 0"):
        devices.resolved("cuda:1")


@pytest.mark.parametrize("spec", [CNN, LSTM, LINEAR], ids=lambda one: one.family.name)
def test_the_processor_keeps_what_sound_rests_on(spec: Specification) -> None:
    family_of(spec).check_sound(spec, "cpu")


def test_the_processor_passes_without_a_request() -> None:
    check_device("cpu")


@pytest.mark.skipif(not OTHERS, reason="no GPU is here")
@pytest.mark.parametrize("spec", [CNN, LSTM], ids=lambda one: one.family.name)
def test_a_gpu_serves_a_sound_family_or_says_why_not(spec: Specification) -> None:
    for device in OTHERS:
        with suppress(PrivacyError):
            family_of(spec).check_sound(spec, device)
            x, y = drawn_examples(family_of(spec), spec, 5, seed=1)
            start = family_of(spec).initial(spec, seed=1)
            given = LocalTraining(
                spec, start, Dataset(x, y, ()), noise=SeededNoise(1), device=device
            )
            assert all(np.isfinite(one).all() for one in train_local(given).values())


def test_a_family_that_trains_on_the_processor_has_nothing_to_try() -> None:
    family_of(LINEAR).check_sound(LINEAR, "no such device")


def test_a_device_that_computes_nothing_is_refused_with_what_torch_says() -> None:
    with pytest.raises(PrivacyError, match=r"family cnn: it could not be tried there \(.*meta"):
        family_of(CNN).check_sound(CNN, "meta")
    with pytest.raises(PrivacyError, match="any family: it could not be tried there"):
        check_device("meta")


def test_a_device_without_room_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may use its memory: that says nothing about arithmetic."""

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_family, "check_module", full)
    with pytest.raises(TrainingFailed, match="device cpu:0: there is no memory to try it"):
        family_of(CNN).check_sound(CNN, "cpu:0")


def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products as TensorFloat-32 computes them: of factors with 10 bits."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        bits = values.contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)

    product = torch.Tensor.__matmul__

    def multiplied(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.dtype is torch.float32:
            a, b = rounded(a), rounded(b)
        return product(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", multiplied)


def by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that rounds one row of a block otherwise."""
    backward = example_gradients._backward

    def changed(module, x, y, loss):
        x = x.clone()
        x[17] *= 1 + 2**-22
        return backward(module, x, y, loss)

    monkeypatch.setattr(example_gradients, "_backward", changed)


def by_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose result for an example depends on the others'."""
    backward = example_gradients._backward

    def changed(module, x, y, loss):
        return backward(module, x + 2**-20 * x.mean(), y, loss)

    monkeypatch.setattr(example_gradients, "_backward", changed)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (coarse, "products of matrices err by .* times what 32 bits round"),
        (by_row, "an example contributes other bits at row 18 of a block"),
        (by_company, "an example contributes other bits at row .* of a block"),
    ],
)
def test_arithmetic_that_mixes_or_rounds_more_is_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    fault(monkeypatch)
    refused = f"device cpu:0: .* family cnn: {said}.*; set device to cpu"
    with pytest.raises(PrivacyError, match=refused):
        family_of(CNN).check_sound(CNN, "cpu:0")
    with pytest.raises(PrivacyError, match=said):
        check_device("cpu:0")


def device_check(spec: Specification, device: str = "cpu") -> Outcome:
    [found] = [one for one in check_family(spec, device) if one.check == "device"]
    return found


@pytest.mark.parametrize("fault", [by_row, by_company])
def test_on_the_processor_company_is_no_failure_since_examples_are_clipped_alone(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """The check failed and said: set device to cpu, where it was."""
    fault(monkeypatch)
    monkeypatch.setattr(torch_family, "_company", {})
    found = device_check(CNN)
    assert found.passed
    assert found.said.startswith("on cpu each example is clipped by itself: in one pass an example")
    elsewhere = device_check(CNN, "cpu:0")
    assert not elsewhere.passed
    assert elsewhere.said.endswith("; set device to cpu")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (CNN, "on cpu an example contributes the same bits at each row of a block, beside any"),
        (LSTM, "on cpu each example is clipped by itself, and its gradient was the same each time"),
        (LINEAR, "on cpu nothing was tried: all of this family stays on the processor"),
    ],
    ids=lambda one: "" if isinstance(one, str) else one.family.name,
)
def test_a_check_says_what_was_tried(spec: Specification, said: str) -> None:
    assert device_check(spec).said.startswith(said)


@pytest.mark.parametrize("fault", [by_row, by_company])
def test_where_company_matters_examples_are_clipped_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Found on the processor with images of odd sizes: in one pass a record that takes another's
    row would contribute something else there."""
    x, y = drawn_examples(family_of(CNN), CNN, 20, seed=1)
    start = family_of(CNN).initial(CNN, seed=1)
    weights = {name: values.astype(np.float64) for name, values in start.items()}

    def summed() -> dict[str, np.ndarray]:
        return family_of(CNN).gradient_sum(CNN, weights, x, y, 0.1)

    expected, passes = summed(), []
    fault(monkeypatch)
    monkeypatch.setattr(torch_family, "_company", {})
    monkeypatch.setattr(
        torch_family, "clipped_gradient_sum", lambda *given: passes.append(given) or {}
    )
    found = summed()
    assert passes == []
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-3, abs=1e-5)


def test_a_gradient_that_changes_from_time_to_time_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As sums in an order that chance decides, which GPUs have."""
    gradients, calls = torch.autograd.grad, [0]

    def changed(*given, **named):
        calls[0] += 1
        return tuple(one * (1 + calls[0] * 2**-50) for one in gradients(*given, **named))

    monkeypatch.setattr(torch.autograd, "grad", changed)
    with pytest.raises(
        PrivacyError, match="family char-lstm: an example's gradient differs"
    ) as refused:
        family_of(LSTM).check_sound(LSTM, "cpu")
    assert "set device" not in str(refused.value)


def test_training_asks_for_its_device_and_predictions_of_judges_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    loaded = TorchFamily.loaded

    def seen(self, spec, model, device="cpu"):
        asked.append(device)
        return loaded(self, spec, model, "cpu")

    monkeypatch.setattr(TorchFamily, "loaded", seen)
    x, y = drawn_examples(family_of(CNN), CNN, 4, seed=1)
    start = family_of(CNN).initial(CNN, seed=1)
    given = LocalTraining(CNN, start, Dataset(x, y, ()), noise=SeededNoise(1), device="cpu:0")
    train_local(given)
    assert set(asked) == {"cpu:0"}
    asked.clear()
    family_of(CNN).predict(CNN, start, x)
    assert asked == ["cpu"]


@pytest.mark.parametrize("spec", [CNN, LSTM], ids=lambda one: one.family.name)
def test_a_device_gives_the_model_that_the_processor_gives(spec: Specification) -> None:
    """`cpu:0` is the processor under a name of its own: the same bytes."""
    x, y = drawn_examples(family_of(spec), spec, 5, seed=1)
    start = family_of(spec).initial(spec, seed=1)
    models = [
        train_local(
            LocalTraining(spec, start, Dataset(x, y, ()), noise=SeededNoise(1), device=device)
        )
        for device in ("cpu", "cpu:0")
    ]
    assert all(np.array_equal(models[0][name], models[1][name]) for name in start)
    placed = family_of(spec).on("cpu:0")
    assert np.array_equal(placed.predict(spec, start, x), family_of(spec).predict(spec, start, x))
