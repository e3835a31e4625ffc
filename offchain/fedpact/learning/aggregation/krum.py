"""Multi-Krum (Blanchard et al. 2017)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fedpact.errors import ModelError, SpecificationError
from fedpact.learning.aggregation.base import Rule, common_template, flatten
from fedpact.learning.aggregation.weighted_mean import weighted_mean
from fedpact.learning.artefact import Model
from fedpact.learning.reproducible_sums import squared_length


def krum_scores(models: Mapping[int, Model], byzantine: int) -> dict[int, float]:
    """Sum of each model's squared distances to its n - f - 2 nearest others, f = `byzantine`
    (Blanchard et al. 2017, section 4). Raises ModelError where n <= 2f + 2."""
    if byzantine < 0 or len(models) <= 2 * byzantine + 2:
        raise ModelError(
            f"Krum against {byzantine} Byzantine models needs more than {2 * byzantine + 2} "
            f"models, not {len(models)}"
        )
    common_template(models)
    seats = sorted(models)
    vectors = [flatten(models[seat]) for seat in seats]
    squared = np.zeros((len(seats), len(seats)))
    for i in range(len(seats)):
        for j in range(i):
            squared[i, j] = squared[j, i] = squared_length(vectors[i] - vectors[j])
    nearest = len(seats) - byzantine - 2
    scores = {}
    for i, seat in enumerate(seats):
        others = sorted(squared[i, j] for j in range(len(seats)) if j != i)
        scores[seat] = float(sum(others[:nearest]))
    return scores


def multi_krum(
    models: Mapping[int, Model], weights: Mapping[int, int], byzantine: int, kept: int
) -> Model:
    """Weighted mean of the `kept` models with the lowest scores; ties go to the lowest seat.

    The paper's mean has equal weights. Raises ModelError where n <= 2 * byzantine + 2, or where
    `kept` is not in 1..n - byzantine.
    """
    scores = krum_scores(models, byzantine)
    if not 1 <= kept <= len(models) - byzantine:
        raise ModelError(
            f"Multi-Krum of {len(models)} models keeps 1 to {len(models) - byzantine}, not {kept}"
        )
    chosen = sorted(scores, key=lambda seat: (scores[seat], seat))[:kept]
    return weighted_mean({seat: models[seat] for seat in chosen}, weights)


class MultiKrum(Rule):
    """`kept` models are averaged, `byzantine` are expected to be hostile.

    The votes may leave fewer models than 2 * byzantine + 3, having removed hostile ones already;
    then the rule expects as many hostile ones as it can withstand.
    """

    name: ClassVar[str] = "multi-krum"
    byzantine: Annotated[int, Field(ge=0)]
    kept: Annotated[int, Field(ge=1)]

    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        if len(models) < 3:
            return weighted_mean(models, weights)
        byzantine = min(self.byzantine, (len(models) - 3) // 2)
        return multi_krum(models, weights, byzantine, min(self.kept, len(models) - byzantine))

    def check(self, providers: int) -> None:
        if providers <= 2 * self.byzantine + 2:
            raise SpecificationError(
                f"aggregation {self.name!r} against {self.byzantine} Byzantine providers needs "
                f"more than {2 * self.byzantine + 2} of them, min_providers is {providers}"
            )
        if self.kept > providers - self.byzantine:
            raise SpecificationError(
                f"aggregation {self.name!r} with {self.byzantine} Byzantine of {providers} "
                f"providers can keep {providers - self.byzantine} models, not {self.kept}"
            )
