"""Networks of dense layers for classification: what softmax regression and the MLP share.

Layers: x -> tanh(W_0 x + b_0) -> ... -> softmax(W_out a + b_out), loss cross-entropy. Gradients are
in closed form: the gradient of one example with respect to a layer is the outer product of the
layer's error and its input, so its norm follows without forming it (Goodfellow 2015).
All arithmetic is float64 numpy; torch is needed only for `module`.
"""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import Model, Template
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    import torch

Weights = dict[str, NDArray[np.float64]]
OUTPUT = "output"
EXAMPLE_NORM = "example_norm"
CHUNK = 4096
"""Examples whose activations are held at once."""


class ModelFamily(ABC):
    """A family of classifiers; everything is a function of the specification and a model.

    Parameter of every family: `example_norm` (default 0): where positive, each example is shifted
    to mean 0 and scaled to this L2 norm before the first layer, by itself, so that it costs no
    privacy.
    """

    name: str

    @abstractmethod
    def hidden(self, spec: Specification) -> tuple[int, ...]:
        """Widths of the hidden layers."""

    @abstractmethod
    def initial(self, spec: Specification, seed: int) -> Model:
        """The first global model."""

    def template(self, spec: Specification) -> Template:
        """Names and shapes of the tensors; raises SpecificationError for unknown parameters."""
        example_norm(spec)
        tensors: list[tuple[str, tuple[int, ...]]] = []
        width = math.prod(spec.features.shape)
        sizes = (*self.hidden(spec), len(spec.labels))
        for layer, size in zip(self.layers(spec), sizes, strict=True):
            tensors += [(f"{layer}.weight", (size, width)), (f"{layer}.bias", (size,))]
            width = size
        return Template(tuple(sorted(tensors)))

    def layers(self, spec: Specification) -> list[str]:
        """Names of the layers, first to last."""
        return [f"hidden.{number}" for number in range(len(self.hidden(spec)))] + [OUTPUT]

    def predict(
        self, spec: Specification, model: Model, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Probabilities, shape (n, labels), of examples of shape (n, *shape)."""
        weights = {name: values.astype(np.float64) for name, values in model.items()}
        chunks = [
            self._activations(spec, weights, prepare(spec, x[place : place + CHUNK]))[-1]
            for place in range(0, len(x), CHUNK)
        ]
        return np.concatenate(chunks) if chunks else np.empty((0, len(spec.labels)))

    def error(self, spec: Specification, model: Model, x: NDArray[np.float32], y: Targets) -> int:
        """1 - accuracy in 1/10,000, rounded half up; needs at least one example."""
        wrong = int((self.predict(spec, model, x).argmax(axis=1) != y).sum())
        return (2 * 10_000 * wrong + len(y)) // (2 * len(y))

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        """Sum over the examples of the loss gradients, each clipped to `clipping_norm` (or not).

        Values and norms are float64; the norm is over all tensors together.
        """
        total = {name: np.zeros(values.shape) for name, values in weights.items()}
        for place in range(0, len(y), CHUNK):
            part = slice(place, place + CHUNK)
            self._add_gradients(spec, weights, x[part], y[part], clipping_norm, total)
        return total

    def module(self, spec: Specification) -> "torch.nn.Module":
        """The same network in torch, with the same tensor names; it returns logits."""
        from fedpact.learning.families.torch_module import DenseNetwork

        width = math.prod(spec.features.shape)
        return DenseNetwork(width, self.hidden(spec), len(spec.labels), example_norm(spec))

    def _activations(
        self, spec: Specification, weights: Weights, inputs: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        """Input of each layer and the probabilities: [(n, width_0), ..., (n, labels)]."""
        found = [inputs]
        *hidden, output = self.layers(spec)
        for layer in hidden:
            found.append(np.tanh(_affine(weights, layer, found[-1])))
        logits = _affine(weights, output, found[-1])
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        found.append(shifted / shifted.sum(axis=1, keepdims=True))
        return found

    def _add_gradients(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
        total: Weights,
    ) -> None:
        *inputs, probabilities = self._activations(spec, weights, prepare(spec, x))
        error = probabilities  # dLoss/dlogits = p - onehot(y), (n, labels)
        error[np.arange(len(y)), y] -= 1.0
        layers = self.layers(spec)
        errors = [error]
        for layer, activation in zip(layers[:0:-1], inputs[:0:-1], strict=True):
            errors.append((errors[-1] @ weights[f"{layer}.weight"]) * (1 - activation**2))
        errors.reverse()

        squared = np.zeros(len(y))
        for one, inp in zip(errors, inputs, strict=True):
            squared += (one**2).sum(axis=1) * ((inp**2).sum(axis=1) + 1)
        if clipping_norm is None:
            factors = np.ones(len(y))
        else:
            factors = clipping_norm / np.maximum(np.sqrt(squared), clipping_norm)
        for layer, one, inp in zip(layers, errors, inputs, strict=True):
            scaled = one * factors[:, None]
            total[f"{layer}.weight"] += scaled.T @ inp
            total[f"{layer}.bias"] += scaled.sum(axis=0)


def _affine(weights: Weights, layer: str, a: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"])


def example_norm(spec: Specification) -> float:
    """The parameter `example_norm`; raises SpecificationError for one that is no number >= 0."""
    value = spec.family.parameters.get(EXAMPLE_NORM, 0)
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise SpecificationError(f"family: example_norm must be a number from 0, not {value!r}")
    return float(value)


def check_parameters(spec: Specification, known: frozenset[str]) -> None:
    """Raises SpecificationError for a parameter that the family does not have."""
    for name in spec.family.parameters:
        if name not in known:
            raise SpecificationError(f"family {spec.family.name!r} has no parameter {name!r}")


def prepare(spec: Specification, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Examples as the first layer takes them: (n, width) float64, of norm `example_norm`."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    norm = example_norm(spec)
    if norm == 0:
        return flat
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(centred * (norm / np.where(length > 0, length, 1.0)))
