"""Whether a data set looks like one that the ledger has charged, though it shares no unit with it.

If the names of its units were drawn again, or its values converted, the ledger would take the same
people for new ones. Only their owner can tell: this is asked when a daemon starts, never because of
a request.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from fedpact.privacy.ledger.ledger import Ledger

DIGEST_BYTES = 16
ALIKE = 0.5
"""Share of two sketches that must be equal."""
SAME_SIZE = 0.02
"""Relative difference of two sizes that count as equal; five records always do."""


@dataclass(frozen=True)
class Appearance:
    """What a data set looks like."""

    dataset: str
    """Its identifier."""
    size: int
    """Examples."""
    columns: bytes
    """Digest of the declared columns."""
    sketch: Collection[bytes]
    """Digests of roughly rounded records."""
    name: str = ""
    """Tells data sets with one identifier apart."""

    @property
    def key(self) -> str:
        """By which the ledger keeps it."""
        return f"{self.dataset}/{self.name}" if self.name else self.dataset


def question(ledger: Ledger, seen: Appearance, units: Collection[bytes]) -> str | None:
    """What the owner must answer before these units are charged as new ones; None if nothing."""
    spending = ledger.spending
    keyed = [spending.keyed(unit) for unit in set(units)]
    with ledger.file.transaction() as db:
        spending.ask(db, keyed)
        if db.execute("SELECT 1 FROM units JOIN asked USING (digest) LIMIT 1").fetchone():
            return None
        rows = db.execute("SELECT dataset, size, columns, sketch, confirmed FROM sketches")
        every = rows.fetchall()
        if any((one[0], one[4]) == (seen.key, _identity(keyed)) for one in every):
            return None  # their owner has answered already
        for key, size, columns, stored, _ in every:
            dataset = key.partition("/")[0]
            shared = len(_parts(stored) & _keyed(ledger, seen))
            alike = shared >= ALIKE * max(1, len(_parts(stored)), len(seen.sketch))
            close = abs(size - seen.size) <= max(5, SAME_SIZE * size)
            spent = spending.of(db, "datasets", dataset).steps
            if alike and close and spent and bytes(columns) == seen.columns:
                return (
                    f"they look like data set {dataset}, which has been charged: {seen.size} "
                    f"records of the same columns, {shared} of {len(seen.sketch)} sampled ones "
                    "alike; but no privacy unit is the same. Were units or columns renamed, or "
                    "values converted? Then restore them, or declare the old names (source, unit), "
                    "and keep data_id. If they are new data, say so once with --new-data"
                )
    return None


def remember(
    ledger: Ledger, seen: Appearance, units: Collection[bytes], *, confirmed: bool
) -> None:
    """Keep what a data set looks like; `confirmed`: its owner says that its units are new."""
    spending = ledger.spending
    identity = _identity([spending.keyed(unit) for unit in set(units)]) if confirmed else b""
    sketch = b"".join(sorted(_keyed(ledger, seen)))
    with ledger.file.transaction() as db:
        row = db.execute("SELECT confirmed FROM sketches WHERE dataset = ?", (seen.key,)).fetchone()
        db.execute(
            "INSERT OR REPLACE INTO sketches VALUES (?, ?, ?, ?, ?)",
            (
                seen.key,
                seen.size,
                seen.columns,
                sketch,
                identity or (bytes(row[0]) if row else b""),
            ),
        )


def _keyed(ledger: Ledger, seen: Appearance) -> set[bytes]:
    return {ledger.spending.keyed(one)[:DIGEST_BYTES] for one in seen.sketch}


def _parts(stored: bytes) -> set[bytes]:
    return {stored[at : at + DIGEST_BYTES] for at in range(0, len(stored), DIGEST_BYTES)}


def _identity(keyed: list[bytes]) -> bytes:
    return sha256(b"".join(sorted(keyed)[:DIGEST_BYTES])).digest()
