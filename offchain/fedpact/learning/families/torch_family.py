"""Families computed by torch: the base of the convolutional and recurrent ones.

Predictions are float32 on the processor, where two machines may differ in a last bit: members'
scores then differ by what a few examples at a boundary weigh, which the vote band covers.
Aggregation, and training on one kind of machine and thread count, are exact all the same.
"""

import copy
import math
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import MAX_WEIGHT, Model, Template
from fedpact.learning.devices import Unfit, check_module, check_products, tried
from fedpact.learning.example_gradients import (
    Loss,
    clipped_gradient_sum,
    gradient_norms,
    supports,
)
from fedpact.learning.families.base import GradientFamily, Weights, loss, weights_norm
from fedpact.learning.families.random_examples import drawn_examples
from fedpact.privacy.linear_sums import BLOCK, LARGEST_NORM
from fedpact.types.device import PROCESSOR
from fedpact.types.document import Document
from fedpact.types.privacy import PaperMechanism, PrivacyMode
from fedpact.types.specification import Specification

UNSOUND = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.RReLU)
"""Layers in which an example's output depends on the others of its batch, or on chance."""
PREDICTED_AT_ONCE = 512
"""Examples per forward pass."""

REMEMBERED = 64
"""Networks of which it is known whether company matters."""

_company: dict[tuple[object, ...], bool] = {}
"""Whether it does."""
P = TypeVar("P", bound=Document)


class TorchFamily(GradientFamily[P]):
    """A network that `module` builds; the template is its state.

    A family of texts says in `represented` which numbers the network takes.
    """

    device = PROCESSOR
    """Torch's name of where it computes; see `on`."""

    def on(self, device: str) -> Self:
        if device == self.device:
            return self
        found = copy.copy(self)
        found.device = device
        return found

    def check_sound(self, spec: Specification, device: str) -> str:
        """See the base class. The processor serves what mixes examples: one at a time."""
        if spec.privacy.mode is not PrivacyMode.SOUND:
            return "nothing was tried: privacy mode sound alone rests on it"
        with tried(device, f"family {self.name}"):
            try:
                return self.on(device)._try(spec)
            except Unfit as unfit:
                with torch.device("meta"):
                    in_blocks = supports(self.module(spec))
                if device != PROCESSOR or not in_blocks:
                    raise
                return f"each example is clipped by itself: in one pass {unfit}"

    def _company_matters(self, spec: Specification) -> bool:
        """Whether examples that are clipped in one pass are seen to change what others contribute,
        for this network on this device, with as many threads; then they are clipped one at a
        time."""
        network = self.name, str(spec.family.parameters), spec.features.shape, spec.outputs
        key = (*network, spec.task, self.device, torch.get_num_threads())
        if key not in _company:
            if len(_company) >= REMEMBERED:
                _company.clear()
            try:
                self._try(spec)
            except Unfit:
                _company[key] = True
            else:
                _company[key] = False
        return _company[key]

    def _try(self, spec: Specification) -> str:
        """What `check_module` says with random examples. Raises Unfit as it does, and unless
        products are as precise as 32 bits are."""
        check_products(self.device)
        x, y = drawn_examples(self, spec, 2 * BLOCK, seed=2)
        module = self.loaded(spec, self.initial(spec, seed=1), self.device)
        examples = torch.from_numpy(x), torch.from_numpy(y)
        return check_module(module, *examples, summed_loss(spec), self.device)

    def check(self, spec: Specification) -> None:
        super().check(spec)
        privacy = spec.privacy
        if privacy.mode is PrivacyMode.NONE or privacy.mechanism is PaperMechanism.LAPLACE:
            return
        with torch.device("meta"):
            module = self.module(spec)
        kept = [name for name, _ in module.named_buffers()]
        if kept:
            raise SpecificationError(
                f"family {self.name}: privacy mode {privacy.mode} needs a network without state of "
                f"its own, such as {kept[0]}: it would carry examples past the noise"
            )
        for name, layer in module.named_modules():
            if isinstance(layer, UNSOUND) or vars(layer).get("dropout"):
                raise SpecificationError(
                    f"family {self.name}: layer {name} is {type(layer).__name__}: privacy mode "
                    f"{privacy.mode} takes no layer that mixes examples or draws at random"
                )
        if privacy.mode is PrivacyMode.PAPER and not supports(module):
            raise SpecificationError(
                f"family {self.name}: privacy mode {privacy.mode} needs a network of dense layers "
                "and plain convolutions alone"
            )

    def template(self, spec: Specification) -> Template:
        with torch.device("meta"):
            state = self.module(spec).state_dict()
        shapes = sorted((name, tuple(one.shape)) for name, one in state.items())
        return Template(tuple(shapes), MAX_WEIGHT)

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

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """See the base class; what overflows float32 counts as probability 0."""
        module = self.loaded(spec, model, self.device).eval()
        x = self.represented(spec, x)
        parts = [np.empty((0, spec.outputs))]
        with torch.no_grad():
            for index in range(0, len(x), PREDICTED_AT_ONCE):
                part = torch.tensor(x[index : index + PREDICTED_AT_ONCE], device=self.device)
                found = module(part).cpu().double()
                if spec.task == "classification":
                    found = torch.nan_to_num(torch.softmax(found, dim=1), nan=0.0)
                parts.append(found.numpy())
        return np.concatenate(parts)

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: Inputs,
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        """See the base class. Networks of dense layers and plain convolutions alone are
        clipped in one pass (`clipped_gradients`), unless it was seen that examples change what
        others contribute then; others one example at a time.

        That pass is in 32 bits, and has a margin for what they round; all else in 64. Clipped, an
        example whose gradient overflows counts as zero.
        """
        module = self.loaded(spec, weights, self.device)
        inputs, targets = self._tensors(spec, x, y)
        if clipping_norm is None:
            return self._summed(spec, module, inputs, targets)
        if supports(module) and not self._company_matters(spec):
            return clipped_gradient_sum(
                module.float(), inputs, targets, summed_loss(spec), clipping_norm
            )
        total = {name: np.zeros(values.shape) for name, values in weights.items()}
        for index in range(len(y)):
            one = slice(index, index + 1)
            module.zero_grad()
            gradient = self._summed(spec, module, inputs[one], targets[one])
            length = weights_norm(gradient)
            if not length <= LARGEST_NORM:
                continue
            factor = clipping_norm / max(length, clipping_norm)
            for name, values in gradient.items():
                total[name] += factor * values
        return total

    def gradient_norms(
        self, spec: Specification, weights: Weights, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        module = self.loaded(spec, weights, self.device)
        if not supports(module) or self._company_matters(spec):
            return super().gradient_norms(spec, weights, x, y)
        return gradient_norms(module, *self._tensors(spec, x, y), summed_loss(spec))

    def _tensors(
        self, spec: Specification, x: Inputs, y: Targets
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Examples as the module takes them, and their targets, on the device."""
        inputs = torch.tensor(self.represented(spec, x), device=self.device)
        return inputs, torch.tensor(y, device=self.device)

    def _summed(
        self, spec: Specification, module: nn.Module, x: torch.Tensor, y: torch.Tensor
    ) -> Weights:
        for index in range(0, len(y), PREDICTED_AT_ONCE):
            part = slice(index, index + PREDICTED_AT_ONCE)
            torch.autograd.backward(loss(spec, module(x[part].double()), y[part], "sum"))
        return {
            name: np.zeros(tuple(one.shape)) if one.grad is None else one.grad.cpu().numpy()
            for name, one in module.named_parameters()
        }


def summed_loss(spec: Specification) -> Loss:
    """The sum of the examples' losses."""
    return lambda outputs, y: loss(spec, outputs, y, "sum")
