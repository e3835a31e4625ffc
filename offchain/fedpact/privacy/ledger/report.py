"""What a privacy ledger says: the releases in it, what was spent, what a limit leaves."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fedpact.closing import Closing
from fedpact.errors import LedgerError
from fedpact.privacy.accounting import PrivacyCost
from fedpact.privacy.ledger.budgets import Spending
from fedpact.privacy.ledger.file import LOCK_TIMEOUT, LedgerFile, Watch
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.cid import Cid


class ReleaseId(NamedTuple):
    """What is released once: a provider's model in one round of one request."""

    deployment: bytes
    """Fingerprint of the deployment, 32 bytes."""
    request: int
    round: int


@dataclass(frozen=True)
class LedgerEntry:
    """One release as the ledger has it."""

    id: ReleaseId
    event: GaussianRelease | None
    """None if nothing is charged: no privacy was asked for, or the bytes were never published."""
    units: int
    """Units that were charged."""
    charged_at: int
    """Unix time, seconds."""
    digest: bytes
    """Of the CID of the released bytes, as `submit` carries it; empty before they exist."""
    kept: bool
    """Whether the ledger still has the bytes."""


@dataclass(frozen=True)
class LimitStanding:
    """How far a data set, or the most charged data set or unit, is from a lifetime budget."""

    spent: PrivacyCost
    promised: PrivacyCost
    """Spent, plus what is held for running requests."""
    left: float
    """Epsilon of the largest full-batch release that still fits after what is promised."""


class LedgerReport(Closing):
    """An open ledger as far as it can be read; `Ledger` also writes.

    path: the SQLite file, created with its folder if missing. key: 32 secret bytes of the data's
    owner; without them the digests in the file reveal nothing about any record. former_key: of the
    account, which kept the ledger before version 4.
    watch: of another connection of this process, which must be to the same file.
    Every method raises LedgerError if the file is corrupt, LedgerUnavailable if it cannot be used
    now, and every method that writes LedgerReplaced if another file has taken its place.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        former_key: bytes | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
        watch: Watch | None = None,
    ) -> None:
        self.file = LedgerFile(Path(path), key, lock_timeout, former_key, watch)
        self.spending = Spending(self.file, key, former_key or key)

    def close(self) -> None:
        self.file.close()

    # ------------------------------------------------------------------ releases

    def stored(self, release_id: ReleaseId) -> bytes | None:
        """The bytes of a release; None if they do not exist yet.

        Raises LedgerError if they were discarded: they must not be drawn again.
        """
        with self.file.reading() as db:
            row = self.row(db, release_id)
            return None if row is None or not row[0] else self.checked(release_id, *row)

    def kept_at(self, release_id: ReleaseId) -> int:
        """When `keep` stored the bytes, in seconds of the chain's time; 0 if it never did."""
        with self.file.reading() as db:
            row = db.execute(
                "SELECT kept_at FROM releases WHERE deployment = ? AND request = ? AND round = ?",
                release_id,
            ).fetchone()
            return int(row[0]) if row else 0

    def entries(self) -> list[LedgerEntry]:
        """All releases, ordered by deployment, request and round."""
        columns = "deployment, request, round, event, units, charged_at, digest, payload NOT NULL"
        with self.file.reading() as db:
            return [
                LedgerEntry(
                    ReleaseId(bytes(deployment), request, round_),
                    None if event is None else GaussianRelease(**json.loads(event)),
                    units,
                    charged_at,
                    bytes(digest),
                    bool(kept),
                )
                for deployment, request, round_, event, units, charged_at, digest, kept in (
                    db.execute(f"SELECT {columns} FROM releases ORDER BY 1, 2, 3")
                )
            ]

    def holds(self) -> list[tuple[bytes, int]]:
        """(deployment, request) of all holds."""
        with self.file.reading() as db:
            rows = db.execute("SELECT deployment, request FROM holds ORDER BY id")
            return [(bytes(deployment), int(request)) for deployment, request in rows]

    def payer(self, deployment: bytes, request: int) -> str | None:
        """Identifier of the data set that a request is charged to; None if none is known."""
        query = (
            "SELECT dataset FROM {} WHERE deployment = ? AND request = ? AND dataset != '' LIMIT 1"
        )
        with self.file.reading() as db:
            for table in ("holds", "releases"):
                row = db.execute(query.format(table), (deployment, request)).fetchone()
                if row is not None:
                    return str(row[0])
        return None

    # ------------------------------------------------------------------ what was spent

    def spent(self, delta: float, units: Sequence[bytes] | None = None) -> PrivacyCost:
        """Cost of the most charged of `units` (default: all known units)."""
        with self.file.transaction() as db:
            if units is not None:
                self.spending.ask(db, map(self.spending.keyed, units))
            return _most(self.spending.of_units(db, asked=units is not None), delta).cost(delta)

    def spent_by_data_set(self, delta: float) -> dict[str, PrivacyCost]:
        """What each data set was charged, by its identifier."""
        with self.file.reading() as db:
            rows = db.execute("SELECT name, spend FROM datasets ORDER BY name")
            return {name: self.spending.decode(spend).cost(delta) for name, spend in rows}

    def standing(self, limit: PrivacyLimit, dataset: str | None = None) -> LimitStanding:
        """What is left of `limit` of a data set, or of the most charged data set or unit, as if it
        had all holds."""
        with self.file.reading() as db:
            if dataset is None:
                rows = db.execute("SELECT spend FROM datasets")
                every = [self.spending.decode(row) for (row,) in rows] + self.spending.of_units(db)
                holds = db.execute("SELECT remaining FROM holds")
            else:
                every = [self.spending.of(db, "datasets", dataset)]
                query = "SELECT remaining FROM holds WHERE dataset IN (?, '')"
                holds = db.execute(query, (dataset,))
            held = [self.spending.decode(row) for (row,) in holds]
        spent = _most(every, limit.delta)
        promised = spent.with_promised(held)
        return LimitStanding(
            spent.cost(limit.delta), promised.cost(limit.delta), limit.left(promised)
        )

    # ------------------------------------------------------------------ inside a transaction

    def row(self, db: sqlite3.Connection, release_id: ReleaseId) -> Any:
        """Digest and bytes of a release, as stored; None if it is unknown."""
        query = (
            "SELECT digest, payload FROM releases"
            " WHERE deployment = ? AND request = ? AND round = ?"
        )
        return db.execute(query, tuple(release_id)).fetchone()

    def checked(self, release_id: ReleaseId, digest: bytes, payload: bytes | None) -> bytes:
        """Stored bytes, once they are found to match their digest."""
        if payload is None:
            raise LedgerError(
                f"request {release_id[1]}, round {release_id[2]}: released before and discarded;"
                " it must not be drawn again"
            )
        if Cid.of(payload).digest != digest:
            raise self.file.corrupt("a release differs from its digest")
        return bytes(payload)


def _most(spends: list[Spend], delta: float) -> Spend:
    """The spend that costs most."""
    return max(spends, key=lambda spend: spend.cost(delta).epsilon, default=Spend.nothing())
