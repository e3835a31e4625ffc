"""Centred clipping (Karimireddy et al. 2021)."""

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


def centred_clipping(
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    start: Model,
    radius: float,
    iterations: int,
) -> Model:
    """v <- v + weighted mean of (x_i - v) * min(1, radius / |x_i - v|), `iterations` times
    (Karimireddy et al. 2021, equation 7).

    v starts at the round's global model: the centre without updates, as the paper's is the
    aggregate of the step before; its mean has equal weights. Raises ModelError for a radius that
    is not positive, or for less than one iteration.
    """
    if not radius > 0 or iterations < 1:
        raise ModelError(
            f"centred clipping needs a positive radius and an iteration, not {radius:g} and "
            f"{iterations}"
        )
    template = common_template({**models, -1: start})
    total = float(total_weight(models, weights))
    centre = flatten(start)
    for _ in range(iterations):
        step = np.zeros_like(centre)
        for seat in sorted(models):
            away = flatten(models[seat]) - centre
            step += away * (clipping_factor(away, radius) * float(weights[seat]))
        centre = centre + step / total
    return restore(centre, template)


class CentredClipping(Rule):
    """`radius` bounds each model's distance from the centre, which moves `iterations` times."""

    name: ClassVar[str] = "centred-clipping"
    radius: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    iterations: Annotated[int, Field(ge=1, le=100)] = 1

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        return centred_clipping(models, weights, start, self.radius, self.iterations)
