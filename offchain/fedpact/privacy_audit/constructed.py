"""Releases of families that construct their model in one go, with and without a document.

Every document adds a vector of the same length, so that any one reaches the stated bound.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.errors import InvalidInput
from fedpact.learning.artefact import Model
from fedpact.learning.families import constructed_family_of
from fedpact.learning.families.text_statistics import TextStatisticsParameters
from fedpact.learning.local_training import train_local
from fedpact.learning.summed_release import group_model, member_integers
from fedpact.learning.text_statistics import Statistics
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import NoiseSource
from fedpact.privacy.releases import GaussianRelease
from fedpact.requester.draft import Draft
from fedpact.types.specification import Specification

TEXTS = (
    "the locomotive pulled freight through the tunnel",
    "a sailor repaired the torn canvas of the yacht",
    "parliament debated the pension reform until midnight",
    "volcanic ash grounded every aircraft in the region",
)
LABELS = (0, 1, 0, 1)
_TRIED = {
    "text-statistics": ({"bits": 11}, "class-sums"),
    "random-forest": ({"trees": 5, "depth": 3}, "union"),
}
"""Small parameters, and the aggregation that the family requires."""

Flat = NDArray[np.float64]


class Silent(NoiseSource):
    """Adds nothing: shows which values of a release a document changes."""

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.zeros(count, dtype=np.uint64)

    def half_steps(self, count: int) -> NDArray[np.int64]:
        return np.zeros(count, dtype=np.int64)


def constructed_release(
    name: str, privacy: Mapping[str, Any], noise: NoiseSource
) -> tuple[Callable[[int], list[float]], float]:
    """A function that draws over the first n texts along the last one's direction; the stated mu.

    Of secure sums: the least one that is opened, less what colluders know, of which one member has
    the texts. Raises InvalidInput for a family without an audit.
    """
    if name not in _TRIED:
        raise InvalidInput(f"family {name}: its releases have no audit")
    spec = _specification(name, privacy)
    released = GaussianRelease.of_round(spec, 1)
    assert released is not None
    every = len(TEXTS)
    shown = _released(spec, every, Silent()) - _released(spec, every - 1, Silent())
    along = shown / np.linalg.norm(shown)

    def release(texts: int) -> list[float]:
        return [float(_released(spec, texts, noise) @ along)]

    return release, math.sqrt(released.steps) / released.noise_multiplier


def _released(spec: Specification, texts: int, noise: NoiseSource) -> Flat:
    """All values of a local model, or of the least sum's, scaled so that all have the same
    noise."""
    start, honest = constructed_family_of(spec).initial(spec, 0), spec.privacy.honest

    def training(texts: int) -> LocalTraining:
        held = Dataset(documents(TEXTS[:texts]), np.array(LABELS[:texts], int), ())
        return LocalTraining(spec, start, held, noise=noise, round_and_seat=(1, 0))

    if honest is None:
        model = train_local(training(texts))
    else:
        total = member_integers(training(texts))
        for _ in range(honest - 1):
            total = total + member_integers(training(0))
        model = group_model(spec, 1, start, total, [len(TEXTS)] * honest)
    return _sums(spec, model) if spec.family.name == "text-statistics" else _counts(model)


def _sums(spec: Specification, model: Model) -> Flat:
    found = Statistics.of(model)
    asked = TextStatisticsParameters.model_validate(spec.family.parameters)
    parts = (found.words, found.counts * asked.count_weight, found.dense * asked.dense_weight)
    return np.concatenate([part.ravel() for part in parts])


def _counts(model: Model) -> Flat:
    return model["counts"].astype(np.float64).ravel()


def _specification(name: str, privacy: Mapping[str, Any]) -> Specification:
    parameters, aggregation = _TRIED[name]
    summed = "sum" in privacy
    return Draft(
        {
            "title": "A privacy audit",
            "category": "audits/texts",
            "labels": ["0", "1"],
            "features": {"kind": "text", "shape": []},
            "family": {"name": name, "parameters": parameters},
            "aggregation": {"name": aggregation},
            "local": {"construction_seed": 0},
            "rounds": 1,
            "min_providers": privacy.get("group", 2),
            "max_providers": privacy.get("group", 2),
            "score": "contribution" if summed else "model",
            "max_error": 5_000 if summed else 10_000,
            "privacy": privacy,
        },
        on_chain=False,
    ).specification
