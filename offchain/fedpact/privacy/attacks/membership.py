"""A likelihood-ratio membership attack (LiRA; Carlini et al. 2022, algorithm 1, online).

Many models are trained, each on a random half of a pool of examples. For each attacked model and
each example, the other models show how confident models are of the example's label with and without
having seen it; a normal distribution is fitted to each, and the score is their likelihood ratio at
the attacked model's confidence. The result is the share of members found at a small share of
non-members accused by mistake: an average over all would hide the few that leak.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError

MIN_MODELS = 8
FALSE_POSITIVES = 0.01
_SMALLEST_VARIANCE = 1e-8

Confidences = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Trains one model on the chosen examples, (n,), and returns its confidence in all n labels,
log(p / (1 - p)), (n,)."""


@dataclass(frozen=True)
class MembershipAttack:
    """How well members were distinguished from non-members over all models."""

    true_positives: float
    """Share of members found, at the share of false positives below."""
    false_positives: float
    advantage: float
    """Largest difference of the two shares over all thresholds."""
    models: int
    examples: int


def attack(
    confidences: Confidences,
    examples: int,
    models: int,
    generator: np.random.Generator,
    false_positives: float = FALSE_POSITIVES,
) -> MembershipAttack:
    """Train `models` models on random halves and attack each with all the others."""
    if models < MIN_MODELS:
        raise PrivacyError(
            f"{models} models: an attack by likelihood ratios needs at least {MIN_MODELS}"
        )
    if not 0 < false_positives < 1:
        raise PrivacyError(
            f"the share of false positives must be between 0 and 1, not {false_positives!r}"
        )
    # Every example is in half of the models, so that both distributions can be fitted.
    ranks = np.argsort(generator.random((models, examples)), axis=0)
    members = ranks < models // 2
    sure = np.stack([confidences(chosen) for chosen in members])
    return outcome(likelihood_ratios(sure, members), members, false_positives)


def likelihood_ratios(sure: NDArray[np.float64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Score of each (model, example): log-likelihood as a member less that as a non-member.

    The attacked model is left out of the fit; all examples share one variance, which needs fewer
    models (their section VI-B).
    """
    inside, outside = (_others(sure, chosen) for chosen in (members, ~members))
    return np.asarray(_log_normal(sure, *inside) - _log_normal(sure, *outside))


def outcome(
    scores: NDArray[np.float64], members: NDArray[np.bool_], false_positives: float
) -> MembershipAttack:
    """Shares at the lowest threshold that accuses at most `false_positives` of non-members."""
    order = np.argsort(-scores, axis=None, kind="stable")
    ranked, truth = scores.reshape(-1)[order], members.reshape(-1)[order]
    last = np.append(
        np.flatnonzero(np.diff(ranked)), ranked.size - 1
    )  # the last of each run of ties
    found = np.cumsum(truth)[last] / max(truth.sum(), 1)
    accused = np.cumsum(~truth)[last] / max((~truth).sum(), 1)
    allowed = accused <= false_positives
    return MembershipAttack(
        float(found[allowed].max(initial=0.0)),
        float(accused[allowed].max(initial=0.0)),
        float((found - accused).max(initial=0.0)),
        *(int(size) for size in scores.shape),
    )


def _others(
    sure: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each example's mean, and the common variance, over the other chosen models."""
    own = np.where(chosen, sure, 0.0)
    count = chosen.sum(axis=0) - chosen
    mean = (own.sum(axis=0) - own) / count
    centre = own.sum(axis=0) / chosen.sum(axis=0)
    squares = np.where(chosen, (sure - centre) ** 2, 0.0)
    variance = (squares.sum() - squares.sum(axis=1)) / (chosen.sum() - chosen.sum(axis=1))
    return mean, np.maximum(variance, _SMALLEST_VARIANCE)[:, None]


def _log_normal(
    values: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(-((values - mean) ** 2) / (2 * variance) - np.log(variance) / 2)
