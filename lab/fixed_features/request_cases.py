"""Kind `request`: a whole request for a linear model on scattering features, with votes.

Settings: `epsilon`; `step`, a table of `learning_rate`, `clipping_norm`, `momentum` and `mirrored`
(default: the step chosen on public images). Metrics: `global_accuracy` on the test images, and
`included`, the share of honest models that the votes included. The result's privacy states
everything that epsilon depends on.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.data import sources
from fedpact.demo.scattering_settings import STEPS, ServerStep
from fedpact.errors import InvalidInput
from fedpact.types.validation import first_error
from lab.fixed_features.request import run_case
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case


class StepSettings(BaseModel):
    """A `scattering.Step` in a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: Annotated[float, Field(gt=0)]
    clipping_norm: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    mirrored: Literal[0, 1] = 0


class RequestSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: Annotated[float, Field(gt=0)]
    step: StepSettings | None = None


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One request; takes minutes and saves nothing but the features."""
    try:
        settings = RequestSettings.model_validate(dict(case.settings))
    except ValidationError as error:
        raise InvalidInput(f"{case.name}: settings.{first_error(error)}") from error
    if settings.step is not None:
        step = ServerStep(**dict(settings.step))
    elif case.dataset in STEPS:
        step = STEPS[case.dataset]
    else:
        raise InvalidInput(
            f"{case.name}: no step was chosen for {case.dataset!r}, only for "
            f"{', '.join(sorted(STEPS))}: give settings.step"
        )
    source = sources.load(case.dataset, case.seed)
    found = run_case(source, settings.epsilon, case.seed, case.providers, case.partition, step)
    accuracy, privacy = found.pop("accuracy"), found.pop("privacy")
    out, rounds = sum(found["rounds_left_out"]), found["rounds"]
    return {
        "metrics": {
            "global_accuracy": accuracy,
            "included": 1 - out / max(1, rounds * case.providers),
        },
        "privacy": {"mode": "sound", **privacy, "covers": found.pop("covers")},
        "details": found,
    }
