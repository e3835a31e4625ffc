"""What each family computes, in operators of ONNX."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fedpact.errors import ModelError
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.families import family_of
from fedpact.learning.losses import LARGEST_RATE, LossParameters
from fedpact.learning.splits import Split
from fedpact.requester.export.onnx_graph import PredictionGraph, f64
from fedpact.types.specification import Specification


def add_predictions(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    """What the family predicts of examples (n, *shape): probabilities (n, labels) or values (n, 1),
    float64. Raises ModelError for a family that ONNX has no operators for."""
    made = _FAMILIES.get(spec.family.name)
    if made is None:
        raise ModelError(
            f"family {spec.family.name} cannot be exported to ONNX: it computes features that ONNX "
            f"has no operators for; there are {', '.join(_FAMILIES)}"
        )
    return made(graph, spec, weights, x)


def _dense(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    family: Any = family_of(spec)
    norm = family.parameters(spec).example_norm
    a = graph.double(graph.add("Flatten", x, axis=1))
    if norm:
        a = graph.add("Sub", a, graph.add("ReduceMean", a, axes=[1], keepdims=1))
        squares = graph.add("Mul", a, a)
        one = graph.constant(np.array([1], dtype=np.int64))
        length = graph.add("Sqrt", graph.add("ReduceSum", squares, one, keepdims=1))
        there = graph.add("Greater", length, graph.constant(f64(0)))
        safe = graph.add("Where", there, length, graph.constant(f64(1)))
        a = graph.add("Mul", a, graph.add("Div", graph.constant(f64(norm)), safe))
    *hidden, output = family.layers(spec)
    for layer in hidden:
        a = graph.add("Tanh", _affine(graph, weights, layer, a))
    raw = _affine(graph, weights, output, a)
    asked = family.parameters(spec)
    return _linked(graph, spec, raw, asked if isinstance(asked, LossParameters) else None)


def _oblivious(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    """Every split as a sum of two terms, or of a category's inputs, or a product of two sums."""
    family: Any = family_of(spec)
    asked, splits = family.parameters(spec), family.splits(spec)
    rows = graph.double(graph.add("Flatten", x, axis=1))
    above = graph.add(
        "Greater",
        _split_values(graph, rows, splits),
        graph.constant(f64([s.threshold for s in splits])),
    )
    shape = graph.constant(np.array([-1, asked.trees, asked.depth], dtype=np.int64))
    bits = graph.add("Reshape", graph.double(above), shape)
    powers = graph.constant(f64([1 << bit for bit in range(asked.depth)]))
    last = graph.constant(np.array([2], dtype=np.int64))
    leaf = graph.add("ReduceSum", graph.add("Mul", bits, powers), last, keepdims=0)
    first = graph.constant(f64(np.arange(asked.trees) * 2**asked.depth))
    table = family.table(spec, weights["leaves"].astype(np.float64))
    flat = graph.constant(table.reshape(-1, spec.outputs))
    chosen = graph.add("Gather", flat, graph.whole(graph.add("Add", leaf, first)), axis=0)
    trees = graph.constant(np.array([1], dtype=np.int64))
    return _linked(graph, spec, graph.add("ReduceSum", chosen, trees, keepdims=0), asked)


def _split_values(graph: PredictionGraph, rows: str, splits: tuple[Split, ...]) -> str:
    """What is compared with the thresholds, (n, splits). Without a matrix product of measured
    values: fused additions would round another bit."""
    width = 1 + max(place for one in splits for place in one.inputs)
    members = np.zeros((width, len(splits)))
    first, second, product = [], [], []
    for number, one in enumerate(splits):
        many = len(one.inputs) > 2
        if many:
            members[list(one.inputs), number] = one.factors
        a, b = (one.inputs[0], one.inputs[0]) if many else (one.inputs[0], one.inputs[-1])
        factors = (0.0, 0.0) if many else (*one.factors, 0.0)[:2] if one.factors else (1.0, 1.0)
        offsets = one.offsets or (0.0, 0.0)
        first.append((a, factors[0], offsets[0]))
        second.append((b, factors[1], offsets[1]))
        product.append(not one.factors)

    def term(of: list[tuple[int, float, float]]) -> str:
        places = graph.constant(np.array([place for place, _, _ in of], dtype=np.int64))
        found = graph.add("Gather", rows, places, axis=1)
        shifted = graph.add("Add", found, graph.constant(f64([offset for _, _, offset in of])))
        return graph.add("Mul", shifted, graph.constant(f64([factor for _, factor, _ in of])))

    left, right = term(first), term(second)
    times, plus = graph.add("Mul", left, right), graph.add("Add", left, right)
    pairs = graph.add("Where", graph.constant(np.array(product)), times, plus)
    used = graph.constant(np.arange(width, dtype=np.int64))
    sums = graph.add("MatMul", graph.add("Gather", rows, used, axis=1), graph.constant(members))
    return graph.add("Add", pairs, sums)


def _trees(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    family: Any = family_of(spec)
    family = family.form(spec) if hasattr(family, "form") else family
    found = family.ensemble(spec, weights)
    if not found.trees:
        raise ModelError(f"family {spec.family.name}: the model has no trees")
    inner, total = found.feature.shape[1], 2 * found.feature.shape[1] + 1
    leaves = np.arange(inner, total)
    nodes = np.arange(total)
    tree_of = np.repeat(np.arange(found.trees), total)
    inside = nodes < inner
    padded_feature = np.pad(found.feature, ((0, 0), (0, total - inner)))
    padded_threshold = np.pad(found.threshold, ((0, 0), (0, total - inner)))
    outputs = found.value.shape[2]
    summed = graph.add(
        "TreeEnsembleRegressor",
        graph.add("Flatten", x, axis=1),
        domain="ai.onnx.ml",
        n_targets=outputs,
        nodes_treeids=tree_of.tolist(),
        nodes_nodeids=np.tile(nodes, found.trees).tolist(),
        nodes_modes=np.tile(np.where(inside, "BRANCH_LEQ", "LEAF"), found.trees).tolist(),
        nodes_featureids=padded_feature.ravel().tolist(),
        nodes_values=padded_threshold.ravel().tolist(),
        nodes_truenodeids=np.tile(np.where(inside, 2 * nodes + 1, 0), found.trees).tolist(),
        nodes_falsenodeids=np.tile(np.where(inside, 2 * nodes + 2, 0), found.trees).tolist(),
        target_treeids=np.repeat(np.arange(found.trees), len(leaves) * outputs).tolist(),
        target_nodeids=np.tile(np.repeat(leaves, outputs), found.trees).tolist(),
        target_ids=np.tile(np.arange(outputs), len(leaves) * found.trees).tolist(),
        target_weights=found.value.ravel().tolist(),
    )
    raw = graph.double(summed)
    if spec.task == "regression":
        return raw
    if spec.family.name == "boosted-trees":
        return graph.add("Softmax", raw, axis=1)
    kept = graph.add("Max", raw, graph.constant(f64(0)))
    one = graph.constant(np.array([1], dtype=np.int64))
    sums = graph.add("ReduceSum", kept, one, keepdims=1)
    there = graph.add("Greater", sums, graph.constant(f64(0)))
    safe = graph.add("Where", there, sums, graph.constant(f64(1)))
    return graph.add(
        "Where", there, graph.add("Div", kept, safe), graph.constant(f64([1 / outputs] * outputs))
    )


def _convolutional(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    family: Any = family_of(spec)
    activation = "Relu" if family.parameters(spec).activation == "relu" else "Tanh"
    _, hidden = family.widths(spec)
    a = x
    if len(spec.features.shape) == 2:
        a = graph.add("Unsqueeze", x, graph.constant(np.array([1], dtype=np.int64)))
    for number, stride in enumerate(family.strides(spec)):
        named = [weights[f"convolutions.{number}.{part}"] for part in ("weight", "bias")]
        half = named[0].shape[-1] // 2
        a = graph.add("Conv", a, *map(graph.constant, named), pads=[half] * 4, strides=[stride] * 2)
        a = graph.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
        a = graph.add(activation, a)
    a = graph.add("Flatten", a, axis=1)
    for number in range(len(hidden)):
        a = graph.add(activation, _gemm(graph, weights, f"hidden.{number}", a))
    return _linked(graph, spec, graph.double(_gemm(graph, weights, "output", a)), None)


def _recurrent(graph: PredictionGraph, spec: Specification, weights: Weights, x: str) -> str:
    family: Any = family_of(spec)
    asked = family.parameters(spec)
    limits = [graph.constant(np.float32(one)) for one in (0, spec.outputs - 1)]
    codes = graph.whole(graph.add("Clip", x, *limits))
    a = graph.add("Gather", graph.constant(weights["embedding.weight"]), codes, axis=0)
    a = graph.add("Transpose", a, perm=[1, 0, 2])
    for layer in range(asked.layers):
        w, r, b, c = (
            _gates(weights[f"lstm.{part}_l{layer}"], asked.hidden)
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = graph.constant(np.concatenate([b, c])[None])
        states = graph.lstm(a, graph.constant(w[None]), graph.constant(r[None]), bias, asked.hidden)
        a = graph.add("Squeeze", states, graph.constant(np.array([1], dtype=np.int64)))
    last = graph.add("Gather", a, graph.constant(np.array(-1, dtype=np.int64)), axis=0)
    return _linked(graph, spec, graph.double(_gemm(graph, weights, "output", last)), None)


def _gates(values: Any, hidden: int) -> Any:
    """torch's order of gates, input forget cell output, as ONNX has them: input output forget
    cell."""
    i, f, c, o = (values[gate * hidden : (gate + 1) * hidden] for gate in range(4))
    return np.concatenate([i, o, f, c])


def _affine(graph: PredictionGraph, weights: Weights, layer: str, a: str) -> str:
    """In float64."""
    product = graph.add("MatMul", a, graph.constant(f64(weights[f"{layer}.weight"].T)))
    return graph.add("Add", product, graph.constant(f64(weights[f"{layer}.bias"])))


def _gemm(graph: PredictionGraph, weights: Weights, layer: str, a: str) -> str:
    """In float32."""
    named = [graph.constant(weights[f"{layer}.{part}"]) for part in ("weight", "bias")]
    return graph.add("Gemm", a, *named, transB=1)


def _linked(
    graph: PredictionGraph, spec: Specification, raw: str, asked: LossParameters | None
) -> str:
    """As `learning.losses`: probabilities, without the class weights, or values."""
    if spec.task == "regression":
        if asked is not None and asked.loss == "poisson":
            limited = graph.add("Min", raw, graph.constant(f64(math.log(LARGEST_RATE))))
            return graph.add("Exp", limited)
        return raw
    shares = graph.add("Softmax", raw, axis=1)
    if asked is None or not asked.class_weights:
        return shares
    lighter = graph.add("Div", shares, graph.constant(f64(asked.class_weights)))
    one = graph.constant(np.array([1], dtype=np.int64))
    return graph.add("Div", lighter, graph.add("ReduceSum", lighter, one, keepdims=1))


_Added = Callable[[PredictionGraph, Specification, Weights, str], str]
_FAMILIES: dict[str, _Added] = {
    "softmax-regression": _dense,
    "linear-regression": _dense,
    "mlp": _dense,
    "generalised-linear": _dense,
    "oblivious-trees": _oblivious,
    "decision-tree": _trees,
    "random-forest": _trees,
    "boosted-trees": _trees,
    "cnn": _convolutional,
    "char-lstm": _recurrent,
}
