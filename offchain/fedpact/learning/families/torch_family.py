"""Families whose arithmetic is torch's: what the convolutional and the recurrent one share.

Predictions are float32 on the processor, where two machines may differ in a last bit: members'
scores then differ by what a few examples at a boundary weigh, which the vote band covers.
Aggregation, and training on one kind of machine and thread count, are exact all the same.
"""

import math
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call, grad, vmap

from fedpact.data.dataset import Targets
from fedpact.learning.artefact import Model, Template
from fedpact.learning.families.base import ModelFamily, Weights, loss
from fedpact.types.specification import Document, Specification

PREDICTED_AT_ONCE = 512
"""Examples of one forward pass."""
GRADIENT_VALUES = 2**23
"""Values of examples' gradients held at once: 64 MiB in float64."""

P = TypeVar("P", bound=Document)
Tensors = dict[str, torch.Tensor]


class TorchFamily(ModelFamily[P]):
    """A network that `module` builds; the template is its state."""

    def template(self, spec: Specification) -> Template:
        with torch.device("meta"):
            state = self.module(spec).state_dict()
        return Template(tuple(sorted((name, tuple(one.shape)) for name, one in state.items())))

    def initial(self, spec: Specification, seed: int) -> Model:
        """Uniform between -`spread` and `spread`, tensors in the order of their names."""
        generator = torch.Generator().manual_seed(seed % 2**64)
        template = self.template(spec)
        shapes = dict(template.tensors)
        model: Model = {}
        for name, shape in template.tensors:
            uniform = 2 * torch.rand(shape, generator=generator) - 1
            model[name] = (uniform * self.spread(spec, name, shapes)).numpy()
        return model

    def spread(self, spec: Specification, name: str, shapes: dict[str, tuple[int, ...]]) -> float:
        """Bound of a tensor's first values: 1 / sqrt(inputs of a unit of its layer), torch's own
        choice for linear and convolutional layers."""
        weight = shapes[name.removesuffix(".bias") + ".weight"] if name.endswith(".bias") else None
        inputs = math.prod((weight or shapes[name])[1:])
        return 1 / math.sqrt(inputs)

    def predict(
        self, spec: Specification, model: Model, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """As declared by the base; what overflows float32 counts as zero probability."""
        module = self.loaded(spec, model).eval()
        parts = [np.empty((0, spec.outputs))]
        with torch.no_grad():
            for place in range(0, len(x), PREDICTED_AT_ONCE):
                found = module(torch.tensor(x[place : place + PREDICTED_AT_ONCE])).double()
                if spec.task == "classification":
                    found = torch.nan_to_num(torch.softmax(found, dim=1), nan=0.0)
                parts.append(found.numpy())
        return np.concatenate(parts)

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        """As declared by the base. Examples' gradients are computed in batches by vmap, where the
        last bit of one's (2^-53 of it) may depend on the others."""
        size = sum(values.size for values in weights.values())
        chunk = PREDICTED_AT_ONCE if clipping_norm is None else max(1, GRADIENT_VALUES // size)
        total = {name: np.zeros(values.shape) for name, values in weights.items()}
        for place in range(0, len(y), chunk):
            inputs = torch.tensor(x[place : place + chunk]).double()
            targets = torch.tensor(y[place : place + chunk])
            if clipping_norm is None:
                found = self._summed(spec, weights, inputs, targets)
            else:
                found = self._clipped(spec, weights, inputs, targets, clipping_norm)
            for name, values in found.items():
                total[name] += values.numpy()
        return total

    def _summed(
        self, spec: Specification, weights: Weights, x: torch.Tensor, y: torch.Tensor
    ) -> Tensors:
        module = self.loaded(spec, weights)
        torch.autograd.backward(loss(spec, module(x), y, "sum"))
        return {name: one.grad for name, one in module.named_parameters() if one.grad is not None}

    def _clipped(
        self,
        spec: Specification,
        weights: Weights,
        x: torch.Tensor,
        y: torch.Tensor,
        clipping_norm: float,
    ) -> Tensors:
        with torch.device("meta"):
            module = self.module(spec)

        def one_loss(parameters: Tensors, example: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            found = functional_call(module, parameters, (example[None],))
            return loss(spec, found, y[None], "sum")

        parameters = {name: torch.tensor(values) for name, values in weights.items()}
        gradients = vmap(grad(one_loss), in_dims=(None, 0, 0))(parameters, x, y)
        squared = sum(one.flatten(1).square().sum(dim=1) for one in gradients.values())
        factors = clipping_norm / torch.as_tensor(squared).sqrt().clamp(min=clipping_norm)
        return {name: torch.tensordot(factors, one, dims=1) for name, one in gradients.items()}
