"""The provider's own records, in the form that a specification asks for."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.data.dataset import Dataset


FileStates = tuple[tuple[str, int, int], ...]
"""(path, time of modification in nanoseconds, bytes) of each file."""


class OwnRecords:
    """Reads a file or folder once per (specification, state of the file)."""

    def __init__(self, path: Path, features: Path) -> None:
        """`features`: folder for what is computed from the records; may be deleted at any time."""
        self._path, self._features = path, features
        self._key: tuple[bytes, FileStates] | None = None
        self._read: Dataset | None = None
        self._represented: Dataset | None = None

    def read(self, spec: Specification) -> "Dataset":
        """The records; raises DataError if the specification does not fit them."""
        from fedpact.data.readers import read_dataset

        key = spec.encode(), _state(self._path)
        if self._read is None or key != self._key:
            self._key, self._read, self._represented = None, None, None
            self._read, self._key = read_dataset(self._path, spec), key
        return self._read

    def represented(self, spec: Specification, records: "Dataset") -> "Dataset":
        """Records from `read`, in the form on which the model family trains fastest.

        Computing it may take minutes the first time.
        """
        from fedpact.learning.families import represented

        if records is not self._read:
            return represented(spec, records, self._features)
        if self._represented is None:
            self._represented = represented(spec, records, self._features)
        return self._represented


def _state(path: Path) -> FileStates:
    """Of a file, or of all files under a folder: its own modification time says nothing of them."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)
