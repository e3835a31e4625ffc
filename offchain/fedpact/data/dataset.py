"""Labelled examples, and the digests by which the privacy ledger knows their records."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

Inputs = NDArray[Any]
"""Examples as a model family takes them: float32 numbers (n, *shape), or documents (n,), each a
`str` (`data.documents`)."""
Targets = NDArray[np.int64 | np.float32]
"""Shape (n,): indices into the specification's labels, or a regression's values divided by its
output's scale."""


@dataclass(frozen=True)
class Dataset:
    """Examples as a model family takes them."""

    x: Inputs
    """Numbers are finite and divided by the specification's scale."""
    y: Targets
    units: tuple[bytes, ...]
    """32-byte digest of each example's privacy unit: the record as in its source, before scaling
    and column selection. Examples of one unit (an engine's windows) share a digest, and so do
    records equal in every field. Empty if nothing is private (evaluation slices)."""
    declared_units: int | None = None
    """Privacy units that the owner declares; those without an example count as zero. None: as many
    as there are."""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or (self.units and len(self.units) != len(self.y)):
            raise DataError(
                f"{len(self.x)} examples, {len(self.y)} labels, {len(self.units)} unit digests"
            )
        if self.declared_units is not None and self.declared_units < len(set(self.units)):
            raise DataError(
                f"{len(set(self.units))} privacy units, {self.declared_units} are declared"
            )

    def __len__(self) -> int:
        return len(self.y)

    def of_units(self, units: Collection[bytes], declared: int) -> "Dataset":
        """The examples of `units`, as a data set of `declared` privacy units; if there are more,
        those of the first `declared` in order of appearance."""
        kept = [unit in units for unit in self.units]
        numbers = np.unique(self.unit_numbers[kept])[:declared]
        rows = np.flatnonzero(np.isin(self.unit_numbers, numbers) & np.array(kept, dtype=bool))
        return Dataset(self.x[rows], self.y[rows], tuple(self.units[row] for row in rows), declared)

    @cached_property
    def unit_numbers(self) -> NDArray[np.int64]:
        """Unit of each example, (n,), numbered from 0 in order of appearance; without units each
        example is its own."""
        if not self.units:
            return np.arange(len(self))
        known: dict[bytes, int] = {}
        found = (known.setdefault(unit, len(known)) for unit in self.units)
        return np.fromiter(found, np.int64, len(self))

    @cached_property
    def unit_count(self) -> int:
        """Number of privacy units, declared ones included."""
        if self.declared_units is not None:
            return self.declared_units
        return int(self.unit_numbers.max(initial=-1)) + 1


def row_digest(cells: list[tuple[str, str]]) -> bytes:
    """Digest of a table's row from (column, cell) pairs, whatever the order of columns and the
    notation of numbers ("1", "1.0", " 1e0")."""
    canonical = sorted((name, _canonical(cell)) for name, cell in cells)
    return sha256("\x1e".join(f"{n}\x1f{c}" for n, c in canonical).encode()).digest()


def array_digest(values: NDArray[np.generic], label: str) -> bytes:
    """Digest of an array's example, as float64, and its label."""
    numbers = np.ascontiguousarray(values, dtype="<f8") + 0.0  # -0.0 becomes 0.0
    return sha256(_canonical(label).encode() + b"\x1f" + numbers.tobytes()).digest()


def document_digest(text: str, label: str) -> bytes:
    """Digest of a document and its label: one record, however its text is tokenised."""
    encoded = text.encode("utf-8", "surrogatepass")
    return sha256(b"text\x1f" + _canonical(label).encode() + b"\x1f" + encoded).digest()


def _canonical(cell: str) -> str:
    text = cell.strip()
    try:
        return repr(float(text) + 0.0)
    except ValueError:
        return text
