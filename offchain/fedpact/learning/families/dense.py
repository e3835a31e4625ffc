"""Networks of dense layers: the base of softmax regression, linear regression and the MLP.

Layers: x -> tanh(W_0 x + b_0) -> ... -> W_out a + b_out, in a classification through softmax.
Gradients are in closed form: the gradient of one example with respect to a layer is the outer
product of the layer's error and its input, so its norm follows without forming it (Goodfellow
2015). All arithmetic is float64 numpy; torch is needed only for `module`.

Activations and errors are computed in blocks of BLOCK examples, the last one filled with zeros. A
matrix product of another height may round a row otherwise, and large weights would turn a last bit
into another gradient: so an example has the same gradient to the last bit wherever it stands and
whoever stands beside it. The sums over a chunk round by less than CHUNK^2 * 2^-53 of the
clipping norm, 2 * 10^-9, which `units.CLIPPING_MARGIN` covers.
"""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.data.dataset import Targets
from fedpact.learning.artefact import MAX_WEIGHT, Model, Template
from fedpact.learning.families.base import GradientFamily, Weights
from fedpact.privacy.linear_sums import BLOCK, softmax_probabilities
from fedpact.types.document import Document
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    import torch

OUTPUT = "output"
CHUNK = 128 * BLOCK
"""Examples whose activations are in memory at once."""


class DenseParameters(Document):
    """`example_norm`: if positive, each example is shifted to mean 0 and scaled to this L2 norm
    before the first layer; this uses only the example itself, so it costs no privacy."""

    example_norm: Annotated[float, Field(ge=0, le=1e6)] = 0.0


P = TypeVar("P", bound=DenseParameters)


class DenseFamily(GradientFamily[P]):
    """Dense layers over the flattened example."""

    unit = "a record: one row of a table or one example of an array"
    sound = True

    @abstractmethod
    def hidden(self, spec: Specification) -> tuple[int, ...]:
        """Widths of the hidden layers."""

    def initial(self, spec: Specification, seed: int) -> Model:
        """Without hidden layers all zeros, whatever the seed; else biases zero and weights
        uniform, |w|^2 <= 6 / (inputs + outputs) (Glorot & Bengio 2010)."""
        generator = np.random.Generator(np.random.PCG64(seed))
        model: Model = {}
        for name, shape in self.template(spec).tensors:
            if name.endswith(".bias") or not self.hidden(spec):
                model[name] = np.zeros(shape, np.float32)
            else:
                limit = np.sqrt(6 / sum(shape))
                model[name] = ((2 * generator.random(shape) - 1) * limit).astype(np.float32)
        return model

    def template(self, spec: Specification) -> Template:
        tensors: list[tuple[str, tuple[int, ...]]] = []
        width = math.prod(spec.features.shape)
        sizes = (*self.hidden(spec), spec.outputs)
        for layer, size in zip(self.layers(spec), sizes, strict=True):
            tensors += [(f"{layer}.weight", (size, width)), (f"{layer}.bias", (size,))]
            width = size
        return Template(tuple(sorted(tensors)), MAX_WEIGHT)

    def layers(self, spec: Specification) -> list[str]:
        """Names of the layers, first to last."""
        return [f"hidden.{number}" for number in range(len(self.hidden(spec)))] + [OUTPUT]

    def predict(
        self, spec: Specification, model: Model, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        weights = {name: values.astype(np.float64) for name, values in model.items()}
        chunks = [
            self._activations(spec, weights, self._prepare(spec, x[index : index + CHUNK]))[-1]
            for index in range(0, len(x), CHUNK)
        ]
        return np.concatenate(chunks) if chunks else np.empty((0, spec.outputs))

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        total = {name: np.zeros(values.shape) for name, values in weights.items()}
        for index in range(0, len(y), CHUNK):
            part = slice(index, index + CHUNK)
            self._add_gradients(spec, weights, x[part], y[part], clipping_norm, total)
        return total

    def gradient_norms(
        self, spec: Specification, weights: Weights, x: NDArray[np.float32], y: Targets
    ) -> NDArray[np.float64]:
        parts = [slice(index, index + CHUNK) for index in range(0, len(y), CHUNK)]
        found = [_norms(*self._factors(spec, weights, x[part], y[part])) for part in parts]
        return np.concatenate(found) if found else np.empty(0)

    def module(self, spec: Specification) -> "torch.nn.Module":
        from fedpact.learning.families.dense_module import DenseNetwork

        width = math.prod(spec.features.shape)
        norm = self.parameters(spec).example_norm
        return DenseNetwork(width, self.hidden(spec), spec.outputs, norm)

    def _activations(
        self, spec: Specification, weights: Weights, inputs: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        """Input of each layer and the predictions: [(..., width_0), ..., (..., outputs)]."""
        found = [inputs]
        *hidden, output = self.layers(spec)
        for layer in hidden:
            found.append(np.tanh(_affine(weights, layer, found[-1])))
        found.append(self._linked(spec, _affine(weights, output, found[-1])))
        return found

    def _linked(self, spec: Specification, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predictions, (..., outputs), of what the last layer gives."""
        return softmax_probabilities(raw) if spec.task == "classification" else raw

    def _output_errors(
        self, spec: Specification, predicted: NDArray[np.float64], y: Targets
    ) -> NDArray[np.float64]:
        """dLoss/doutputs, (n, outputs): p - onehot(y), or prediction - y. May reuse `predicted`."""
        if spec.task == "classification":
            predicted[np.arange(len(y)), y] -= 1.0
        else:
            predicted[:, 0] -= y
        return predicted

    def _factors(
        self, spec: Specification, weights: Weights, x: NDArray[np.float32], y: Targets
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Of each layer the examples' errors, (n, outputs), and inputs, (n, width): an example's
        gradient of the layer's weights is the outer product of the two, of its bias the error."""
        n = len(y)
        *inputs, error = self._activations(spec, weights, _in_blocks(self._prepare(spec, x)))
        counted = error.reshape(-1, error.shape[-1])[:n]
        counted[...] = self._output_errors(spec, counted, y)
        layers = self.layers(spec)
        errors = [error]
        for layer, activation in zip(layers[:0:-1], inputs[:0:-1], strict=True):
            errors.append((errors[-1] @ weights[f"{layer}.weight"]) * (1 - activation**2))
        flat = [[one.reshape(-1, one.shape[-1])[:n] for one in of] for of in (errors, inputs)]
        return flat[0][::-1], flat[1]

    def _add_gradients(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
        total: Weights,
    ) -> None:
        errors, inputs = self._factors(spec, weights, x, y)
        if clipping_norm is None:
            factors = np.ones(len(y))
        else:
            norms = _norms(errors, inputs)
            factors = clipping_norm / np.maximum(norms, clipping_norm)
            unusable = ~np.isfinite(norms)
            if unusable.any():  # 0 times infinity is no number
                factors = np.where(unusable, 0.0, factors)
                errors = [np.where(unusable[:, None], 0.0, one) for one in errors]
                inputs = [np.where(unusable[:, None], 0.0, one) for one in inputs]
        for layer, one, inp in zip(self.layers(spec), errors, inputs, strict=True):
            scaled = one * factors[:, None]
            total[f"{layer}.weight"] += scaled.T @ inp
            total[f"{layer}.bias"] += scaled.sum(axis=0)

    def _prepare(self, spec: Specification, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Examples as the first layer takes them: (n, width) float64, of norm `example_norm`."""
        flat = x.reshape(len(x), -1).astype(np.float64)
        norm = self.parameters(spec).example_norm
        if norm == 0:
            return flat
        centred = flat - flat.mean(axis=1, keepdims=True)
        length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
        return np.asarray(centred * (norm / np.where(length > 0, length, 1.0)))


def _norms(
    errors: list[NDArray[np.float64]], inputs: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Norms of the examples' gradients, (n,), over all layers; a bias has an input of 1."""
    squared = np.zeros(len(errors[0]))
    for one, inp in zip(errors, inputs, strict=True):
        squared += (one**2).sum(axis=1) * ((inp**2).sum(axis=1) + 1)
    return np.sqrt(squared)


def _in_blocks(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, width) -> (blocks, BLOCK, width), rows of zeros at the end."""
    missing = -len(rows) % BLOCK
    if missing:
        rows = np.concatenate([rows, np.zeros((missing, rows.shape[1]))])
    return rows.reshape(-1, BLOCK, rows.shape[1])


def _affine(weights: Weights, layer: str, a: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"])
