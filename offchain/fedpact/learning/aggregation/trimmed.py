"""Coordinate-wise trimmed mean (Yin et al. 2018)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fedpact.errors import ModelError
from fedpact.learning.aggregation.base import Rule, common_template
from fedpact.learning.artefact import Model

_ROUNDING = 1e-9
"""0.29 * 100 is 28.999999999999996 in binary: 29 models are meant."""


def trimmed_mean(models: Mapping[int, Model], share: float) -> Model:
    """Mean of each value without the floor(share * n) smallest and as many largest ones
    (Yin et al. 2018, option II). Raises ModelError for a share outside [0, 0.5)."""
    if not 0 <= share < 0.5:
        raise ModelError(f"trimmed mean: the share must be from 0 to below 0.5, not {share:g}")
    template = common_template(models)
    cut = int(share * len(models) + _ROUNDING)
    mean: Model = {}
    for name, shape in template.tensors:
        ordered = np.sort(np.stack([models[seat][name] for seat in sorted(models)]), axis=0)
        kept = ordered[cut : len(models) - cut]
        values = np.zeros(shape)
        for one in kept:
            values += one
        mean[name] = (values / len(kept)).astype(np.float32)
    return mean


class TrimmedMean(Rule):
    """`share` of the models is cut off at either end of each value; all have equal weight."""

    name: ClassVar[str] = "trimmed-mean"
    share: Annotated[float, Field(ge=0, lt=0.5)]

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return trimmed_mean(models, self.share)
