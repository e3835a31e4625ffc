"""Norm bounding (Sun et al. 2019)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fedpact.errors import ModelError
from fedpact.learning.aggregation.base import (
    Rule,
    common_template,
    flatten,
    restore,
    total_weight,
)
from fedpact.learning.artefact import Model
from fedpact.learning.reproducible_sums import clipping_factor


def norm_bounding(
    models: Mapping[int, Model], weights: Mapping[int, int], start: Model, bound: float
) -> Model:
    """The global model plus the weighted mean of the updates, longer ones shortened to norm `bound`
    (Sun et al. 2019, section 5). Raises ModelError for a bound that is not positive.
    """
    if not bound > 0:
        raise ModelError(f"norm bounding needs a positive bound, not {bound:g}")
    template = common_template({**models, -1: start})
    total = float(total_weight(models, weights))
    origin = flatten(start)
    step = np.zeros_like(origin)
    for seat in sorted(models):
        update = flatten(models[seat]) - origin
        step += update * (clipping_factor(update, bound) * float(weights[seat]))
    return restore(origin + step / total, template)


class NormBounding(Rule):
    """`bound` is the largest norm of an update; longer ones are shortened."""

    name: ClassVar[str] = "norm-bounding"
    bound: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return norm_bounding(models, weights, start, self.bound)
