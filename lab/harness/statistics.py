"""Statistics of repeated runs: mean, standard deviation and 95 % confidence interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanEstimate:
    """The mean of `count` runs; `std` and the interval are None for a single run."""

    mean: float
    std: float | None
    """Sample standard deviation, with count - 1 in the denominator."""
    low: float | None
    high: float | None
    """Student's t interval of the mean; it assumes that runs are normal and independent."""
    count: int


def estimate(values: Sequence[float]) -> MeanEstimate:
    """Statistics of at least one run."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return MeanEstimate(mean, None, None, None, 1)
    from scipy.stats import t

    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * std / math.sqrt(count)
    return MeanEstimate(mean, std, mean - half, mean + half, count)


def paired_difference(ours: dict[int, float], base: dict[int, float]) -> MeanEstimate | None:
    """Statistics of ours - base over the seeds that both have; None if there are none."""
    seeds = sorted(ours.keys() & base.keys())
    return estimate([ours[seed] - base[seed] for seed in seeds]) if seeds else None


def mean_absolute_gap(ours: Sequence[float], base: Sequence[float]) -> float:
    """Mean of |ours - base| over the rounds that both curves have (Wang et al. 2024, Table 1)."""
    rounds = min(len(ours), len(base))
    return math.fsum(abs(a - b) for a, b in zip(ours, base, strict=False)) / rounds


def ahead_from(ours: Sequence[float], base: Sequence[float]) -> int | None:
    """The first round (counted from 1) from which ours stays above base; None if it does not."""
    ahead = None
    for number, (a, b) in enumerate(zip(ours, base, strict=False), start=1):
        if a <= b:
            ahead = None
        elif ahead is None:
            ahead = number
    return ahead
