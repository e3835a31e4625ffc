"""Whether a request's training fits its window, and could pass its ceiling: tried before joining,
and never on records."""

import logging
import math
import time

from fedpact.errors import PolicyRefusal, TrainingFailed
from fedpact.provider.context import Context
from fedpact.provider.duties.deciding import FittingData
from fedpact.provider.duties.releasing import training_time
from fedpact.provider.duties.training import training_window
from fedpact.provider.records import request_name
from fedpact.provider.request.history import DaemonHistory
from fedpact.provider.request.view import RequestView
from fedpact.provider.training.ceiling import TRAININGS, is_tried
from fedpact.provider.training.trial import Work
from fedpact.types.declining import Reason
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)

TRIAL_SECONDS = 120.0
"""After which a trial is killed: even a few steps on a few examples took too long."""
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
        found = ctx.trials.result(
            view.id,
            lambda: lambda: _measured(ctx, view.id, asked),
            view.pool_facts.plan.join_deadline,
        )
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
            said = f"a trial of its training did not end within {TRIAL_SECONDS:g} s"
        # Without `sound` the number of samples is that of the records.
        reason = Reason.SIZE if spec.privacy.mode is PrivacyMode.SOUND else None
        raise PolicyRefusal(
            f"{said}, and has to fit {allowed:.1f} s {policy.training_margin:g} times", reason
        )
    return True


def _measured(ctx: Context, request: int, asked: Work) -> float:
    """Seconds; infinite for a trial that was killed since it took too long, and 0 for one that
    failed in another way, which says nothing about time."""
    # By the request's name: its training then finds a process that has loaded the libraries.
    name = request_name(ctx.deployment.fingerprint, request)
    ends = time.monotonic() + TRIAL_SECONDS
    try:
        with ctx.trainer.training(name, ends) as training:
            return training.round_seconds(asked)
    except TrainingFailed as failure:
        if time.monotonic() >= ends:
            return math.inf
        log.warning("request %d: its training could not be measured: %s", request, failure)
        return 0.0


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
        found = ctx.trials.result(
            ("ceiling", view.id),
            lambda: lambda: _least_error(ctx, view.id, asked),
            view.pool_facts.plan.join_deadline,
        )
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


def _least_error(ctx: Context, request: int, asked: Work) -> int:
    """1/10,000; UNKNOWN also for a trial that failed or was killed."""
    name = request_name(ctx.deployment.fingerprint, request)
    try:
        with ctx.trainer.training(name, time.monotonic() + TRIAL_SECONDS) as training:
            found = training.least_error(asked)
    except TrainingFailed as failure:
        log.warning("request %d: its ceiling could not be tried: %s", request, failure)
        return UNKNOWN
    return UNKNOWN if found is None else found
