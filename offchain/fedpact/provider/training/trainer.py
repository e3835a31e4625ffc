"""What a daemon asks of whoever trains for it: a task in, an artefact or a typed failure out.

`worker_pool.WorkerPool` trains in processes of their own, as a daemon does. `InProcess` trains
where it is called: for the participation game, which has to see each draw of noise.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from fedpact.data.dataset import Dataset
from fedpact.errors import DeviceUnfit, FedpactError, TrainingFailed
from fedpact.learning.held_out import trained_on
from fedpact.learning.units import samples_of
from fedpact.provider.snapshots import SnapshotSource
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.device import PROCESSOR
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.provider.policy import Policy
    from fedpact.provider.training.time_trial import Work


@dataclass(frozen=True)
class Loaded:
    """What the ledger has to know of a request's records before they are trained on."""

    units: tuple[bytes, ...]
    """Privacy unit of each example that the request can use."""
    samples: int
    """As `samples_of` counts."""
    former: frozenset[tuple[bytes, bytes]]
    """Units with the digests by which ledgers of before version 4 knew them; empty if not asked."""


class Training(Protocol):
    """One round's training. All raise TrainingFailed, and nothing of a record is in it."""

    def try_device(self, spec: Specification) -> None:
        """Raise DeviceUnfit, with the reason, where a request's privacy would not hold on the
        device that trains, and TrainingFailed where that could not be found out."""

    def round_seconds(self, asked: "Work") -> float:
        """How long a round's training takes on this machine; no record is read."""

    def least_error(self, asked: "Work") -> int | None:
        """The least error of models that a round's training makes of easy made-up examples; None:
        nothing is known. No record is read."""

    def load(self, source: SnapshotSource, spec: Specification, *, former: bool) -> Loaded:
        """Read a request's records, as `train` will take them, once the device has been tried
        where privacy rests on it. Raises as `try_device` too."""

    def train(self, task: TrainingTask, units: Collection[bytes] | None, declared: int) -> bytes:
        """The encoded model from the loaded records of some units (None: of all), as a data set of
        `declared` ones. The task's own data set is not used."""

    def noise_alone(self, task: TrainingTask, declared: int) -> bytes:
        """The encoded model from no records at all: nothing that was loaded affects it."""


class Trainer(Protocol):
    """Trains for one account; several threads may ask at once."""

    work: LocalWork

    def training(self, request: str, ends: float) -> AbstractContextManager[Training]:
        """A training for a request, by its name; it has to end by `ends` (`time.monotonic`)."""

    def go_on_with(self, policy: "Policy") -> None:
        """Trainings that begin from now on have this policy's limits."""

    def forget(self, request: str) -> None:
        """Free what is kept between a request's rounds."""

    def close(self) -> None:
        """End all trainings at once: what waits for one gets NotReady."""


class Bench(Training):
    """Trains on one request's records at a time, and remembers the last ones."""

    def __init__(self, work: LocalWork) -> None:
        self._work = work
        self._loaded: tuple[SnapshotSource, bytes] | None = None
        self._dataset: Dataset | None = None
        self._is_represented = False
        self._tried: Specification | None = None
        """For which the device was found fit last."""

    def try_device(self, spec: Specification) -> None:
        sound = spec.privacy.mode is PrivacyMode.SOUND
        if not sound or self._work.device == PROCESSOR or self._tried == spec:
            return
        with _failures(spec):
            self._work.try_device(spec)
        self._tried = spec

    def round_seconds(self, asked: "Work") -> float:
        from fedpact.provider.training.time_trial import round_seconds

        with _failures(asked.spec):
            return round_seconds(self._work, asked)

    def least_error(self, asked: "Work") -> int | None:
        from fedpact.provider.training.error_ceiling import least_error

        with _failures(asked.spec):
            return least_error(self._work, asked)

    def load(self, source: SnapshotSource, spec: Specification, *, former: bool) -> Loaded:
        from fedpact.data.snapshot_file import read_snapshot

        # The device may have been set after the request was joined.
        self.try_device(spec)
        with _failures(spec):
            asked, renamed = (source, spec.encode()), frozenset[tuple[bytes, bytes]]()
            if self._loaded != asked or self._dataset is None or former:
                self._dataset, self._is_represented = None, False
                records = read_snapshot(source.snapshot)
                self._loaded = asked
                self._dataset = trained_on(spec, records.dataset(spec))
                renamed = frozenset(records.renamed) if former else renamed
            return Loaded(self._dataset.units, samples_of(spec, self._dataset), renamed)

    def train(self, task: TrainingTask, units: Collection[bytes] | None, declared: int) -> bytes:
        from fedpact.learning.families import represented

        with _failures(task.spec):
            assert self._loaded is not None
            assert self._dataset is not None
            if not self._is_represented:
                features = self._loaded[0].features
                self._dataset = represented(task.spec, self._dataset, features)
                self._is_represented = True
            dataset = self._dataset
            if units is not None:
                dataset = dataset.of_units(units, declared)
            return self._work.train(replace(task, dataset=dataset))

    def noise_alone(self, task: TrainingTask, declared: int) -> bytes:
        with _failures(task.spec):
            empty = replace(task.dataset, declared_units=declared)
            return self._work.train(replace(task, dataset=empty))


class InProcess(Trainer):
    """Trains in the thread that asks, without limits."""

    def __init__(self, work: LocalWork) -> None:
        self.work = work

    @contextmanager
    def training(self, request: str, ends: float) -> Iterator[Training]:
        yield Bench(self.work)

    def go_on_with(self, policy: "Policy") -> None:
        """There are no limits."""

    def forget(self, request: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """A training under way goes on to its end."""


@contextmanager
def _failures(spec: Specification) -> Iterator[None]:
    """Whatever is raised becomes a TrainingFailed; under mode `sound` with the error's name alone,
    since its text may hold a private value."""
    try:
        yield
    except MemoryError:
        raise TrainingFailed("it asked for more memory than it may have") from None
    except (TrainingFailed, DeviceUnfit):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a typed one
        told = isinstance(error, FedpactError) and spec.privacy.mode is not PrivacyMode.SOUND
        name = type(error).__name__
        raise TrainingFailed(f"{name}: {error}" if told else name) from None
