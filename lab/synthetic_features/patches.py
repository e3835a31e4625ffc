"""A frozen network of one layer, learnt from images that a program made: patches, as Coates & Ng
(2011) learn them from photographs.

Filters are means of whitened patches. What they answer is cut off below, averaged over the four
quarters of the image, and turned and scaled by the covariance of the made-up images' own features:
directions in which images hardly differ count about as much as others, since the noise of a private
gradient is as large in each direction. A network of one layer sees no parts of objects.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from fedpact.features.networks.graph import FrozenGraph
from fedpact.features.networks.session import FrozenSession
from lab.synthetic_features.leaves import SIDE, Images

PATCHES = 60_000
"""From which filters are learnt."""
STEPS = 6
"""Of the means of patches."""
CONTRAST = 10 / 255**2
"""Added to a patch's variance: an even patch stays even (Coates & Ng 2011, section 3)."""
WHITENING = 0.1
"""Added to the variances of patches, as there."""
THRESHOLD = 0.25
"""Answers below it count as none."""
FLOOR = 1e-3
"""Of the variance along a direction, relative to the largest."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Size:
    filters: int = 800
    width: int = 1_000
    """Values of an image's row."""
    patch: int = 6
    """Pixels on both sides."""
    stride: int = 2

    @property
    def quarter(self) -> int:
        """Patches along a side of a quarter of the image."""
        return ((SIDE - self.patch) // self.stride + 1) // 2


@dataclass(frozen=True)
class Filters:
    """Answers to a patch of contrast 1: weights @ patch + bias."""

    weights: Floats
    """(filters, 3, patch, patch); each sums to 0, so that brightness does not count."""
    bias: Floats
    """(filters,)."""


def learnt_network(images: Images, size: Size, seed: int) -> bytes:
    """The network as an ONNX file that `network-linear` takes."""
    filters = learnt_filters(images, size, seed)
    answers = FrozenSession(_graph(filters, size, None))
    values = images.astype(np.float32) / np.float32(255)
    rows = np.stack([answers.run(one[None]) for one in values])
    return _graph(filters, size, _projection(rows, size.width, seed))


def learnt_filters(images: Images, size: Size, seed: int) -> Filters:
    """Means of whitened patches of contrast 1, by likeness in direction (Coates & Ng 2012)."""
    random = np.random.default_rng([seed, 1])
    patches = _patches(images, size.patch, random)
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(np.square(patches).mean(axis=1, keepdims=True) + CONTRAST)
    middle = patches.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(patches.T))
    whitening = (directions / np.sqrt(variances.clip(0) + WHITENING)) @ directions.T
    white = torch.from_numpy(((patches - middle) @ whitening).astype(np.float32))
    white = white[white.norm(dim=1) > 1e-3]

    def drawn(count: int) -> torch.Tensor:
        chosen: torch.Tensor = white[
            torch.from_numpy(random.choice(len(white), count, replace=False))
        ]
        directions: torch.Tensor = chosen / chosen.norm(dim=1, keepdim=True)
        return directions

    means = drawn(size.filters)
    for _ in range(STEPS):
        nearest = torch.cat([(part @ means.T).argmax(dim=1) for part in torch.split(white, 4_096)])
        sums = torch.zeros_like(means).index_add_(0, nearest, white)
        lengths = sums.norm(dim=1, keepdim=True)
        empty = lengths[:, 0] < 1e-6
        means = sums / lengths.clamp(min=1e-6)
        means[empty] = drawn(int(empty.sum()))
    weights = means.numpy().astype(np.float64) @ whitening
    bias = -(weights @ middle)
    weights -= weights.mean(axis=1, keepdims=True)
    shape = (size.filters, 3, size.patch, size.patch)
    return Filters(weights.reshape(shape).astype(np.float32), bias.astype(np.float32))


def _patches(images: Images, patch: int, random: np.random.Generator) -> Floats:
    """(PATCHES, 3 * patch * patch), from 0 to 1."""
    chosen = random.integers(0, len(images), PATCHES)
    places = random.integers(0, SIDE - patch + 1, (2, PATCHES))
    found = np.empty((PATCHES, 3, patch, patch), np.float32)
    for row, (image, y, x) in enumerate(zip(chosen, *places, strict=True)):
        found[row] = images[image, :, y : y + patch, x : x + patch]
    return found.reshape(PATCHES, -1) / np.float32(255)


def _projection(rows: Floats, width: int, seed: int) -> tuple[Floats, Floats]:
    """Weights (inputs, width) and shift (width,): along the directions in which rows differ most,
    divided by how much they do."""
    centre = rows.mean(axis=0)
    torch.manual_seed(seed)  # svd_lowrank draws its first directions
    _, lengths, directions = torch.svd_lowrank(
        torch.from_numpy(rows - centre), q=width + width // 8, niter=3
    )
    variances = lengths[:width].double() ** 2 / len(rows)
    scale = (variances + FLOOR * variances[0]) ** -0.5
    weights = (directions[:, :width] * scale).float().numpy()
    return weights, -(centre @ weights)


def _graph(filters: Filters, size: Size, projection: tuple[Floats, Floats] | None) -> bytes:
    graph = FrozenGraph()
    strides = [size.stride, size.stride]

    def convolved(x: str, weights: Floats) -> str:
        return graph.add("Conv", x, graph.constant(weights), strides=strides)

    even = np.full((1, 3, size.patch, size.patch), 1 / (3 * size.patch**2), np.float32)
    mean = convolved("image", even)
    square = convolved(graph.add("Mul", "image", "image"), even)
    variance = graph.add("Sub", square, graph.add("Mul", mean, mean))
    variance = graph.add("Relu", variance)  # rounding may take it below 0
    contrast = graph.add("Sqrt", graph.add("Add", variance, graph.constant(np.float32(CONTRAST))))
    x = graph.add("Div", convolved("image", filters.weights), contrast)
    bias = (filters.bias - np.float32(THRESHOLD))[:, None, None]
    x = graph.add("Relu", graph.add("Add", x, graph.constant(bias)))
    quarter = [size.quarter, size.quarter]
    x = graph.add("AveragePool", x, kernel_shape=quarter, strides=quarter)
    x, width = graph.add("Flatten", x), 4 * size.filters
    if projection is not None:
        weights, shift = (graph.constant(one) for one in projection)
        x, width = graph.add("Gemm", x, weights, shift), size.width
    return graph.model({"image": (TensorProto.FLOAT, [1, 3, SIDE, SIDE])}, x, width)
