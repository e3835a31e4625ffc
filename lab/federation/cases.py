"""Kind `federation`: plain federated training, with curves over the rounds and final figures.

Metrics of a classification: `global_accuracy` and `local_accuracy` after the last round, and
`best_global_accuracy`, the highest of all rounds; it is chosen on the test set and given only
because papers may report it. Of a regression: `rmse` and `mae` of the last global model, in
units of the output's scale. Curves: the same names, `mae` and `local_mae` of a regression.
"""

from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.sources import TrainTestData
from fedpact.demo.drafts import WINDOWS
from fedpact.errors import InvalidInput
from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import of_request
from fedpact.requester.draft import Draft
from fedpact.types.privacy import CLAIM, PrivacyMode
from fedpact.types.specification import Specification
from fedpact.types.validation import first_error
from lab.federation.noise import noise
from lab.federation.training import Federation, predictions_of, train_federation
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case


class LearningSettings(BaseModel):
    """Settings of the configuration; the tables are those of a specification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: dict[str, Any]
    strategy: dict[str, Any] = {"name": "fedavg"}
    aggregation: dict[str, Any] = {"name": "weighted-mean"}
    local: dict[str, Any]
    rounds: Annotated[int, Field(ge=1)]
    sampled: Annotated[int, Field(ge=1)] | None = None
    """Providers that train in a round; all if None."""
    train_examples: Annotated[int, Field(ge=1)] | None = None
    """Training examples, drawn with the seed; all if None."""
    test_examples: Annotated[int, Field(ge=1)] | None = None
    mirrored: bool = False
    """Of pictures: providers train on half of them mirrored, others in each round, as if they had
    twice as many."""
    moved: Annotated[int, Field(ge=0, le=8)] = 0
    """Of pictures: each is moved by so many pixels at most, otherwise in each round."""
    pooled: bool = False
    """All data at one provider: training without federation, with as many passes over the data."""
    privacy: dict[str, Any] = {"mode": PrivacyMode.NONE.value}
    """As in a specification, without the noise of mode `sound`, which is computed."""
    sound_local: dict[str, Any] | None = None
    """Replaces `local` under mode `sound`, which trains in steps."""


def run(case: Case, checkpoint: Checkpoint) -> dict[str, Any]:
    """One federation; data, initial model, samples and batches depend on the case's seed."""
    settings = settings_of(case)
    source = sources.load(case.dataset, case.seed)
    federation = federation_of(case, settings, source)
    test = test_set(source, settings.test_examples, case.seed)
    total = federation.spec.rounds
    model, curves = train_federation(
        federation,
        test,
        resumed=checkpoint.state,
        on_round=lambda done, state: checkpoint.reached(done, total, state),
    )
    details = {
        "examples": [len(part) for part in federation.parts],
        "test_examples": len(test),
        "parameters": sum(values.size for values in model.values()),
    }
    privacy = {"privacy": privacy_of(federation.spec)}
    if source.task == "regression":
        errors = predictions_of(federation, model, test.x)[:, 0] - test.y
        return privacy | {
            "metrics": {
                "rmse": float(np.sqrt(np.mean(errors.astype(np.float64) ** 2))),
                "mae": curves.global_[-1],
            },
            "curves": {"mae": curves.global_, "local_mae": curves.local},
            "details": details,
        }
    return privacy | {
        "metrics": {
            "global_accuracy": curves.global_[-1],
            "local_accuracy": curves.local[-1],
            "best_global_accuracy": max(curves.global_),
        },
        "curves": {"global_accuracy": curves.global_, "local_accuracy": curves.local},
        "details": details,
    }


def privacy_of(spec: Specification) -> dict[str, Any]:
    """A result's privacy: for one provider's records, over all rounds."""
    privacy = spec.privacy
    if privacy.mode is PrivacyMode.PAPER:
        claimed = {"epsilon": privacy.epsilon, "delta": privacy.delta, "note": CLAIM}
        return {"mode": privacy.mode.value, "mechanism": privacy.mechanism, **claimed}
    release = of_request(spec)
    if release is None or privacy.delta is None:
        return {"mode": privacy.mode.value}
    return {"mode": privacy.mode.value, **asdict(cost(release, privacy.delta))}


def settings_of(case: Case) -> LearningSettings:
    """The case's settings; raises InvalidInput for others than a federation's."""
    try:
        return LearningSettings.model_validate(dict(case.settings))
    except ValidationError as error:
        raise InvalidInput(f"{case.name}: settings.{first_error(error)}") from error


def federation_of(case: Case, settings: LearningSettings, source: TrainTestData) -> Federation:
    """The case's providers with their parts of the data, and the specification."""
    chosen = _drawn(len(source.y_train), settings.train_examples, case.seed)
    if settings.pooled:
        parts = [chosen]
    else:
        groups = None if source.groups_train is None else source.groups_train[chosen]
        rows = partition.named(
            case.partition, source.y_train[chosen], case.providers, case.seed, groups
        )
        parts = [chosen[part] for part in rows]
    return Federation(
        _specification(case, settings, source),
        [source.train_set(part) for part in parts],
        settings.sampled or len(parts),
        case.seed,
        case.device.value,
        partial(noise, case.seed),
        settings.mirrored,
        settings.moved,
    )


def _specification(case: Case, settings: LearningSettings, source: TrainTestData) -> Specification:
    local = {**settings.local, "shuffle_seed": case.seed}
    if settings.privacy.get("mode") == PrivacyMode.SOUND:
        if settings.sound_local is None:
            raise InvalidInput(f"{case.name}: privacy mode sound needs settings.sound_local")
        local = settings.sound_local
    if source.output is None:
        task: dict[str, Any] = {"labels": list(source.labels)}
    else:
        task = {"task": source.task, "output": source.output.model_dump()}
    return Draft(
        {
            "title": case.experiment,
            "category": f"experiments/{case.dataset}",
            **task,
            "features": {"shape": list(source.shape), "scale": source.scale},
            "family": settings.family,
            "strategy": settings.strategy,
            "aggregation": settings.aggregation,
            "local": local,
            "rounds": settings.rounds,
            "min_providers": 2,
            "max_providers": 2,
            "score": "model",
            "max_error": 10_000,
            "privacy": settings.privacy,
            "windows": WINDOWS,
        },
        on_chain=False,
    ).specification


def test_set(source: TrainTestData, count: int | None, seed: int) -> Dataset:
    """`count` test examples, drawn with the seed; all if None."""
    kept = _drawn(len(source.y_test), count, seed)
    return replace(source, x_test=source.x_test[kept], y_test=source.y_test[kept]).test_set()


def _drawn(available: int, count: int | None, seed: int) -> NDArray[np.int64]:
    """`count` random indices below `available`, ascending; all if None."""
    if count is None or count >= available:
        return np.arange(available)
    return np.sort(np.random.default_rng(seed).permutation(available)[:count])
