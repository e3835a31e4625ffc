"""A one-dimensional convolutional network over windows of sensor data."""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from fedpact import Document, Specification, TorchFamily
from fedpact.errors import SpecificationError

POOL = 2


class SensorCNNParameters(Document):
    """What a draft may say in `family.parameters`."""

    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=4)
    ] = (8, 8)
    """Of each convolution; after each, neighbouring times are averaged in pairs."""
    kernel: Annotated[int, Field(ge=1, le=31)] = 5
    """Times that a convolution sees; odd."""
    groups: Annotated[int, Field(ge=0, le=64)] = 0
    """Of group normalisation after each convolution; 0: none. Divides all channels."""


class SensorCNN(TorchFamily[SensorCNNParameters]):
    """Takes examples of shape (window, inputs), as `features.series` makes them of a table."""

    name = "sensor-cnn"
    tasks = frozenset({"classification", "regression"})
    unit = "a window; where the data declare a series, all windows of one machine"
    sound = True  # group normalisation stays within an example
    schema = SensorCNNParameters

    def check(self, spec: Specification) -> None:
        asked, shape = self.parameters(spec), spec.features.shape
        if len(shape) != 2:
            raise SpecificationError(
                f"family sensor-cnn: examples of shape (window, inputs), not {shape}"
            )
        if shape[0] < POOL ** len(asked.channels):
            raise SpecificationError(
                f"family sensor-cnn: a window of {shape[0]} times is too short for "
                f"{len(asked.channels)} convolutions"
            )
        if asked.kernel % 2 == 0:
            raise SpecificationError(f"family sensor-cnn: kernel {asked.kernel} is not odd")
        if asked.groups and any(one % asked.groups for one in asked.channels):
            raise SpecificationError(
                f"family sensor-cnn: {asked.groups} groups do not divide channels {asked.channels}"
            )
        super().check(spec)  # builds the network

    def module(self, spec: Specification) -> nn.Module:
        asked = self.parameters(spec)
        return Network(
            spec.features.shape[1], asked.channels, asked.kernel, asked.groups, spec.outputs
        )


class Network(nn.Module):
    """Convolutions over time, each followed by averages of pairs; the mean over time; a dense
    layer."""

    def __init__(
        self, inputs: int, channels: tuple[int, ...], kernel: int, groups: int, outputs: int
    ) -> None:
        super().__init__()
        before = (inputs, *channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, after, kernel, padding=kernel // 2)
            for width, after in zip(before, channels, strict=False)
        )
        self.norms = nn.ModuleList(
            nn.GroupNorm(groups, width, affine=False) if groups else nn.Identity()
            for width in channels
        )
        self.output = nn.Linear(channels[-1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = x.transpose(1, 2)  # (n, inputs, window)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            a = nn.functional.avg_pool1d(torch.tanh(norm(convolution(a))), POOL)
        found: torch.Tensor = self.output(a.mean(dim=2))
        return found
