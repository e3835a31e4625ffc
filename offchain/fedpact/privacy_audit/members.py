"""A likelihood-ratio attack on who was a member of the training set."""

import math

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.learning.families import family
from fedpact.privacy.attacks import AuditedMode, Check, distinguishability, membership
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy_audit.release import (
    DDP_SGD,
    DELTA,
    EPSILON,
    MEMBERS,
    MEMBERSHIP_LOCAL,
    MODELS,
    START,
    Finding,
    asked_privacy,
    audited_digits,
    audited_specification,
    classifies,
    last_round,
    stated_epsilon,
)
from fedpact.types.specification import Specification


def audit_membership(
    name: str,
    models: int = MODELS,
    noise: NoiseSource | None = None,
    seed: int | None = None,
    mode: AuditedMode = AuditedMode.SOUND,
) -> Finding:
    """Likelihood-ratio attack on digits, half with wrong labels, which only members can teach.

    (epsilon, delta)-DP allows e^epsilon * f + delta true positives at f false ones, plus here
    ERRORS_ALLOWED standard errors of the members' share. For comparison, the same attack runs on
    the same training without privacy. Mode `paper` is DDP-SGD with as many steps, each an epoch of
    one batch: only the last one's noise is in the release.
    """
    source = SystemNoise() if noise is None else noise
    entropy = int(np.random.SeedSequence(seed).generate_state(1)[0])

    def attacked(spec: Specification) -> membership.MembershipAttack:
        generator = np.random.default_rng(entropy)
        return membership.attack(_confidences(spec, source), MEMBERS, models, generator)

    shape = audited_digits(name, 1)[0].shape[1:]
    privacy, local = asked_privacy(1.0, mode), MEMBERSHIP_LOCAL
    if mode is AuditedMode.PAPER:
        privacy = DDP_SGD
        local = {**local, "epochs": local["steps"], "batch_size": MEMBERS}
        del local["steps"]
    private = audited_specification(name, shape, privacy, local)
    without = audited_specification(name, shape, {"mode": "none"}, local)
    found, open_ = attacked(private), attacked(without)
    epsilon = EPSILON if mode is AuditedMode.PAPER else stated_epsilon(private)
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


def _confidences(spec: Specification, noise: NoiseSource) -> membership.Confidences:
    """Log-odds of the label in a classification; minus the error in a regression."""
    name = spec.family.name
    x, y = audited_digits(name, MEMBERS)
    wrong = np.random.default_rng(START).permutation(MEMBERS)[: MEMBERS // 2]
    y[np.sort(wrong)] = y[wrong]
    start = family(name).initial(spec, START)
    x = family(name).represented(spec, x)

    def train(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        model = last_round(spec, start, Dataset(x[chosen], y[chosen], ()), noise)
        predicted = family(name).predict(spec, model, x)
        if not classifies(name):
            return np.asarray(-np.abs(predicted[:, 0] - y))
        p = np.clip(predicted[np.arange(len(y)), y], 1e-9, 1 - 1e-9)
        return np.asarray(np.log(p) - np.log1p(-p))

    return train
