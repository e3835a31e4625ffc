"""Train when drawn, submit the digest of the sealed model, publish its bytes after the close."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from fedpact.consensus.artefacts import open_sealed_local, seal_local
from fedpact.data.declared import no_examples
from fedpact.errors import ContentError, ContentSought, DecryptionError, NotReady, Retryable
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.catching_up import caught_up
from fedpact.provider.duties.secure_sums import MASKED_BY, ready_sum, seal_values
from fedpact.provider.duties.training import (
    PlannedRelease,
    make_release,
    submission_time,
    training_time,
)
from fedpact.provider.request.history import replay_of
from fedpact.provider.request.reading import (
    data_of,
    former_keys,
    put,
    request_key,
    round_ref_of,
    specification_of,
    submitted_digests,
)
from fedpact.provider.request.view import RequestView
from fedpact.provider.training.work import TrainingTask
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)


def submit_model(view: RequestView) -> DutyResult:
    """Train from the current global model and put the digest of the sealed result on chain.

    A member that is not drawn does nothing, and spends nothing. The bytes stay here until all
    submissions are in (see publish_model), so that nobody can average the others' models and submit
    the result.
    """
    if view.own_seat is None:
        return idle("not drawn for this round")
    if view.in_mask(view.facts.voided):
        return idle("void in this round")
    if view.in_mask(view.facts.submitted):
        return idle("submitted; waiting for the others")
    try:
        request_key(view)
    except ContentError as error:
        return idle(f"not submitting: {error}")
    digest = ready_model(view)
    if isinstance(digest, str):
        return idle(digest)
    ctx = view.ctx
    ctx.client.agree(view.frame)
    rounds = ctx.client.rounds
    signed = ctx.keys.for_seat(*rounds.domain.typed("Model", view.id, view.round, digest))
    call = rounds.submit(view.id, 1 << view.seat, [digest], signed)
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"round {view.round}: submitted a model ({receipt.gas_used} gas)")


def ready_model(view: RequestView) -> bytes | str:
    """The digest of the model to submit now, or why there is none yet."""
    ctx, release = view.ctx, release_of(view)
    if ctx.cache.held:
        return ctx.cache.held
    waiting = None
    if not ctx.ledger.kept_at(release):
        waiting = ctx.waiting_for_training(
            view.id, view.round, lambda: _training(view, release), view.deadline
        )
    if waiting is None:
        waiting = waiting_to_submit(view, ctx.ledger.kept_at(release))
    if waiting is not None and view.own_seat is not None:
        with suppress(Retryable, ContentError):  # the vote meets it too, if it stays
            caught_up(view, voting=False)
    if specification_of(view).privacy.sum is not None:
        return ready_sum(view, release, waiting)
    return waiting or Cid.of(own_model(view)).digest


def waiting_to_submit(view: RequestView, kept_at: int) -> str | None:
    """Until when the policy has a model wait that was ready at `kept_at`; None: no longer."""
    share = view.ctx.policy.submit_after
    due = submission_time(view.phase_start, training_window(view), share, kept_at)
    if share and due > view.frame.timestamp:
        # The time and not how long until then: what changes is logged, in each cycle.
        at = datetime.fromtimestamp(math.ceil(due), UTC)
        return f"trained; submits at {at:%H:%M:%S} UTC, as the policy's submit_after says"
    return None


def training_window(view: RequestView) -> int:
    """Seconds of the submit window in which members train, and show what they trained."""
    window = view.terms.submit_window
    return window if specification_of(view).privacy.sum is None else int(MASKED_BY * window)


def publish_model(view: RequestView) -> DutyResult:
    """Put the submitted model into the store after submissions have closed."""
    at = (view.id, view.round)
    known = view.in_mask(view.facts.submitted) or at in view.ctx.cache.offered
    if not known or at in view.ctx.cache.published:
        return idle("nothing to publish")
    signed = view.ctx.cache.offered.get(at, {})
    submitted = {**signed, **submitted_digests(view, view.round)}.get(view.seat)
    if submitted is None:
        return idle("the submission's event has not been read yet")
    return publish_submitted(view, submitted)


def publish_submitted(view: RequestView, submitted: bytes) -> DutyResult:
    """Put the own model into the store if it is the one with this digest, which was submitted."""
    at, sealed = (view.id, view.round), own_model(view)
    if Cid.of(sealed).digest != submitted:
        # It may be another machine's, and a second draw of the noise must never be seen.
        view.ctx.cache.published.add(at)
        return idle("the submitted model is not the one in this ledger: publishing nothing")
    if specification_of(view).privacy.sum is None:  # a sum's values are charged once masked
        view.ctx.ledger.publishing(release_of(view))
    try:
        cid = put(view, sealed, f"model of round {view.round}")
    except ContentSought as error:
        return idle(str(error))  # the vote waits for the others' models, not for this
    view.ctx.cache.published.add(at)
    log.info("request %d: round %d: published %s", view.id, view.round, cid)
    return idle("published")


def release_of(view: RequestView) -> ReleaseId:
    return ReleaseId(view.ctx.deployment.fingerprint, view.id, view.round)


def own_model(view: RequestView) -> bytes:
    """The sealed model of this round, from the ledger.

    One that was made for a start that turned out to be void is sealed again under the new key: the
    noise is drawn once. Raises NotReady without one.
    """
    sealed = view.ctx.ledger.stored(release_of(view))
    if sealed is None:
        raise NotReady(
            f"request {view.id}, round {view.round}: the model is not in this machine's ledger: "
            "use the state folder of the machine that made it"
        )
    summed = specification_of(view).privacy.sum is not None
    if view.round > 1 or len(view.events("Started")) == 1 or summed:
        return sealed
    reference, key = round_ref_of(view, view.round), request_key(view)
    with suppress(DecryptionError):
        open_sealed_local(sealed, key, reference, view.account)
        return sealed
    for former in former_keys(view):
        with suppress(DecryptionError):
            artefact = open_sealed_local(sealed, former, reference, view.account)
            return seal_local(artefact, key, reference, view.account)
    raise NotReady(f"request {view.id}: the model made for an earlier start does not open")


def _training(view: RequestView, release: ReleaseId) -> Callable[[], bytes]:
    """Gathers what is public about the round's training; the records are read in its thread."""
    ctx, spec = view.ctx, specification_of(view)
    ctx.client.agree(view.frame)
    replay, key = replay_of(view), request_key(view)
    reference, index = round_ref_of(view, view.round), view.own_index
    assert index is not None
    task = TrainingTask(
        spec,
        view.round,
        replay.global_model(view.round - 1),
        replay.local_task(index, view.round),
        no_examples(spec),
        index,
        ctx.cache.models.get((view.id, view.round - 1), {}),
        _data_seed(view),
    )

    def seal(artefact: bytes) -> bytes:
        return seal_local(artefact, key, reference, ctx.keys.address)

    now, window = time.monotonic(), view.terms.submit_window
    elapsed = view.frame.timestamp - view.phase_start
    planned = PlannedRelease(
        release,
        task,
        data_of(view),
        view.record.requester,
        view.pool[index].samples,
        partial(seal_values, view) if spec.privacy.sum is not None else seal,
        view.frame.timestamp,
        now + training_time(elapsed, training_window(view)),
        now + window - elapsed,
    )
    return lambda: make_release(ctx, planned)


def _data_seed(view: RequestView) -> int:
    """Derived from the account's key: after a restart the noise on the data is the same."""
    request = (view.ctx.deployment.fingerprint, view.id.to_bytes(32, "big"))
    return int.from_bytes(view.ctx.keys.derive("data-noise", *request), "big")
