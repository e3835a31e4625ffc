"""Kind `contribution`: do points follow the quality of the data, and what is a free rider paid?

* `study = "quality"`: metrics `rank_correlation` of the points with the true quality, and
  `rank_correlation_leave_one_out` and `rank_correlation_truncated_shapley` of two other measures;
  negative ones count as 0.
* `study = "rider"` with a `rider`: ratios `pay`, the free rider's points divided by the honest
  mean, and `least_honest_pay`, the same for the worst paid honest provider.
* `study = "honest"`: metrics `invalid` and `excluded`, shares of honest providers' models, and
  `least_honest_pay`.
* `study = "votes"`: per guess of `votes.GUESSES`, how often a member that votes it instead of
  scoring is adverse.

All studies: metric `global_accuracy`.
"""

from typing import Any

from fedpact.errors import InvalidInput
from lab.committees.data import settings_of
from lab.contribution.committee import honest_case, quality_case, rider_case
from lab.contribution.votes import votes_case
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One request; takes seconds and saves no state."""
    ratios: dict[str, float] = {}
    metrics: dict[str, float] = {}
    names = ("study", "rider") if case.settings.get("study") == "rider" else ("study",)
    (study, *rider), scale = settings_of(case, *names)
    if study == "quality":
        found = quality_case(case.partition, case.seed, scale, case.dataset)
        correlations = found["rank_correlation"]
        metrics = {
            "rank_correlation": max(0.0, correlations["points"]),
            "rank_correlation_leave_one_out": max(0.0, correlations["leave_one_out"]),
            "rank_correlation_truncated_shapley": max(0.0, correlations["truncated_shapley"]),
        }
    elif study == "rider":
        found = rider_case(rider[0], case.partition, case.seed, scale, case.dataset)
        ratios = {"pay": found["pay"], "least_honest_pay": found["least_honest"]}
    elif study == "honest":
        found = honest_case(case.partition, case.seed, scale, case.dataset)
        metrics = {"invalid": found["invalid"], "excluded": found["excluded"]}
        ratios = {"least_honest_pay": found["least_honest"]}
    elif study == "votes":
        found = votes_case(case.partition, case.seed, scale, case.dataset)
        metrics = {f"adverse_{guess}": share for guess, share in found["adverse"].items()}
    else:
        raise InvalidInput(f"{case.name}: unknown study {study!r}: quality, rider, honest or votes")
    return {
        "metrics": {**metrics, "global_accuracy": found["accuracy"]},
        "ratios": ratios,
        "details": found,
    }
