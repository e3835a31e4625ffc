"""Labelled examples, and the digests by which the privacy ledger knows their records."""

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
"""Of n examples, shape (n,): indices into the specification's labels, or the values of a
regression divided by its output's scale."""


@dataclass(frozen=True)
class Dataset:
    """Examples as a model family takes them."""

    x: Inputs
    """Numbers are divided by the specification's scale, and finite."""
    y: Targets
    units: tuple[bytes, ...]
    """32-byte digest of each example's unit of privacy: the record as it stands in its source,
    before scaling and before any choice of columns. Examples cut from one unit (an engine's
    windows) share its digest, and so do records that are equal in every field. Empty where
    nothing private is meant (evaluation slices)."""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or (self.units and len(self.units) != len(self.y)):
            raise DataError(
                f"{len(self.x)} examples, {len(self.y)} labels, {len(self.units)} unit digests"
            )

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def unit_numbers(self) -> NDArray[np.int64]:
        """Of each example, (n,): which unit it belongs to, counted from 0 in order of appearance;
        each is its own where no units are given."""
        if not self.units:
            return np.arange(len(self))
        known: dict[bytes, int] = {}
        found = (known.setdefault(unit, len(known)) for unit in self.units)
        return np.fromiter(found, np.int64, len(self))

    @cached_property
    def unit_count(self) -> int:
        """How many units of privacy there are."""
        return int(self.unit_numbers.max(initial=-1)) + 1


def row_digest(cells: list[tuple[str, str]]) -> bytes:
    """Digest of a table's row from (column, cell): neither the order of columns nor how a number
    is written ("1", "1.0", " 1e0") changes it."""
    canonical = sorted((name, _canonical(cell)) for name, cell in cells)
    return sha256("\x1e".join(f"{n}\x1f{c}" for n, c in canonical).encode()).digest()


def array_digest(values: NDArray[np.generic], label: str) -> bytes:
    """Digest of one example of an array and its label, the values taken as float64."""
    numbers = np.ascontiguousarray(values, dtype="<f8") + 0.0  # -0.0 becomes 0.0
    return sha256(_canonical(label).encode() + b"\x1f" + numbers.tobytes()).digest()


def document_digest(text: str, label: str) -> bytes:
    """Digest of one document and its label: one record, however its text is cut into terms."""
    encoded = text.encode("utf-8", "surrogatepass")
    return sha256(b"text\x1f" + _canonical(label).encode() + b"\x1f" + encoded).digest()


def _canonical(cell: str) -> str:
    text = cell.strip()
    try:
        return repr(float(text) + 0.0)
    except ValueError:
        return text
