"""Kind `texts`: one method of learning from a text collection over providers.

Settings: `family`, one of FAMILIES, with `parameters`, its fields; `epsilon`, a number or `"none"`
(the default); `share`, the share of the collection's shards in the sub-data set (Lu et al. 2020,
section IV-B); `held_out`: test on every fifth training document, which is then not trained on.

Metrics: `macro_auc` and `accuracy` on the test documents; `running_time` from raw text to the
global model with one core per provider, `training_time`, the part without the representation, and
`serial_time`, of all providers one after another: processor seconds of one thread divided by
LONGEST. Families with rounds have the curve
`accuracy`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.errors import InvalidInput
from fedpact.types.validation import first_error
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case
from lab.text_training.collections import collection, measured, sub_collection
from lab.text_training.task import Family, TextTask
from lab.texts.graph_network import TextGraphNetwork
from lab.texts.rounds import CentralMachine, GradientRounds
from lab.texts.statistics import TextStatisticsRun
from lab.texts.trees import BoostedTreesRun, GrownTrees, SoundForestRun

FAMILIES: Mapping[str, type[Family]] = {
    "text-statistics": TextStatisticsRun,
    "gradient-rounds": GradientRounds,
    "boosted-trees": BoostedTreesRun,
    "grown-trees": GrownTrees,
    "sound-forest": SoundForestRun,
    "central-svm": CentralMachine,
    "text-gcn": TextGraphNetwork,
}
LONGEST = 600.0
"""Seconds: the unit of times, since metrics lie between 0 and 1."""


class TextSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    parameters: dict[str, Any] = {}
    epsilon: Annotated[float, Field(gt=0)] | Literal["none"] = "none"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    held_out: bool = False


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One federation; takes seconds and saves no state."""
    try:
        settings = TextSettings.model_validate(dict(case.settings))
    except ValidationError as error:
        raise InvalidInput(f"{case.name}: settings.{first_error(error)}") from error
    family = _family(case, settings)
    whole = collection(case.dataset, held_out=settings.held_out)
    source = sub_collection(whole, settings.share, case.seed)
    task = TextTask.cut(source, case.partition, case.providers, case.seed)
    found = family.run(task, None if settings.epsilon == "none" else settings.epsilon)
    quality = measured(found.scores, source.y_test)
    seconds = found.seconds
    return {
        "metrics": {
            "macro_auc": quality.macro_auc,
            "accuracy": quality.accuracy,
            "running_time": min(1.0, seconds.running / LONGEST),
            "training_time": min(1.0, seconds.slowest_training / LONGEST),
            "serial_time": min(1.0, seconds.processor / LONGEST),
        },
        "curves": {"accuracy": found.curve} if found.curve else {},
        "privacy": found.privacy,
        "details": {
            **found.details,
            "documents": [len(part) for part in task.parts],
            "test_documents": len(source.test),
            "labels": len(source.labels),
            "processor_seconds": {
                "representation": seconds.representation,
                "training": seconds.training,
                "aggregation": seconds.aggregation,
                "in_all": seconds.processor,
            },
        },
    }


def _family(case: Case, settings: TextSettings) -> Family:
    if settings.family not in FAMILIES:
        raise InvalidInput(
            f"{case.name}: unknown family {settings.family!r}: one of {', '.join(FAMILIES)}"
        )
    try:
        return FAMILIES[settings.family](**settings.parameters)
    except TypeError as error:
        raise InvalidInput(f"{case.name}: settings.parameters: {error}") from error
