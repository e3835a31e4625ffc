"""A small writer of ONNX graphs, for the networks whose weights come as plain tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
"""The format's version that goes with OPSET."""


class FrozenGraph:
    """Nodes in the order in which they run. Values are known by name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[Any] | np.generic) -> str:
        """The name of a fixed tensor."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of the output of a node of ONNX's own `operator`."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def scaled(self, images: str, side: int) -> str:
        """Images (1, 3, H, W) scaled, bilinear, to `side` pixels on both sides."""
        sizes = self.constant(np.array([1, 3, side, side], np.int64))
        options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", images, "", "", sizes, **options)

    def model(
        self, inputs: Mapping[str, tuple[int, Sequence[int | str]]], output: str, width: int
    ) -> bytes:
        """The serialised model.

        Args:
            inputs: element type (TensorProto) and shape of each; a name in a shape is any length.
            output: the value that the model gives, float32 (1, width).
        """
        graph = helper.make_graph(
            self._nodes,
            "frozen",
            [helper.make_tensor_value_info(name, *one) for name, one in inputs.items()],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, width])],
            self._constants,
        )
        made = helper.make_model(
            graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        return bytes(made.SerializeToString(deterministic=True))
