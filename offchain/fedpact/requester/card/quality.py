"""How good a fetched model is on the requester's own evaluation slices: pure functions.

Members had a slice's examples once its round's models were in. Only the last judged slice and those
after it were sealed to all of them until the final models were made; their figures stand apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.learning.families import family_of
from fedpact.learning.metrics import error, value_errors
from fedpact.requester.thresholds import Decisions
from fedpact.types.metric import Metric, MetricName
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model

RESAMPLES = 200
"""Of the examples, with replacement, for intervals without a closed form; seed 0."""
CONFIDENCE = 0.95
BINS = 10
GRID = 41
"""Points of a ROC curve, at equal steps of the false positive rate."""
_SCALE = 10_000
Predicted = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval over the examples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SliceQuality:
    """The final model on one slice."""

    number: int
    """The round in which it was judged by, if that took place."""
    examples: int
    sealed: bool
    """Whether all members lacked it until the final models were made."""
    error: Interval


@dataclass(frozen=True)
class ClassQuality:
    """One label, over all slices."""

    label: str
    examples: int
    decided: int
    """How often it was decided for."""
    recall: Interval | None
    """None without an example."""
    precision: Interval | None
    """None if it was never decided for."""
    auc: float | None
    """Against all other labels, by the model's own probability; None where only one side occurs."""


@dataclass(frozen=True)
class Bin:
    """Examples whose most probable label has a probability in one of ten equal intervals; of a
    regression, a tenth of the examples by prediction."""

    examples: int
    said: float
    """Mean probability; of a regression, mean prediction in the output's unit."""
    found: float
    """Share of right labels; of a regression, mean value in the output's unit."""


@dataclass(frozen=True)
class Roc:
    """Sensitivity at each false positive rate, averaged over the labels with an AUC."""

    false_positive: tuple[float, ...]
    mean: tuple[float, ...]
    best: tuple[float, ...]
    worst: tuple[float, ...]
    best_label: str
    worst_label: str


@dataclass(frozen=True)
class Quality:
    """Errors are shares of 1 (docs/families.md), as the committee measures them."""

    metric: str
    examples: int
    error: Interval
    sealed: Interval | None
    """Over the slices that all members lacked until the final models were made; None: no such."""
    slices: tuple[SliceQuality, ...]
    classes: tuple[ClassQuality, ...]
    """Empty for a regression, as are `confusion` and `roc`."""
    confusion: tuple[tuple[int, ...], ...]
    """Examples by true label (row) and decision (column), decided as `request answer` does."""
    thresholds: bool
    """Whether decisions use thresholds that were fitted to these same examples."""
    calibration: tuple[Bin, ...]
    """Of the model's own probabilities, or of a regression's values."""
    calibrated: tuple[Bin, ...]
    """Of the probabilities that `request answer` gives; empty where none were fitted."""
    roc: Roc | None


def measure(
    spec: Specification,
    model: Model,
    slices: Sequence[Dataset],
    last: int,
    decisions: Decisions | None,
) -> Quality:
    """A model on all slices of its request, in order; `last`: the round that made it."""
    predict = family_of(spec).predict
    return judge(spec, [predict(spec, model, one.x) for one in slices], slices, last, decisions)


def judge(
    spec: Specification,
    predicted: Sequence[Predicted],
    slices: Sequence[Dataset],
    last: int,
    decisions: Decisions | None,
) -> Quality:
    """As `measure`, of predictions by slice: (n, labels) probabilities or (n, 1) scaled values."""
    metric = spec.measure
    every, y = np.concatenate(predicted), np.concatenate([one.y for one in slices])
    judged = [
        SliceQuality(number, len(one), number >= last, interval(metric, said, one.y))
        for number, (said, one) in enumerate(zip(predicted, slices, strict=True), start=1)
    ]
    kept = [n for n, one in enumerate(judged) if one.sealed]
    sealed = None
    if kept:
        said = np.concatenate([predicted[n] for n in kept])
        sealed = interval(metric, said, np.concatenate([slices[n].y for n in kept]))
    whole = interval(metric, every, y)
    if spec.output is not None:
        unit = spec.output.scale
        bins = _tenths(every[:, 0] * unit, y * unit)
        return Quality(
            str(metric), len(y), whole, sealed, tuple(judged), (), (), False, bins, (), None
        )
    calibrated = every if decisions is None else decisions.calibrated(every)
    decided = calibrated.argmax(axis=1) if decisions is None else decisions.labels(calibrated)
    confusion = _confusion(y, decided, spec.outputs)
    classes = _classes(spec.labels, confusion, every, y)
    return Quality(
        metric=str(metric),
        examples=len(y),
        error=whole,
        sealed=sealed,
        slices=tuple(judged),
        classes=classes,
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        thresholds=decisions is not None,
        calibration=_reliability(every, y),
        calibrated=() if decisions is None else _reliability(calibrated, y),
        roc=_roc(classes, every, y),
    )


def interval(metric: Metric, predicted: Predicted, y: Targets) -> Interval:
    """An error and its 95 % interval: of a share by Wilson (1927), of a mean over values by its
    standard error, of any other by the percentiles of resampled examples."""
    value = error(metric, predicted, y) / _SCALE
    if metric.name is MetricName.ACCURACY:
        return share(int((predicted.argmax(axis=1) != y).sum()), len(y))
    if metric.name in (MetricName.MAE, MetricName.PINBALL) and len(y) > 1:
        each = value_errors(metric, predicted, y)
        half = 1.96 * float(each.std(ddof=1)) / len(y) ** 0.5
        return Interval(value, max(0.0, value - half), min(1.0, value + half))
    generator = np.random.default_rng(0)
    drawn = (generator.integers(0, len(y), len(y)) for _ in range(RESAMPLES))
    found = [error(metric, predicted[rows], y[rows]) / _SCALE for rows in drawn]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def share(count: int, of: int) -> Interval:
    """A share and its Wilson interval; `of` is at least 1."""
    from scipy.stats import binomtest

    bounds = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(count / of, float(bounds.low), float(bounds.high))


def _confusion(y: Targets, decided: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(y, decided, labels=np.arange(labels)))


def _classes(
    labels: Sequence[str], confusion: NDArray[np.int64], predicted: Predicted, y: Targets
) -> tuple[ClassQuality, ...]:
    from sklearn.metrics import roc_auc_score

    found = []
    for number, label in enumerate(labels):
        right = int(confusion[number, number])
        examples, decided = int(confusion[number].sum()), int(confusion[:, number].sum())
        mixed = 0 < examples < len(y)
        found.append(
            ClassQuality(
                label,
                examples,
                decided,
                share(right, examples) if examples else None,
                share(right, decided) if decided else None,
                float(roc_auc_score(y == number, predicted[:, number])) if mixed else None,
            )
        )
    return tuple(found)


def _roc(classes: Sequence[ClassQuality], predicted: Predicted, y: Targets) -> Roc | None:
    from sklearn.metrics import roc_curve

    grid = np.linspace(0.0, 1.0, GRID)
    curves: dict[int, NDArray[np.float64]] = {}
    for number, one in enumerate(classes):
        if one.auc is not None:
            wrong, right, _ = roc_curve(y == number, predicted[:, number])
            curves[number] = np.interp(grid, wrong, right)
    if not curves:
        return None
    order = sorted(curves, key=lambda number: classes[number].auc or 0.0)
    worst, best = order[0], order[-1]
    return Roc(
        tuple(map(float, grid)),
        tuple(map(float, np.mean(list(curves.values()), axis=0))),
        tuple(map(float, curves[best])),
        tuple(map(float, curves[worst])),
        classes[best].label,
        classes[worst].label,
    )


def _reliability(probabilities: Predicted, y: Targets) -> tuple[Bin, ...]:
    """Bins that hold an example, the least probable first."""
    said = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    number = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    groups = (number == one for one in range(BINS))
    return tuple(
        Bin(int(rows.sum()), float(said[rows].mean()), float(right[rows].mean()))
        for rows in groups
        if rows.any()
    )


def _tenths(said: NDArray[np.float64], found: NDArray[np.float64]) -> tuple[Bin, ...]:
    parts = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(said)))
    return tuple(
        Bin(len(rows), float(said[rows].mean()), float(found[rows].mean())) for rows in parts
    )
