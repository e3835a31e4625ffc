"""Stages 4 and 5 of the workflow: train locally, post the digest, publish after the close."""

import logging
import math
import time
from collections.abc import Callable

from fedpact.consensus.artefacts import seal_local
from fedpact.data.declared import no_examples
from fedpact.errors import NotReady
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.history import replay_of
from fedpact.provider.reading import (
    request_key,
    round_ref_of,
    specification_of,
    submitted_digests,
)
from fedpact.provider.releasing import (
    PlannedRelease,
    make_release,
    submission_time,
    training_time,
)
from fedpact.provider.work import TrainingTask
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)


def submit_model(view: RequestView) -> DutyResult:
    """Train from the current global model and put the digest of the sealed result on chain.

    The bytes stay here until all submissions are in (see publish_model), so that nobody can average
    the others' models and submit the result.
    """
    if not view.in_mask(view.state.members) or view.in_mask(view.state.barred):
        return idle("not a member of this round")
    if view.in_mask(view.state.submitted):
        return idle("submitted; waiting for the others")
    ctx = view.ctx
    if ctx.cache.held:
        return idle(ctx.cache.held)
    release_id = ReleaseId(ctx.deployment.fingerprint, view.id, view.round)
    if not ctx.ledger.kept_at(release_id):
        waiting = ctx.waiting_for_training(
            view.id, view.round, lambda: _training(view, release_id), view.deadline
        )
        if waiting is not None:
            return idle(waiting)
    due = submission_time(
        view.state.stage_start,
        specification_of(view).windows.submit,
        ctx.policy.submit_after,
        ctx.ledger.kept_at(release_id),
    )
    wait = math.ceil(due - view.frame.timestamp)
    if ctx.policy.submit_after and wait > 0:
        return idle(f"trained; submits in {wait} seconds, as the policy's submit_after says")
    sealed = ctx.ledger.stored(release_id)
    if sealed is None:
        raise NotReady(f"request {view.id}: the model of round {view.round} is not in the ledger")
    digest = Cid.of(sealed).digest
    ctx.client.agree(view.frame)
    receipt = ctx.client.rounds.submit(ctx.keys, view.id, view.seat, digest)
    return did(f"round {view.round}: submitted a model ({receipt.gas_used} gas)")


def _training(view: RequestView, release_id: ReleaseId) -> Callable[[], bytes]:
    """Gathers what is public about the round's training; the records are read in its thread."""
    ctx, spec = view.ctx, specification_of(view)
    ctx.client.agree(view.frame)
    replay, key = replay_of(view), request_key(view)
    reference, account = round_ref_of(view, view.round), ctx.keys.address
    task = TrainingTask(
        spec,
        view.round,
        replay.global_model(view.round - 1),
        replay.local_task(view.seat, view.round),
        no_examples(spec),
        view.seat,
        ctx.cache.models.get((view.id, view.round - 1), {}),
        _data_seed(view),
    )
    now, window = time.monotonic(), spec.windows.submit
    elapsed = view.frame.timestamp - view.state.stage_start
    planned = PlannedRelease(
        release_id,
        task,
        view.record.requester,
        view.members[view.seat].samples,
        lambda artefact: seal_local(artefact, key, reference, account),
        view.frame.timestamp,
        now + training_time(elapsed, window),
        now + window - elapsed,
    )
    return lambda: make_release(ctx, planned)


def _data_seed(view: RequestView) -> int:
    """Derived from the account's key: after a restart the noise on the data is the same."""
    request = (view.ctx.deployment.fingerprint, view.id.to_bytes(32, "big"))
    return int.from_bytes(view.ctx.keys.derive("data-noise", *request), "big")


def publish_model(view: RequestView) -> DutyResult:
    """Put the submitted model into the store after submissions have closed."""
    at = (view.id, view.round)
    if not view.in_mask(view.state.submitted) or at in view.ctx.cache.published:
        return idle("nothing to publish")
    release_id = ReleaseId(view.ctx.deployment.fingerprint, view.id, view.round)
    submitted = submitted_digests(view, view.round).get(view.seat)
    if submitted is None:
        return idle("the submission's event has not been read yet")
    sealed = view.ctx.ledger.stored_as(release_id, submitted)
    if sealed is None:
        # It may be another machine's, and a second draw of the noise must never be seen.
        view.ctx.cache.published.add(at)
        return idle("the submitted model is not in this ledger: publishing nothing")
    view.ctx.ledger.publishing(release_id)
    cid = view.ctx.store.put(sealed)
    view.ctx.cache.published.add(at)
    log.info("request %d: round %d: published %s", view.id, view.round, cid)
    return idle("published")
