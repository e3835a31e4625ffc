"""The provider's own records under their schema, in the form that a specification asks for."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.errors import DataError
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.data.dataset import Dataset
    from fedpact.data.declared import DeclaredData

log = logging.getLogger(__name__)

FileStates = tuple[tuple[str, int, int], ...]
"""(path, time of modification in nanoseconds, bytes) of each file."""


class OwnRecords:
    """Reads a file or folder once per state of the file, and applies one specification at a time.

    A file that can no longer be read changes nothing: the records of the last time are used, so
    that no request is answered differently because of what the file holds.
    """

    def __init__(self, path: Path, schema: DataSchema, features: Path) -> None:
        """`features`: folder for what is computed from the records; may be deleted at any time."""
        self.schema = schema
        self._path, self._features = path, features
        self._read: tuple[FileStates, DeclaredData] | None = None
        # Each is replaced as a whole, since the daemon's cycle and its training both ask.
        self._dataset: tuple[bytes, FileStates, Dataset] | None = None
        self._represented: tuple[Dataset, Dataset] | None = None

    def load(self) -> "DeclaredData":
        """Read the file as it is now, for the owner. Raises DataError as `DeclaredData.read`."""
        from fedpact.data.declared import DeclaredData

        state = _state(self._path)
        self._read = state, DeclaredData.read(self._path, self.schema)
        return self._read[1]

    def dataset(self, spec: Specification) -> "Dataset":
        """The records that a specification can use. It must pass `DataSchema.check`.

        Raises DataError only if the file could never be read.
        """
        state, declared = self._latest()
        known, asked = self._dataset, spec.encode()
        if known is None or known[:2] != (asked, state):
            known = self._dataset = asked, state, declared.dataset(spec)
        return known[2]

    def renamed(self) -> set[tuple[bytes, bytes]]:
        """Units with the digests by which ledgers of before version 4 knew their records."""
        return self._latest()[1].renamed

    def represented(self, spec: Specification, records: "Dataset") -> "Dataset":
        """Records from `dataset`, in the form on which the model family trains fastest.

        Computing it may take minutes the first time.
        """
        from fedpact.learning.families import represented

        known = self._represented
        if known is None or known[0] is not records:
            known = self._represented = records, represented(spec, records, self._features)
        return known[1]

    def _latest(self) -> "tuple[FileStates, DeclaredData]":
        if self._read is not None and self._read[0] == _state(self._path):
            return self._read
        try:
            self.load()
        except DataError as error:
            if self._read is None:
                raise
            log.error("using the records as they were read last: %s", error)
        assert self._read is not None
        return self._read


def _state(path: Path) -> FileStates:
    """Of a file, or of all files under a folder: its own modification time says nothing of them."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)
