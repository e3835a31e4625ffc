"""Coordinate-wise median (Yin et al. 2018)."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from fedpact.learning.aggregation.base import Rule, common_template
from fedpact.learning.artefact import Model


def coordinate_median(models: Mapping[int, Model]) -> Model:
    """Median of each value (Yin et al. 2018, option I); of an even count the middle two's mean."""
    template = common_template(models)
    middle = len(models) // 2
    median: Model = {}
    for name, _ in template.tensors:
        ordered = np.sort(np.stack([models[seat][name] for seat in sorted(models)]), axis=0)
        upper = ordered[middle].astype(np.float64)
        lower = ordered[middle if len(models) % 2 else middle - 1].astype(np.float64)
        median[name] = ((lower + upper) / 2).astype(np.float32)
    return median


class CoordinateMedian(Rule):
    """No parameters; all models have equal weight."""

    name: ClassVar[str] = "coordinate-median"

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return coordinate_median(models)
