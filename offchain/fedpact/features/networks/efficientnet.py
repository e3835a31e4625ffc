"""EfficientNet-Lite0 (Tan & Le 2019; the Lite variant of 2020) as an ONNX graph, up to its last
layer's mean over the image; no value is negative.

Batch normalisation is folded into the convolutions' weights, in 64 bits. Scaling images up is part
of the graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from fedpact.errors import DataError
from fedpact.features.networks.graph import FrozenGraph

INPUT = "image"
_MEAN, _SPREAD = 127.0, 128.0
"""Of pixels, in training."""
_EPSILON = 1e-3
_LAST = "_conv_head", "_bn1"
BEFORE_LAST = 320
"""Channels that the last convolution takes."""

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    """Of the first block; the others have 1."""
    expands: bool


_STAGES = (
    _Stage(1, 3, 1, expands=False),
    _Stage(2, 3, 2, expands=True),
    _Stage(2, 5, 2, expands=True),
    _Stage(3, 3, 2, expands=True),
    _Stage(3, 5, 1, expands=True),
    _Stage(4, 5, 2, expands=True),
    _Stage(1, 3, 1, expands=True),
)


def efficientnet_lite0(
    tensors: Tensors, shape: tuple[int, int, int], side: int, whole: bool = True
) -> bytes:
    """The model that takes one image (1, *shape), its three channels in red, green, blue with
    values from 0 to 1, and gives (1, width).

    Args:
        tensors: the state of `efficientnet_lite_pytorch`'s module.
        shape: (3, height, width).
        side: pixels, on both sides, that the image is scaled to (bilinear).
        whole: whether it goes up to the last layer's mean; otherwise it gives what that layer, see
            `last_layer`, takes: BEFORE_LAST channels of `places(side)` squared.

    Raises KeyError for a missing tensor.
    """
    layers = _Layers(tensors)
    graph = layers.graph
    pixels = graph.add("Mul", INPUT, graph.constant(np.float32(255.0 / _SPREAD)))
    x = graph.add("Sub", pixels, graph.constant(np.float32(_MEAN / _SPREAD)))
    if shape[1:] != (side, side):
        x = graph.scaled(x, side)
    x = layers.clipped(layers.convolution("_conv_stem", "_bn0", x, stride=2))
    number = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            x = layers.block(f"_blocks.{number}", stage, x, first=repeat == 0)
            number += 1
    width = BEFORE_LAST * places(side) ** 2
    if whole:
        x = graph.add("GlobalAveragePool", layers.clipped(layers.convolution(*_LAST, x)))
        width = len(tensors[f"{_LAST[0]}.weight"])
    x = graph.add("Flatten", x)
    return graph.model({INPUT: (TensorProto.FLOAT, [1, *shape])}, x, width)


def places(side: int) -> int:
    """Of the last layer, along an image's side of so many pixels: it was halved five times."""
    return -(-side // 32)


def last_layer(tensors: Tensors) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (1280, BEFORE_LAST, 1, 1) and bias (1280,) of the last convolution, its normalisation
    in them; values are cut off below 0 and above 6 after it."""
    return _folded(tensors, *_LAST)


def with_weights(weights: bytes, side: int) -> bytes:
    """The model of square images of `side` pixels with the weights in a safetensors file, for
    training of one's own; no code in it runs.

    Raises DataError for a file that is none, or whose tensors are not this network's.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return efficientnet_lite0(load(weights), (3, side, side), side)
    except SafetensorError as error:
        raise DataError(f"weights: not a safetensors file ({error!s:.200})") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"weights: not those of EfficientNet-Lite0 ({error!s:.200})") from error


class _Layers:
    def __init__(self, tensors: Tensors) -> None:
        self.graph = FrozenGraph()
        self._tensors = tensors
        self._zero = self.graph.constant(np.float32(0))
        self._six = self.graph.constant(np.float32(6))

    def block(self, name: str, stage: _Stage, x: str, first: bool) -> str:
        """An inverted bottleneck; with a shortcut where shapes allow it."""
        y = x
        if stage.expands:
            y = self.clipped(self.convolution(f"{name}._expand_conv", f"{name}._bn0", y))
        stride = stage.stride if first else 1
        y = self.convolution(f"{name}._depthwise_conv", f"{name}._bn1", y, stride, alone=True)
        y = self.convolution(f"{name}._project_conv", f"{name}._bn2", self.clipped(y))
        return y if first else self.graph.add("Add", y, x)

    def clipped(self, x: str) -> str:
        return self.graph.add("Clip", x, self._zero, self._six)

    def convolution(
        self, name: str, normalisation: str, x: str, stride: int = 1, alone: bool = False
    ) -> str:
        """A convolution and its batch normalisation in one; `alone`: channel by channel."""
        weight, bias = _folded(self._tensors, name, normalisation)
        return self.graph.add(
            "Conv",
            x,
            self.graph.constant(weight),
            self.graph.constant(bias),
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            group=len(weight) if alone else 1,
        )


def _folded(
    tensors: Tensors, name: str, normalisation: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a convolution with its batch normalisation in them."""
    weight = tensors[f"{name}.weight"].astype(np.float64)
    scale, shift, mean, variance = (
        tensors[f"{normalisation}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + _EPSILON)
    scaled = (weight * scale[:, None, None, None]).astype(np.float32)
    return scaled, (shift - mean * scale).astype(np.float32)
