"""The privacy that a provider has spent per record, and the bytes that it released for it.

Charge and noised bytes are written in one durable transaction before the bytes leave the process.
So nothing is published uncharged, and a repeated release, after a crash or in another process,
returns the same bytes: drawing noise twice would halve the protection.

Spending is counted per record, identified by a keyed digest (HMAC-SHA256). Every record belongs to
an account with a Renyi curve. Charging a data set moves all its records to one account, whose curve
is the elementwise maximum of theirs plus the cost: appending, dropping, reordering, splitting or
merging data gains nothing. Releases of the same records by another machine are not seen.
"""

import hmac
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedpact.closing import Closing
from fedpact.errors import BudgetExceeded, LedgerError, PrivacyError
from fedpact.privacy.accounting import ORDERS, UNIT, PrivacyCost, rdp, rdp_cost
from fedpact.privacy.accounting import PrivacyLimit as PrivacyLimit
from fedpact.privacy.ledger_file import LOCK_TIMEOUT, SCHEMA_VERSION, LedgerFile
from fedpact.privacy.mechanisms import GaussianRelease, Mechanism
from fedpact.types.cid import Cid

Spend = NDArray[np.float64]
_SPEND = np.dtype("<f8")


class ReleaseId(NamedTuple):
    """Identifies a release: a provider's model in one round of one request."""

    deployment: bytes
    """Fingerprint of the deployment, 32 bytes."""
    request: int
    round: int


@dataclass(frozen=True)
class LedgerEntry:
    """A release in the ledger."""

    id: ReleaseId
    event: GaussianRelease | None
    """None if the request had no privacy; nothing was charged then."""
    units: int
    """Number of records charged."""
    charged_at: int
    """Unix time, seconds."""
    digest: bytes
    """Digest of the CID of the released bytes, as in `submit`."""
    kept: bool
    """Whether the ledger still has the bytes."""


@dataclass(frozen=True)
class LimitStanding:
    """How far the most charged record is from a lifetime budget; costs at its delta, by RDP."""

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
        self._key = key
        self._file = LedgerFile(Path(path), key, lock_timeout)

    def close(self) -> None:
        self._file.close()

    # ------------------------------------------------------------------ budget

    def check(self, units: Sequence[bytes], event: Mechanism, limit: PrivacyLimit) -> None:
        """Raise BudgetExceeded if `event` on `units`, with all holds, would exceed `limit`."""
        with self._file.transaction() as db:
            self._ask(db, units)
            self._demand(db, rdp(event), limit)

    def affordable(self, units: Sequence[bytes], event: Mechanism, limit: PrivacyLimit) -> bool:
        """Whether `check` passes."""
        try:
            self.check(units, event, limit)
        except BudgetExceeded:
            return False
        return True

    def hold(
        self,
        deployment: bytes,
        request: int,
        units: Sequence[bytes],
        event: Mechanism,
        limit: PrivacyLimit,
    ) -> None:
        """Hold the budget of a whole request before joining it; once per request.

        Its releases draw on the hold; other requests cannot. Raises BudgetExceeded.
        """
        with self._file.transaction() as db:
            if self._hold_of(db, deployment, request) is not None:
                return
            cost = rdp(event)
            self._ask(db, units)
            self._demand(db, cost, limit)
            hold = db.execute(
                "INSERT INTO holds (deployment, request, event, remaining) VALUES (?, ?, ?, ?)",
                (deployment, request, _encode_event(event), _encode(cost)),
            ).lastrowid
            db.execute("INSERT INTO held_units SELECT ?, digest FROM asked", (hold,))

    def drop_hold(self, deployment: bytes, request: int) -> None:
        """Free what a request that ended, or was never joined, did not use."""
        with self._file.transaction() as db:
            db.execute(
                "DELETE FROM holds WHERE deployment = ? AND request = ?", (deployment, request)
            )

    def holds(self) -> list[tuple[bytes, int]]:
        """(deployment, request) of all holds."""
        with self._file.reading() as db:
            rows = db.execute("SELECT deployment, request FROM holds ORDER BY id")
            return [(bytes(deployment), int(request)) for deployment, request in rows]

    # ------------------------------------------------------------------ releases

    def release(
        self,
        release_id: ReleaseId,
        units: Sequence[bytes],
        event: GaussianRelease | None,
        payload: bytes | Callable[[], bytes],
        limit: PrivacyLimit | None = None,
    ) -> bytes:
        """The bytes to publish under `release_id`: the same ones at every call.

        The first call charges `event` to `units` and stores `payload` (or what it returns) in one
        transaction; later calls, in any process, return the stored bytes and charge nothing. Only
        returned bytes may leave the process. An event of None is stored without a charge. Raises
        BudgetExceeded, before `payload` is called, if `limit` would be exceeded.
        """
        kept = self.stored(release_id)
        if kept is not None:
            return kept
        cost = None if event is None else rdp(event)
        if callable(payload):
            if cost is not None and limit is not None:
                with self._file.transaction() as db:
                    self._ask(db, units)
                    self._demand(db, cost, limit, within=release_id)
            payload = payload()  # outside any transaction: training takes long
        with self._file.transaction() as db:
            row = self._row(db, release_id)
            if row is not None:  # another process was faster; discard this draw
                return self._payload(release_id, *row)
            count = self._ask(db, units)
            if cost is not None:
                if limit is not None:
                    self._demand(db, cost, limit, within=release_id)
                self._charge(db, count, cost)
                self._draw_on_hold(db, release_id, cost)
            db.execute(
                "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *release_id,
                    None if event is None else _encode_event(event),
                    count,
                    int(time.time()),
                    Cid.of(payload).digest,
                    payload,
                ),
            )
        return payload

    def stored(self, release_id: ReleaseId) -> bytes | None:
        """The bytes of a release; None if it was never made.

        Raises LedgerError if they were discarded: they must not be drawn again.
        """
        with self._file.reading() as db:
            row = self._row(db, release_id)
            return None if row is None else self._payload(release_id, *row)

    def discard(self, deployment: bytes, request: int) -> None:
        """Delete the bytes of an ended request's releases. Their charges stay."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE releases SET payload = NULL WHERE deployment = ? AND request = ?",
                (deployment, request),
            )

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
        """Cost of the most charged of `units` (default: all known records), by RDP."""
        with self._file.transaction() as db:
            if units is None:
                rows = db.execute("SELECT spend FROM accounts")
                return rdp_cost(self._largest(rows), delta)
            self._ask(db, units)
            return rdp_cost(self._spend(db), delta)

    def standing(self, limit: PrivacyLimit) -> LimitStanding:
        """What is left of `limit`, as if all holds were on the most charged record."""
        with self._file.reading() as db:
            spent = self._largest(db.execute("SELECT spend FROM accounts"))
            held = [self._decode(row) for (row,) in db.execute("SELECT remaining FROM holds")]
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
            largest = self._largest(db.execute("SELECT spend FROM accounts"))
            kept = db.execute(
                "SELECT deployment, request, round, digest, payload FROM releases"
                " WHERE payload NOT NULL"
            )
            for deployment, request, round_, digest, payload in kept:
                self._payload(ReleaseId(bytes(deployment), request, round_), digest, payload)
            for (remaining,) in db.execute("SELECT remaining FROM holds"):
                self._decode(remaining)
        found = self.entries()
        for entry in found:
            if entry.event is None:
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
                {"records": count, **asdict(rdp_cost(self._decode(spend), delta))}
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

    def _ask(self, db: sqlite3.Connection, units: Sequence[bytes]) -> int:
        """Put the keyed digests of `units` into table `asked`; returns their number."""
        if not units:
            raise PrivacyError("a release of no records: nothing to charge")
        keyed = {hmac.digest(self._key, unit, "sha256") for unit in units}
        db.execute("DELETE FROM asked")
        db.executemany("INSERT INTO asked VALUES (?)", ((digest,) for digest in sorted(keyed)))
        return len(keyed)

    def _spend(self, db: sqlite3.Connection) -> Spend:
        """Elementwise largest spend of the records in `asked`."""
        return self._largest(
            db.execute(
                "SELECT spend FROM accounts WHERE id IN"
                " (SELECT account FROM units JOIN asked USING (digest))"
            )
        )

    def _pending(self, db: sqlite3.Connection, within: ReleaseId | None) -> Spend:
        """What other requests hold on the records in `asked`."""
        rows = db.execute(
            "SELECT deployment, request, remaining FROM holds WHERE id IN"
            " (SELECT hold FROM held_units JOIN asked USING (digest))"
        )
        mine = None if within is None else (within[0], within[1])
        total = np.zeros(len(ORDERS))
        for deployment, request, remaining in rows:
            if (deployment, request) != mine:
                total = total + self._decode(remaining)
        return total

    def _demand(
        self,
        db: sqlite3.Connection,
        cost: Spend,
        limit: PrivacyLimit,
        within: ReleaseId | None = None,
    ) -> None:
        before = self._spend(db) + self._pending(db, within)
        if not limit.allows(before + cost):
            used, after = (rdp_cost(spend, limit.delta) for spend in (before, before + cost))
            raise BudgetExceeded(
                f"{used.epsilon:.3f} of the lifetime's epsilon {limit.epsilon:g} is spent or"
                f" promised on some of these records at delta {limit.delta:g}; this would make it"
                f" {after.epsilon:.3f} ({after.accountant}, order {limit.order:g} decides)"
            )

    def _charge(self, db: sqlite3.Connection, count: int, cost: Spend) -> None:
        """Move the records in `asked` to one account with their largest spend plus `cost`."""
        spend = _encode(self._spend(db) + cost)
        touched = [
            row[0]
            for row in db.execute("SELECT DISTINCT account FROM units JOIN asked USING (digest)")
        ]
        if len(touched) == 1:
            held = db.execute("SELECT count(*) FROM units WHERE account = ?", touched).fetchone()[0]
            known = db.execute("SELECT count(*) FROM units JOIN asked USING (digest)").fetchone()[0]
            if held == known == count:  # the usual case: the same data set as before
                db.execute("UPDATE accounts SET spend = ? WHERE id = ?", (spend, touched[0]))
                return
        account = db.execute("INSERT INTO accounts (spend) VALUES (?)", (spend,)).lastrowid
        db.execute("INSERT OR REPLACE INTO units SELECT digest, ? FROM asked", (account,))
        db.execute("DELETE FROM accounts WHERE id NOT IN (SELECT account FROM units)")

    def _hold_of(self, db: sqlite3.Connection, deployment: bytes, request: int) -> Any:
        query = "SELECT id, remaining FROM holds WHERE deployment = ? AND request = ?"
        return db.execute(query, (deployment, request)).fetchone()

    def _draw_on_hold(self, db: sqlite3.Connection, release_id: ReleaseId, cost: Spend) -> None:
        hold = self._hold_of(db, release_id[0], release_id[1])
        if hold is not None:
            remaining = self._decode(hold[1])  # infinite at orders that do not converge
            np.subtract(remaining, cost, out=remaining, where=np.isfinite(remaining))
            remaining = np.maximum(remaining, 0.0)
            db.execute("UPDATE holds SET remaining = ? WHERE id = ?", (_encode(remaining), hold[0]))

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

    def _largest(self, rows: Iterable[tuple[bytes]]) -> Spend:
        largest = np.zeros(len(ORDERS))
        for (spend,) in rows:
            largest = np.maximum(largest, self._decode(spend))
        return largest

    def _decode(self, spend: bytes) -> Spend:
        if len(spend) != _SPEND.itemsize * len(ORDERS):
            raise self._file.corrupt("a spend of the wrong length")
        decoded = np.frombuffer(spend, dtype=_SPEND).astype(np.float64)
        if np.isnan(decoded).any() or (decoded < 0).any():
            raise self._file.corrupt("a spend that is not a number")
        return decoded


def _encode(spend: Spend) -> bytes:
    return spend.astype(_SPEND).tobytes()


def _encode_event(event: Mechanism) -> str:
    return json.dumps(asdict(event), sort_keys=True)
