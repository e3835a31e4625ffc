"""Small networks in ONNX."""

import numpy as np
from onnx import TensorProto

from fedpact.features.networks.graph import FrozenGraph
from fedpact.features.networks.vocabulary import SPECIAL, Vocabulary
from tests.support.text_examples import SHARED
from tests.support.text_examples import WORDS as OWN

SIDE, WIDTH = 32, 12
TOKENS = 24
WORDS = (*SPECIAL, "##s", *SHARED, *(word for words in OWN.values() for word in words))


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


def text_network(seed: int = 0, rows: int = len(WORDS), factor: float = 1.0) -> bytes:
    """A text's tokens and their mask in, one row out: the mean of a random row for each word. The
    vocabulary is not in it yet. factor: of the last word's row."""
    random, graph = np.random.default_rng(seed), FrozenGraph()
    table = random.normal(0, 1, (rows, WIDTH)).astype(np.float32)
    table[-1] *= np.float32(factor)
    x = graph.add("Gather", graph.constant(table), "tokens")
    last, words = (graph.constant(np.array([one], np.int64)) for one in (2, 1))
    x = graph.add("Mul", x, graph.add("Unsqueeze", "mask", last))
    x = graph.add("ReduceSum", x, words, keepdims=0)
    x = graph.add("Div", x, graph.add("ReduceSum", "mask", words, keepdims=1))
    shape = [1, TOKENS]
    taken = {"tokens": (TensorProto.INT64, shape), "mask": (TensorProto.FLOAT, shape)}
    return graph.model(taken, x, WIDTH)


def small_text_network(seed: int = 0, factor: float = 1.0) -> bytes:
    """The same with its vocabulary."""
    return Vocabulary(WORDS).added_to(text_network(seed, factor=factor))
