"""Whether a request's training fits its window, and could pass its ceiling: tried before joining,
and never on records."""

import logging
import math
from collections.abc import Callable
from typing import TypeVar

from fedpact.errors import PolicyRefusal, TrainingFailed, TrainingTooLong
from fedpact.provider.duties.deciding import FittingData
from fedpact.provider.duties.submitting import training_window
from fedpact.provider.duties.training import training_time
from fedpact.provider.request.history import DaemonHistory
from fedpact.provider.request.view import RequestView
from fedpact.provider.snapshots import request_name
from fedpact.provider.training.error_ceiling import TRAININGS, is_tried
from fedpact.provider.training.time_trial import Work
from fedpact.provider.training.trainer import Training
from fedpact.types.decline_reason import Reason
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIAL_SECONDS = 120.0
"""Seconds after which a trial is killed: even a few steps on a few examples took too long."""
UNKNOWN = 0
"""The least error where nothing is known of it: within any ceiling."""


def fits_its_window(view: RequestView, spec: Specification, match: FittingData) -> bool:
    """Whether one round's training, times the policy's margin, ends before it would be given up.

    False while it is measured, beside the cycle. Raises PolicyRefusal where it does not fit. All of
    it follows from the request, the policy, the schema and the machine.
    """
    ctx, policy = view.ctx, view.ctx.policy
    allowed = min(training_time(0, training_window(view)), policy.max_training_seconds)
    start, schema = DaemonHistory(view).initial_model(), match.data.records.schema
    asked = Work.of(spec, start, match.samples, schema.examples_per_unit)
    if not policy.training_margin or not asked.is_tried(allowed / policy.training_margin):
        return True
    known = ctx.cache.training_seconds
    if view.id not in known:
        found = _measured(view, asked)
        if found is None:
            return False
        known[view.id] = found
        log.info(
            "request %d: a round's training of up to %d examples seems to take %.1f s: times %g it "
            "has to fit %.1f s",
            view.id,
            asked.examples,
            found,
            policy.training_margin,
            allowed,
        )
    seconds = known[view.id]
    if seconds * policy.training_margin > allowed:
        ctx.trainer.forget(request_name(ctx.deployment.fingerprint, view.id))
        said = f"a round's training seems to take {seconds:.1f} s here"
        if math.isinf(seconds):
            most = min(TRIAL_SECONDS, policy.max_training_seconds)
            said = f"a trial of its training did not end within {most:g} s"
        # Without `sound` the number of samples is that of the records.
        reason = Reason.SIZE if spec.privacy.mode is PrivacyMode.SOUND else None
        raise PolicyRefusal(
            f"{said}, and has to fit {allowed:.1f} s {policy.training_margin:g} times", reason
        )
    return True


def _measured(view: RequestView, asked: Work) -> float | None:
    """Seconds, or None while it is measured; infinite for a trial that was killed since it took too
    long, and 0 for one that failed in another way, which says nothing about time."""
    try:
        return _tried(view, view.id, lambda training: training.round_seconds(asked))
    except TrainingTooLong:
        return math.inf
    except TrainingFailed as failure:
        log.warning("request %d: its training could not be measured: %s", view.id, failure)
        return 0.0


def _tried(view: RequestView, key: object, trial: Callable[[Training], T]) -> T | None:
    """What a trial says, or None while it runs or waits. Raises as `Trials.result`."""
    ctx = view.ctx
    # By the request's name: its training then finds a process that has loaded the libraries.
    name = request_name(ctx.deployment.fingerprint, view.id)

    def attempt(ends: float) -> T:
        with ctx.trainer.training(name, ends) as training:
            return trial(training)

    due = view.pool_facts.plan.join_deadline
    seconds = min(TRIAL_SECONDS, ctx.policy.max_training_seconds)
    return ctx.trials.result(key, view.record.requester, attempt, seconds, due)


def may_pass_its_ceiling(view: RequestView, spec: Specification, match: FittingData) -> bool:
    """Whether a model of a round's training could be within the request's ceiling.

    False while it is tried, beside the cycle. Raises PolicyRefusal where none is, even of made-up
    examples that are easy to learn. All of it follows from the request, the policy, the schema and
    the machine.
    """
    ctx = view.ctx
    start, schema = DaemonHistory(view).initial_model(), match.data.records.schema
    asked = Work.of(spec, start, match.samples, schema.examples_per_unit)
    slow = TRAININGS * ctx.cache.training_seconds.get(view.id, 0.0) > TRIAL_SECONDS
    if not ctx.policy.try_ceilings or slow or not is_tried(asked):
        return True
    known = ctx.cache.least_errors
    if view.id not in known:
        found = _least_error(view, asked)
        if found is None:
            return False
        known[view.id] = found
    if known[view.id] > spec.max_error:
        ctx.trainer.forget(request_name(ctx.deployment.fingerprint, view.id))
        raise PolicyRefusal(
            "with its noise, a round's training leaves an error of at least"
            f" {known[view.id]} of 10,000 even on made-up records that are easy to learn: above its"
            f" ceiling of {spec.max_error}",
            Reason.CEILING,
        )
    return True


def _least_error(view: RequestView, asked: Work) -> int | None:
    """1/10,000, or None while it is tried; UNKNOWN also for a trial that failed or was killed."""

    def trial(training: Training) -> int:
        found = training.least_error(asked)
        return UNKNOWN if found is None else found

    try:
        return _tried(view, ("ceiling", view.id), trial)
    except TrainingFailed as failure:
        log.warning("request %d: its ceiling could not be tried: %s", view.id, failure)
        return UNKNOWN
