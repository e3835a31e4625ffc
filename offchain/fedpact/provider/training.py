"""Stages 4 and 5 of the workflow: train locally, post the digest, publish after the close."""

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import replace

from fedpact.consensus.artefacts import seal_local
from fedpact.errors import DataError, NotReady
from fedpact.learning.units import samples_of
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.context import Context, DutyResult, RequestView, did, idle
from fedpact.provider.history import replay_of
from fedpact.provider.reading import (
    request_key,
    round_ref_of,
    specification_of,
)
from fedpact.provider.work import TrainingTask
from fedpact.types.cid import Cid
from fedpact.types.privacy import PrivacyMode

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
    release_id = ReleaseId(ctx.deployment.fingerprint, view.id, view.round)
    sealed = ctx.ledger.stored(release_id)
    if sealed is None:
        artefact = ctx.background.result(
            ("train", view.id, view.round), lambda: _training(view, release_id)
        )
        if artefact is None:
            return idle("training")
        reference = round_ref_of(view, view.round)
        sealed = ctx.ledger.keep(
            release_id,
            seal_local(artefact, request_key(view), reference, ctx.keys.address),
            view.frame.timestamp,
        )
    wait = _too_early(view, release_id)
    if wait:
        return idle(f"trained; submits in {wait} seconds, as the policy's submit_after says")
    digest = Cid.of(sealed).digest
    receipt = ctx.client.rounds.submit(ctx.keys, view.id, view.seat, digest)
    return did(f"round {view.round}: submitted a model ({receipt.gas_used} gas)")


def _training(view: RequestView, release_id: ReleaseId) -> Callable[[], bytes]:
    """The training of the round's model, which is charged here, before it begins."""
    ctx, spec = view.ctx, specification_of(view)
    replay = replay_of(view)
    task = TrainingTask(
        spec,
        view.round,
        replay.global_model(view.round - 1),
        replay.local_task(view.seat, view.round),
        ctx.records.dataset(spec),
        view.seat,
        ctx.cache.models.get((view.id, view.round - 1), {}),
        _data_seed(view),
    )
    if spec.privacy.mode is not PrivacyMode.SOUND:
        _require_joined_data(view, task)
    contributing = ctx.ledger.begin(
        release_id,
        task.dataset.units,
        GaussianRelease.of_round(spec, view.round),
        ctx.payers(view.record.requester),
    )
    samples = view.members[view.seat].samples
    return lambda: _train(ctx, task, contributing, samples)


def _train(
    ctx: Context, task: TrainingTask, contributing: Collection[bytes], samples: int
) -> bytes:
    """Train on the units that may contribute. Under mode `sound` every training ends in a model,
    from noise alone where the training fails: no submission would say something about a record."""
    dataset = task.dataset
    if task.spec.privacy.mode is not PrivacyMode.SOUND:
        return ctx.work.train(replace(task, dataset=ctx.records.represented(task.spec, dataset)))
    try:
        represented = ctx.records.represented(task.spec, dataset)
        return ctx.work.train(replace(task, dataset=represented.of_units(contributing, samples)))
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody may see that it happened
        # Its text may hold a private value.
        log.error("training failed (%s): submitting noise alone", type(error).__name__)
        nothing = replace(dataset, declared_units=samples).without_examples()
        return ctx.work.train(replace(task, dataset=nothing))


def _too_early(view: RequestView, release_id: ReleaseId) -> int:
    """Seconds until the model may be submitted, 0 if it may be now.

    Submissions happen at fixed times of the window: after the policy's share of it and at every
    tenth of it from then on, so that they hardly tell how long training took.
    """
    window = specification_of(view).windows.submit
    share = view.ctx.policy.submit_after
    if share == 0:
        return 0
    first, tick = view.state.stage_start + share * window, max(1.0, window / 10)
    done = view.ctx.ledger.kept_at(release_id)
    due = first + tick * max(0, math.ceil((done - first) / tick))
    # The last tick of the window must leave time for the transaction.
    last = view.state.stage_start + window - tick / 2
    return max(0, math.ceil(min(due, last) - view.frame.timestamp))


def _data_seed(view: RequestView) -> int:
    """Derived from the account's key: after a restart the noise on the data is the same."""
    request = (view.ctx.deployment.fingerprint, view.id.to_bytes(32, "big"))
    return int.from_bytes(view.ctx.keys.derive("data-noise", *request), "big")


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
    view.ctx.ledger.publishing(release_id)
    cid = view.ctx.store.put(sealed)
    view.ctx.cache.published.add(at)
    log.info("request %d: round %d: published %s", view.id, view.round, cid)
    return idle("published")
