"""Kind `privacy`: a linear model on fixed scattering features under mode `sound`.

Settings: `epsilon`; `plan`, a table of `rounds`, `clipping_norm`, `learning_rate` and optionally
`momentum`, `centring_multiplier`, `mirrored` and `averaged` (default: the plan tuned on public
images); `examples` as in `training.split_up`; `secure_sum`, a table of `secure.SecureSettings`
(default: every provider noises what it publishes). Metrics: `global_accuracy` on the test images,
and `told_apart`, with poisoners in groups (`SecureSums.told_apart`). The result's privacy states
everything that epsilon depends on; its details hold the curve over the rounds.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.data import sources
from fedpact.errors import InvalidInput
from fedpact.types.validation import first_error
from lab.fixed_features import training as fixed
from lab.fixed_features.secure import SecureSettings
from lab.fixed_features.secure import run_case as run_secure_case
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
    secure_sum: SecureSettings | None = None
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
    found = _found(case, settings, task, plan)
    privacy, told_apart = found.pop("privacy"), found.pop("told_apart", None)
    metrics = {"global_accuracy": found.pop("accuracy")}
    return {
        "metrics": metrics if told_apart is None else metrics | {"told_apart": told_apart},
        "privacy": {"mode": "sound", **privacy, "covers": found.pop("covers")},
        "details": {**found, "curve": {str(at): one for at, one in found["curve"].items()}},
    }


def _found(
    case: Case, settings: PrivacySettings, task: fixed.Task, plan: fixed.Plan
) -> dict[str, Any]:
    common = (settings.epsilon, case.seed, plan, case.providers, case.partition, settings.examples)
    if settings.secure_sum is None:
        return fixed.run_case(task, *common)
    return run_secure_case(task, settings.secure_sum, *common)


def _plan(case: Case, settings: PrivacySettings) -> fixed.Plan:
    if settings.plan is not None:
        return fixed.Plan(**dict(settings.plan))
    if case.dataset not in fixed.PLANS:
        raise InvalidInput(
            f"{case.name}: no plan was tuned for {case.dataset!r}, only for "
            f"{', '.join(sorted(fixed.PLANS))}: give settings.plan"
        )
    return fixed.PLANS[case.dataset](settings.epsilon)
