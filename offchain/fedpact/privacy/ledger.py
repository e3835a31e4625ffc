"""The privacy that a provider has spent, and the bytes that it released for it.

A release is charged before its bytes exist, and published from here: a repeated release, after a
crash or in another process, returns the same bytes, since drawing noise twice would halve the
protection.

Two budgets. A *data set*, known by the identifier its owner gave it, has one that does not depend
on its content; joining requests is decided by it alone. Every *unit*, known by a keyed digest
(HMAC-SHA256), has a budget of its own, whichever data sets it is in. A unit that has used it up
contributes nothing to further releases, which nobody can see (docs/adr/0031). Releases of the same
records by another machine are not seen.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fedpact.closing import Closing
from fedpact.errors import LedgerError, PrivacyError
from fedpact.privacy.accounting import UNIT, PrivacyCost, rdp, rdp_cost
from fedpact.privacy.accounting import PrivacyLimit as PrivacyLimit
from fedpact.privacy.ledger_file import LOCK_TIMEOUT, SCHEMA_VERSION, LedgerFile
from fedpact.privacy.mechanisms import GaussianRelease, Mechanism
from fedpact.privacy.spending import Spend, Spending, check_limit, encode, encode_event
from fedpact.types.cid import Cid


class ReleaseId(NamedTuple):
    """What is released once: a provider's model in one round of one request."""

    deployment: bytes
    """Fingerprint of the deployment, 32 bytes."""
    request: int
    round: int


@dataclass(frozen=True)
class Payers:
    """Who is charged for a request besides the units."""

    dataset: str
    """Identifier of the data set."""
    requester: str
    """The requester's account."""
    dataset_limit: PrivacyLimit
    requester_limit: PrivacyLimit


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
    """How far the most charged data set or unit is from a lifetime budget; by RDP."""

    spent: PrivacyCost
    promised: PrivacyCost
    """Spent, plus what is held for running requests."""
    left: float
    """Epsilon of the largest full-batch release that still fits after what is promised."""


class Ledger(Closing):
    """A provider's privacy ledger; several processes may use it at once, but not several threads.

    path: the SQLite file, created with its folder if missing. key: 32 secret bytes of the account;
    without them the digests in the file reveal nothing about any record.
    Every method raises LedgerError if the file is corrupt or locked by another process.
    """

    def __init__(self, path: Path, key: bytes, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self._file = LedgerFile(Path(path), key, lock_timeout)
        self._spending = Spending(self._file, key)

    def close(self) -> None:
        self._file.close()

    # ------------------------------------------------------------------ budget

    def hold(self, deployment: bytes, request: int, event: Mechanism, payers: Payers) -> None:
        """Hold the budget of a whole request before joining it; once per request.

        Its releases draw on the hold; other requests cannot. Raises BudgetExceeded where the data
        set's or the requester's limit would be passed, whatever the records are.
        """
        with self._file.transaction() as db:
            if self._hold_of(db, deployment, request) is not None:
                return
            cost = rdp(event)
            spending = self._spending
            spending.demand(db, "datasets", payers.dataset, cost, payers.dataset_limit)
            spending.demand(db, "requesters", payers.requester, cost, payers.requester_limit)
            db.execute(
                "INSERT INTO holds (deployment, request, event, remaining, dataset, requester)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    deployment,
                    request,
                    encode_event(event),
                    encode(cost),
                    payers.dataset,
                    payers.requester,
                ),
            )

    def drop_hold(self, deployment: bytes, request: int) -> None:
        """Free what a request that was never joined held."""
        with self._file.transaction() as db:
            self._drop_hold(db, deployment, request)

    def holds(self) -> list[tuple[bytes, int]]:
        """(deployment, request) of all holds."""
        with self._file.reading() as db:
            rows = db.execute("SELECT deployment, request FROM holds ORDER BY id")
            return [(bytes(deployment), int(request)) for deployment, request in rows]

    # ------------------------------------------------------------------ releases

    def begin(
        self,
        release_id: ReleaseId,
        units: Sequence[bytes],
        event: GaussianRelease | None,
        payers: Payers,
    ) -> frozenset[bytes]:
        """Charge a release before it is made; the units that may contribute to it.

        Units that `event` would take past the data set's limit are left out and not charged. Once
        per release: a repeated call charges nothing and returns the same units, until the bytes
        are published. An event of None charges nobody.
        """
        named = {self._spending.keyed(unit): unit for unit in units}
        with self._file.transaction() as db:
            if self._row(db, release_id) is None:
                self._spending.ask(db, named)
                if event is not None:
                    cost = rdp(event)
                    self._spending.drop_exhausted(db, cost, payers.dataset_limit)
                    self._spending.charge(db, cost)
                    self._spending.add(db, "datasets", payers.dataset, cost)
                    self._spending.add(db, "requesters", payers.requester, cost)
                    self._draw_on_hold(db, release_id, cost)
                db.execute(
                    "INSERT INTO release_units SELECT ?, ?, ?, digest FROM asked", release_id
                )
                count = db.execute("SELECT count(*) FROM asked").fetchone()[0]
                db.execute(
                    "INSERT INTO releases (deployment, request, round, event, units, charged_at,"
                    " digest, payload, dataset, requester, published)"
                    " VALUES (?, ?, ?, ?, ?, ?, x'', NULL, ?, ?, 0)",
                    (
                        *release_id,
                        None if event is None else encode_event(event),
                        count,
                        int(time.time()),
                        payers.dataset,
                        payers.requester,
                    ),
                )
            return frozenset(
                named[digest] for digest in self._units_of(db, release_id) if digest in named
            )

    def keep(self, release_id: ReleaseId, payload: bytes, at: int) -> bytes:
        """Store the bytes of a release that `begin` charged; the bytes to publish. `at`: the
        chain's time, in seconds.

        They are those of the first call, in whichever process. Only returned bytes may leave the
        process. Raises LedgerError without `begin`, and for bytes that were discarded.
        """
        with self._file.transaction() as db:
            row = self._row(db, release_id)
            if row is None:
                raise LedgerError(
                    f"request {release_id.request}, round {release_id.round}: nothing was charged"
                    " for this release"
                )
            if row[0]:
                return self._payload(release_id, *row)
            db.execute(
                "UPDATE releases SET digest = ?, payload = ?, kept_at = ?"
                " WHERE deployment = ? AND request = ? AND round = ?",
                (Cid.of(payload).digest, payload, at, *release_id),
            )
        return payload

    def kept_at(self, release_id: ReleaseId) -> int:
        """When `keep` stored the bytes, in seconds of the chain's time; 0 if it never did."""
        with self._file.reading() as db:
            row = db.execute(
                "SELECT kept_at FROM releases WHERE deployment = ? AND request = ? AND round = ?",
                release_id,
            ).fetchone()
            return int(row[0]) if row else 0

    def publishing(self, release_id: ReleaseId) -> None:
        """Note that a release's bytes are about to leave this machine: their charge is final."""
        with self._file.transaction() as db:
            at = "deployment = ? AND request = ? AND round = ?"
            db.execute(f"UPDATE releases SET published = 1 WHERE {at}", release_id)
            db.execute(f"DELETE FROM release_units WHERE {at}", release_id)

    def end(self, deployment: bytes, request: int) -> None:
        """Close an ended request: free its hold, delete its bytes, and refund the releases whose
        bytes never left this machine and now never can."""
        with self._file.transaction() as db:
            self._drop_hold(db, deployment, request)
            unpublished = db.execute(
                "SELECT round, event, dataset, requester FROM releases"
                " WHERE deployment = ? AND request = ? AND published = 0",
                (deployment, request),
            ).fetchall()
            for round_, event, dataset, requester in unpublished:
                if event is not None:
                    release_id = ReleaseId(deployment, request, round_)
                    cost = rdp(GaussianRelease(**json.loads(event)))
                    self._spending.ask(db, self._units_of(db, release_id))
                    self._spending.refund(db, cost)
                    self._spending.add(db, "datasets", dataset, -cost)
                    self._spending.add(db, "requesters", requester, -cost)
            at = "deployment = ? AND request = ?"
            db.execute(f"DELETE FROM release_units WHERE {at}", (deployment, request))
            db.execute(
                f"UPDATE releases SET event = NULL, units = 0 WHERE {at} AND published = 0",
                (deployment, request),
            )
            db.execute(f"UPDATE releases SET payload = NULL WHERE {at}", (deployment, request))

    def release(
        self,
        release_id: ReleaseId,
        units: Sequence[bytes],
        event: GaussianRelease | None,
        payload: bytes | Callable[[], bytes],
        limit: PrivacyLimit | None = None,
    ) -> bytes:
        """The bytes of a release that the owner asks for, such as a profile: the same ones at
        every call.

        The first call charges `event` to `units` and stores `payload` (or what it returns) in one
        transaction; later calls, in any process, return the stored bytes and charge nothing. Only
        returned bytes may leave the process. An event of None is stored without a charge. Raises
        BudgetExceeded, before `payload` is called, if a unit would pass `limit`.
        """
        kept = self.stored(release_id)
        if kept is not None:
            return kept
        if not units:
            raise PrivacyError("a release of no records: nothing to charge")
        keyed = {self._spending.keyed(unit) for unit in units}
        cost = None if event is None else rdp(event)
        if callable(payload):
            if cost is not None and limit is not None:
                with self._file.transaction() as db:
                    self._spending.ask(db, keyed)
                    self._demand_of_units(db, cost, limit)
            payload = payload()  # outside any transaction: it may take long
        with self._file.transaction() as db:
            row = self._row(db, release_id)
            if row is not None:  # another process was faster; discard this draw
                return self._payload(release_id, *row)
            self._spending.ask(db, keyed)
            if cost is not None:
                if limit is not None:
                    self._demand_of_units(db, cost, limit)
                self._spending.charge(db, cost)
            db.execute(
                "INSERT INTO releases (deployment, request, round, event, units, charged_at,"
                " digest, payload, dataset, requester, published)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '', 1)",
                (
                    *release_id,
                    None if event is None else encode_event(event),
                    len(keyed),
                    int(time.time()),
                    Cid.of(payload).digest,
                    payload,
                ),
            )
        return payload

    def stored(self, release_id: ReleaseId) -> bytes | None:
        """The bytes of a release; None if they do not exist yet.

        Raises LedgerError if they were discarded: they must not be drawn again.
        """
        with self._file.reading() as db:
            row = self._row(db, release_id)
            return None if row is None or not row[0] else self._payload(release_id, *row)

    def reconcile(self, published: Iterable[tuple[ReleaseId, bytes]]) -> None:
        """Compare the ledger with what this account has published: submissions on chain, a profile.

        `published`: (release, digest of its bytes). Raises LedgerError if one is missing here or
        differs: then this file is an older copy, or another machine serves the same account, and
        what was spent since is unknown.
        """
        with self._file.reading() as db:
            for release_id, digest in published:
                row = self._row(db, release_id)
                if row is None or row[0] != digest:
                    lacks = "is not in it" if row is None else "differs from what it holds"
                    what = (
                        f"the model that it submitted to request {release_id[1]}, round"
                        f" {release_id[2]}"
                        if release_id[1]
                        else "the profile that it built"
                    )
                    raise LedgerError(
                        f"privacy ledger {self._file.path} is an older copy, or another machine"
                        f" serves this account: {what}, {lacks}. Restore the newest copy"
                    )

    # ------------------------------------------------------------------ what was spent

    def spent(self, delta: float, units: Sequence[bytes] | None = None) -> PrivacyCost:
        """Cost of the most charged of `units` (default: all known units), by RDP."""
        with self._file.transaction() as db:
            if units is not None:
                self._spending.ask(db, map(self._spending.keyed, units))
            return rdp_cost(self._spending.largest(db, asked=units is not None), delta)

    def standing(self, limit: PrivacyLimit) -> LimitStanding:
        """What is left of `limit` of the most charged data set or unit, as if it had all holds."""
        with self._file.reading() as db:
            rows = db.execute("SELECT spend FROM datasets")
            spent = np.maximum(self._spending.largest(db), self._spending.maximum(rows))
            holds = db.execute("SELECT remaining FROM holds")
            held = [self._spending.decode(row) for (row,) in holds]
        promised = spent + np.sum(held, axis=0) if held else spent
        return LimitStanding(
            rdp_cost(spent, limit.delta), rdp_cost(promised, limit.delta), limit.left(promised)
        )

    def verify(self) -> list[LedgerEntry]:
        """Check the whole file; returns the releases.

        Raises LedgerError if pages, spends or stored bytes are damaged, or if a release was not
        charged in full to as many records as it had.
        """
        self._file.verify()
        with self._file.reading() as db:
            known = db.execute("SELECT count(*) FROM units").fetchone()[0]
            largest = self._spending.largest(db)
            kept = db.execute(
                "SELECT deployment, request, round, digest, payload FROM releases"
                " WHERE payload NOT NULL"
            )
            for deployment, request, round_, digest, payload in kept:
                self._payload(ReleaseId(bytes(deployment), request, round_), digest, payload)
            for table, column in (("holds", "remaining"), ("datasets", "spend")):
                for (curve,) in db.execute(f"SELECT {column} FROM {table}"):
                    self._spending.decode(curve)
        found = self.entries()
        for entry in found:
            if entry.event is None or not entry.units:
                continue
            short = (largest < rdp(entry.event) * (1 - 1e-9)).any()
            if short or known < entry.units:
                raise self._file.corrupt(
                    f"what request {entry.id.request}, round {entry.id.round}, cost is not charged"
                )
        return found

    def entries(self) -> list[LedgerEntry]:
        """All releases, ordered by deployment, request and round."""
        columns = "deployment, request, round, event, units, charged_at, digest, payload NOT NULL"
        with self._file.reading() as db:
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

    def export(self, delta: float) -> dict[str, Any]:
        """Releases and accounts in plain JSON types, without digests of records."""
        with self._file.reading() as db:
            accounts = db.execute(
                "SELECT count(*), spend FROM accounts JOIN units ON account = id GROUP BY id"
            ).fetchall()
        return {
            "version": SCHEMA_VERSION,
            "unit": UNIT,
            "accounts": [
                {"records": count, **asdict(rdp_cost(self._spending.decode(spend), delta))}
                for count, spend in accounts
            ],
            "releases": [
                {
                    **entry.id._asdict(),
                    "deployment": entry.id.deployment.hex(),
                    "event": None if entry.event is None else asdict(entry.event),
                    "records": entry.units,
                    "charged_at": entry.charged_at,
                    "digest": entry.digest.hex(),
                }
                for entry in self.entries()
            ],
            "holds": [[deployment.hex(), request] for deployment, request in self.holds()],
        }

    # ------------------------------------------------------------------ inside a transaction

    def _demand_of_units(self, db: sqlite3.Connection, cost: Spend, limit: PrivacyLimit) -> None:
        """Raise BudgetExceeded if `cost` would take any unit in `asked` past `limit`."""
        check_limit(self._spending.largest(db, asked=True), cost, limit, "records'")

    def _units_of(self, db: sqlite3.Connection, release_id: ReleaseId) -> list[bytes]:
        """Keyed digests of those that contribute to a release; none once it is published."""
        rows = db.execute(
            "SELECT digest FROM release_units WHERE deployment = ? AND request = ? AND round = ?",
            release_id,
        )
        return [bytes(digest) for (digest,) in rows]

    def _drop_hold(self, db: sqlite3.Connection, deployment: bytes, request: int) -> None:
        db.execute("DELETE FROM holds WHERE deployment = ? AND request = ?", (deployment, request))

    def _hold_of(self, db: sqlite3.Connection, deployment: bytes, request: int) -> Any:
        query = "SELECT id, remaining FROM holds WHERE deployment = ? AND request = ?"
        return db.execute(query, (deployment, request)).fetchone()

    def _draw_on_hold(self, db: sqlite3.Connection, release_id: ReleaseId, cost: Spend) -> None:
        hold = self._hold_of(db, release_id[0], release_id[1])
        if hold is not None:
            remaining = self._spending.decode(hold[1])  # infinite at orders that do not converge
            np.subtract(remaining, cost, out=remaining, where=np.isfinite(remaining))
            remaining = np.maximum(remaining, 0.0)
            db.execute("UPDATE holds SET remaining = ? WHERE id = ?", (encode(remaining), hold[0]))

    def _row(self, db: sqlite3.Connection, release_id: ReleaseId) -> Any:
        query = (
            "SELECT digest, payload FROM releases"
            " WHERE deployment = ? AND request = ? AND round = ?"
        )
        return db.execute(query, tuple(release_id)).fetchone()

    def _payload(self, release_id: ReleaseId, digest: bytes, payload: bytes | None) -> bytes:
        if payload is None:
            raise LedgerError(
                f"request {release_id[1]}, round {release_id[2]}: released before and discarded;"
                " it must not be drawn again"
            )
        if Cid.of(payload).digest != digest:
            raise self._file.corrupt("a release differs from its digest")
        return bytes(payload)
