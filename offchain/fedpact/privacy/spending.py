"""Renyi curves in the ledger's tables: what units, data sets and requesters have been charged.

Every privacy unit has a curve of its own history and no other's (an individual filter, Feldman &
Zrnic 2021): if one unit's presence changed what another may still contribute, a release would
depend on it far beyond the clipping norm. Units with equal histories share a row of `accounts`.

Every function works inside a transaction of the caller. `asked` is a temporary table of the keyed
digests that a call is about.
"""

import hmac
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import BudgetExceeded
from fedpact.privacy.accounting import ORDERS, PrivacyLimit, rdp_cost
from fedpact.privacy.ledger_file import LedgerFile
from fedpact.privacy.mechanisms import Mechanism

Spend = NDArray[np.float64]
_SPEND = np.dtype("<f8")
Payer = Literal["datasets", "requesters"]
"""Tables of those that are charged by name, whatever the records are."""


class Spending:
    """The curves in one ledger file. `key`: of the digests of units."""

    def __init__(self, file: LedgerFile, key: bytes) -> None:
        self._file = file
        self._key = key

    # ------------------------------------------------------------------ units

    def keyed(self, unit: bytes) -> bytes:
        """The digest by which the file knows a unit."""
        return hmac.digest(self._key, unit, "sha256")

    def ask(self, db: sqlite3.Connection, digests: Iterable[bytes]) -> None:
        """Fill `asked` with keyed digests."""
        db.execute("DELETE FROM asked")
        db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((one,) for one in digests))

    def largest(self, db: sqlite3.Connection, *, asked: bool = False) -> Spend:
        """Elementwise largest curve of all units, or of those in `asked`."""
        chosen = " WHERE id IN (SELECT account FROM units JOIN asked USING (digest))"
        rows = db.execute("SELECT spend FROM accounts" + (chosen if asked else ""))
        return self.maximum(rows)

    def drop_exhausted(self, db: sqlite3.Connection, cost: Spend, limit: PrivacyLimit) -> None:
        """Remove from `asked` the units that `cost` would take past `limit`."""
        for account, spend in self._touched(db):
            if not limit.allows(spend + cost):
                db.execute(
                    "DELETE FROM asked WHERE digest IN"
                    " (SELECT digest FROM units WHERE account = ?)",
                    (account,),
                )
        if not limit.allows(cost):
            db.execute("DELETE FROM asked WHERE digest NOT IN (SELECT digest FROM units)")

    def charge(self, db: sqlite3.Connection, cost: Spend) -> None:
        """Add `cost` to the curve of each unit in `asked`."""
        self._move(db, cost)
        fresh = "SELECT digest FROM asked WHERE digest NOT IN (SELECT digest FROM units)"
        if db.execute(f"SELECT 1 FROM ({fresh}) LIMIT 1").fetchone():
            account = self._account(db, cost)
            db.execute(f"INSERT INTO units SELECT digest, ? FROM ({fresh})", (account,))

    def refund(self, db: sqlite3.Connection, cost: Spend) -> None:
        """Take `cost` off the curve of each unit in `asked` again."""
        self._move(db, -cost)

    def _move(self, db: sqlite3.Connection, difference: Spend) -> None:
        """Add to the curves of known units in `asked`, whatever account they share with others."""
        for account, spend in self._touched(db):
            after = encode(_changed(spend, difference))
            everyone = db.execute(
                "SELECT count(*) FROM units WHERE account = ?", (account,)
            ).fetchone()[0]
            asked = db.execute(
                "SELECT count(*) FROM units JOIN asked USING (digest) WHERE account = ?",
                (account,),
            ).fetchone()[0]
            if asked == everyone:
                db.execute("UPDATE accounts SET spend = ? WHERE id = ?", (after, account))
                continue
            new = db.execute("INSERT INTO accounts (spend) VALUES (?)", (after,)).lastrowid
            db.execute(
                "UPDATE units SET account = ? WHERE account = ?"
                " AND digest IN (SELECT digest FROM asked)",
                (new, account),
            )

    def _touched(self, db: sqlite3.Connection) -> list[tuple[int, Spend]]:
        """Accounts of the units in `asked`, with their curves."""
        rows = db.execute(
            "SELECT DISTINCT id, spend FROM accounts JOIN units ON account = id"
            " JOIN asked USING (digest)"
        )
        return [(int(account), self.decode(spend)) for account, spend in rows]

    def _account(self, db: sqlite3.Connection, spend: Spend) -> int | None:
        return db.execute("INSERT INTO accounts (spend) VALUES (?)", (encode(spend),)).lastrowid

    # ------------------------------------------------------------------ by name

    def of(self, db: sqlite3.Connection, payer: Payer, name: str) -> Spend:
        """The curve of a data set or requester."""
        rows = db.execute(f"SELECT spend FROM {payer} WHERE name = ?", (name,))
        return self.maximum(rows)

    def add(self, db: sqlite3.Connection, payer: Payer, name: str, difference: Spend) -> None:
        """Change the curve of a data set or requester; never below zero."""
        spend = encode(_changed(self.of(db, payer, name), difference))
        db.execute(f"INSERT OR REPLACE INTO {payer} VALUES (?, ?)", (name, spend))

    def held(
        self,
        db: sqlite3.Connection,
        payer: Payer,
        name: str,
        but: tuple[bytes, int] | None = None,
    ) -> Spend:
        """What requests hold of the budget of a data set or requester, all `but` one."""
        column = {"datasets": "dataset", "requesters": "requester"}[payer]
        rows = db.execute(
            f"SELECT deployment, request, remaining FROM holds WHERE {column} IN (?, '')", (name,)
        )
        total = np.zeros(len(ORDERS))
        for deployment, request, remaining in rows:
            if (bytes(deployment), request) != but:
                total = total + self.decode(remaining)
        return total

    def demand(
        self, db: sqlite3.Connection, payer: Payer, name: str, cost: Spend, limit: PrivacyLimit
    ) -> None:
        """Raise BudgetExceeded if `cost` would take a data set or requester past `limit`."""
        before = self.of(db, payer, name) + self.held(db, payer, name)
        check_limit(
            before, cost, limit, {"datasets": "data set's", "requesters": "requester's"}[payer]
        )

    # ------------------------------------------------------------------ curves

    def maximum(self, rows: Iterable[tuple[bytes]]) -> Spend:
        """Elementwise largest of encoded curves; zero if there are none."""
        largest = np.zeros(len(ORDERS))
        for (spend,) in rows:
            largest = np.maximum(largest, self.decode(spend))
        return largest

    def decode(self, spend: bytes) -> Spend:
        """Raises LedgerError for bytes that are no curve."""
        if len(spend) != _SPEND.itemsize * len(ORDERS):
            raise self._file.corrupt("a spend of the wrong length")
        decoded = np.frombuffer(spend, dtype=_SPEND).astype(np.float64)
        if np.isnan(decoded).any() or (decoded < 0).any():
            raise self._file.corrupt("a spend that is not a number")
        return decoded


def encode(spend: Spend) -> bytes:
    return spend.astype(_SPEND).tobytes()


def encode_event(event: Mechanism) -> str:
    return json.dumps(asdict(event), sort_keys=True)


def check_limit(before: Spend, cost: Spend, limit: PrivacyLimit, whose: str) -> None:
    """Raise BudgetExceeded if `cost` after `before` passes `limit`."""
    if limit.allows(before + cost):
        return
    used, after = (rdp_cost(spend, limit.delta) for spend in (before, before + cost))
    raise BudgetExceeded(
        f"{used.epsilon:.3f} of the {whose} epsilon {limit.epsilon:g} is spent or promised at"
        f" delta {limit.delta:g}; this would make it {after.epsilon:.3f} ({after.accountant}, order"
        f" {limit.order:g} decides)"
    )


def _changed(spend: Spend, difference: Spend) -> Spend:
    """Infinite where an order does not converge; never below zero."""
    with np.errstate(invalid="ignore"):
        found = spend + difference
    return np.maximum(np.where(np.isnan(found), np.inf, found), 0.0)
