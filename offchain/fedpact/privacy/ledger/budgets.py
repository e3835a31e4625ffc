"""Spends in the ledger's tables: what units, data sets and requesters have been charged.

Every privacy unit has a spend of its own history and no other's (an individual filter, Feldman &
Zrnic 2021): if one unit's presence changed what another may still contribute, a release would
depend on it far beyond the clipping norm. Units with equal histories share a row of `accounts`.

Every function works inside a transaction of the caller. `asked` is a temporary table of the keyed
digests that a call is about.
"""

import hmac
import sqlite3
from collections.abc import Callable, Iterable
from typing import Literal

from fedpact.errors import BudgetExceeded
from fedpact.privacy.ledger.file import LedgerFile
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend

Payer = Literal["datasets", "requesters"]
"""Tables of those that are charged by name, whatever the records are."""

_SPEND_OF = "SELECT spend FROM accounts JOIN units ON account = id WHERE digest = ?"


class Spending:
    """The spends in one ledger file. `key`: of the digests of units; `former_key`: of those of
    before version 4."""

    def __init__(self, file: LedgerFile, key: bytes, former_key: bytes) -> None:
        self._file = file
        self._key, self._former_key = key, former_key

    # ------------------------------------------------------------------ units

    def keyed(self, unit: bytes) -> bytes:
        """The digest by which the file knows a unit."""
        return hmac.digest(self._key, unit, "sha256")

    def link(self, db: sqlite3.Connection, renamed: Iterable[tuple[bytes, bytes]]) -> None:
        """Let units take over what their records had spent under the digests of before version 4.

        `renamed`: (unit, former digest). A unit that takes in k former ones is charged k times
        their sum: what the k together cost in full batch, where costs grow with the square.
        """
        formers: dict[bytes, set[bytes]] = {}
        for unit, former in renamed:
            digest = hmac.digest(self._former_key, former, "sha256")
            formers.setdefault(self.keyed(unit), set()).add(digest)
        for unit, digests in formers.items():
            known = [
                (former, self.decode(row[0]))
                for former in digests
                if (row := db.execute(_SPEND_OF, (former,)).fetchone()) is not None
                and not db.execute(
                    "SELECT 1 FROM links WHERE unit = ? AND former = ?", (unit, former)
                ).fetchone()
            ]
            if not known:
                continue
            total = sum((spend for _, spend in known), start=Spend.nothing()).times(len(known))
            self.ask(db, [unit])
            self.charge(db, total)
            for former, _ in known:
                db.execute("INSERT INTO links VALUES (?, ?)", (unit, former))
                db.execute(
                    "INSERT OR IGNORE INTO release_units SELECT deployment, request, round, ?"
                    " FROM release_units WHERE digest = ?",
                    (unit, former),
                )

    def ask(self, db: sqlite3.Connection, digests: Iterable[bytes]) -> None:
        """Fill `asked` with keyed digests."""
        db.execute("DELETE FROM asked")
        db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((one,) for one in digests))

    def of_units(self, db: sqlite3.Connection, *, asked: bool = False) -> list[Spend]:
        """What all units, or those in `asked`, have spent: each different spend once."""
        chosen = " WHERE id IN (SELECT account FROM units JOIN asked USING (digest))"
        rows = db.execute("SELECT spend FROM accounts" + (chosen if asked else ""))
        return [self.decode(spend) for (spend,) in rows]

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
        """Add `cost` to the spend of each unit in `asked`."""
        self.change(db, lambda spend: spend + cost, fresh=cost)

    def change(
        self, db: sqlite3.Connection, change: Callable[[Spend], Spend], fresh: Spend
    ) -> bool:
        """Change the spend of each unit in `asked`; one that is unknown gets `fresh`. Whether
        anything is different now."""
        changed = self._move(db, change)
        unknown = "SELECT digest FROM asked WHERE digest NOT IN (SELECT digest FROM units)"
        if db.execute(f"SELECT 1 FROM ({unknown}) LIMIT 1").fetchone():
            account = self._account(db, fresh)
            db.execute(f"INSERT INTO units SELECT digest, ? FROM ({unknown})", (account,))
            changed = True
        return changed

    def refund(self, db: sqlite3.Connection, cost: Spend) -> None:
        """Take `cost` off the spend of each unit in `asked` again."""
        self._move(db, lambda spend: spend - cost)

    def _move(self, db: sqlite3.Connection, change: Callable[[Spend], Spend]) -> bool:
        """Change the spend of known units in `asked`, whatever account they share with others;
        whether any is different now."""
        changed = False
        for account, spend in self._touched(db):
            after = change(spend).encode()
            if after == spend.encode():
                continue
            changed = True
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
        return changed

    def _touched(self, db: sqlite3.Connection) -> list[tuple[int, Spend]]:
        """Accounts of the units in `asked`, with their spends."""
        rows = db.execute(
            "SELECT DISTINCT id, spend FROM accounts JOIN units ON account = id"
            " JOIN asked USING (digest)"
        )
        return [(int(account), self.decode(spend)) for account, spend in rows]

    def _account(self, db: sqlite3.Connection, spend: Spend) -> int | None:
        return db.execute("INSERT INTO accounts (spend) VALUES (?)", (spend.encode(),)).lastrowid

    # ------------------------------------------------------------------ by name

    def of(self, db: sqlite3.Connection, payer: Payer, name: str) -> Spend:
        """What a data set or requester has spent."""
        row = db.execute(f"SELECT spend FROM {payer} WHERE name = ?", (name,)).fetchone()
        return Spend.nothing() if row is None else self.decode(row[0])

    def add(self, db: sqlite3.Connection, payer: Payer, name: str, cost: Spend) -> None:
        """Charge a data set or requester."""
        self.put(db, payer, name, self.of(db, payer, name) + cost)

    def take_off(self, db: sqlite3.Connection, payer: Payer, name: str, cost: Spend) -> None:
        """Refund a data set or requester."""
        self.put(db, payer, name, self.of(db, payer, name) - cost)

    def put(self, db: sqlite3.Connection, payer: Payer, name: str, spend: Spend) -> None:
        """Set what a data set or requester has spent."""
        db.execute(f"INSERT OR REPLACE INTO {payer} VALUES (?, ?)", (name, spend.encode()))

    def demand(
        self, db: sqlite3.Connection, payer: Payer, name: str, cost: Spend, limit: PrivacyLimit
    ) -> None:
        """Raise BudgetExceeded if `cost`, after what was spent and what running requests hold,
        would take a data set or requester past `limit`."""
        column = {"datasets": "dataset", "requesters": "requester"}[payer]
        rows = db.execute(f"SELECT remaining FROM holds WHERE {column} IN (?, '')", (name,))
        held = [self.decode(remaining) for (remaining,) in rows]
        spent = self.of(db, payer, name)
        check_limit(
            spent.with_promised(held),
            spent.with_promised([*held, cost]),
            limit,
            {"datasets": "data set's", "requesters": "requester's"}[payer],
        )

    def decode(self, spend: bytes) -> Spend:
        """Raises LedgerError for bytes that are no spend."""
        try:
            return Spend.decode(spend)
        except ValueError as error:
            raise self._file.corrupt(str(error)) from error


def check_limit(before: Spend, after: Spend, limit: PrivacyLimit, whose: str) -> None:
    """Raise BudgetExceeded if `after`, which comes after `before`, passes `limit`."""
    if limit.allows(after):
        return
    used, wanted = (spend.cost(limit.delta) for spend in (before, after))
    raise BudgetExceeded(
        f"{used.epsilon:.3f} of the {whose} epsilon {limit.effective:g} is spent or promised at"
        f" delta {limit.delta:g}; this would make it {wanted.epsilon:.3f} by {wanted.accountant}."
        f" What decides: {limit.accountant}"
    )
