"""A residual network with group normalisation, for images (He et al. 2016; Wu & He 2018)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from fedpact import Document, Specification, TorchFamily
from fedpact.errors import SpecificationError

KERNEL = 3


class ResNetParameters(Document):
    """What a draft may say in `family.parameters`."""

    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=4)
    ] = (16, 32, 64)
    """Of each stage; each but the first halves height and width."""
    blocks: Annotated[int, Field(ge=1, le=4)] = 1
    """Residual blocks of a stage, two convolutions each."""
    groups: Annotated[int, Field(ge=1, le=64)] = 8
    """Of group normalisation; divides all channels."""


class ResNet(TorchFamily[ResNetParameters]):
    """Takes images of shape (height, width) or (channels, height, width)."""

    name = "resnet"
    tasks = frozenset({"classification", "regression"})
    unit = "an image"
    sound = True  # group normalisation stays within an example; it has no values of its own
    schema = ResNetParameters

    def check(self, spec: Specification) -> None:
        asked, shape = self.parameters(spec), spec.features.shape
        if len(shape) not in (2, 3):
            raise SpecificationError(
                f"family resnet: images of shape (height, width) or (channels, height, width), "
                f"not {shape}"
            )
        least = 2 ** (len(asked.channels) - 1)
        if min(shape[-2:]) < least:
            raise SpecificationError(
                f"family resnet: {len(asked.channels)} stages need images of {least} x {least} "
                f"pixels at least, not {shape[-2]} x {shape[-1]}"
            )
        if any(one % asked.groups for one in asked.channels):
            raise SpecificationError(
                f"family resnet: {asked.groups} groups do not divide channels {asked.channels}"
            )
        super().check(spec)  # builds the network

    def module(self, spec: Specification) -> nn.Module:
        asked, shape = self.parameters(spec), spec.features.shape
        planes = shape[0] if len(shape) == 3 else 1
        return Network(planes, asked.channels, asked.blocks, asked.groups, spec.outputs)


class Network(nn.Module):
    """A convolution, stages of residual blocks, the mean over all places, a dense layer."""

    def __init__(
        self, planes: int, channels: tuple[int, ...], blocks: int, groups: int, outputs: int
    ) -> None:
        super().__init__()
        self.first = _convolution(planes, channels[0])
        self.norm = _norm(groups, channels[0])
        stages: list[nn.Module] = []
        before = channels[0]
        for stage, after in enumerate(channels):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                stages.append(Block(before, after, stride, groups))
                before = after
        self.blocks = nn.ModuleList(stages)
        self.output = nn.Linear(before, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = x[:, None] if x.dim() == 3 else x  # (n, planes, height, width)
        a = nn.functional.relu(self.norm(self.first(a)))
        for block in self.blocks:
            a = block(a)
        found: torch.Tensor = self.output(nn.functional.avg_pool2d(a, a.shape[2:]).flatten(1))
        return found


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is a convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int, groups: int) -> None:
        super().__init__()
        self.first = _convolution(before, after, stride)
        self.second = _convolution(after, after)
        self.norms = nn.ModuleList([_norm(groups, after), _norm(groups, after)])
        same = before == after and stride == 1
        self.shortcut = None if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = nn.functional.relu(self.norms[0](self.first(x)))
        a = self.norms[1](self.second(a))
        beside = x if self.shortcut is None else self.shortcut(x)
        return nn.functional.relu(a + beside)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, KERNEL, stride, padding=KERNEL // 2, bias=False)


def _norm(groups: int, channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, affine=False)
