"""Softmax regression and the MLP against torch."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import SpecificationError
from fedpact.learning.families import FAMILIES, family
from specifications import specification

SOFTMAX = {"name": "softmax-regression", "parameters": {}}
CASES = {
    "softmax": specification(family=SOFTMAX),
    "softmax, examples of norm 3": specification(
        family={**SOFTMAX, "parameters": {"example_norm": 3.0}}
    ),
    "mlp": specification(family={"name": "mlp", "parameters": {"hidden": [5]}}),
    "mlp, two layers": specification(
        family={"name": "mlp", "parameters": {"hidden": [4, 3], "example_norm": 2}}
    ),
}


def example(spec, n=7, seed=1):
    generator = np.random.default_rng(seed)
    shapes = family(spec.family.name).template(spec).tensors
    model = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes}
    x = generator.normal(size=(n, 2)).astype(np.float32)
    return model, x, generator.integers(0, 3, n)


def torch_gradients(spec, model, x, y):
    """Gradient of each example by autograd, as one flat vector an example."""
    import torch

    module = family(spec.family.name).module(spec).double()
    module.load_state_dict({name: torch.tensor(values) for name, values in model.items()})
    rows = []
    for one, label in zip(x, y, strict=True):
        module.zero_grad()
        logits = module(torch.tensor(one[None]).double())
        torch.nn.functional.cross_entropy(logits, torch.tensor([label])).backward()
        named = dict(module.named_parameters())
        rows.append(np.concatenate([named[name].grad.numpy().ravel() for name in sorted(named)]))
    return np.array(rows)


def flat(tensors):
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
def test_probabilities_are_those_of_the_torch_module(spec):
    import torch

    model, x, _ = example(spec)
    module = family(spec.family.name).module(spec).double()
    module.load_state_dict({name: torch.tensor(values) for name, values in model.items()})
    expected = torch.softmax(module(torch.tensor(x).double()), dim=1).detach().numpy()
    found = family(spec.family.name).predict(spec, model, x)
    assert np.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("norm", [None, 0.5, 1e9])
def test_clipped_gradient_sums_are_those_of_autograd(spec, norm):
    model, x, y = example(spec)
    rows = torch_gradients(spec, model, x, y)
    if norm is not None:
        norms = np.linalg.norm(rows, axis=1)
        assert norm > 1 or (norms > norm).any()
        rows *= np.minimum(1, norm / norms)[:, None]
    weights = {name: values.astype(np.float64) for name, values in model.items()}
    found = family(spec.family.name).gradient_sum(spec, weights, x, y, norm)
    assert np.allclose(flat(found), rows.sum(axis=0), atol=1e-12)


@given(st.integers(0, 2**32), st.floats(1e-3, 10), st.sampled_from(list(CASES)))
def test_no_example_moves_the_sum_by_more_than_the_clipping_norm(seed, norm, case):
    spec = CASES[case]
    model, x, y = example(spec, n=1, seed=seed)
    weights = {name: 50 * values.astype(np.float64) for name, values in model.items()}
    found = family(spec.family.name).gradient_sum(spec, weights, 1000 * x, y, norm)
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
    for name, spec in CASES.items():
        model = {
            tensor: np.full(shape, top, np.float32) * np.float32((-1) ** len(tensor))
            for tensor, shape in family(spec.family.name).template(spec).tensors
        }
        x = np.array([[top, -top], [1, 1]], np.float32)
        assert np.isfinite(family(spec.family.name).predict(spec, model, x)).all(), name


def test_an_example_without_contrast_is_no_division_by_zero():
    spec = CASES["softmax, examples of norm 3"]
    model, _, _ = example(spec)
    found = family("softmax-regression").predict(spec, model, np.ones((1, 2), np.float32))
    assert np.isfinite(found).all()


def test_the_first_mlp_follows_from_its_seed():
    spec = CASES["mlp"]
    first, again, other = (family("mlp").initial(spec, seed) for seed in (1, 1, 2))
    assert np.array_equal(flat(first), flat(again))
    assert not np.array_equal(flat(first), flat(other))
    assert np.abs(first["hidden.0.weight"]).max() <= np.sqrt(6 / 7)


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
    ],
)
def test_parameters_that_a_family_does_not_have_are_refused(asked):
    spec = specification(family=asked)
    with pytest.raises(SpecificationError):
        family(spec.family.name).template(spec)


def test_scoring_and_training_load_no_heavy_library():
    code = (
        "import sys, fedpact.consensus.scoring, fedpact.learning.local, fedpact.data.readers;"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'dp_accounting')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(FAMILIES) == {"softmax-regression", "mlp"}
