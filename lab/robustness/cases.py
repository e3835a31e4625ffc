"""Kind `robustness`: a share of hostile providers, under one attack and one rule.

Metrics: `global_accuracy`; `honest_alone`, the accuracy of training without the hostile providers;
`accuracy_lost`, how far the first is below the second, at least 0; `stalled`, 1 if a round never
became final; for the attack `back-door` also `back_door_rate`, and `back_door_rate_honest` without
the attack.
"""

from typing import Any

from lab.committees.data import settings_of
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case
from lab.robustness.committee import run_case

AXES = ("rule", "attack", "share")


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One request with the hostile providers and one without; takes seconds, saves no state."""
    (rule, attack, share), scale = settings_of(case, *AXES)
    found = run_case(attack, rule, share, case.partition, case.seed, scale, case.dataset)
    metrics = {
        "global_accuracy": found["accuracy"],
        "honest_alone": found["honest_alone"],
        "accuracy_lost": max(0.0, -found["difference"]),
        "stalled": float(found["stalled"]),
    }
    if "back_door" in found:
        metrics["back_door_rate"] = found["back_door"]
        metrics["back_door_rate_honest"] = found["back_door_honest"]
    details = {name: found[name] for name in ("excluded", "points", "rounds")}
    return {"metrics": metrics, "details": details}
