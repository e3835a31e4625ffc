"""How a requester reads its model: calibrated probabilities, and thresholds for its metric.

Both are fitted to the requester's own evaluation set once the model has come, and stay beside the
model. Nobody else needs them, and no vote depends on them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError
from fedpact.learning.artefact import Model
from fedpact.learning.metrics import error, macro_f1
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.types.metric import BALANCED_ACCURACY, Metric, MetricName, are_skewed
from fedpact.types.specification import Specification

LEAST = 10
"""Examples of each label; with fewer, probabilities and thresholds stay as they are."""
PULL = 1.0
"""Weight, in examples, by which the fit is held to the model's own probabilities."""
SMALLEST = 1e-9
"""Least probability that calibration takes the logarithm of."""
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """Calibration: p' is proportional to p^slope * exp(offset). The label is the one with the most
    p' * factor; of two labels: the second where p' is above `threshold`."""

    slope: float
    offsets: tuple[float, ...]
    factors: tuple[float, ...]
    examples: int
    """That they were fitted to."""

    @property
    def threshold(self) -> float | None:
        """Of two labels, the probability from which the second is decided for."""
        if len(self.factors) != 2:
            return None
        return self.factors[0] / (self.factors[0] + self.factors[1])

    def calibrated(self, probabilities: Probabilities) -> Probabilities:
        """Of the model's own probabilities, (n, labels)."""
        raw = self.slope * np.log(np.maximum(probabilities, SMALLEST)) + np.array(self.offsets)
        return softmax_probabilities(raw)

    def labels(self, calibrated: Probabilities) -> NDArray[np.int64]:
        """Decisions, (n,)."""
        return np.asarray((calibrated * np.array(self.factors)).argmax(axis=1))

    def facts(self) -> dict[str, Any]:
        """A JSON object."""
        found = {
            "slope": self.slope,
            "offsets": list(self.offsets),
            "factors": list(self.factors),
            "examples": self.examples,
        }
        return found if self.threshold is None else {**found, "threshold": self.threshold}

    @classmethod
    def read(cls, facts: dict[str, Any], labels: int) -> "Decisions":
        """What `facts` wrote; raises ModelError for anything else."""
        try:
            found = cls(
                float(facts["slope"]),
                tuple(map(float, facts["offsets"])),
                tuple(map(float, facts["factors"])),
                int(facts["examples"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model description: no decisions ({error})") from error
        if not len(found.offsets) == len(found.factors) == labels or min(found.factors) <= 0:
            raise ModelError(f"model description: decisions are not for {labels} labels")
        return found


def fitted(spec: Specification, model: Model, evaluation: Dataset) -> Decisions | None:
    """Calibration by maximum likelihood, with one slope and an offset a label (Platt 1999; Guo et
    al. 2017, section 4.2); then the factors with the least error of the metric.

    None for a regression, a family without predictions, or where a label has fewer than LEAST
    examples.
    """
    from fedpact.learning.families import family_of

    if spec.task != "classification" or not family_of(spec).predicts:
        return None
    counts = np.bincount(evaluation.y, minlength=spec.outputs)
    if counts.min() < LEAST:
        return None
    predicted = family_of(spec).predict(spec, model, evaluation.x)
    y = evaluation.y.astype(np.int64)
    slope, offsets = _calibration(predicted, y)
    plain = Decisions(slope, offsets, (1.0,) * spec.outputs, len(y))
    factors = _factors(_decided_by(spec, counts), plain.calibrated(predicted), y)
    return Decisions(slope, offsets, factors, len(y))


def _calibration(predicted: Probabilities, y: NDArray[np.int64]) -> tuple[float, tuple[float, ...]]:
    from scipy.optimize import minimize

    logs = np.log(np.maximum(predicted, SMALLEST))
    truth = np.eye(logs.shape[1])[y]

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offsets = values[0], values[1:]
        raw = slope * logs + offsets
        top = raw.max(axis=1)
        total = float((top + np.log(np.exp(raw - top[:, None]).sum(axis=1))).sum())
        total -= float((raw * truth).sum())
        off = softmax_probabilities(raw) - truth
        gradient = np.concatenate([[float((off * logs).sum())], off.sum(axis=0)])
        held = np.concatenate([[slope - 1], offsets])
        return total + PULL * float(held @ held) / 2, gradient + PULL * held

    start = np.concatenate([[1.0], np.zeros(logs.shape[1])])
    bounds = [(0.05, 20.0), *[(-20.0, 20.0)] * logs.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), tuple(map(float, found[1:]))


def _decided_by(spec: Specification, counts: NDArray[np.int64]) -> Metric:
    """The request's metric, if decisions matter to it; otherwise balanced accuracy where labels are
    skewed, as for a request without a metric, or accuracy."""
    decisive = (MetricName.ACCURACY, MetricName.BALANCED_ACCURACY, MetricName.MACRO_F1)
    if spec.measure.name in decisive:
        return spec.measure
    return BALANCED_ACCURACY if are_skewed(counts.tolist()) else Metric(name=MetricName.ACCURACY)


def _factors(metric: Metric, calibrated: Probabilities, y: NDArray[np.int64]) -> tuple[float, ...]:
    """Of two labels the best threshold; of more, all alike or inverse to the labels' shares."""
    labels = calibrated.shape[1]
    shares = np.bincount(y, minlength=labels) / len(y)
    candidates = [(1.0,) * labels, tuple((shares.min() / shares).tolist())]
    if labels == 2:
        ordered = np.unique(calibrated[:, 1])
        between = (ordered[1:] + ordered[:-1]) / 2
        cuts = between[np.linspace(0, len(between) - 1, min(len(between), 200)).astype(int)]
        candidates += [(float(cut), float(1 - cut)) for cut in cuts if 0 < cut < 1]
    return min(candidates, key=lambda one: _error_of(metric, calibrated * np.array(one), y))


def _error_of(metric: Metric, odds: Probabilities, y: NDArray[np.int64]) -> float:
    """Of the decisions for the largest odds."""
    decided = odds.argmax(axis=1)
    if metric.name is MetricName.MACRO_F1:
        return float(1 - macro_f1(decided, y))
    certain = np.eye(odds.shape[1])[decided]
    return float(error(metric, certain, y))
