"""What a family promises, tried on examples that are drawn for it: for authors of families, and for
providers before they list one in their policy.

It finds mistakes, not malice: a package's code can do anything on the machines that run it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.errors import FedpactError, InvalidInput
from fedpact.learning.artefact import Model, Template, decode, encode
from fedpact.learning.checks import check_published
from fedpact.learning.epochs import MeanLoss, train_epochs
from fedpact.learning.families import family_of
from fedpact.learning.families.base import GradientFamily, Weights, loss
from fedpact.learning.families.random_examples import drawn_examples
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.types.device import PROCESSOR
from fedpact.types.local_training import LocalEpochs, LocalSteps
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

EXAMPLES = 8
CLIPPED_PART = 0.5
"""The clipping norm as a part of the median norm, so that most examples are clipped."""
LARGE = 50.0
"""Factor of the weights with which gradients are large and activations saturate."""
THREADS = (1, 2)
DRAWS = 10
ERRORS = 6.0
"""Standard errors by which the noise's measured scale may differ from the stated one."""
CLOSE = 1e-4
"""Relative difference that 32 bits explain."""
CLIPPING_MARGIN = 1e-3
"""Relative; by up to this less may be let through than the clipping norm."""


@dataclass(frozen=True)
class Outcome:
    """One check of a family."""

    check: str
    passed: bool
    said: str
    """What was seen, or what went wrong."""


class _Failed(Exception):
    """A check that did not pass; its message says why."""


@dataclass(frozen=True)
class _Trial:
    spec: Specification
    family: GradientFamily[Any]
    model: Model
    x: NDArray[np.float32]
    y: Targets

    @property
    def weights(self) -> Weights:
        return {name: values.astype(np.float64) for name, values in self.model.items()}

    def gradient(self, rows: slice | list[int], norm: float | None, scale: float = 1.0) -> Flat:
        weights = {name: scale * values for name, values in self.weights.items()}
        found = self.family.gradient_sum(self.spec, weights, self.x[rows], self.y[rows], norm)
        return _flat(found)


Flat = NDArray[np.float64]


def check_family(spec: Specification, device: str = PROCESSOR) -> list[Outcome]:
    """Try the family of a specification with its parameters, shape and task, and say of each check
    whether it passed.

    Under privacy mode `sound` gradients' clipping and the noise are tried as well. A family of
    texts is tried with the numbers that it makes of them.

    `device`: torch's name of the one on which privacy's conditions are tried too; all else runs on
    the processor. Raises SpecificationError for a specification
    that could not be published, InvalidInput for a family that constructs its models.
    """
    check_published(spec)
    family = family_of(spec)
    if not isinstance(family, GradientFamily):
        raise InvalidInput(
            f"family {spec.family.name}: checks are for families that descend a gradient"
        )
    x, y = drawn_examples(family, spec, EXAMPLES, seed=1)
    trial = _Trial(spec, family, family.initial(spec, seed=1), x, y)
    return list(_outcomes(trial, device))


def _outcomes(trial: _Trial, device: str) -> Iterator[Outcome]:
    checks: list[tuple[str, Callable[[_Trial], str]]] = [
        ("layers", _layers),
        ("template", _template),
        ("predictions", _predictions),
        ("gradients", _gradients),
        ("epochs", _epochs),
    ]
    if trial.spec.privacy.mode is PrivacyMode.SOUND:
        checks += [("clipping", _clipping), ("company", _company), ("overflow", _overflow)]
        checks += [("noise", _noise), ("device", partial(_device, device))]
    for name, check in [*checks, ("threads", _threads)]:
        try:
            yield Outcome(name, True, check(trial))
        except (_Failed, FedpactError, RuntimeError, ValueError, IndexError) as error:
            yield Outcome(name, False, " ".join(str(error).split())[:300])


def _layers(trial: _Trial) -> str:
    """`family.check` has refused what fedpact knows; Opacus knows more."""
    if find_spec("opacus") is None:
        return "known layers only; install opacus to ask its validator too"
    from opacus.validators import ModuleValidator

    module = trial.family.module(trial.spec).train()
    found = ModuleValidator.validate(module, strict=False)
    if found:
        raise _Failed("; ".join(str(one) for one in found))
    return "Opacus' validator objects to none"


def _template(trial: _Trial) -> str:
    spec, family = trial.spec, trial.family
    template = family.template(spec)
    if Template.of(trial.model) != template:
        raise _Failed("the first model does not fit the template")
    again, other = family.initial(spec, seed=1), family.initial(spec, seed=2)
    if not np.array_equal(_flat(again), _flat(trial.model)):
        raise _Failed("the first model does not follow from its seed")
    if not all(np.isfinite(values).all() for values in (*trial.model.values(), *other.values())):
        raise _Failed("the first model has values that are not finite")
    return f"{template.parameters} values in {len(template.tensors)} tensors"


def _predictions(trial: _Trial) -> str:
    """Of an example alone, and in company, are the same: no operation mixes examples."""
    spec, family = trial.spec, trial.family
    found = family.predict(spec, trial.model, trial.x)
    if found.shape != (EXAMPLES, spec.outputs) or not np.isfinite(found).all():
        raise _Failed(f"predictions have shape {found.shape}, or are not finite")
    if spec.task == "classification" and not np.allclose(found.sum(axis=1), 1, atol=CLOSE):
        raise _Failed("probabilities do not add up to 1")
    if not np.array_equal(found, family.predict(spec, trial.model, trial.x)):
        raise _Failed("a second prediction differs: something in it is random, or keeps state")
    alone = [family.predict(spec, trial.model, trial.x[[row]])[0] for row in range(EXAMPLES)]
    if not np.allclose(found, alone, rtol=CLOSE, atol=CLOSE):
        raise _Failed("an example's prediction depends on the examples beside it")
    return "the same alone and in company"


def _gradients(trial: _Trial) -> str:
    rows = _autograd(trial)
    found = trial.gradient(slice(None), None)
    if not _near(found, rows.sum(axis=0)):
        raise _Failed("the sum of gradients is not that of autograd")
    return "the sums of autograd"


def _epochs(trial: _Trial) -> str:
    """A model that was trained in epochs can be submitted; the noise is tried on one of a step."""
    local = LocalEpochs(epochs=1, batch_size=EXAMPLES // 2, learning_rate=1e-3)
    data = Dataset(trial.x, trial.y, ())
    training = LocalTraining(trial.spec, trial.model, data, noise=None)
    order = np.random.default_rng(1)
    found = train_epochs(training, local, order, MeanLoss(trial.spec), None)
    decode(encode(found), trial.family.template(trial.spec))
    return f"a model of {local.steps_for(EXAMPLES)} batches is read as it was written"


def _clipping(trial: _Trial) -> str:
    rows = _autograd(trial)
    lengths = np.linalg.norm(rows, axis=1)
    norm = CLIPPED_PART * float(np.median(lengths))
    if norm == 0:
        raise _Failed("gradients are zero")
    expected = (rows * np.minimum(1, norm / np.maximum(lengths, 1e-300))[:, None]).sum(axis=0)
    if not _near(trial.gradient(slice(None), norm), expected, CLIPPING_MARGIN):
        raise _Failed("clipped gradients are not autograd's, each clipped by itself")
    return f"each example clipped by itself, {int((lengths > norm).sum())} of {EXAMPLES} shortened"


def _company(trial: _Trial) -> str:
    """An example's contribution is never longer than the clipping norm, whoever is beside it."""
    worst = 0.0
    for scale in (1.0, LARGE):
        whole = trial.gradient(slice(None), 1.0, scale)
        for row in range(EXAMPLES):
            others = [one for one in range(EXAMPLES) if one != row]
            rest = trial.gradient(others, 1.0, scale)
            worst = max(worst, float(np.linalg.norm(whole - rest)))
    if not worst <= 1 + 1e-9:
        raise _Failed(f"an example moves the sum by {worst:.9g} clipping norms")
    return f"an example moves the sum by {worst:.6f} clipping norms at most"


def _overflow(trial: _Trial) -> str:
    x = trial.x.copy()
    x[0] = np.finfo(np.float32).max
    found = trial.family.gradient_sum(trial.spec, trial.weights, x, trial.y, 1.0)
    if not np.isfinite(_flat(found)).all():
        raise _Failed("one example makes the sum infinite")
    return "an example that overflows does not make the sum infinite"


def _noise(trial: _Trial) -> str:
    """Of one release, over all values and some draws."""
    draws = np.array([_released(trial, seed) for seed in range(DRAWS)])
    if not np.array_equal(draws[0], _released(trial, 0)):
        raise _Failed("the same noise gives another release")
    spec = trial.spec
    assert spec.privacy.noise_multiplier is not None
    assert spec.privacy.clipping_norm is not None
    stated = spec.privacy.noise_multiplier * spec.privacy.clipping_norm / EXAMPLES
    measured = float(draws.std(axis=0, ddof=1).astype(np.float64).mean())
    # Of DRAWS values the standard deviation is underestimated by about 1 / (4 DRAWS).
    ratio = measured / stated * (1 + 1 / (4 * DRAWS))
    margin = ERRORS / math.sqrt(2 * draws.size) + 0.01
    if abs(ratio - 1) > margin:
        raise _Failed(f"the release varies by {ratio:.3f} times the stated noise")
    return f"{ratio:.3f} times the stated noise over {DRAWS} draws"


def _device(device: str, trial: _Trial) -> str:
    return f"on {device} {trial.family.check_sound(trial.spec, device)}"


def _threads(trial: _Trial) -> str:
    """On one kind of processor, however many threads it has: what others recompute has the same
    bytes, and training the same values, but for the order in which a product adds up."""
    before, predicted = torch.get_num_threads(), set[bytes]()
    norm = 1.0 if trial.spec.privacy.mode is PrivacyMode.SOUND else None
    gradients: list[Flat] = []
    try:
        for count in (*THREADS, THREADS[0]):
            torch.set_num_threads(count)
            predicted.add(trial.family.predict(trial.spec, trial.model, trial.x).tobytes())
            gradients.append(trial.gradient(slice(None), norm))
    finally:
        torch.set_num_threads(before)
    every = " and ".join(map(str, THREADS))
    if len(predicted) > 1:
        raise _Failed(f"predictions differ with {every} threads")
    first, other, again = gradients
    if not np.array_equal(first, again):
        raise _Failed("gradients differ with as many threads as before")
    if not _near(other, first):
        raise _Failed(f"gradients differ with {every} threads by more than rounding")
    same = "" if np.array_equal(first, other) else "; gradients differ in their last bits"
    return f"predictions of the same bytes with {every} threads{same}"


def _released(trial: _Trial, seed: int) -> Flat:
    training = LocalTraining(
        trial.spec.model_copy(update={"local": LocalSteps(steps=1, learning_rate=1.0)}),
        trial.model,
        Dataset(trial.x, trial.y, ()),
        noise=SeededNoise(seed),
        round_and_seat=(1, 0),
    )
    return _flat(train_local(training))


def _autograd(trial: _Trial) -> Flat:
    """Gradient of each example by autograd in 64 bits, (n, values)."""
    module = trial.family.loaded(trial.spec, trial.weights)
    rows = []
    for x, y in zip(torch.tensor(trial.x), torch.tensor(trial.y), strict=True):
        module.zero_grad()
        torch.autograd.backward(loss(trial.spec, module(x[None].double()), y[None], "sum"))
        rows.append(
            _flat(
                {
                    name: np.zeros(one.shape) if one.grad is None else one.grad.numpy()
                    for name, one in module.named_parameters()
                }
            )
        )
    return np.array(rows)


def _near(found: Flat, expected: Flat, margin: float = CLOSE) -> bool:
    distance = float(np.linalg.norm(found - expected))
    return distance <= margin * max(float(np.linalg.norm(expected)), 1e-12)


def _flat(tensors: Model | Weights) -> Flat:
    parts = [tensors[name].ravel().astype(np.float64) for name in sorted(tensors)]
    return np.concatenate(parts)
