"""The content of a data file, before any specification is applied to it."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import array_digest
from fedpact.data.documents import are_documents
from fedpact.errors import DataError
from fedpact.types.layout import PLAIN, FileLayout

CHUNK = 4096
"""Examples converted at a time, so that large arrays of bytes are never held in 64 bits whole."""


@dataclass(frozen=True)
class Records:
    """Examples as in their file: not scaled, labels by name."""

    format: str
    x: NDArray[Any]
    """Shape (n, *shape), bytes, integers or floats; or documents, (n,)."""
    labels: tuple[str, ...]
    """One for each example; for a regression, numbers as text."""
    columns: tuple[str, ...] = ()
    """Names of a table's value columns, in the order of x."""
    groups: tuple[str, ...] = ()
    """Engine, writer or role of each example; empty if unknown."""
    grouped_units: bool = False
    """Whether all examples of a group are one privacy unit."""
    rows: tuple[bytes, ...] = ()
    """Digest of each row of a table, over all its columns, or of each document."""
    ignored: tuple[str, ...] = ()
    """Columns of a table that are neither values nor label nor unit, without a row number."""
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Name and values of each column of a table that x does not hold exactly: of a category it
    holds indices, of a time 32 bits, of a text zeros."""
    layout: FileLayout = PLAIN
    """In which a table's labels are written, if they are numbers."""

    @property
    def kind(self) -> Literal["numbers", "text"]:
        """As a specification's features name it."""
        return "text" if are_documents(self.x) else "numbers"

    @cached_property
    def units(self) -> tuple[bytes, ...]:
        """Digest of each example's unit: its group's name, its row or document, or its values and
        label."""
        if self.grouped_units:
            digests = {name: unit_digest(name) for name in set(self.groups)}
            return tuple(digests[name] for name in self.groups)
        if self.rows:
            return self.rows
        return tuple(array_digest(x, label) for x, label in zip(self.x, self.labels, strict=True))


def unit_digest(name: str) -> bytes:
    """Digest of a unit known by name, such as an engine; its number of windows does not matter."""
    return sha256(b"unit\x1f" + name.encode()).digest()


NO_NUMBER = "nan"
"""What a number that is none becomes as text."""


def label_name(value: Any) -> str:
    """The name of a label that may be stored as a number: 3 and 3.0 are "3"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def scaled(values: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Values divided by `scale` in 64 bits and rounded to 32, a part at a time."""
    result = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), CHUNK):
        part = slice(start, start + CHUNK)
        result[part] = values[part].astype(np.float64) / scale
    return result


def first_not_finite(values: NDArray[Any]) -> int | None:
    """Index of the first example with a value that is NaN or infinite."""
    if values.dtype.kind != "f":
        return None
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
        if not finite.all():
            return start + int(np.flatnonzero(~finite)[0])
    return None


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises DataError with the file's name."""
    try:
        return path.read_bytes()
    except OSError as error:
        refuse(path, error.strerror or str(error), error)


def refuse(path: Path, reason: str, cause: Exception | None = None) -> NoReturn:
    """Raise a DataError of one line that names the file."""
    raise DataError(f"data {path}: {' '.join(reason.split())}") from cause
