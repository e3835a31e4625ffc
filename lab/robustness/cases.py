"""Kind `robustness`: a part of hostile providers, under one attack and one rule.

Metrics: `global_accuracy`; `honest_alone`, that of training without the hostile; `accuracy_lost`,
how far the first is below the second, 0 where it is not; `stalled`, 1 where a round never became
final; of the attack `back-door` also `back_door_rate`, and `back_door_rate_honest` without it.
"""

from typing import Any

from fedpact.errors import InvalidInput
from lab.committees.data import CommitteeSize
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case
from lab.robustness.committee import run_case

AXES = ("rule", "attack", "share")


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One request with the hostile and one without; it takes seconds and keeps no state."""
    settings = dict(case.settings)
    try:
        rule, attack, share = (settings.pop(axis) for axis in AXES)
        scale = CommitteeSize(providers=case.providers, **settings)
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"{case.name}: settings: {error}") from error
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
