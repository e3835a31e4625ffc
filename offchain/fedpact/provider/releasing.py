"""From a provider's records to the sealed bytes of one round, and when they may be submitted.

All of it runs beside the daemon's cycle, in a thread of its own: whatever takes longer with one
record than without it delays nothing that others see.
"""

import logging
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, StorageUnavailable
from fedpact.learning.units import samples_of
from fedpact.privacy.ledger_report import ReleaseId
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.own import Own
from fedpact.provider.work import TrainingTask
from fedpact.types.privacy import PrivacyMode

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedRelease:
    """One round's release before the records are read: everything here is public."""

    id: ReleaseId
    task: TrainingTask
    """With an empty data set."""
    requester: str
    samples: int
    """That the provider declared when it joined."""
    seal: Callable[[bytes], bytes]
    """Encrypts the model for the committee."""
    planned_at: int
    """Seconds of the chain's time."""


def make_release(own: Own, planned: PlannedRelease) -> bytes:
    """Read the records, charge the ledger, train, seal, and keep the result in the ledger; the
    bytes to submit.

    Under mode `sound` it always ends in a release, whatever the records hold: from noise alone
    where they cannot be used or the training fails, since no submission would say something about
    a record. Otherwise raises DataError for records that cannot be trained on.
    """
    began, task = time.monotonic(), planned.task
    sound = task.spec.privacy.mode is PrivacyMode.SOUND
    dataset = _read(own, planned) if sound else own.records.dataset(task.spec)
    if not sound:
        _require_joined_data(planned, dataset)
    with own.open_ledger() as ledger:
        contributing = ledger.begin(
            planned.id,
            dataset.units,
            GaussianRelease.of_round(task.spec, task.round),
            own.payers(planned.requester),
        )
    artefact = _train(own, planned, dataset, contributing)
    sealed, took = planned.seal(artefact), math.ceil(time.monotonic() - began)
    with own.open_ledger() as ledger:
        return ledger.keep(planned.id, sealed, planned.planned_at + took)


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


def _read(own: Own, planned: PlannedRelease) -> Dataset:
    """The records under mode `sound`; none where they cannot be read."""
    try:
        dataset = own.records.dataset(planned.task.spec)
        with own.open_ledger() as ledger:
            if ledger.has_former_units:  # the file may have changed since the daemon started
                ledger.link(own.records.renamed())
        return dataset
    except StorageUnavailable:
        raise  # whether the ledger can be written has nothing to do with the records
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody may see that it happened
        _note_failure("the records cannot be used", error)
        return _without_records(planned)


def _train(
    own: Own, planned: PlannedRelease, dataset: Dataset, contributing: Collection[bytes]
) -> bytes:
    """Train on the units that may contribute."""
    task = planned.task
    if task.spec.privacy.mode is not PrivacyMode.SOUND:
        return own.work.train(replace(task, dataset=own.records.represented(task.spec, dataset)))
    try:
        represented = own.records.represented(task.spec, dataset)
        usable = represented.of_units(contributing, planned.samples)
        return own.work.train(replace(task, dataset=usable))
    except Exception as error:  # noqa: BLE001 - as above
        _note_failure("training failed", error)
        return own.work.train(replace(task, dataset=_without_records(planned)))


def _note_failure(what: str, error: Exception) -> None:
    # The error's text may hold a private value.
    log.error("%s (%s): submitting noise alone", what, type(error).__name__)


def _without_records(planned: PlannedRelease) -> Dataset:
    return replace(planned.task.dataset, declared_units=planned.samples)


def _require_joined_data(planned: PlannedRelease, dataset: Dataset) -> None:
    """Refuse other data than at joining: sums are divided by the declared number of samples."""
    found = samples_of(planned.task.spec, dataset)
    if found != planned.samples:
        raise DataError(
            f"request {planned.id.request} was joined with {planned.samples} samples, but the data "
            f"now has {found}: restore the data, or sit this request out"
        )
