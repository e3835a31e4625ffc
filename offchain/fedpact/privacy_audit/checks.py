"""What a family's release is seen to tell of a record, against what is stated of it.

The release is the product's own local training, on scikit-learn's digits or on data made to be
found. The auditor knows all but who is in, and undoes what is public: the start, the learning rate
(so small that all steps see the same gradients), the number of records.

Under mode `sound` a stated figure must stand; mode `adaptive` is that with a clipping norm that
follows a quantile. Mode `paper` is DDP-SGD (Wang et al. 2024), against the figure that the paper
claims.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Targets
from fedpact.data.sources import digits
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.features.scattering import MAPS, STRIDE, width
from fedpact.learning.artefact import Model
from fedpact.learning.families import ConstructedFamily, family, family_of, gradient_family_of
from fedpact.learning.families.base import Weights
from fedpact.learning.local import noised_step, train_local
from fedpact.learning.training import LocalTraining
from fedpact.learning.units import Batch
from fedpact.privacy import ddp_sgd
from fedpact.privacy.accounting import cost
from fedpact.privacy.audit import AuditedMode, Check, canaries, distinguishability, membership
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy.quantile import COUNT_BOUND, QuantileClipping
from fedpact.privacy_audit.constructed import constructed_release
from fedpact.requester.draft import Draft
from fedpact.types.specification import DDP_SGD_LEAST_EPOCHS, PrivacyMode, Specification

EPSILON, DELTA = 2.0, 1e-5
STEPS = 2
LEARNING_RATE = 1e-4
START = 4
"""Seed of first models."""
RECORDS = 4
"""Of the set that is drawn over with and without one of them."""
DRAWS = 2_000
CANARIES = 5_000
FEWER_CANARIES = {"cnn": 1_000, "char-lstm": 1_000}
"""Of families whose canaries are images or windows of characters, which take longer."""
GUESSED = 25
"""One canary in so many is guessed, and LEAST_GUESSES at least."""
LEAST_GUESSES = 40
"""All right, 28 guesses refute an epsilon of 2; fewer never could."""
CANARY = 10.0
"""The one value of a canary that is not 0: long gradients, and mostly its own."""
CANARY_NORM = 0.5
MEMBERS, MODELS = 120, 24
DDP_SGD = {"mode": "paper", "mechanism": "ddp-sgd", "epsilon": EPSILON, "delta": DELTA}
MEMBERSHIP_LOCAL: dict[str, Any] = {"steps": 40, "learning_rate": 1.0, "momentum": 0.9}
LARGEST_DIGIT = 9
CHARACTERS = "char-lstm"
_SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [4]},
    "cnn": {"form": "mnist", "channels": [1], "hidden": [4], "activation": "tanh"},
    "char-lstm": {"embedding": 4, "hidden": 16, "layers": 1},
}
"""Parameters of the families that can be of any size."""


@dataclass(frozen=True)
class Finding:
    """One check: what is stated, what was measured, whether the first stands."""

    check: Check
    family: str
    mode: AuditedMode
    quantity: str
    stated: float
    measured: float | None
    """None: without bound."""
    holds: bool
    epsilon: float
    delta: float
    details: dict[str, Any] = field(default_factory=dict)


def audit_draws(
    name: str,
    mode: AuditedMode = AuditedMode.SOUND,
    draws: int = DRAWS,
    noise: NoiseSource | None = None,
) -> Finding:
    """Draw a release over four digits, and over three of them, and measure how far apart they are.

    The fourth is the one with the longest gradient, and half of that is the clipping norm, so that
    it shows in full. A family that constructs its models gets four texts. `noise`: the system's,
    where None.

    Raises SpecificationError for a family without `sound`, PrivacyError for too few draws.
    """
    source = SystemNoise() if noise is None else noise
    if isinstance(family(name), ConstructedFamily):
        if mode is not AuditedMode.SOUND:
            raise InvalidInput(f"family {name} descends no gradient: it is audited in mode sound")
        release, stated = constructed_release(name, EPSILON, DELTA, source)
    else:
        x, y, lengths = _worst_last(name)
        privacy = _privacy(float(lengths[-1]) / 2, mode)
        spec = _specification(name, x.shape[1:], privacy, _descent())
        ways = {
            AuditedMode.SOUND: _trained,
            AuditedMode.ADAPTIVE: _followed,
            AuditedMode.PAPER: _claimed,
        }
        release, stated = ways[mode](spec, x, y, source)

    def drawn(records: int) -> distinguishability.Draw:
        return lambda count: np.array([release(records) for _ in range(count)])

    # Of sums beside counts the direction is looked for, so that a silent count would be found.
    aimed = None if mode is AuditedMode.ADAPTIVE else np.ones(1)
    found = distinguishability.measure(drawn(RECORDS - 1), drawn(RECORDS), draws, aimed)
    seen = {
        "draws": draws,
        "standard_error": found.mu_error,
        "spread_ratio": found.spread_ratio,
        "spread_error": found.spread_error,
    }
    measured = found.mu if math.isfinite(found.mu) else None
    quantity = "Gaussian-DP parameter mu"
    holds = found.agrees(stated)
    return Finding(Check.DRAWS, name, mode, quantity, stated, measured, holds, EPSILON, DELTA, seen)


def audit_canaries(
    name: str,
    count: int | None = None,
    noise: NoiseSource | None = None,
    seed: int | None = None,
    mode: AuditedMode = AuditedMode.SOUND,
) -> Finding:
    """One run over canaries, each in by a coin's toss; white box (Steinke et al. 2023).

    Each canary has one value that is not 0, at a place of its own; of characters it is a window
    drawn at random. Its score is the release along its own gradient, less what half of all
    gradients would give.

    Args:
        count: CANARIES where None, or FEWER_CANARIES.
        seed: of the coins; the system's entropy where None.

    Raises PrivacyError for fewer than LEAST_GUESSES canaries.
    """
    source = SystemNoise() if noise is None else noise
    if count is None:
        count = FEWER_CANARIES.get(name, CANARIES)
    spec, x, y = _canaries(name, count, mode)
    start = family(name).initial(spec, START)
    middle = STEPS / 2 * _flat(_gradient(spec, x, y, CANARY_NORM))

    def scores(included: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = Dataset(x[included], y[included], ())
        model = _last_round(spec, start, chosen, source)
        seen = _sums(spec, start, model, len(chosen)) - middle
        own = (
            _gradient(spec, x[place, None], y[place, None], CANARY_NORM) for place in range(count)
        )
        return np.array([seen @ _flat(one) for one in own])

    generator = np.random.default_rng(seed)
    guesses = max(LEAST_GUESSES, count // GUESSED)
    found = canaries.audit(scores, count, guesses, DELTA, generator)
    stated = _stated(spec)
    seen: dict[str, float] = {"canaries": count, "guesses": found.guesses, "right": found.right}
    seen["confidence"] = found.confidence
    quantity = "epsilon, seen: its lower bound"
    holds = found.allows(stated)
    return Finding(
        Check.CANARIES,
        name,
        mode,
        quantity,
        stated,
        found.epsilon,
        holds,
        stated,
        DELTA,
        seen,
    )


def audit_membership(
    name: str,
    models: int = MODELS,
    noise: NoiseSource | None = None,
    seed: int | None = None,
    mode: AuditedMode = AuditedMode.SOUND,
) -> Finding:
    """Likelihood-ratio attack on digits, half of them with wrong labels, which only members teach.

    (epsilon, delta)-DP allows e^epsilon * f + delta true positives at f false ones; on top stand
    ERRORS_ALLOWED standard errors of a share of so many members. Beside it stands what the same
    attack finds where the same training has no privacy. Mode `paper` is DDP-SGD of as many steps,
    each an epoch of one batch: the noise of the last alone is in what is seen.
    """
    source = SystemNoise() if noise is None else noise
    entropy = int(np.random.SeedSequence(seed).generate_state(1)[0])

    def attacked(spec: Specification) -> membership.MembershipAttack:
        generator = np.random.default_rng(entropy)
        return membership.attack(_confidences(spec, source), MEMBERS, models, generator)

    shape = _digits(name, 1)[0].shape[1:]
    privacy, local = _privacy(1.0, mode), MEMBERSHIP_LOCAL
    if mode is AuditedMode.PAPER:
        privacy = DDP_SGD
        local = {**local, "epochs": local["steps"], "batch_size": MEMBERS}
        del local["steps"]
    private = _specification(name, shape, privacy, local)
    without = _specification(name, shape, {"mode": "none"}, local)
    found, open_ = attacked(private), attacked(without)
    epsilon = EPSILON if mode is AuditedMode.PAPER else _stated(private)
    bound = min(1.0, math.exp(epsilon) * membership.FALSE_POSITIVES + DELTA)
    error = math.sqrt(bound * (1 - bound) / (models * MEMBERS / 2))
    allowed = bound + distinguishability.ERRORS_ALLOWED * error
    seen = {
        "models": models,
        "examples": MEMBERS,
        "standard_error": error,
        "advantage": found.advantage,
        "without_privacy": open_.true_positives,
        "advantage_without_privacy": open_.advantage,
    }
    quantity = "true positives at 1 % false ones, at most"
    holds = found.true_positives <= allowed
    return Finding(
        Check.MEMBERSHIP,
        name,
        mode,
        quantity,
        bound,
        found.true_positives,
        holds,
        epsilon,
        DELTA,
        seen,
    )


def checks_of(name: str, mode: AuditedMode) -> list[Check]:
    """The checks that there are of a family's releases in a mode."""
    if isinstance(family(name), ConstructedFamily):
        return [Check.DRAWS]
    return [Check.DRAWS, Check.MEMBERSHIP] if mode is AuditedMode.PAPER else list(Check)


def audit(
    name: str,
    check: Check,
    mode: AuditedMode = AuditedMode.SOUND,
    draws: int = DRAWS,
    count: int | None = None,
) -> Finding:
    """One check of one family; raises InvalidInput for one that the mode has no figure for."""
    if mode is AuditedMode.PAPER and check is Check.CANARIES:
        raise InvalidInput(f"mode paper is audited by draws and membership, not by {check}")
    if check is not Check.DRAWS and isinstance(family(name), ConstructedFamily):
        raise InvalidInput(f"family {name} is audited by draws alone, not by {check}")
    match check:
        case Check.DRAWS:
            return audit_draws(name, mode, draws)
        case Check.CANARIES:
            return audit_canaries(name, count, mode=mode)
        case Check.MEMBERSHIP:
            return audit_membership(name, mode=mode)


Release = Callable[[int], list[float]]
"""One draw over the first so many records: the sums along the direction that shows the last of them
best and, where counts are released beside them, those."""


def _trained(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """The product's local training, and its stated mu."""
    start = family_of(spec).initial(spec, START)
    released = GaussianRelease.of_round(spec, spec.rounds)
    assert released is not None
    x = family_of(spec).represented(spec, x)

    along = _along_the_last(spec, x, y)

    def release(records: int) -> list[float]:
        chosen = Dataset(x[:records], y[:records], ())
        model = _last_round(spec, start, chosen, noise)
        return [float(_sums(spec, start, model, records) @ along)]

    return release, _mu(released)


def _followed(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """The steps of local training at the first weights, each with the norm that the one before led
    to: the sums over their norms, and the counts."""
    clipping, released = QuantileClipping.of(spec.privacy), GaussianRelease.of_round(spec, 2)
    first = spec.privacy.clipping_norm
    assert clipping is not None
    assert released is not None
    assert first is not None
    along = _along_the_last(spec, x, y)
    start = family_of(spec).initial(spec, START)
    weights = {name: values.astype(np.float64) for name, values in start.items()}

    def release(records: int) -> list[float]:
        batch = Batch.of(spec, Dataset(x[:records], y[:records], ()))
        norm, summed, counted = first, 0.0, 0.0
        for _ in range(STEPS):
            sums, share = noised_step(spec, weights, batch, norm, records, noise)
            assert share is not None
            summed += float(_flat(sums) @ along) / norm
            counted += (share - COUNT_BOUND) * records
            norm = clipping.next_norm(norm, share)
        return [summed, counted]

    return release, _mu(released)


def _along_the_last(spec: Specification, x: NDArray[np.float32], y: Targets) -> NDArray[np.float64]:
    """The direction, of length 1, of the last record's gradient."""
    gradient = _flat(_gradient(spec, x[-1:], y[-1:]))
    return gradient / np.linalg.norm(gradient)


def _claimed(
    spec: Specification, x: NDArray[np.float32], y: Targets, noise: NoiseSource
) -> tuple[Release, float]:
    """DDP-SGD in one batch an epoch, and the mu of what the paper counts."""
    local = {"epochs": DDP_SGD_LEAST_EPOCHS, "batch_size": RECORDS, "learning_rate": LEARNING_RATE}
    paper = _specification(spec.family.name, spec.features.shape, DDP_SGD, local)
    start = family_of(spec).initial(paper, START)

    along = _along_the_last(spec, x, y)

    def release(records: int) -> list[float]:
        chosen = Dataset(x[:records], y[:records], ())
        model = train_local(LocalTraining(paper, start, chosen, noise=noise, round_and_seat=(1, 0)))
        return [float(_sums(paper, start, model, records) @ along)]

    return release, _mu(ddp_sgd.claimed_release(paper, RECORDS))


def _mu(release: GaussianRelease) -> float:
    return math.sqrt(release.steps) / release.noise_multiplier


def _stated(spec: Specification) -> float:
    released = GaussianRelease.of_round(spec, spec.rounds)
    assert released is not None
    return cost(released, DELTA).epsilon


def _worst_last(name: str) -> tuple[NDArray[np.float32], Targets, NDArray[np.float64]]:
    """RECORDS digits, their labels, and the lengths of their gradients, the longest last."""
    x, y = _digits(name, RECORDS)
    spec = _specification(name, x.shape[1:], {"mode": "none"}, _descent())
    lengths = np.array(
        [
            np.linalg.norm(_flat(_gradient(spec, x[place, None], y[place, None])))
            for place in range(RECORDS)
        ]
    )
    order = np.argsort(lengths)
    return x[order], y[order], lengths[order]


def _digits(name: str, count: int) -> tuple[NDArray[np.float32], Targets]:
    """Images, (count, 8, 8); to a family of characters lines of sixteen figures from 0 to 9."""
    source = digits()
    x = (source.x_train[:count] / source.scale).astype(np.float32).reshape(count, 8, 8)
    if name == CHARACTERS:
        pooled = x.reshape(count, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(count, 16)
        x = np.floor(pooled * (LARGEST_DIGIT + 0.99)).astype(np.float32)
    y = source.y_train[:count].copy()
    return x, y if _classifies(name) else (y / LARGEST_DIGIT).astype(np.float32)


def _canaries(
    name: str, count: int, mode: AuditedMode
) -> tuple[Specification, NDArray[np.float32], Targets]:
    """A canary a row; of images each in a corner of four pixels, which one pooling keeps apart."""
    shape: tuple[int, ...] | None = None
    if name == "scattering-linear":
        # The features themselves, as no image has one alone.
        side = STRIDE * max(2, math.ceil(math.sqrt(count / MAPS)))
        shape = (side, side)
        x = np.zeros((count, width((side, side))), np.float32)
        np.fill_diagonal(x, CANARY)
    elif name == "cnn":
        cells = math.ceil(math.sqrt(count))
        x = np.zeros((count, 2 * cells, 2 * cells), np.float32)
        rows, columns = np.divmod(np.arange(count), cells)
        x[np.arange(count), 2 * rows, 2 * columns] = CANARY
    elif name == CHARACTERS:
        drawn = np.random.default_rng(START).integers(0, LARGEST_DIGIT + 1, (count, 16))
        x = drawn.astype(np.float32)
    else:
        x = np.diag(np.full(count, CANARY, np.float32))
    spec = _specification(name, shape or x.shape[1:], _privacy(CANARY_NORM, mode), _descent())
    if _classifies(name):
        return spec, x, np.zeros(count, np.int64)
    return spec, x, np.ones(count, np.float32)


def _confidences(spec: Specification, noise: NoiseSource) -> membership.Confidences:
    """Of a classification the log-odds of the label, of a regression less the error."""
    name = spec.family.name
    x, y = _digits(name, MEMBERS)
    wrong = np.random.default_rng(START).permutation(MEMBERS)[: MEMBERS // 2]
    y[np.sort(wrong)] = y[wrong]
    start = family(name).initial(spec, START)
    x = family(name).represented(spec, x)

    def train(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        model = _last_round(spec, start, Dataset(x[chosen], y[chosen], ()), noise)
        predicted = family(name).predict(spec, model, x)
        if not _classifies(name):
            return np.asarray(-np.abs(predicted[:, 0] - y))
        p = np.clip(predicted[np.arange(len(y)), y], 1e-9, 1 - 1e-9)
        return np.asarray(np.log(p) - np.log1p(-p))

    return train


def _classifies(name: str) -> bool:
    return "classification" in family(name).tasks


def _descent() -> dict[str, Any]:
    return {"steps": STEPS, "learning_rate": LEARNING_RATE}


def _privacy(clipping_norm: float, mode: AuditedMode) -> dict[str, Any]:
    sound = PrivacyMode.SOUND.value
    asked = {"mode": sound, "epsilon": EPSILON, "delta": DELTA, "clipping_norm": clipping_norm}
    return asked | ({"adaptive_clipping": {}} if mode is AuditedMode.ADAPTIVE else {})


def _specification(
    name: str, shape: tuple[int, ...], privacy: dict[str, Any], local: dict[str, Any]
) -> Specification:
    task: dict[str, Any] = {"labels": [str(label) for label in range(LARGEST_DIGIT + 1)]}
    if not family(name).sound:
        raise SpecificationError(
            f"family {name} cannot clip what one unit adds: it has no figure to audit"
        )
    if not _classifies(name):
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


def _gradient(
    spec: Specification, x: NDArray[np.float32], y: Targets, clipping_norm: float | None = None
) -> Weights:
    """The gradients' sum at the first model."""
    start = family_of(spec).initial(spec, START)
    weights = {name: values.astype(np.float64) for name, values in start.items()}
    return gradient_family_of(spec).gradient_sum(spec, weights, x, y, clipping_norm)


def _last_round(spec: Specification, start: Model, data: Dataset, noise: NoiseSource) -> Model:
    """The local training of the last round, which no family gathers statistics in."""
    return train_local(
        LocalTraining(spec, start, data, noise=noise, round_and_seat=(spec.rounds, 0))
    )


def _sums(spec: Specification, start: Model, model: Model, records: int) -> NDArray[np.float64]:
    """The sum of gradients that a model tells of, (d,)."""
    names = family_of(spec).moved(spec, spec.rounds)
    moved: Weights = {name: start[name].astype(np.float64) - model[name] for name in names}
    return np.asarray(_flat(moved) * (records / LEARNING_RATE))


def _flat(tensors: Weights) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(tensors[name]) for name in sorted(tensors)])
