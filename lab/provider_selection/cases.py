"""Kind `provider-selection`: a few of many providers, chosen for a request about one topic.

Settings: `by`, one of `random`, `labels`, `terms`, `documents` (`lab.provider_selection.market`);
for the last two also `signature` and `epsilon` (a number or `"none"`); `chosen`, the number of
providers per request.

Metrics, means over the topics: `macro_auc` of the chosen providers' model; `over_random`, its gain
over a random choice, at least 0; and `share_of_gain`, that gain divided by the gain of a choice by
the true labels, at most 1.
"""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.errors import InvalidInput
from fedpact.types.validation import first_error
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case
from lab.provider_selection import market as provider_selection
from lab.provider_selection.market import TOPICS, BySignature, Choose, ProviderMarket
from lab.text_training.collections import collection
from lab.text_training.task import DELTA

FIRST_SPLIT = 20
"""Earlier splits were used to choose the form of the queries."""


class SelectionSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["random", "labels", "terms", "documents"]
    epsilon: Annotated[float, Field(gt=0)] | Literal["none"] = "none"
    signature: Literal["graph", "terms"] = "graph"
    chosen: Annotated[int, Field(ge=1)] = 9


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One market, one request per topic; takes seconds and saves no state."""
    try:
        settings = SelectionSettings.model_validate(dict(case.settings))
    except ValidationError as error:
        raise InvalidInput(f"{case.name}: settings.{first_error(error)}") from error
    epsilon = None if settings.epsilon == "none" else settings.epsilon
    choose = _choice(case, settings, epsilon)
    split = FIRST_SPLIT + case.seed
    market = ProviderMarket.open(
        collection(case.dataset), case.partition, case.providers, settings.chosen, split
    )
    found = provider_selection.compared(market, choose, TOPICS)
    own, least, most = (
        float(np.mean([one[name] for one in found.values()]))
        for name in ("own", "random", "labels")
    )
    gained = max(0.0, own - least)
    return {
        "metrics": {
            "macro_auc": own,
            "over_random": gained,
            "share_of_gain": min(1.0, gained / (most - least)) if most > least else 1.0,
        },
        "privacy": {"mode": "none"}
        if epsilon is None
        else {"mode": "sound", "epsilon": epsilon, "delta": DELTA, "covers": "the signature"},
        "details": {
            "topics": found,
            "documents_each": float(np.mean([len(part) for part in market.parts])),
        },
    }


def _choice(case: Case, settings: SelectionSettings, epsilon: float | None) -> Choose:
    if settings.by == "terms" or settings.by == "documents":
        return BySignature(settings.by, settings.signature, epsilon)
    if settings.model_fields_set - {"by", "chosen"}:
        raise InvalidInput(f"{case.name}: by {settings.by} uses no signatures: give only chosen")
    return provider_selection.at_random if settings.by == "random" else provider_selection.by_labels
