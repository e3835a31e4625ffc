"""What a provider would tell of its data when it joins a request, and what it keeps to itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fedpact.data.readers import LABEL_COLUMN, read_records
from fedpact.data.readers.records import Records, refuse
from fedpact.types.specification import canonical_json

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Description:
    """Of one file or folder. `attributes` are published when a request is joined, the rest never
    leaves the machine."""

    format: str
    records: int
    units: int
    """Units of privacy: groups, or distinct records."""
    values: tuple[float, float] | None
    """Least and greatest in the features, before any scale; None for texts."""
    characters: tuple[int, int] | None
    """Of the shortest and the longest text; None for numbers."""
    histogram: dict[str, int] | None
    """Examples of each label; None for a regression."""
    outputs: tuple[float, float, float] | None
    """Least, median and greatest value of a regression; None for a classification."""
    attributes: dict[str, Any]


def describe(
    path: Path, category: str, label_column: str | None = None, output_column: str | None = None
) -> Description:
    """Read `path` as a provider's daemon would and say what is there.

    Args:
        category: what the data is about, as requests name it.
        label_column: a table's column of label names; default `label`.
        output_column: a table's column of a regression's values; the task is then a regression.
            Arrays have theirs in `y` whatever the name.

    Raises DataError for what read_records refuses, and for outputs that are no finite numbers.
    """
    found = read_records(path, output_column or label_column or LABEL_COLUMN)
    texts = found.kind == "text"
    regression = output_column is not None or found.format == "cmapss"
    histogram = None if regression else dict(sorted(Counter(found.labels).items()))
    task: Task = "regression" if regression else "classification"
    return Description(
        found.format,
        len(found.labels),
        len(set(found.units)),
        None if texts else (float(found.x.min()), float(found.x.max())),
        (min(map(len, found.x)), max(map(len, found.x))) if texts else None,
        histogram,
        _outputs(path, found) if regression else None,
        attributes(task, category, len(found.labels), found.x.shape[1:], found.columns, found.kind),
    )


def attributes(
    task: Task,
    category: str,
    size: int,
    shape: Sequence[int],
    columns: Sequence[str],
    kind: Literal["numbers", "text"] = "numbers",
) -> dict[str, Any]:
    """What is told of data (Wang et al. 2024, stage 3): type, category, size, schema.

    `schema` is the hex SHA-256 of what two data sets share that can be trained on together; which
    labels a provider has is not in it and is told to nobody.
    """
    features: list[int] | str = "text" if kind == "text" else list(shape)
    schema = {"type": task, "features": features, "columns": list(columns)}
    digest = sha256(canonical_json(schema)).hexdigest()
    return {**schema, "category": category, "size": size, "schema": digest}


def _outputs(path: Path, found: Records) -> tuple[float, float, float]:
    values = []
    for number, label in enumerate(found.labels, start=1):
        try:
            values.append(float(label))
        except ValueError:
            refuse(path, f"example {number} has {label!r}, not a number")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        refuse(path, f"example {place + 1} has {values[place]}, not a finite number")
    return min(values), float(np.median(values)), max(values)
