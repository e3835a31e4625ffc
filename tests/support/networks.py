"""Small networks in ONNX."""

import numpy as np
from onnx import TensorProto

from fedpact.features.networks.graph import FrozenGraph

SIDE, WIDTH = 32, 12


def small_network(
    seed: int = 0,
    width: int = WIDTH,
    side: int = SIDE,
    factor: float = 1.0,
    layers: int = 0,
    channels: int = 8,
) -> bytes:
    """One image in, one row out: convolutions, `layers` of them wide, and a mean.

    factor: of the last value; a large one overflows for bright images.
    """
    random, graph = np.random.default_rng(seed), FrozenGraph()

    def convolution(x: str, taken: int, given: int, stride: int) -> str:
        weight = random.normal(0, (9 * taken) ** -0.5, (given, taken, 3, 3)).astype(np.float32)
        constant = graph.constant(weight)
        return graph.add("Conv", x, constant, strides=[stride, stride], pads=[1, 1, 1, 1])

    x = graph.add("Relu", convolution("image", 3, channels, 1 if layers else 4))
    for _ in range(layers):
        x = convolution(x, channels, channels, 1)
    x = convolution(x, channels, width, 2)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("Mul", x, graph.constant(np.float32(factor)))
    return graph.model({"image": (TensorProto.FLOAT, [1, 3, side, side])}, x, width)
