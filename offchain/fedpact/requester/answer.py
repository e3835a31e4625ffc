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


@dataclass(frozen=True)
class Answer:
    """One query's most probable label."""

    row: int
    label: str
    probability: float
    quality: float | None
    """Share of correct answers that the committee measured on the last evaluation slice; None if
    there was no slice."""


@dataclass(frozen=True)
class Estimate:
    """What a regression predicts for one query."""

    row: int
    value: float
    """In the unit of the specification's output column."""
    mean_error: float | None
    """Mean absolute error that the committee measured, in the same unit; None if there was no
    slice."""


Answers = list[Answer] | list[Estimate]


def answer(spec: Specification, model: "Model", x: Inputs, error: int | None) -> Answers:
    """The most probable label of each query and its probability, or its estimated value.

    `error`: the measured error of the model, in 1/10,000.
    """
    from fedpact.learning import families

    predicted = families.family_of(spec).predict(spec, model, x)
    measured = None if error is None else error / MAX_SCORE
    if spec.output is not None:
        values, scale = predicted[:, 0] * spec.output.scale, spec.output.scale
        mean_error = None if measured is None else measured * scale
        return [Estimate(row, float(value), mean_error) for row, value in enumerate(values)]
    quality = None if measured is None else 1 - measured
    return [
        Answer(row, spec.labels[int(label)], float(predicted[row, label]), quality)
        for row, label in enumerate(predicted.argmax(axis=1))
    ]


def answer_file(model: Path, queries: Path) -> Answers:
    """Answer a file of queries with a fetched model. Raises NotReady, ModelError, DataError."""
    from fedpact.requester import fetch

    spec, weights = fetch.read(model)
    return answer(spec, weights, read_queries(queries, spec), fetch.measured_error(model))


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
