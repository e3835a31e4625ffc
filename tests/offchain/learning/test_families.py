"""Model families: dense ones against torch, torch ones against single examples."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import DataError, SpecificationError
from fedpact.learning.artefact import Template
from fedpact.learning.families import FAMILIES, family, family_of
from fedpact.privacy.linear_sums import ROUNDING_MARGIN
from tests.support.specifications import SOUND, specification

SOFTMAX = {"name": "softmax-regression", "parameters": {}}
REGRESSION = {"task": "regression", "labels": [], "output": {"column": "y", "scale": 2.0}}
CASES = {
    "softmax": specification(family=SOFTMAX),
    "softmax, examples of norm 3": specification(
        family={**SOFTMAX, "parameters": {"example_norm": 3.0}}
    ),
    "linear": specification(**REGRESSION, family={"name": "linear-regression"}),
    "mlp": specification(family={"name": "mlp", "parameters": {"hidden": [5]}}),
    "mlp, two layers": specification(
        family={"name": "mlp", "parameters": {"hidden": [4, 3], "example_norm": 2}}
    ),
    "mlp, regression": specification(
        **REGRESSION, family={"name": "mlp", "parameters": {"hidden": [5]}}
    ),
}
TREES = {"name": "oblivious-trees", "parameters": {"trees": 9, "depth": 3}}
CASES |= {
    "oblivious trees": specification(family=TREES),
    "oblivious trees, regression": specification(**REGRESSION, family=TREES),
    "generalised linear": specification(family={"name": "generalised-linear"}),
    "generalised linear, regression": specification(
        **REGRESSION, family={"name": "generalised-linear"}
    ),
}
SMALL_CNN = {
    "name": "cnn",
    "parameters": {"form": "mnist", "channels": [2, 3], "hidden": [4], "activation": "tanh"},
}
SMALL_LSTM = {"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 4, "layers": 1}}
CLIPPED = {
    **CASES,
    "cnn": specification(family=SMALL_CNN, features={"shape": [2, 4, 5]}),
    "cnn, regression": specification(**REGRESSION, family=SMALL_CNN, features={"shape": [4, 4]}),
}
ALL = {**CLIPPED, "char-lstm": specification(family=SMALL_LSTM, features={"shape": [6]})}


def example(spec, n=7, seed=1):
    generator = np.random.default_rng(seed)
    shapes = family_of(spec).template(spec).tensors
    model = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes}
    x = generator.normal(size=(n, *spec.features.shape)).astype(np.float32)
    if spec.family.name == "char-lstm":
        x = generator.integers(0, spec.outputs, x.shape).astype(np.float32)
    if spec.task == "regression":
        return model, x, generator.normal(size=n).astype(np.float32)
    return model, x, generator.integers(0, 3, n)


def loaded(spec, model):
    values = {name: one.astype(np.float64) for name, one in model.items()}
    return family_of(spec).loaded(spec, values)


def torch_gradients(spec, model, x, y):
    """Gradient of each example by autograd, as one flat vector an example."""
    import torch

    module = loaded(spec, model)
    rows = []
    for one, label in zip(x, y, strict=True):
        module.zero_grad()
        found = module(torch.tensor(one[None]).double())
        if spec.task == "classification":
            torch.nn.functional.cross_entropy(found, torch.tensor([label])).backward()
        else:
            (0.5 * (found - float(label)) ** 2).sum().backward()
        named = dict(module.named_parameters())
        rows.append(np.concatenate([named[name].grad.numpy().ravel() for name in sorted(named)]))
    return np.array(rows)


def flat(tensors):
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


@pytest.mark.parametrize("name", ALL)
def test_predictions_are_those_of_the_torch_module(name):
    import torch

    spec = ALL[name]
    model, x, _ = example(spec)
    expected = loaded(spec, model)(torch.tensor(x).double()).detach()
    if spec.task == "classification":
        expected = torch.softmax(expected, dim=1)
    found = family_of(spec).predict(spec, model, x)
    assert found.dtype == np.float64
    assert np.allclose(found, expected.numpy(), atol=1e-12 if name in CASES else 1e-5)


@pytest.mark.parametrize("name", ALL)
def test_gradient_sums_are_those_of_autograd(name):
    spec = ALL[name]
    model, x, y = example(spec)
    weights = {name: values.astype(np.float64) for name, values in model.items()}
    found = family_of(spec).gradient_sum(spec, weights, x, y, None)
    assert np.allclose(flat(found), torch_gradients(spec, model, x, y).sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_a_first_model_follows_from_its_seed_and_fits_the_template(name):
    spec = ALL[name]
    found = family_of(spec)
    first, again, other = (found.initial(spec, seed) for seed in (1, 1, 2))
    assert Template.of(first) == found.template(spec)
    assert np.array_equal(flat(first), flat(again))
    assert all(values.dtype == np.float32 for values in first.values())
    linear = name.startswith(("softmax", "linear", "oblivious", "generalised"))
    assert np.array_equal(flat(first), flat(other)) == linear


@pytest.mark.parametrize("spec", CLIPPED.values(), ids=CLIPPED.keys())
@pytest.mark.parametrize("norm", [0.5, 1e9])
def test_clipped_gradient_sums_are_those_of_autograd(spec, norm):
    model, x, y = example(spec)
    rows = torch_gradients(spec, model, x, y)
    norms = np.linalg.norm(rows, axis=1)
    assert norm > 1 or (norms > norm).any()
    in_32_bits = spec.family.name == "cnn"  # in one pass
    usable = norm * (1 - ROUNDING_MARGIN) if in_32_bits else norm
    rows *= np.minimum(1, usable / norms)[:, None]
    weights = {name: values.astype(np.float64) for name, values in model.items()}
    found = family_of(spec).gradient_sum(spec, weights, x, y, norm)
    whole_multiples = 1e-7 * norm if spec.family.name == "oblivious-trees" else 1e-12
    close = 1e-5 if in_32_bits else whole_multiples
    assert np.allclose(flat(found), rows.sum(axis=0), atol=close)


@given(st.integers(0, 2**32), st.floats(1e-3, 10), st.sampled_from(list(CASES)))
def test_no_example_moves_the_sum_by_more_than_the_clipping_norm(seed, norm, case):
    spec = CASES[case]
    model, x, y = example(spec, n=1, seed=seed)
    weights = {name: 50 * values.astype(np.float64) for name, values in model.items()}
    found = family_of(spec).gradient_sum(spec, weights, 1000 * x, y, norm)
    assert np.linalg.norm(flat(found)) <= norm * (1 + 1e-12)


def test_the_sum_over_chunks_is_the_sum(monkeypatch):
    spec = CASES["mlp"]
    model, x, y = example(spec, n=23)
    weights = {name: values.astype(np.float64) for name, values in model.items()}
    found = family("mlp")
    whole = found.gradient_sum(spec, weights, x, y, 0.5), found.predict(spec, model, x)
    monkeypatch.setattr("fedpact.learning.families.dense.CHUNK", 5)
    parts = found.gradient_sum(spec, weights, x, y, 0.5), found.predict(spec, model, x)
    assert np.allclose(flat(parts[0]), flat(whole[0]), atol=1e-12)
    assert np.allclose(parts[1], whole[1], atol=1e-15)


def test_softmax_of_zero_weights_by_hand():
    spec = CASES["softmax"]
    zero = family("softmax-regression").initial(spec, seed=5)
    x, y = np.array([[1, 2]], np.float32), np.array([2])
    assert family("softmax-regression").predict(spec, zero, x).tolist() == [[1 / 3] * 3]
    weights = {name: values.astype(np.float64) for name, values in zero.items()}
    found = family("softmax-regression").gradient_sum(spec, weights, x, y, None)
    assert np.allclose(found["output.bias"], [1 / 3, 1 / 3, -2 / 3])
    assert np.allclose(found["output.weight"], np.outer([1 / 3, 1 / 3, -2 / 3], [1, 2]))


@pytest.mark.parametrize(("right", "expected"), [(3, 0), (2, 3333), (1, 6667), (0, 10_000)])
def test_the_error_is_the_share_of_wrong_answers_rounded_half_up(right, expected):
    spec = CASES["softmax"]
    model = {
        "output.weight": np.zeros((3, 2), np.float32),
        "output.bias": np.array([1, 0, 0], np.float32),
    }
    y = np.array([0] * right + [1] * (3 - right))
    assert (
        family("softmax-regression").error(spec, model, np.ones((3, 2), np.float32), y) == expected
    )


def test_the_largest_weights_give_probabilities_not_nan():
    top = np.finfo(np.float32).max
    for name, spec in ALL.items():
        if spec.task == "regression":
            continue
        model = {
            tensor: np.full(shape, top, np.float32) * np.float32((-1) ** len(tensor))
            for tensor, shape in family_of(spec).template(spec).tensors
        }
        x = np.full((2, *spec.features.shape), top, np.float32)
        assert np.isfinite(family_of(spec).predict(spec, model, x)).all(), name


def test_an_example_without_contrast_is_no_division_by_zero():
    spec = CASES["softmax, examples of norm 3"]
    model, _, _ = example(spec)
    found = family("softmax-regression").predict(spec, model, np.ones((1, 2), np.float32))
    assert np.isfinite(found).all()


def test_the_first_mlp_has_the_spread_of_glorot():
    first = family("mlp").initial(CASES["mlp"], seed=1)
    assert 0.5 < np.abs(first["hidden.0.weight"]).max() <= np.sqrt(6 / 7)


def test_linear_regression_by_hand():
    spec = CASES["linear"]
    model = {
        "output.weight": np.array([[2, -1]], np.float32),
        "output.bias": np.array([0.5], np.float32),
    }
    x, y = np.array([[1, 2], [0, 1]], np.float32), np.array([0.25, 0.0], np.float32)
    found = family("linear-regression")
    assert found.predict(spec, model, x).tolist() == [[0.5], [-0.5]]
    assert found.error(spec, model, x, y) == 3750  # (|0.5 - 0.25| + |-0.5 - 0|) / 2
    assert found.example_errors(spec, model, x, y).tolist() == [0.25, 0.5]
    weights = {name: values.astype(np.float64) for name, values in model.items()}
    sums = found.gradient_sum(spec, weights, x, y, None)  # residuals 0.25 and -0.5
    assert sums["output.weight"].tolist() == [[0.25, 0.0]]
    assert sums["output.bias"].tolist() == [-0.25]


def test_a_regression_far_off_has_the_largest_error():
    spec = CASES["linear"]
    model = {
        "output.weight": np.full((1, 2), 3e38, np.float32),
        "output.bias": np.zeros(1, np.float32),
    }
    x, y = np.full((1, 2), 3e38, np.float32), np.zeros(1, np.float32)
    assert family("linear-regression").error(spec, model, x, y) == 10_000
    assert family("linear-regression").example_errors(spec, model, x, y).tolist() == [1.0]


def test_the_networks_have_the_published_sizes():
    ten = [str(label) for label in range(10)]
    mnist = {"name": "cnn", "parameters": {"form": "mnist"}}
    spec = specification(family=mnist, labels=ten, features={"shape": [28, 28]})
    assert family("cnn").template(spec).parameters == 1_663_370  # McMahan et al. 2017, section 3
    cifar = {"name": "cnn", "parameters": {"form": "cifar10"}}
    spec = specification(family=cifar, labels=ten, features={"shape": [3, 32, 32]})
    convolutions, pooled = (3 * 25 + 1) * 64 + (64 * 25 + 1) * 64, 8 * 8 * 64
    dense = (pooled + 1) * 384 + 385 * 192 + 193 * 10
    assert family("cnn").template(spec).parameters == convolutions + dense


def test_a_stride_divides_what_a_convolution_passes_on():
    asked = {"form": "cifar10", "channels": [4, 5], "strides": [2, 1], "hidden": [6]}
    named = {"name": "cnn", "parameters": asked}
    spec = specification(family=named, features={"shape": [3, 31, 32]})  # 16 x 16, 8 x 8, 4 x 4
    assert dict(family("cnn").template(spec).tensors)["hidden.0.weight"] == (6, 5 * 4 * 4)
    model, x, _ = example(spec)
    assert family("cnn").predict(spec, model, x).shape == (7, len(spec.labels))


def test_a_kernel_of_three_keeps_the_size_that_a_convolution_passes_on():
    asked = {"form": "cifar10", "channels": [4, 5], "kernels": [5, 3], "strides": [2, 1]}
    named = {"name": "cnn", "parameters": {**asked, "hidden": [6]}}
    spec = specification(family=named, features={"shape": [3, 31, 32]})
    shapes = dict(family("cnn").template(spec).tensors)
    assert shapes["convolutions.0.weight"] == (4, 3, 5, 5)
    assert shapes["convolutions.1.weight"] == (5, 4, 3, 3)
    assert shapes["hidden.0.weight"] == (6, 5 * 4 * 4)
    model, x, _ = example(spec)
    assert family("cnn").predict(spec, model, x).shape == (7, len(spec.labels))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("softmax", REGRESSION),
        ("linear", {"task": "classification", "labels": ["a", "b"], "output": None}),
        ("char-lstm", {"features": {"shape": [6], "scale": 2.0}}),
        ("char-lstm", {"features": {"shape": [2, 3]}}),
        ("cnn", {"features": {"shape": [16]}}),
        ("cnn", {"features": {"shape": [3, 28]}}),
        ("cnn", {"family": {"name": "cnn", "parameters": {"form": "mnist", "strides": [2]}}}),
        ("cnn", {"family": {"name": "cnn", "parameters": {"form": "mnist", "kernels": [3]}}}),
    ],
)
def test_what_a_family_cannot_do_is_refused_before_any_work(name, changes):
    given = ALL[name].model_dump(mode="json") | changes
    with pytest.raises(SpecificationError, match="family"):
        family(given["family"]["name"]).check(specification(**given))


def test_characters_outside_the_alphabet_are_refused_in_own_data():
    spec = ALL["char-lstm"]
    found = family("char-lstm")
    found.check_examples(spec, np.array([[0, 1, 2, 2, 1, 0]], np.float32))
    for wrong in (3, -1, 0.5, np.nan):
        with pytest.raises(DataError, match=r"example 1 .* character 2"):
            found.check_examples(spec, np.array([[0, wrong, 2, 2, 1, 0]], np.float32))
        model, _, _ = example(spec)
        assert np.isfinite(found.predict(spec, model, np.full((1, 6), wrong, np.float32))).all()


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "forest", "parameters": {}},
        {"name": "softmax-regression", "parameters": {"hidden": [3]}},
        {"name": "softmax-regression", "parameters": {"example_norm": -1}},
        {"name": "softmax-regression", "parameters": {"example_norm": "1"}},
        {"name": "mlp", "parameters": {"hidden": []}},
        {"name": "mlp", "parameters": {"hidden": [0]}},
        {"name": "mlp", "parameters": {"hidden": [10**9]}},
        {"name": "mlp", "parameters": {"hidden": 3}},
        {"name": "mlp", "parameters": {"depth": 2}},
        {"name": "cnn", "parameters": {}},
        {"name": "cnn", "parameters": {"form": "lenet"}},
        {"name": "char-lstm", "parameters": {"layers": 9}},
    ],
)
def test_parameters_that_a_family_does_not_have_are_refused(asked):
    spec = specification(family=asked)
    with pytest.raises(SpecificationError):
        family_of(spec).check(spec)


def test_scoring_and_training_load_no_heavy_library():
    code = (
        "import sys, fedpact.consensus.scoring, fedpact.data.readers;"
        "import fedpact.learning.local_training;"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'dp_accounting')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_family_has_the_name_that_it_is_found_by():
    assert [family(name).name for name in FAMILIES] == list(FAMILIES)


def test_layers_that_mix_examples_are_refused_under_privacy(monkeypatch):
    cnn = type(family("cnn"))
    real = cnn.module

    def normalised(self, spec):
        from torch import nn

        return nn.Sequential(real(self, spec), nn.BatchNorm1d(spec.outputs))

    changes = {"family": SMALL_CNN, "features": {"shape": [4, 4]}}
    family("cnn").check(specification(**changes, privacy=SOUND))
    monkeypatch.setattr(cnn, "module", normalised)
    family("cnn").check(specification(**changes))
    with pytest.raises(SpecificationError, match="state of its own"):
        family("cnn").check(specification(**changes, privacy=SOUND))
