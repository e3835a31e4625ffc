"""The provider's own records under their schema, as they are now and as they were at joining."""

import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.errors import DataError, StorageUnavailable
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.data.dataset import Dataset
    from fedpact.data.declared import DeclaredData

log = logging.getLogger(__name__)

SETTLED_SECONDS = 5.0
"""A file that changed less than this ago may still be being written."""

FileStates = tuple[tuple[str, int, int], ...]
"""(path, time of modification in nanoseconds, bytes) of each file."""


@dataclass(frozen=True)
class SnapshotSource:
    """Where whoever trains finds the records of a request."""

    snapshot: Path
    """Written by `data.snapshot`."""
    features: Path
    """Folder for what is computed from the records; may be deleted at any time."""


class OwnRecords:
    """Reads a file or folder once per state of it, and keeps what it read on disk.

    A request keeps the records that it was joined with, whatever becomes of the file. A file that
    has changed is read again when the next request is joined, and a database's query is asked
    again. A file that cannot be read, or is just being written, changes nothing: the records of the
    last time are used, so that no request is answered differently because of what the file holds.
    """

    def __init__(
        self, path: Path, schema: DataSchema, features: Path, snapshots: Path, name: str = ""
    ) -> None:
        """`features`: as `SnapshotSource.features`. `snapshots`: folder for the records as they
        were read; requests under way need it. `name`: of one of several data sets."""
        self.schema, self._name = schema, name
        self._path, self._features, self._snapshots = path, features, snapshots
        declared = [str(path.resolve()), schema.model_dump(mode="json")]
        self._mark = _digest(declared)[:16]
        """Begins the names of this data set's files among those of others in the folder."""
        self.accept: Callable[[DeclaredData], None] = lambda _: None
        """Called with records that were read for a request, before they are used; raises DataError
        where those of the last time are to be used in their place."""
        self._lock = threading.Lock()  # the daemon's cycle and its trainings both ask

    def load(self) -> "DeclaredData":
        """Read the file as it is now, for the owner. Raises DataError as `DeclaredData.read`, and
        StorageUnavailable as `source`."""
        with self._lock, self._writing():
            return self._read(self._state())

    def last(self) -> "DeclaredData | None":
        """The records as they were read last; None if they never were under this schema."""
        from fedpact.data.snapshot_file import read_snapshot

        with self._lock, self._writing():
            last = self._last()
        found = None if last is None else read_snapshot(last)
        return found if found is not None and found.schema == self.schema else None

    def source(self, request: str) -> SnapshotSource:
        """The records that a request was joined with; taken now if there are none yet.

        Raises DataError only if the file could never be read, and StorageUnavailable if the records
        cannot be written.
        """
        taken = self._taken(request)
        with self._lock, self._writing():
            if not taken.exists():
                taken.parent.mkdir(parents=True, exist_ok=True)
                _link(self._newest(), taken)
        return SnapshotSource(taken, self._features)

    def dataset(self, request: str, spec: Specification) -> "Dataset":
        """A request's records as its specification can use them. It must pass `DataSchema.check`.

        Raises DataError as `source`.
        """
        from fedpact.data.snapshot_file import read_snapshot

        return read_snapshot(self.source(request).snapshot).dataset(spec)

    def drop(self, request: str) -> None:
        """Forget the records of a request that has ended, or is not joined with these."""
        self._taken(request).unlink(missing_ok=True)

    def keep_only(self, deployment: str, requests: Collection[str]) -> None:
        """Forget the records of all other requests whose names begin with `deployment`, and what a
        process that was killed had half written."""
        with self._writing():
            for half in (
                *self._snapshots.glob("*.npz.*"),
                *self._snapshots.glob("requests/*.part"),
            ):
                half.unlink(missing_ok=True)
            for path in (self._snapshots / "requests").glob(f"{deployment}-*.npz"):
                if path.name.partition(".")[0] not in requests:
                    path.unlink(missing_ok=True)

    def keep_only_those_of(self, every: Sequence["OwnRecords"]) -> None:
        """Forget what was read last of data sets that are not served any more."""
        marks = {one._mark for one in every}
        with self._writing():
            for path in self._snapshots.glob("*.npz"):
                if path.name.partition("-")[0] not in marks:
                    path.unlink(missing_ok=True)

    def _taken(self, request: str) -> Path:
        """The file with a request's records: this data set's, or the only one that there is from
        when the daemon served one data set, or serves one now."""
        folder = self._snapshots / "requests"
        alone = folder / f"{request}.npz"
        if self._name:
            own = folder / f"{request}.{self._name}.npz"
            return alone if alone.exists() and not own.exists() else own
        return alone if alone.exists() else next(folder.glob(f"{request}.*.npz"), alone)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(f"folder {self._snapshots}: {error.strerror}") from error

    def _newest(self) -> Path:
        """The file with the newest records that could be read."""
        last = self._last()
        try:
            state = self._state()
            changed = self._is_query or last != self._named(state)
            if last is None or (changed and _is_settled(state)):
                self._read(state, self.accept)
        except DataError as error:
            if last is None:
                raise
            log.error("using the records as they were read last: %s", error)
        found = self._last()
        assert found is not None
        return found

    def _read(
        self, state: FileStates, accept: "Callable[[DeclaredData], None] | None" = None
    ) -> "DeclaredData":
        from fedpact.data.declared import DeclaredData
        from fedpact.data.snapshot_file import write_snapshot

        data = DeclaredData.read(self._path, self.schema)
        if self._state() != state:
            raise DataError(f"data {self._path}: it changed while it was read: try again")
        named = self._named(state, data.records.rows if self._is_query else ())
        if not named.exists():
            if accept is not None:
                accept(data)
            write_snapshot(named, data)
            for older in self._snapshots.glob(f"{self._mark}-*.npz"):
                if older != named:
                    older.unlink(missing_ok=True)
        return data

    def _last(self) -> Path | None:
        return next(iter(self._snapshots.glob(f"{self._mark}-*.npz")), None)

    @property
    def _is_query(self) -> bool:
        """Whether the records may change while the file does not."""
        from fedpact.data.readers.database import SUFFIX

        return self._path.name.endswith(SUFFIX)

    def _named(self, state: FileStates, rows: Sequence[bytes] = ()) -> Path:
        """A state of the file, read under the schema, has a name of its own; `rows`: digests of
        what a query returned."""
        read = [state, hashlib.sha256(b"".join(rows)).hexdigest()] if rows else state
        return self._snapshots / f"{self._mark}-{_digest(read)[:32]}.npz"

    def _state(self) -> FileStates:
        """Of the file, or of all files under the folder: its own modification time says nothing of
        them."""
        path = self._path
        try:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            found = [(str(file), file.stat()) for file in files if not file.is_dir()]
        except OSError as error:
            raise DataError(f"data {path}: {error.strerror}") from error
        return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)


def request_name(deployment: bytes, request: int) -> str:
    """The name of a request's records: a part of the deployment's fingerprint, and its number."""
    return f"{deployment_name(deployment)}-{request}"


def deployment_name(deployment: bytes) -> str:
    return deployment.hex()[:16]


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _is_settled(state: FileStates) -> bool:
    newest = max((changed for _, changed, _ in state), default=0)
    return time.time() - newest / 1e9 > SETTLED_SECONDS


def _link(source: Path, target: Path) -> None:
    """The same bytes under a second name, without a copy where the file system can."""
    try:
        os.link(source, target)
    except FileExistsError:  # another process was faster
        return
    except OSError:
        fresh = target.with_suffix(".part")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        fresh.rename(target)
