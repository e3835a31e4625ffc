"""Describes a provider's data: what joining a request publishes, and what stays private."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fedpact.data.readers import LABEL_COLUMN, label_numbers, read_records
from fedpact.data.readers.records import Records
from fedpact.types.document import canonical_json
from fedpact.types.names import label_key

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Description:
    """Describes a file or folder. `attributes` are published when the provider joins a request; the
    rest never leaves the machine."""

    format: str
    records: int
    units: int
    """Privacy units: groups, or distinct records."""
    values: tuple[float, float] | None
    """Smallest and largest feature, before scaling; None for texts."""
    characters: tuple[int, int] | None
    """Length of the shortest and longest text; None for numbers."""
    histogram: dict[str, int] | None
    """Examples of each label; None for a regression."""
    outputs: tuple[float, float, float] | None
    """Smallest, median and largest value of a regression; None for a classification."""
    attributes: dict[str, Any]


def describe(
    path: Path, category: str, label_column: str | None = None, output_column: str | None = None
) -> Description:
    """Read `path` as a provider's daemon would, and describe it.

    Args:
        category: what the data is about, as requests name it.
        label_column: a table's column of label names; default `label`.
        output_column: a table's column of a regression's values; the task is then a regression.
            In arrays it is always `y`.

    Raises DataError for what read_records refuses, and for outputs that are not finite numbers.
    """
    found = read_records(path, output_column or label_column or LABEL_COLUMN)
    texts = found.kind == "text"
    regression = output_column is not None or found.format == "cmapss"
    histogram = None if regression else dict(sorted(Counter(map(label_key, found.labels)).items()))
    task: Task = "regression" if regression else "classification"
    return Description(
        found.format,
        len(found.labels),
        len(set(found.units)),
        None if texts else (float(found.x.min()), float(found.x.max())),
        (min(map(len, found.x)), max(map(len, found.x))) if texts else None,
        histogram,
        _outputs(path, found, output_column or "y") if regression else None,
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
    """Published attributes of data (Wang et al. 2024, stage 3): type, category, size, schema.

    `schema` is the hex SHA-256 of what data sets that are trained on together must share. It leaves
    out a provider's labels, which are never published.
    """
    features: list[int] | str = "text" if kind == "text" else list(shape)
    schema = {"type": task, "features": features, "columns": list(columns)}
    digest = sha256(canonical_json(schema)).hexdigest()
    return {**schema, "category": category, "size": size, "schema": digest}


def _outputs(path: Path, found: Records, name: str) -> tuple[float, float, float]:
    values = label_numbers(path, found, name)
    return float(values.min()), float(np.median(values)), float(values.max())
