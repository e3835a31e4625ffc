"""A small builder of ONNX graphs: operators as methods, constants as initialisers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import InvalidInput, SettingsError

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
"""Of 2022: runtimes of the last years read them."""


class PredictionGraph:
    """Operators in the order in which they are added. Names of values are texts."""

    def __init__(self) -> None:
        """Raises SettingsError where onnx is not installed."""
        try:
            import onnx
        except ImportError as error:
            raise SettingsError("ONNX files need onnx: pip install 'fedpact[onnx]'") from error
        self._onnx, self._count = onnx, 0
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.inputs: list[Any] = []

    def input(self, name: str, kind: type, shape: Sequence[int | None]) -> str:
        """A graph's input. `kind`: np.float32, np.float64 or str; None in `shape`: any number."""
        dims = ["n" if size is None else size for size in shape]
        made = self._onnx.helper.make_tensor_value_info(name, self._type(kind), dims)
        self.inputs.append(made)
        return name

    def constant(self, values: Any) -> str:
        """An array as it is; numbers become float64."""
        found = np.asarray(values)
        name = self._fresh("constant")
        self._constants.append(self._onnx.numpy_helper.from_array(found, name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The first output of an operator."""
        output = self._fresh(operator)
        node = self._onnx.helper.make_node(
            operator, list(inputs), [output], domain=domain, **attributes
        )
        self._nodes.append(node)
        return output

    def lstm(self, x: str, w: str, r: str, b: str, hidden: int) -> str:
        """All states, (steps, 1, n, hidden), of one layer over x, (steps, n, width)."""
        return self.add("LSTM", x, w, r, b, hidden_size=hidden)

    def double(self, value: str) -> str:
        return self.add("Cast", value, to=self._onnx.TensorProto.DOUBLE)

    def single(self, value: str) -> str:
        return self.add("Cast", value, to=self._onnx.TensorProto.FLOAT)

    def whole(self, value: str) -> str:
        return self.add("Cast", value, to=self._onnx.TensorProto.INT64)

    def write(
        self,
        path: Path,
        outputs: Sequence[tuple[str, str, type, Sequence[int]]],
        about: dict[str, str],
    ) -> None:
        """Write the file. `outputs`: a value's name, the output's, its kind, and its shape after
        the first dimension. Raises InvalidInput if it cannot be written."""
        helper = self._onnx.helper
        named = []
        for value, name, kind, shape in outputs:
            self._nodes.append(helper.make_node("Identity", [value], [name]))
            kinds = self._type(kind), ["n", *shape]
            named.append(helper.make_tensor_value_info(name, *kinds))
        graph = helper.make_graph(
            self._nodes, "fedpact", self.inputs, named, initializer=self._constants
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, about)
        self._onnx.checker.check_model(model)
        try:
            path.write_bytes(model.SerializeToString())
        except OSError as error:
            raise InvalidInput(f"cannot write {path}: {error.strerror}") from error

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def _type(self, kind: type) -> int:
        proto = self._onnx.TensorProto
        types: dict[Any, Any] = {
            np.float32: proto.FLOAT,
            np.float64: proto.DOUBLE,
            np.int64: proto.INT64,
            str: proto.STRING,
        }
        return int(types[kind])


def f64(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
