"""MiniLM (Wang et al. 2020), a BERT of six layers, as an ONNX graph, up to its last layer's mean
over the tokens."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from fedpact.features.networks.graph import FrozenGraph

INPUT = "tokens"
_HEADS, _LAYERS = 12, 6
_EPSILON = 1e-12

Tensors = Mapping[str, NDArray[np.float32]]


def minilm(tensors: Tensors, most: int) -> bytes:
    """The model that takes one text's tokens (1, at most `most`), int64, and gives (1, width).

    Args:
        tensors: the state of BertModel in `transformers`.

    Raises KeyError for a missing tensor.
    """
    layers = _Layers(tensors)
    graph = layers.graph
    words = graph.add("Gather", layers.constant("embeddings.word_embeddings.weight"), INPUT, axis=0)
    positions = (
        tensors["embeddings.position_embeddings.weight"][:most]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    zero, one = (graph.constant(np.array([value], np.int64)) for value in (0, 1))
    length = graph.add("Shape", INPUT, start=1, end=2)
    here = graph.add("Slice", graph.constant(positions), zero, length, zero, one)
    x = layers.normalised("embeddings.LayerNorm", graph.add("Add", words, here))
    for number in range(_LAYERS):
        x = layers.encoder(f"encoder.layer.{number}", x)
    x = graph.add("ReduceMean", x, axes=[1], keepdims=0)
    return graph.model({INPUT: (TensorProto.INT64, [1, "length"])}, x, layers.width)


class _Layers:
    def __init__(self, tensors: Tensors) -> None:
        self.graph = FrozenGraph()
        self._tensors = tensors
        self.width = tensors["embeddings.LayerNorm.weight"].shape[0]
        part = self.width // _HEADS
        constant = self.graph.constant
        self._parts = constant(np.array([1, -1, _HEADS, part], np.int64))
        self._whole = constant(np.array([1, -1, self.width], np.int64))
        self._scale = constant(np.float32(part**-0.5))
        self._half, self._root = constant(np.float32(0.5)), constant(np.float32(0.5**0.5))
        self._one = constant(np.float32(1))

    def encoder(self, name: str, x: str) -> str:
        attended = self.dense(f"{name}.attention.output.dense", self._attention(name, x))
        x = self.normalised(
            f"{name}.attention.output.LayerNorm", self.graph.add("Add", attended, x)
        )
        inner = self._gelu(self.dense(f"{name}.intermediate.dense", x))
        outer = self.dense(f"{name}.output.dense", inner)
        return self.normalised(f"{name}.output.LayerNorm", self.graph.add("Add", outer, x))

    def _attention(self, name: str, x: str) -> str:
        add = self.graph.add

        def heads(part: str, order: tuple[int, ...]) -> str:
            values = self.dense(f"{name}.attention.self.{part}", x)
            return add("Transpose", add("Reshape", values, self._parts), perm=list(order))

        query, key = heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1))
        scores = add("Mul", add("MatMul", query, key), self._scale)
        mixed = add("MatMul", add("Softmax", scores, axis=-1), heads("value", (0, 2, 1, 3)))
        return add("Reshape", add("Transpose", mixed, perm=[0, 2, 1, 3]), self._whole)

    def _gelu(self, x: str) -> str:
        add = self.graph.add
        bent = add("Add", add("Erf", add("Mul", x, self._root)), self._one)
        return add("Mul", add("Mul", x, bent), self._half)

    def dense(self, name: str, x: str) -> str:
        weight = self.graph.constant(self._tensors[f"{name}.weight"].T)
        return self.graph.add(
            "Add", self.graph.add("MatMul", x, weight), self.constant(f"{name}.bias")
        )

    def normalised(self, name: str, x: str) -> str:
        weight, bias = self.constant(f"{name}.weight"), self.constant(f"{name}.bias")
        return self.graph.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=_EPSILON)

    def constant(self, name: str) -> str:
        return self.graph.constant(self._tensors[name])
