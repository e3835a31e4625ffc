"""From a provider's records to the sealed bytes of one round, and when they may be submitted.

All of it runs beside the daemon's cycle, in a thread of its own, and reading and training in a
process (`trainer`): whatever takes longer with one record than without it delays nothing that
others see.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fedpact.errors import (
    DataError,
    DeviceUnfit,
    LedgerError,
    NotReady,
    StorageUnavailable,
    TrainingFailed,
)
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.data_sets import OwnData
from fedpact.provider.own import Own
from fedpact.provider.snapshots import request_name
from fedpact.provider.training.trainer import Loaded, Training
from fedpact.provider.training.work import TrainingTask
from fedpact.types.local_training import fixed_time
from fedpact.types.privacy import PrivacyMode

log = logging.getLogger(__name__)
T = TypeVar("T")

TRAINING_SHARE = 0.75
"""Of a submit window: when a training that is still under way is given up."""
RESTARTS = 2
"""Of a process that fails before it has trained on a record."""


@dataclass(frozen=True)
class PlannedRelease:
    """One round's release before the records are read: everything here is public."""

    id: ReleaseId
    task: TrainingTask
    """With an empty data set."""
    data: OwnData
    """With which the request was joined."""
    requester: str
    samples: int
    """That the provider declared when it joined."""
    seal: Callable[[bytes], bytes]
    """Encrypts the model for the committee."""
    planned_at: int
    """Seconds of the chain's time."""
    train_by: float = math.inf
    """When a training is given up (`time.monotonic`), so that there is time for noise alone."""
    noise_by: float = math.inf
    """When there is no more use in submitting anything."""


def make_release(own: Own, planned: PlannedRelease) -> bytes:
    """Read the records, charge the ledger, train, seal, and keep the result in the ledger; the
    bytes to submit.

    Under mode `sound` it ends in a release, whatever the records hold: from noise alone where they
    cannot be used or the training fails, since no submission would say something about a record.
    A training is never tried again: what is published would depend on what it drew the first time.
    Only what has read no record yet, or reads none, is. One whose longest time is fixed (an app's)
    is begun only if there is as much left, and counts as ready after that time, never before.

    Raises:
        TrainingFailed: without `sound`; under `sound` where even noise alone cannot be made, which
            no record affects.
        DataError: without `sound`, records that cannot be trained on.
    """
    began = time.monotonic()
    if began > planned.noise_by:
        raise TrainingFailed("the round's window was over before it could begin")
    sound = planned.task.spec.privacy.mode is PrivacyMode.SOUND
    artefact = _sound(own, planned) if sound else _unprotected(own, planned)
    sealed, took = planned.seal(artefact), math.ceil(time.monotonic() - began)
    if sound:
        took = max(took, math.ceil(fixed_time(planned.task.spec.local)))
    with own.open_ledger() as ledger:
        return ledger.keep(planned.id, sealed, planned.planned_at + took)


def training_time(elapsed: float, window: float) -> float:
    """Seconds that a training may take which begins `elapsed` seconds into its window; below 0
    after its end.

    What is left is for noise alone. All of it follows from the chain's time.
    """
    return max(TRAINING_SHARE * window - elapsed, (window - elapsed) / 2)


def submission_time(stage_start: int, window: int, share: float, done: int) -> float:
    """When a model that was ready at `done` is submitted, in seconds of the chain's time.

    At fixed times of the window: after the policy's `share` of it and at every tenth of it from
    then on, so that they hardly tell how long training took. A share of 0: at once.
    """
    if share == 0:
        return done
    first, tick = stage_start + share * window, max(1.0, window / 10)
    due = first + tick * max(0, math.ceil((done - first) / tick))
    # The last tick of the window must leave time for the transaction.
    return min(due, stage_start + window - tick / 2)


def _sound(own: Own, planned: PlannedRelease) -> bytes:
    task, name = planned.task, _name(planned)
    longest = fixed_time(task.spec.local)
    fits = time.monotonic() + longest <= planned.train_by
    if not fits:
        log.error(
            "request %d, round %d: no time is left for %s: submitting noise alone",
            planned.id.request,
            planned.id.round,
            f"a training of up to {longest:g} s" if longest else "training",
        )
    with own.trainer.training(name, planned.train_by) as training:
        loaded = _load(own, planned, training) if fits else None
        units = _charge(own, planned, () if loaded is None else loaded.units)
        if loaded is not None:
            try:
                return training.train(task, units, planned.samples)
            except NotReady:  # the daemon stops
                raise
            except Exception as error:  # noqa: BLE001 - as in `_load`
                _note_failure(planned, "the training failed", error)
    with own.trainer.training(name, planned.noise_by) as training:
        return _restarting(planned.noise_by, lambda: training.noise_alone(task, planned.samples))


def _load(own: Own, planned: PlannedRelease, training: Training) -> Loaded | None:
    """The records, known to the ledger; None where they cannot be read, or used on the device."""
    try:
        with own.open_ledger() as ledger:
            former = ledger.has_former_units
        source = planned.data.records.source(_name(planned))
        spec = planned.task.spec
        loaded = _restarting(planned.train_by, lambda: training.load(source, spec, former=former))
        if loaded.former:
            with own.open_ledger() as ledger:
                ledger.link(loaded.former)
        return loaded
    except (NotReady, StorageUnavailable, LedgerError):
        raise  # that the daemon stops, or cannot write, has nothing to do with the records
    except DeviceUnfit as error:  # and may not be tried until it passes by chance
        _note_failure(planned, "training would not be private", error)
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody may see that it happened
        _note_failure(planned, "the records cannot be used", error)
        return None


def _unprotected(own: Own, planned: PlannedRelease) -> bytes:
    """Without `sound`, where failing is no secret."""
    task, source = planned.task, planned.data.records.source(_name(planned))

    def train() -> bytes:
        with own.trainer.training(_name(planned), planned.train_by) as training:
            loaded = training.load(source, task.spec, former=False)
            _require_joined_data(planned, loaded.samples)
            _charge(own, planned, loaded.units)
            return training.train(task, None, planned.samples)

    # Mode `paper` draws noise, and a second draw is not the mechanism that its paper describes.
    if task.spec.privacy.mode is PrivacyMode.PAPER:
        return train()
    return _restarting(planned.train_by, train)


def _charge(own: Own, planned: PlannedRelease, units: Sequence[bytes]) -> frozenset[bytes]:
    """The units that may contribute."""
    release = GaussianRelease.of_round(planned.task.spec, planned.task.round)
    with own.open_ledger() as ledger:
        return ledger.begin(planned.id, units, release, planned.data.payers(planned.requester))


def _restarting(until: float, work: Callable[[], T]) -> T:
    for _ in range(RESTARTS):
        try:
            return work()
        except TrainingFailed as failure:
            if time.monotonic() > until:
                raise
            log.warning("starting a training's process again: %s", failure)
    return work()


def _note_failure(planned: PlannedRelease, what: str, error: Exception) -> None:
    # Any other error's text may hold a private value.
    why = str(error) if isinstance(error, TrainingFailed | DeviceUnfit) else type(error).__name__
    log.error(
        "request %d, round %d: %s (%s): submitting noise alone",
        planned.id.request,
        planned.id.round,
        what,
        why,
    )


def _name(planned: PlannedRelease) -> str:
    return request_name(planned.id.deployment, planned.id.request)


def _require_joined_data(planned: PlannedRelease, samples: int) -> None:
    """Refuse other data than at joining: sums are divided by the declared number of samples."""
    if samples != planned.samples:
        raise DataError(
            f"request {planned.id.request} was joined with {planned.samples} samples, but its "
            f"records have {samples}"
        )
