"""What all checks share: the audited training, its data and gradients, and a finding."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.data.sources import digits
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.families import family, family_of, gradient_family_of
from fedpact.learning.families.base import Weights
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.accounting import cost
from fedpact.privacy.attacks import AuditedMode, Check
from fedpact.privacy.noise import NoiseSource
from fedpact.privacy.releases import GaussianRelease
from fedpact.requester.draft import Draft
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

EPSILON, DELTA = 2.0, 1e-5
STEPS = 2
LEARNING_RATE = 1e-4
START = 4
"""Seed of first models."""
RECORDS = 4
"""Records of the data set that is drawn with and without one of them."""
DRAWS = 2_000
CANARIES = 5_000
FEWER_CANARIES = {"cnn": 1_000, "char-lstm": 1_000}
"""For families whose canaries are images or windows of characters, which take longer."""
GUESSED = 25
"""One canary in this many is guessed, at least MIN_GUESSES."""
MIN_GUESSES = 40
"""28 guesses, all right, refute an epsilon of 2; fewer never could."""
CANARY = 10.0
"""A canary's only value that is not 0: gives long gradients, mostly its own."""
CANARY_NORM = 0.5
MEMBERS, MODELS = 120, 24
DDP_SGD = {"mode": "paper", "mechanism": "ddp-sgd", "epsilon": EPSILON, "delta": DELTA}
SECURE_SUM = {"sum": "secure", "group": 4, "honest": 3, "colluders": 1}
MEMBERSHIP_LOCAL: dict[str, Any] = {"steps": 40, "learning_rate": 1.0, "momentum": 0.9}
LARGEST_DIGIT = 9
CHARACTERS = "char-lstm"
_SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [4]},
    "cnn": {"form": "mnist", "channels": [1], "hidden": [4], "activation": "tanh"},
    "char-lstm": {"embedding": 4, "hidden": 16, "layers": 1},
}
"""Parameters of families of variable size."""


@dataclass(frozen=True)
class Finding:
    """One check: the stated and the measured figure, and whether the stated one holds."""

    check: Check
    family: str
    mode: AuditedMode
    quantity: str
    stated: float
    measured: float | None
    """None: unbounded."""
    holds: bool
    epsilon: float
    delta: float
    details: dict[str, Any] = field(default_factory=dict)


def stated_epsilon(spec: Specification) -> float:
    released = GaussianRelease.of_round(spec, spec.rounds)
    assert released is not None
    return cost(released, DELTA).epsilon


def audited_digits(name: str, count: int) -> tuple[NDArray[np.float32], Targets]:
    """Images, (count, 8, 8); for a family of characters, lines of 16 codes from 0 to 9."""
    source = digits()
    x = (source.x_train[:count] / source.scale).astype(np.float32).reshape(count, 8, 8)
    if name == CHARACTERS:
        pooled = x.reshape(count, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(count, 16)
        x = np.floor(pooled * (LARGEST_DIGIT + 0.99)).astype(np.float32)
    y = source.y_train[:count].copy()
    return x, y if classifies(name) else (y / LARGEST_DIGIT).astype(np.float32)


def classifies(name: str) -> bool:
    return "classification" in family(name).tasks


def descent(mode: AuditedMode = AuditedMode.SOUND) -> dict[str, Any]:
    steps = 1 if mode is AuditedMode.SECURE else STEPS
    return {"steps": steps, "learning_rate": LEARNING_RATE}


def asked_privacy(clipping_norm: float | None, mode: AuditedMode) -> dict[str, Any]:
    """`clipping_norm`: None for families that construct their models."""
    asked: dict[str, Any] = {"mode": PrivacyMode.SOUND.value, "epsilon": EPSILON, "delta": DELTA}
    if clipping_norm is not None:
        asked["clipping_norm"] = clipping_norm
    if mode is AuditedMode.SECURE:
        return asked | SECURE_SUM
    return asked | ({"adaptive_clipping": {}} if mode is AuditedMode.ADAPTIVE else {})


def audited_specification(
    name: str, shape: tuple[int, ...], privacy: dict[str, Any], local: dict[str, Any]
) -> Specification:
    task: dict[str, Any] = {"labels": [str(label) for label in range(LARGEST_DIGIT + 1)]}
    if not family(name).sound:
        raise SpecificationError(
            f"family {name} cannot clip what one unit adds, so it has no figure to audit"
        )
    if not classifies(name):
        task = {"task": "regression", "output": {"column": "digit", "scale": 1.0}}
    return Draft(
        {
            "title": "A privacy audit",
            "category": "audits/digits",
            **task,
            "features": {"shape": list(shape)},
            "family": {"name": name, "parameters": _SMALL.get(name, {})},
            "local": local,
            "rounds": 2 if family(name).statistics else 1,
            "min_providers": 2,
            "max_providers": 2,
            "score": "model",
            "max_error": 10_000,
            "privacy": privacy,
        },
        on_chain=False,
    ).specification


def first_gradient(
    spec: Specification, x: NDArray[np.float32], y: Targets, clipping_norm: float | None = None
) -> Weights:
    """The gradients' sum at the first model."""
    start = family_of(spec).initial(spec, START)
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    return gradient_family_of(spec).gradient_sum(spec, weights, x, y, clipping_norm)


def last_round(spec: Specification, start: Model, data: Dataset, noise: NoiseSource) -> Model:
    """The local training of the last round, in which no family gathers statistics."""
    return train_local(
        LocalTraining(spec, start, data, noise=noise, round_and_seat=(spec.rounds, 0))
    )


def released_sums(
    spec: Specification, start: Model, model: Model, records: int
) -> NDArray[np.float64]:
    """The sum of gradients behind a model, (d,)."""
    names = family_of(spec).moved(spec, spec.rounds)
    moved: Weights = {name: start[name].astype(np.float64) - model[name] for name in names}
    return np.asarray(flattened(moved) * (records / LEARNING_RATE))


def flattened(tensors: Weights) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(tensors[name]) for name in sorted(tensors)])
