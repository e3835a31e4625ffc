"""A fetched model as an ONNX file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.learning.artefact import Model as Weights
from fedpact.requester.export.inputs import add_inputs
from fedpact.requester.export.onnx_families import add_predictions
from fedpact.requester.export.onnx_graph import PredictionGraph, f64
from fedpact.requester.thresholds import SMALLEST, Decisions
from fedpact.types.specification import Specification


def write_onnx(
    path: Path,
    spec: Specification,
    weights: Weights,
    decisions: Decisions | None,
    labels: NDArray[Any],
) -> None:
    """Write the graph that `Model.to_onnx` describes. `labels`: typed, in the specification's
    order. Raises ModelError, SettingsError, InvalidInput."""
    graph = PredictionGraph()
    predicted = add_predictions(graph, spec, weights, add_inputs(graph, spec))
    about = {"title": spec.title, "family": spec.family.name}
    if spec.output is not None:
        first = graph.constant(np.array([1], dtype=np.int64))
        scale = graph.constant(f64(spec.output.scale))
        value = graph.add("Mul", graph.add("Squeeze", predicted, first), scale)
        graph.write(path, [(value, "value", np.float64, ())], about)
        return
    if decisions is not None:
        predicted = _calibrated(graph, predicted, decisions)
        odds = graph.add("Mul", predicted, graph.constant(f64(decisions.factors)))
    else:
        odds = predicted
    chosen = graph.add("ArgMax", odds, axis=1, keepdims=0)
    order = np.argsort(labels, kind="stable")
    text = labels.dtype.kind == "U"
    named = graph.constant(labels.astype(object) if text else labels.astype(np.int64))
    label = graph.add("Gather", named, chosen, axis=0)
    shares = graph.add("Gather", predicted, graph.constant(order.astype(np.int64)), axis=1)
    about["classes"] = ", ".join(map(str, labels[order]))
    kind = str if text else np.int64
    several = (shares, "probabilities", np.float64, (len(labels),))
    graph.write(path, [(label, "label", kind, ()), several], about)


def _calibrated(graph: PredictionGraph, predicted: str, decisions: Decisions) -> str:
    logs = graph.add("Log", graph.add("Max", predicted, graph.constant(f64(SMALLEST))))
    scaled = graph.add("Mul", logs, graph.constant(f64(decisions.slope)))
    raw = graph.add("Add", scaled, graph.constant(f64(decisions.offsets)))
    return graph.add("Softmax", raw, axis=1)
