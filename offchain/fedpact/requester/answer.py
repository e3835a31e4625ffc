"""Answer a file of queries with a fetched model, as a table."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError, InvalidInput
from fedpact.requester.model import Model
from fedpact.requester.model_file import card_paths, facts_path
from fedpact.requester.queries import Queries, read_queries
from fedpact.types.device import PROCESSOR

FORMATS = (".csv", ".json", ".parquet")
"""Of files of answers."""
PROBABILITY = "probability_"
"""Before a label, the name of the column of its probabilities."""


@dataclass(frozen=True)
class Answers:
    """What a model says of queries, in their order."""

    rows: NDArray[np.int64]
    """Row of each query in its file, from 0, (n,)."""
    classes: tuple[str, ...]
    """The specification's labels; none of a regression."""
    found: NDArray[np.float64]
    """Calibrated probabilities, (n, classes), or values in the output's unit, (n,)."""
    decided: NDArray[np.int64] | None
    """Index into `classes`, (n,): the most probable one, unless the requester's evaluation set gave
    the labels thresholds. None of a regression."""
    error: float | None
    """That the committee measured on the last evaluation slice, by the request's metric, in the
    output's unit for a regression; None if there was no slice."""
    ids: tuple[str, tuple[str, ...]] | None = None
    """Name and entries of the column that names the queries."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> list[str]:
        """Of each query; empty for a regression."""
        return [] if self.decided is None else [self.classes[one] for one in self.decided]

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The table: `row`, the column of ids, then of a classification the label, its probability,
        the model's `quality` (1 less its error) and each label's probability; of a regression the
        value and the model's mean error."""
        named: dict[str, list[Any]] = {"row": self.rows.tolist()}
        if self.ids is not None:
            named[self.ids[0]] = list(self.ids[1])
        if self.decided is None:
            given: dict[str, list[Any]] = {
                "value": self.found.tolist(),
                "mean_error": [self.error] * len(self),
            }
        else:
            quality = None if self.error is None else round(1 - self.error, 6)
            given = {
                "label": self.labels,
                "probability": self.found[np.arange(len(self)), self.decided].tolist(),
                "quality": [quality] * len(self),
            }
            for place, name in enumerate(self.classes):
                given[PROBABILITY + name] = self.found[:, place].tolist()
        twice = set(named) & set(given)
        if twice:
            raise DataError(
                f"queries: the column of ids {twice.pop()!r} is called like one of the answers"
            )
        return named | given


def answer(model: Model, queries: Queries, ids: str | None = None) -> Answers:
    """What the model says of queries in its own form. `ids`: see `Queries.ids`."""
    found = model.raw(queries.x)
    spec = model.specification
    decided = model.decided(found) if spec.output is None else None
    return Answers(queries.rows, spec.labels, found, decided, model.error, queries.ids(ids))


def answer_file(
    model: Path, queries: Path, ids: str | None = None, device: str = PROCESSOR
) -> Answers:
    """Answer a file of queries with a fetched model.

    `ids`: see `Queries.ids`; `device`: see `Model`. Raises NotReady, ModelError, DataError.
    """
    found = Model(model, device)
    return answer(found, read_queries(queries, found.specification), ids)


def as_csv(answers: Answers) -> str:
    """A header line; numbers with six decimals."""
    columns, text = answers.columns, io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        lines.writerow(f"{one:.6f}" if isinstance(one, float) else one for one in row)
    return text.getvalue()


def as_json(answers: Answers) -> str:
    """A list of objects."""
    columns = answers.columns
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def check_output(path: Path, queries: Path) -> None:
    """Raises InvalidInput for a file that answers are not written to: of another format, the
    queries' own, or a model's description."""
    if path.suffix not in FORMATS:
        raise InvalidInput(f"{path}: answers are written as {', '.join(FORMATS)}")
    if path.exists() and queries.exists() and path.samefile(queries):
        raise InvalidInput(f"{path} holds the queries: choose another name")
    model = path.with_name(path.name.removesuffix(".json").removesuffix(".model-card"))
    model = model.with_name(f"{model.name}.safetensors")
    if path in (facts_path(model), *card_paths(model)) and model.exists():
        raise InvalidInput(f"{path} describes the model {model.name}: choose another name")


def write_answers(answers: Answers, path: Path) -> None:
    """Write a file of the format that its name ends with (FORMATS). Raises InvalidInput for a file
    that cannot be written."""
    try:
        if path.suffix == ".parquet":
            _write_parquet(answers, path)
        else:
            write = as_json if path.suffix == ".json" else as_csv
            path.write_text(write(answers), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def _write_parquet(answers: Answers, path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidInput(
            f"{path}: writing Parquet needs pyarrow: pip install 'fedpact[parquet]'"
        ) from error
    pyarrow.parquet.write_table(pyarrow.table(answers.columns), path)
