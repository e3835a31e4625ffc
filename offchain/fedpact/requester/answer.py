"""Answer a file of queries with a fetched model."""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.data.dataset import Inputs
from fedpact.requester.queries import read_queries
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model
    from fedpact.requester.decisions import Decisions


@dataclass(frozen=True)
class Answer:
    """What a model says of one query."""

    row: int
    label: str
    """The most probable one, unless the requester's evaluation set gave the labels thresholds."""
    probability: float
    """Of the label, calibrated on the requester's evaluation set where that was large enough."""
    quality: float | None
    """1 less the error of the request's metric that the committee measured on the last evaluation
    slice (accuracy: the share of right answers); None if there was no slice."""


@dataclass(frozen=True)
class Estimate:
    """What a regression predicts for one query."""

    row: int
    value: float
    """In the unit of the specification's output column."""
    mean_error: float | None
    """Error of the request's metric (such as the mean absolute error) that the committee measured,
    in the same unit; None if there was no slice."""


Answers = list[Answer] | list[Estimate]


def answer(
    spec: Specification,
    model: "Model",
    x: Inputs,
    error: int | None,
    decisions: "Decisions | None" = None,
) -> Answers:
    """The label of each query and its probability, or its estimated value.

    `error`: the measured error of the model, in 1/10,000. `decisions`: how to read its outputs;
    without them the most probable label counts.
    """
    from fedpact.learning import families

    predicted = families.family_of(spec).predict(spec, model, x)
    measured = None if error is None else error / MAX_SCORE
    if spec.output is not None:
        values, scale = predicted[:, 0] * spec.output.scale, spec.output.scale
        mean_error = None if measured is None else measured * scale
        return [Estimate(row, float(value), mean_error) for row, value in enumerate(values)]
    quality = None if measured is None else 1 - measured
    if decisions is None:
        labels = predicted.argmax(axis=1)
    else:
        predicted = decisions.calibrated(predicted)
        labels = decisions.labels(predicted)
    return [
        Answer(row, spec.labels[int(label)], float(predicted[row, label]), quality)
        for row, label in enumerate(labels)
    ]


def answer_file(model: Path, queries: Path) -> Answers:
    """Answer a file of queries with a fetched model. Raises NotReady, ModelError, DataError."""
    from fedpact.requester import fetch

    spec, weights = fetch.read(model)
    x, error = read_queries(queries, spec), fetch.measured_error(model)
    return answer(spec, weights, x, error, fetch.decisions(model, len(spec.labels)))


def as_text(answers: Answers, *, as_json: bool) -> str:
    """The answers as CSV (a header line; numbers with six decimals) or as a JSON list."""
    rows = [asdict(one) for one in answers]
    if as_json:
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(rows[0])
    for row in rows:
        lines.writerow(f"{one:.6f}" if isinstance(one, float) else one for one in row.values())
    return text.getvalue()
