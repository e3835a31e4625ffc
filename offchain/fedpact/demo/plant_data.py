"""Machines of several plants, some of which fail: a made-up table to try things on."""

import csv
from pathlib import Path

import numpy as np

from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

CATEGORY = "machines/failures"
LABELS = ("works", "fails")
COLUMNS = (
    ColumnSchema(name="kind", type="category", values=("L", "M", "H")),
    ColumnSchema(name="heat", range=(20.0, 100.0), measure="°C"),
    ColumnSchema(name="torque", range=(0.0, 80.0), measure="Nm"),
    ColumnSchema(name="wear", type="integer", range=(0.0, 250.0), missing="indicator"),
)
ID, LABEL = "machine", "label"


def schema(units: int, data_id: str) -> DataSchema:
    """What a plant declares; a requester asks for the same."""
    return DataSchema(
        data_id=data_id,
        category=CATEGORY,
        units=units,
        unit="record",
        labels=LABELS,
        label_column=LABEL,
        columns=COLUMNS,
    )


def write_rows(path: Path, count: int, seed: int, *, labelled: bool = True) -> Path:
    """A CSV file of `count` machines. A fifth fails: those that are worn or hot, of kind H at lower
    heat; the wear of one in twenty is not known."""
    random = np.random.default_rng(seed)
    kind = random.choice(["L", "M", "H"], count, p=(0.5, 0.3, 0.2))
    heat = np.round(np.clip(random.normal(60, 15, count), 20, 100), 1)
    torque = np.round(np.clip(random.normal(40, 12, count), 0, 80), 1)
    wear = random.integers(0, 250, count)
    stress = (heat - 60) / 15 + (torque - 40) / 24 + (wear - 125) / 90 + 1.2 * (kind == "H")
    fails = stress + random.normal(0, 0.5, count) > 1.5
    known = random.random(count) >= 0.05
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([ID, *(one.name for one in COLUMNS), *([LABEL] if labelled else [])])
        for row in range(count):
            cells = [f"{seed}-{row}", kind[row], heat[row], torque[row]]
            cells.append(wear[row] if known[row] else "")
            lines.writerow([*cells, *([LABELS[int(fails[row])]] if labelled else [])])
    return path
