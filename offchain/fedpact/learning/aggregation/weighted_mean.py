"""The means: weighted by samples (McMahan et al. 2017), and of equal parts (Lu et al. 2020)."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from fedpact.learning.aggregation.base import (
    Rule,
    common_template,
    flatten,
    restore,
    total_weight,
)
from fedpact.learning.artefact import Model


def weighted_mean(models: Mapping[int, Model], weights: Mapping[int, int]) -> Model:
    """sum of w_i * model_i over sum of w_i (McMahan et al. 2017, algorithm 1), weights by seat."""
    template = common_template(models)
    total = total_weight(models, weights)
    values = np.zeros(template.parameters)
    for seat in sorted(models):
        values += flatten(models[seat]) * float(weights[seat])
    return restore(values / float(total), template)


class WeightedMean(Rule):
    """No parameters."""

    name: ClassVar[str] = "weighted-mean"

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return weighted_mean(models, weights)


class SampleMean(WeightedMean):
    """The weights n_k/n as printed (McMahan et al. 2017; Wang et al. 2024, algorithm 1, line 8):
    nothing limits what a declared size buys. No parameters."""

    name: ClassVar[str] = "sample-mean"
    capped: ClassVar[bool] = False


class EqualMean(Rule):
    """M = (1/k) sum of m_i (Lu et al. 2020, algorithm 1, line 11), whatever the declared samples.
    No parameters."""

    name: ClassVar[str] = "equal-mean"

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return weighted_mean(models, dict.fromkeys(models, 1))
