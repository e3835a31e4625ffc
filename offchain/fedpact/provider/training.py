"""Stages 4 and 5 of the workflow: train locally, post the digest, publish after the close."""

import logging
from dataclasses import replace

from fedpact.consensus.artefacts import seal_local
from fedpact.errors import DataError, NotReady
from fedpact.learning.units import samples_of
from fedpact.privacy.ledger import ReleaseId
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.history import replay_of
from fedpact.provider.reading import (
    request_key,
    round_ref_of,
    specification_of,
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
    spec = specification_of(view)
    release_id = ReleaseId(ctx.deployment.fingerprint, view.id, view.round)
    sealed = ctx.ledger.stored(release_id)
    if sealed is None:
        replay = replay_of(view)
        task = TrainingTask(
            spec,
            view.round,
            replay.global_model(view.round - 1),
            replay.local_task(view.seat, view.round),
            ctx.records.read(spec),
            view.seat,
            ctx.cache.models.get((view.id, view.round - 1), {}),
            _data_seed(view),
        )
        _require_joined_data(view, task)
        artefact = ctx.background.result(
            ("train", view.id, view.round), lambda: ctx.work.train(_represented(view, task))
        )
        if artefact is None:
            return idle("training")
        sealed = ctx.ledger.release(
            release_id,
            task.dataset.units,
            GaussianRelease.of_round(spec, view.round),
            seal_local(
                artefact, request_key(view), round_ref_of(view, view.round), ctx.keys.address
            ),
            ctx.limit,
        )
    digest = Cid.of(sealed).digest
    receipt = ctx.client.rounds.submit(ctx.keys, view.id, view.seat, digest)
    return did(f"round {view.round}: submitted a model ({receipt.gas_used} gas)")


def _data_seed(view: RequestView) -> int:
    """Derived from the account's key: after a restart the noise on the data is the same."""
    request = (view.ctx.deployment.fingerprint, view.id.to_bytes(32, "big"))
    return int.from_bytes(view.ctx.keys.derive("data-noise", *request), "big")


def _represented(view: RequestView, task: TrainingTask) -> TrainingTask:
    return replace(task, dataset=view.ctx.records.represented(task.spec, task.dataset))


def _require_joined_data(view: RequestView, task: TrainingTask) -> None:
    """Refuse other data than at joining: sums are divided by the declared number of samples."""
    declared, found = view.members[view.seat].samples, samples_of(task.spec, task.dataset)
    if found != declared:
        raise DataError(
            f"request {view.id} was joined with {declared} samples, but the data now has {found}: "
            "restore the data, or sit this request out"
        )


def publish_model(view: RequestView) -> DutyResult:
    """Put the submitted model into the store after submissions have closed."""
    at = (view.id, view.round)
    if not view.in_mask(view.state.submitted) or at in view.ctx.cache.published:
        return idle("nothing to publish")
    release_id = ReleaseId(view.ctx.deployment.fingerprint, view.id, view.round)
    sealed = view.ctx.ledger.stored(release_id)
    if sealed is None:
        raise NotReady(
            f"request {view.id}, round {view.round}: the submitted model is not in this machine's "
            "ledger: use the state folder of the machine that submitted it"
        )
    cid = view.ctx.store.put(sealed)
    view.ctx.cache.published.add(at)
    log.info("request %d: round %d: published %s", view.id, view.round, cid)
    return idle("published")
