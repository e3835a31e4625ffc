"""The errors that votes report: one integer in 1/10,000 for every metric, lower is better.

| metric | an error of 10,000 is |
| --- | --- |
| accuracy, balanced-accuracy, macro-f1, auc | a share of nothing: 1 - metric, times 10,000 |
| brier | half the squared distance of certain, wrong probabilities |
| log-loss | twice the log loss of a guess that holds all labels equally probable, or more |
| mae, rmse, pinball | the output's scale, or more |

Equal predictions give equal integers on every machine. Shares, ranks and squares are computed from
counts and from probabilities rounded to multiples of 2^-30, in integers and fractions. Logarithms
are those of Python's decimal arithmetic, which rounds them correctly (General Decimal Arithmetic
Specification 1.70, "ln"). Sums of floats are `math.fsum`'s, rounded once; IEEE 754 rounds division
and square roots correctly. Results are rounded half up. Predictions that differ in their last bits
can give another integer where the largest of a row are equal but for these bits, where a value is
at a threshold, and where a result is exactly between two integers (ADR 46).
"""

import decimal
from fractions import Fraction
from functools import lru_cache
from math import fsum, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Targets
from fedpact.types.metric import Metric, MetricName
from fedpact.types.scores import MAX_SCORE

PROBABILITY_BITS = 30
"""Probabilities are compared as multiples of 2^-30."""
_ONE = 1 << PROBABILITY_BITS
_LOGARITHMS = decimal.Context(prec=20, rounding=decimal.ROUND_HALF_EVEN)

Predicted = NDArray[np.float64]


def error(metric: Metric, predicted: Predicted, y: Targets) -> int:
    """The error of predictions, 1/10,000; needs at least one example.

    Args:
        predicted: (n, labels) probabilities, or (n, 1) values in units of the output's scale.
        y: (n,) labels, or values.
    """
    match metric.name:
        case MetricName.ACCURACY:
            wrong = int((predicted.argmax(axis=1) != y).sum())
            return (2 * MAX_SCORE * wrong + len(y)) // (2 * len(y))
        case MetricName.BALANCED_ACCURACY:
            rules = (balanced_labels(predicted, y), predicted.argmax(axis=1))
            return _score(1 - max(_recall(decided, y) for decided in rules))
        case MetricName.MACRO_F1:
            return _score(1 - macro_f1(predicted.argmax(axis=1), y))
        case MetricName.BRIER:
            return _score(_brier(predicted, y))
        case MetricName.LOG_LOSS:
            return _log_loss(predicted, y)
        case MetricName.AUC:
            return _score(1 - _auc(predicted, y))
    errors = np.minimum(value_errors(metric, predicted, y), 1e150)
    mean = fsum(errors.tolist()) / len(y)
    if metric.name is MetricName.RMSE:
        mean = sqrt(mean)
    return MAX_SCORE if mean >= 1 else int(MAX_SCORE * mean + 0.5)


def example_errors(metric: Metric, predicted: Predicted, y: Targets) -> NDArray[np.float64]:
    """An error per example that changes with every step of training, (n,); contributions are sums
    of it.

    Classification: see `label_errors`; where every label counts alike, times `label_weights`.
    Regression: the error of a value, at most 1.
    """
    if metric.task == "regression":
        return np.minimum(value_errors(metric, predicted, y), 1.0)
    found = label_errors(predicted[np.arange(len(y)), y])
    return found * label_weights(y) if metric.by_label else found


def label_errors(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - p^(3/4) of each example, p the probability of its label.

    Between 1 - p, for which a sharp wrong guess weighs no more than a timid right one, so that an
    update turned round costs one class what it brings another, and -log p, which pays noise for
    damping others. Square roots are rounded alike everywhere, powers are not.
    """
    roots = np.sqrt(probabilities)
    return np.asarray(1.0 - roots * np.sqrt(roots))


def label_weights(y: Targets) -> NDArray[np.float64]:
    """Weights of the n examples, (n,), by which all of the k labels that occur count alike: n / k
    over the number of examples of the label."""
    _, places, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray((len(y) / (len(counts) * counts.astype(np.float64)))[places])


def balanced_labels(predicted: Predicted, y: Targets) -> NDArray[np.int64]:
    """Labels decided by p / share, (n,), share the label's among `y`; labels without an example are
    never decided for. No rule has a higher balanced accuracy if the probabilities p are right for
    labels as frequent as in `y`. A model that learnt from other shares is right without them."""
    counts = np.bincount(y, minlength=predicted.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.where(counts > 0, predicted / counts, -1.0)
    return np.asarray(odds.argmax(axis=1))


def macro_f1(decided: NDArray[np.int64], y: Targets) -> Fraction:
    """Mean of 2 TP / (2 TP + FP + FN) over the labels in `y` and among the decisions."""
    labels = np.union1d(decided, y).tolist()
    scores = [
        Fraction(
            2 * int(((decided == one) & (y == one)).sum()),
            int((decided == one).sum() + (y == one).sum()),
        )
        for one in labels
    ]
    return sum(scores, Fraction(0)) / len(labels)


def value_errors(metric: Metric, predicted: Predicted, y: Targets) -> NDArray[np.float64]:
    """Of each value, (n,): |prediction - y|, its square (rmse), or the pinball loss (Koenker &
    Bassett 1978, equation 2.1); infinite where the prediction is NaN."""
    off = y.astype(np.float64) - predicted[:, 0]
    with np.errstate(over="ignore"):
        if metric.name is MetricName.RMSE:
            errors = off * off
        elif metric.quantile is not None:
            errors = np.maximum(metric.quantile * off, (metric.quantile - 1) * off)
        else:
            errors = np.abs(off)
    return np.where(np.isnan(errors), inf, errors)


def _recall(decided: NDArray[np.int64], y: Targets) -> Fraction:
    """Mean over the labels that occur of the share that was found."""
    labels, counts = np.unique(y, return_counts=True)
    right = [int(((decided == one) & (y == one)).sum()) for one in labels]
    shares = (Fraction(one, int(of)) for one, of in zip(right, counts, strict=True))
    return sum(shares, Fraction(0)) / len(labels)


def _brier(predicted: Predicted, y: Targets) -> Fraction:
    """Half the mean squared distance of the probabilities and the truth (Brier 1950): between 0 and
    1; of two labels the mean of (p - y)^2."""
    off = _rounded(predicted)
    off[np.arange(len(y)), y] -= _ONE
    # A square has up to 60 bits: sums of 64 bits take it in parts, each below 2^30 in size.
    high, low = off >> 15, off & 0x7FFF
    squares = (int((high * high).sum()) << 30) + (int((high * low).sum()) << 16)
    squares += int((low * low).sum())
    return Fraction(squares, 2 * len(y) * _ONE * _ONE)


def _log_loss(predicted: Predicted, y: Targets) -> int:
    """Of a mean log loss L over k labels, L / (2 ln k), at most 1."""
    own = _rounded(predicted)[np.arange(len(y)), y]
    values, counts = np.unique(own, return_counts=True)
    total = sum(
        (
            _LOGARITHMS.multiply(_surprise(int(value)), int(count))
            for value, count in zip(values, counts, strict=True)
        ),
        decimal.Decimal(0),
    )
    most = _LOGARITHMS.ln(decimal.Decimal(predicted.shape[1])) * 2 * len(y)
    return min(MAX_SCORE, _score(Fraction(total) / Fraction(most)))


@lru_cache(maxsize=65_536)
def _surprise(units: int) -> decimal.Decimal:
    """-ln p of p in multiples of 2^-30, at least one of them."""
    return -_LOGARITHMS.ln(
        _LOGARITHMS.divide(decimal.Decimal(max(units, 1)), decimal.Decimal(_ONE))
    )


def _auc(predicted: Predicted, y: Targets) -> Fraction:
    """Mean over the labels that occur of the area under the curve of this label against the rest;
    1/2 where there is one label only. Ties count half (Mann & Whitney 1947)."""
    probabilities, labels = _rounded(predicted), np.unique(y)
    if len(labels) < 2:
        return Fraction(1, 2)
    areas = [_area(probabilities[:, one], y == one) for one in labels]
    return sum(areas, Fraction(0)) / len(areas)


def _area(ranked: NDArray[np.int64], positive: NDArray[np.bool_]) -> Fraction:
    _, places, counts = np.unique(ranked, return_inverse=True, return_counts=True)
    twice_rank = 2 * (np.cumsum(counts) - counts) + counts + 1
    n, others = int(positive.sum()), int((~positive).sum())
    twice = int(twice_rank[places][positive].sum()) - n * (n + 1)
    return Fraction(twice, 2 * n * others)


def _rounded(predicted: Predicted) -> NDArray[np.int64]:
    """Probabilities in multiples of 2^-30."""
    known = np.clip(np.nan_to_num(predicted), 0.0, 1.0)
    return np.asarray(np.rint(np.ldexp(known, PROBABILITY_BITS)).astype(np.int64))


def _score(share: Fraction) -> int:
    """In 1/10,000, rounded half up."""
    return (2 * MAX_SCORE * share.numerator + share.denominator) // (2 * share.denominator)
