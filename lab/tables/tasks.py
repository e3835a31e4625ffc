"""The tables of the study, encoded as their declarations say, and split over providers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition
from fedpact.data.dataset import Dataset
from fedpact.data.readers.encoding import encoded
from fedpact.types.columns import ColumnSchema
from lab.tables import maintenance

PROVIDERS = 3
TEST, EVALUATION = 0.25, 0.1
"""Shares of all rows that nobody trains on."""


@dataclass(frozen=True)
class TableTask:
    """One seed's table."""

    name: str
    metric: str
    columns: tuple[ColumnSchema, ...]
    labels: tuple[str, ...]
    """None of a regression."""
    scale: float
    """Unit of a regression's values."""
    parts: tuple[Dataset, ...]
    """What each provider has."""
    evaluation: Dataset
    test: Dataset

    @property
    def task(self) -> str:
        return "classification" if self.labels else "regression"

    @property
    def training(self) -> Dataset:
        """All providers' rows together."""
        x, y = (np.concatenate([getattr(p, one) for p in self.parts]) for one in ("x", "y"))
        return Dataset(x, y, ())


def metric_of(task: TableTask, predicted: NDArray[np.float64]) -> float:
    """The task's metric on its test rows; of a regression in the output's unit."""
    from sklearn.metrics import roc_auc_score

    y = task.test.y
    if task.metric == "mae":
        return float(np.abs(predicted[:, 0] - y).mean()) * task.scale
    if task.metric == "auc":
        return float(roc_auc_score(y, predicted[:, 1]))
    return float((predicted.argmax(axis=1) == y).mean())


def failures(seed: int) -> TableTask:
    """Which machines fail: 9,999 rows of three plants, each a provider."""
    found = maintenance.rows(3333, seed)
    x = encoded(maintenance.COLUMNS, found.values)
    return _split(
        "maintenance",
        "auc",
        maintenance.COLUMNS,
        ("works", "fails"),
        1.0,
        x,
        found.failed,
        seed,
        found.plant,
    )


def torque(seed: int) -> TableTask:
    """A machine's torque from its other columns."""
    found = maintenance.rows(3333, seed)
    kept = [place for place, one in enumerate(maintenance.COLUMNS) if one.name != "torque"]
    columns = tuple(maintenance.COLUMNS[place] for place in kept)
    x = encoded(columns, [found.values[place] for place in kept])
    y = (found.torque / 10.0).astype(np.float32)
    return _split("maintenance-torque", "mae", columns, (), 10.0, x, y, seed, found.plant)


def bundled(load: Callable[[], Any], metric: str, scale: float = 1.0) -> Callable[[int], TableTask]:
    """A set that scikit-learn brings along, split evenly. Ranges are those of all rows, widened to
    two digits, as the doctor drafts them."""

    def made(seed: int) -> TableTask:
        raw = load()
        name = load.__name__.removeprefix("load_").replace("_", "-")
        values = [np.asarray(one, dtype=np.float64) for one in raw.data.T]
        columns = tuple(
            ColumnSchema(name=f"column {place}", range=_widened(one))
            for place, one in enumerate(values)
        )
        regression = not hasattr(raw, "target_names")
        labels = () if regression else tuple(map(str, raw.target_names))
        y = (raw.target / scale).astype(np.float32) if regression else raw.target.astype(np.int64)
        x = encoded(columns, values)
        return _split(name, metric, columns, labels, scale, x, y, seed, None)

    return made


def _widened(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low - 1.0, high + 1.0
    step = 10.0 ** (np.floor(np.log10(high - low)) - 1)
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step)


def _split(
    name: str,
    metric: str,
    columns: tuple[ColumnSchema, ...],
    labels: tuple[str, ...],
    scale: float,
    x: NDArray[np.float32],
    y: NDArray[Any],
    seed: int,
    owner: NDArray[np.int64] | None,
) -> TableTask:
    """`owner`: of each row; None: rows are dealt out."""
    order = np.random.default_rng([seed, 7]).permutation(len(y))
    first, second = int(TEST * len(y)), int((TEST + EVALUATION) * len(y))
    test, evaluation, private = order[:first], order[first:second], order[second:]
    if owner is None:
        dealt = partition.iid(np.zeros(len(private), np.int64), PROVIDERS, seed)
    else:
        dealt = [np.flatnonzero(owner[private] == one) for one in range(PROVIDERS)]
    parts = tuple(Dataset(x[private[rows]], y[private[rows]], ()) for rows in dealt)
    held = (Dataset(x[rows], y[rows], ()) for rows in (evaluation, test))
    return TableTask(name, metric, columns, labels, scale, parts, *held)
