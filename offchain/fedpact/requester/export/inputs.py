"""What a graph takes, and the inputs that it becomes, as `data.readers.encoding` does it."""

import math

import numpy as np

from fedpact.errors import ModelError
from fedpact.requester.export.onnx_graph import PredictionGraph, f64
from fedpact.types.columns import ColumnSchema
from fedpact.types.names import label_key
from fedpact.types.specification import Specification


def add_inputs(graph: PredictionGraph, spec: Specification) -> str:
    """The examples as the family takes them, float32 (n, *shape). Raises ModelError for texts,
    also among columns, and windows of rows.

    Arrays: one input `x`, (n, *shape), float64, as in the data. Tables: an input a column, (n, 1),
    called as it: numbers as float64 (a boolean 0 or 1, a timestamp in seconds since 1970, UTC, a
    missing value NaN), categories as text (a missing one empty).
    """
    asked = spec.features
    text = next((one.name for one in asked.table if one.type == "text"), None)
    if text is not None:
        raise ModelError(
            f"column {text!r} is a text, and ONNX has no operators that read its words"
        )
    if asked.kind == "text":
        raise ModelError(f"family {spec.family.name}: ONNX has no operators that read these texts")
    if asked.series is not None:
        raise ModelError("ONNX takes rows one by one, and this model windows of them")
    if not asked.names:
        x = graph.input("x", np.float64, [None, *asked.shape])
        return graph.single(graph.add("Div", x, graph.constant(f64(asked.scale))))
    if asked.table:
        rows = graph.add("Concat", *(_encoded(graph, one) for one in asked.table), axis=1)
    else:
        listed = [graph.input(name, np.float64, [None, 1]) for name in asked.columns]
        raw = graph.add("Concat", *listed, axis=1)
        rows = graph.add("Div", raw, graph.constant(f64(asked.scale)))
    shape = graph.constant(np.array([-1, *asked.shape], dtype=np.int64))
    return graph.add("Reshape", graph.single(rows), shape)


def _encoded(graph: PredictionGraph, column: ColumnSchema) -> str:
    """(n, column.width) float64."""
    low, high = column.limits
    value = _values(graph, column)
    absent = graph.add("Or", graph.add("IsNaN", value), graph.add("IsInf", value))
    constant = math.nan
    if column.constant is not None:
        known = column.constant
        constant = float(
            column.keys.index(label_key(known)) if isinstance(known, str) else float(known)
        )
    clipped = graph.add("Clip", value, graph.constant(f64(low)), graph.constant(f64(high)))
    filled = graph.add("Where", absent, graph.constant(f64(constant)), clipped)
    if column.type == "category":
        places = graph.constant(f64([range(len(column.values))]))
        chosen = graph.double(graph.add("Equal", filled, places))
        lost = graph.add("IsNaN", filled)
        found = graph.add("Where", lost, graph.constant(f64(math.nan)), chosen)
    else:
        doubled = graph.add(
            "Mul", graph.constant(f64(2)), graph.add("Sub", filled, graph.constant(f64(low)))
        )
        share = graph.add("Div", doubled, graph.constant(f64(high - low)))
        found = graph.add("Sub", share, graph.constant(f64(1)))
    if column.missing != "indicator":
        return found
    kept = graph.add("Where", absent, graph.constant(f64(0)), found)
    return graph.add("Concat", kept, graph.double(absent), axis=1)


def _values(graph: PredictionGraph, column: ColumnSchema) -> str:
    """(n, 1) float64: a number, or the index of a value; NaN where there is none."""
    if not column.values:
        value = graph.input(column.name, np.float64, [None, 1])
        if column.type != "integer":
            return value
        whole = graph.add("Equal", value, graph.add("Round", value))
        return graph.add("Where", whole, value, graph.constant(f64(math.nan)))
    given = graph.input(column.name, str, [None, 1])
    known = {spelt: n for n, one in enumerate(column.values) for spelt in (label_key(one), one)}
    code = graph.add(
        "LabelEncoder",
        given,
        domain="ai.onnx.ml",
        keys_strings=list(known),
        values_floats=[float(place) for place in known.values()],
        default_float=math.nan,
    )
    return graph.double(code)
