"""Kind `privacy`: a linear model on fixed scattering features under mode `sound`.

Settings: `epsilon`; `plan`, a table of `rounds`, `clipping_norm`, `learning_rate` and optionally
`momentum`, `centring_multiplier`, `mirrored` and `averaged` (default: the plan tuned on public
images); `shared_noise` and `examples` as in `training.run_case`. Metric: `global_accuracy` on the
test images. The result's privacy states everything that epsilon depends on; its details hold the
curve over the rounds.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.data import sources
from fedpact.errors import InvalidInput
from fedpact.types.validation import first_error
from lab.fixed_features import training as fixed
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case


class PlanSettings(BaseModel):
    """A `training.Plan` in a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: Annotated[int, Field(ge=1)]
    clipping_norm: Annotated[float, Field(gt=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = fixed.Plan.momentum
    centring_multiplier: Annotated[float, Field(gt=0)] = fixed.Plan.centring_multiplier
    mirrored: bool = fixed.Plan.mirrored
    averaged: Annotated[int, Field(ge=1)] = fixed.Plan.averaged


class PrivacySettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float
    plan: PlanSettings | None = None
    shared_noise: bool = False
    examples: Annotated[int, Field(ge=1)] | None = None


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One federation; takes minutes and saves nothing but the features."""
    try:
        settings = PrivacySettings.model_validate(dict(case.settings))
    except ValidationError as error:
        raise InvalidInput(f"{case.name}: settings.{first_error(error)}") from error
    plan = _plan(case, settings)
    fixed.schedule(plan, settings.epsilon)  # fails on an invalid epsilon before any work
    task = fixed.Task.of(
        sources.load(case.dataset, case.seed), fixed.FEATURES, mirrored=plan.mirrored
    )
    found = fixed.run_case(
        task,
        settings.epsilon,
        case.seed,
        plan,
        case.providers,
        case.partition,
        settings.shared_noise,
        settings.examples,
    )
    accuracy, privacy = found.pop("accuracy"), found.pop("privacy")
    return {
        "metrics": {"global_accuracy": accuracy},
        "privacy": {"mode": "sound", **privacy, "covers": found.pop("covers")},
        "details": {**found, "curve": {str(at): one for at, one in found["curve"].items()}},
    }


def _plan(case: Case, settings: PrivacySettings) -> fixed.Plan:
    if settings.plan is not None:
        return fixed.Plan(**dict(settings.plan))
    if case.dataset not in fixed.PLANS:
        raise InvalidInput(
            f"{case.name}: no plan was tuned for {case.dataset!r}, only for "
            f"{', '.join(sorted(fixed.PLANS))}: give settings.plan"
        )
    return fixed.PLANS[case.dataset](settings.epsilon)
