"""Which ONNX files fedpact runs: fixed shapes, 32-bit values, nothing that depends on a record.

A requester may name any file, so a file must not be able to do more than compute features: it may
not read other files, draw random numbers, loop, or raise, crash or take longer for one example than
for another. Every operator is on a list, every computed value is float32 of a shape that is known
beforehand, and whatever decides about shapes is a constant. A text's tokens choose rows of a
constant table that has a row for each word of the file's vocabulary, and do nothing else.
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from fedpact.errors import DataError
from fedpact.features.networks.vocabulary import VOCABULARY, Vocabulary

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

MAX_BYTES = 1 << 27
"""Of a file."""
MAX_NODES = 4_000
MAX_WIDTH = 4_096
"""Values of an example's row."""
MAX_TOKENS = 512
"""Of a text at once."""
MAX_VALUE = 1 << 24
"""Numbers in one computed tensor."""
MAX_VALUES = 1 << 27
"""Numbers in all computed tensors together."""
OPSETS = range(11, 22)
"""Versions of ONNX's operators."""
# fmt: off
OPERATORS = frozenset([
    "Abs", "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "Conv", "Div",
    "Elu", "Erf", "Exp", "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization",
    "LeakyRelu", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "PRelu", "Pad", "ReduceMax",
    "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Softmax",
    "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze",
])
FROM_SECOND = frozenset([
    "Clip", "Gather", "Pad", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape", "Resize", "Slice",
    "Split", "Squeeze", "Unsqueeze",
])
# fmt: on
"""Operators whose inputs from the second on must be constants: they decide about shapes, rows or
bounds."""


@dataclass(frozen=True)
class ImageForm:
    """What a network of images takes and gives."""

    side: int
    """It takes one image, (1, 3, side, side)."""
    width: int
    """It gives one row, (1, width)."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of what it takes, and of what it gives."""
        return (1, 3, self.side, self.side), (1, self.width)


@dataclass(frozen=True)
class TextForm:
    """What a network of texts takes and gives."""

    tokens: int
    """It takes one text's tokens, (1, tokens), int64, and a mask of the same shape, float32: 1 for
    a token, 0 for what only fills up."""
    width: int
    """It gives one row, (1, width)."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of what it takes, and of what it gives."""
        return (1, self.tokens), (1, self.tokens), (1, self.width)


Form = ImageForm | TextForm


def checked_form(content: bytes) -> Form:
    """The form of a network's file; raises DataError, with the reason, for one that is refused.

    May itself take long or much memory for a hostile file: `trial` calls it in a process of its
    own.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if len(content) > MAX_BYTES:
        raise DataError(f"network of {len(content)} bytes: at most {MAX_BYTES}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise DataError("network: not an ONNX file") from error
    _check_model(model)
    try:
        known = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise DataError(f"network: its shapes do not fit together ({error!s:.200})") from error
    return _form(known)


def _check_model(model: "ModelProto") -> None:
    graph = model.graph
    versions = {one.domain: one.version for one in model.opset_import}
    if set(versions) - {"", "ai.onnx"} or not all(one in OPSETS for one in versions.values()):
        raise DataError(
            f"network: operators of {versions}: ONNX's own, version {OPSETS.start} to "
            f"{OPSETS.stop - 1}, are allowed"
        )
    if model.functions or model.training_info or graph.sparse_initializer:
        raise DataError("network: functions, training steps and sparse tensors are not allowed")
    if len(graph.node) > MAX_NODES:
        raise DataError(f"network of {len(graph.node)} operations: at most {MAX_NODES}")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    made = [one.name for one in graph.initializer]
    made += [name for node in graph.node for name in node.output if name]
    if len(set(made)) < len(made):  # a computed value could pass for a constant
        raise DataError("network: a name is given to two values")
    tables = {one.name: int(one.dims[0]) for one in graph.initializer if one.dims}
    taken = [one.name for one in graph.input if one.name not in made]
    words = _vocabulary(model)
    constants = {one.name for one in graph.initializer}
    for node in graph.node:
        if words is not None and _looks_up(node, taken[:1], tables, len(words)):
            continue
        _check_node(node, constants)
        if node.op_type == "Constant":
            constants.update(node.output)


def _vocabulary(model: "ModelProto") -> Vocabulary | None:
    """That of a network of texts; None for one of images."""
    found = [one.value for one in model.metadata_props if one.key == VOCABULARY]
    if len(found) > 1:  # whoever runs the network could take another one than is checked here
        raise DataError(f"network: {len(found)} vocabularies; one is allowed")
    return Vocabulary.parse(found[0]) if found else None


def _looks_up(node: "NodeProto", tokens: list[str], tables: dict[str, int], words: int) -> bool:
    """Whether a node takes a text's tokens, and takes the rows of a constant table by them. Raises
    DataError for a table with fewer rows than there are words: a text could choose one past it."""
    if node.op_type != "Gather" or node.domain not in ("", "ai.onnx") or len(node.input) != 2:
        return False
    table, chosen = node.input
    if [chosen] != tokens or table not in tables or any(one.i for one in node.attribute):
        return False
    if tables[table] < words:
        raise DataError(f"network: a table of {tables[table]} rows for {words} words")
    return len(node.output) == 1


def _check_node(node: "NodeProto", constants: set[str]) -> None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        raise DataError(
            f"network: operator {node.domain}{'.' * bool(node.domain)}{node.op_type} is not allowed"
        )
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs or attribute.sparse_tensors:
            raise DataError(f"network: operator {node.op_type} has a graph inside")
        if attribute.HasField("sparse_tensor"):
            raise DataError("network: sparse tensors are not allowed")
        if attribute.name == "training_mode" and attribute.i:
            raise DataError("network: it must not be in training mode")
        for tensor in [attribute.t] * attribute.HasField("t") + list(attribute.tensors):
            _check_tensor(tensor)
    if node.op_type != "Split" and len([one for one in node.output if one]) != 1:
        raise DataError(f"network: operator {node.op_type} must give one value")
    if node.op_type in FROM_SECOND:
        loose = [one for one in node.input[1:] if one and one not in constants]
        if loose:
            raise DataError(
                f"network: operator {node.op_type} takes {loose[0]!r:.80} from what was computed, "
                "it must be a constant: fold constants before you publish"
            )


def _check_tensor(tensor: "TensorProto") -> None:
    from onnx import TensorProto

    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise DataError(f"network: tensor {tensor.name!r:.80} is in another file")


def _form(model: "ModelProto") -> Form:
    from onnx import TensorProto

    graph, words = model.graph, _vocabulary(model)
    given = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in given]
    if len(inputs) != (1 if words is None else 2) or len(graph.output) != 1:
        raise DataError(
            f"network: it takes {len(inputs)} values and gives {len(graph.output)}, not an image "
            "or, with a vocabulary, tokens and their mask, and one row"
        )
    free = {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    total = 0
    for one in (*graph.input, *graph.value_info, *graph.output):
        if one.name in given or one.name in free:
            continue
        shape = _shape(one)
        tokens = words is not None and one.name == inputs[0].name
        if one.type.tensor_type.elem_type != (TensorProto.INT64 if tokens else TensorProto.FLOAT):
            raise DataError(f"network: {one.name!r:.80} is not {'int64' if tokens else 'float32'}")
        if prod(shape) > MAX_VALUE:
            raise DataError(f"network: {one.name!r:.80} has shape {shape}: too large")
        total += prod(shape)
    if total > MAX_VALUES:
        raise DataError(f"network: it computes {total} numbers an example: at most {MAX_VALUES}")
    known = given | {one.name for one in (*graph.input, *graph.value_info, *graph.output)}
    for node in graph.node:
        unknown = [name for name in node.output if name and name not in known | free]
        if unknown:
            raise DataError(f"network: the shape of {unknown[0]!r:.80} is not known beforehand")
    found = _shape(graph.output[0])
    if len(found) != 2 or found[0] != 1 or found[1] > MAX_WIDTH:
        raise DataError(f"network: it gives {found}, not (1, at most {MAX_WIDTH})")
    taken = [_shape(one) for one in inputs]
    first = taken[0]
    if words is not None:
        if len(first) != 2 or first[0] != 1 or not 2 < first[1] <= MAX_TOKENS or first != taken[1]:
            raise DataError(
                f"network: it takes {first} tokens and {taken[1]} of a mask, not (1, 3 to "
                f"{MAX_TOKENS}) both"
            )
        return TextForm(first[1], found[1])
    if len(first) != 4 or first[:2] != (1, 3) or first[2] != first[3]:
        raise DataError(f"network: it takes {first}, not one square image (1, 3, side, side)")
    return ImageForm(first[2], found[1])


def _shape(value: "object") -> tuple[int, ...]:
    tensor = value.type.tensor_type  # type: ignore[attr-defined]
    sizes = tuple(int(one.dim_value) for one in tensor.shape.dim)
    if not tensor.HasField("shape") or not all(one > 0 for one in sizes):
        name = value.name  # type: ignore[attr-defined]
        raise DataError(f"network: the shape of {name!r:.80} is not known beforehand")
    return sizes
