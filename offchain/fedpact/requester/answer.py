"""A fetched model applied to a file of queries."""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model

LABEL_COLUMN = "label"
"""Passed over in a table of queries, like the column that a regression predicts."""


@dataclass(frozen=True)
class Answer:
    """One query's most probable label."""

    row: int
    label: str
    probability: float


@dataclass(frozen=True)
class Estimate:
    """What a regression predicts for one query."""

    row: int
    value: float
    """In the unit of the specification's output column."""


Answers = list[Answer] | list[Estimate]


def read_queries(path: Path, spec: Specification) -> NDArray[np.floating[Any]]:
    """Queries as float32 (n, *shape), scaled as the training data: .npz with x, or .csv.

    Raises DataError for another ending, a missing column, a value that is no finite number, or
    another shape than the specification's.
    """
    if path.suffix == ".npz":
        raw = _npz(path)
    elif path.suffix == ".csv":
        raw = _csv(path, spec)
    else:
        raise DataError(f"queries {path}: a .csv or .npz file is needed")
    shape = spec.features.shape
    if raw.size == 0 or raw[0].size != int(np.prod(shape)):
        raise DataError(
            f"queries {path}: {raw.shape} does not hold examples of shape {shape}, one a row"
        )
    if not np.isfinite(raw).all():
        raise DataError(f"queries {path}: a value is not a finite number")
    x = raw.reshape(len(raw), *shape) / spec.features.scale
    return x.astype(np.float32)


def answer(spec: Specification, model: "Model", x: NDArray[np.floating[Any]]) -> Answers:
    """The most probable label of each query and its probability, or its estimated value."""
    from fedpact.learning import families

    predicted = families.family(spec.family.name).predict(spec, model, x)
    if spec.output is not None:
        values = predicted[:, 0] * spec.output.scale
        return [Estimate(row, float(value)) for row, value in enumerate(values)]
    best = predicted.argmax(axis=1)
    return [
        Answer(row, spec.labels[int(label)], float(predicted[row, label]))
        for row, label in enumerate(best)
    ]


def answer_file(model: Path, queries: Path) -> Answers:
    """A fetched model applied to a file of queries. Raises NotReady, ModelError, DataError."""
    from fedpact.requester import fetch

    spec, weights = fetch.read(model)
    return answer(spec, weights, read_queries(queries, spec))


def as_text(answers: Answers, *, as_json: bool) -> str:
    """CSV with a header line, numbers of six digits, or a JSON list."""
    rows = [asdict(one) for one in answers]
    if as_json:
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(rows[0])
    for row in rows:
        lines.writerow(f"{one:.6f}" if isinstance(one, float) else one for one in row.values())
    return text.getvalue()


def _npz(path: Path) -> NDArray[np.floating[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["x"], dtype=np.float64)
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"queries {path}: an array x of numbers is needed ({error})") from error


def _csv(path: Path, spec: Specification) -> NDArray[np.floating[Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"queries {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"queries {path}: {error}") from error
    if not rows:
        raise DataError(f"queries {path}: no rows below the header line")
    passed_over = spec.output.column if spec.output is not None else LABEL_COLUMN
    columns = spec.features.columns or tuple(name for name in rows[0] if name != passed_over)
    for column in columns:
        if column not in rows[0]:
            raise DataError(f"queries {path}: no column {column!r}")
    try:
        return np.array([[float(row[name]) for name in columns] for row in rows])
    except (TypeError, ValueError) as error:
        raise DataError(f"queries {path}: {error}") from error
