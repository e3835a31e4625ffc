"""Convolutional networks for images, after McMahan et al. 2017 (section 3).

Two or more convolutions, of 5 x 5 unless asked otherwise, each with 2 x 2 max pooling, then dense
layers. With its defaults the form `mnist` is their network for MNIST: 1,663,370 values.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from fedpact.errors import SpecificationError
from fedpact.learning.families.torch_family import TorchFamily
from fedpact.types.document import Document
from fedpact.types.specification import Specification

KERNEL = 5
POOL = 2
MAX_LAYERS = 4

Size = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=KERNEL - 1)]
Kernel = Literal[3, 5]


class CNNParameters(Document):
    """`form` fixes the widths that are not given."""

    form: Literal["mnist", "cifar10"]
    channels: Annotated[tuple[Size, ...], Field(max_length=MAX_LAYERS)] = ()
    """Of each convolution; the form's own where empty."""
    strides: Annotated[tuple[Stride, ...], Field(max_length=MAX_LAYERS)] = ()
    """Of each convolution; 1 where empty. A first one of 2 makes training several times faster."""
    kernels: Annotated[tuple[Kernel, ...], Field(max_length=MAX_LAYERS)] = ()
    """Sides of each convolution; 5 where empty. One of 3 is a third of the work."""
    hidden: Annotated[tuple[Size, ...], Field(max_length=MAX_LAYERS)] = ()
    """Widths of the dense layers before the last; the form's own where empty."""
    activation: Literal["relu", "tanh"] = "relu"
    """tanh suits clipped gradients better (Papernot et al. 2021)."""


FORMS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "mnist": ((32, 64), (512,)),
    "cifar10": ((64, 64), (384, 192)),
}
"""(channels, hidden); that for CIFAR-10 has the widths of the TensorFlow tutorial's network, which
McMahan et al. took, without its local response normalisation."""


class CNN(TorchFamily[CNNParameters]):
    """Takes examples of shape (height, width) or (channels, height, width)."""

    name = "cnn"
    tasks = frozenset({"classification", "regression"})
    unit = "a record: one image or one array of an array file"
    sound = True
    schema = CNNParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        self.module_size(spec)

    def module(self, spec: Specification) -> nn.Module:
        parameters = self.parameters(spec)
        channels, hidden = self.widths(spec)
        inputs, pooled = self.module_size(spec)
        activation = nn.ReLU if parameters.activation == "relu" else nn.Tanh
        return ConvolutionalNetwork(
            inputs,
            channels,
            self.kernels(spec),
            self.strides(spec),
            pooled,
            hidden,
            spec.outputs,
            activation,
        )

    def widths(self, spec: Specification) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(channels, hidden), as asked for or as the form has them."""
        parameters = self.parameters(spec)
        channels, hidden = FORMS[parameters.form]
        return parameters.channels or channels, parameters.hidden or hidden

    def strides(self, spec: Specification) -> tuple[int, ...]:
        """Of each convolution; raises SpecificationError if there are not as many."""
        return self._of_each(spec, "strides", self.parameters(spec).strides, 1)

    def kernels(self, spec: Specification) -> tuple[int, ...]:
        """Sides of each convolution; raises SpecificationError if there are not as many."""
        return self._of_each(spec, "kernels", self.parameters(spec).kernels, KERNEL)

    def _of_each(
        self, spec: Specification, what: str, asked: tuple[int, ...], usual: int
    ) -> tuple[int, ...]:
        channels, _ = self.widths(spec)
        found = asked or (usual,) * len(channels)
        if len(found) != len(channels):
            raise SpecificationError(
                f"family cnn: {len(found)} {what} for {len(channels)} convolutions: give one "
                "for each, or none"
            )
        return found

    def module_size(self, spec: Specification) -> tuple[int, int]:
        """(channels of an example, values after the last pooling).

        Raises SpecificationError for examples that are no images, or too small.
        """
        shape = spec.features.shape
        if len(shape) not in (2, 3):
            raise SpecificationError(
                f"family cnn: examples of shape (height, width) or (channels, height, width), not "
                f"{shape}"
            )
        channels, _ = self.widths(spec)
        self.kernels(spec)
        sides = list(shape[-2:])
        for stride in self.strides(spec):
            sides = [math.ceil(side / stride) // POOL for side in sides]
        if not all(sides):
            raise SpecificationError(
                f"family cnn: examples of {shape[-2]} x {shape[-1]} are too small for "
                f"{len(channels)} poolings and these strides"
            )
        return shape[0] if len(shape) == 3 else 1, math.prod(sides) * channels[-1]


class ConvolutionalNetwork(nn.Module):
    """Convolutions that keep the size, or divide it by their stride, poolings that halve it, dense
    layers."""

    def __init__(
        self,
        inputs: int,
        channels: tuple[int, ...],
        kernels: tuple[int, ...],
        strides: tuple[int, ...],
        pooled: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        before = (inputs, *channels)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, after, kernel, stride, padding=kernel // 2)
            for width, after, kernel, stride in zip(
                before, channels, kernels, strides, strict=False
            )
        )
        widths = (pooled, *hidden)
        self.hidden = nn.ModuleList(
            nn.Linear(width, after) for width, after in zip(widths, hidden, strict=False)
        )
        self.output = nn.Linear(widths[-1], outputs)
        self.activation = activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = x if x.dim() == 4 else x[:, None]  # (n, channels, height, width)
        for convolution in self.convolutions:
            a = self.activation(nn.functional.max_pool2d(convolution(a), POOL))
        a = a.flatten(1)
        for layer in self.hidden:
            a = self.activation(layer(a))
        found: torch.Tensor = self.output(a)
        return found
