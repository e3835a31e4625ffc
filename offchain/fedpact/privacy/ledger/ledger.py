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

import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fedpact.errors import LedgerError, PrivacyError
from fedpact.privacy.ledger import journal
from fedpact.privacy.ledger.budgets import check_limit
from fedpact.privacy.ledger.report import LedgerReport, ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease, Mechanism, decode_event, encode_event
from fedpact.types.cid import Cid


@dataclass(frozen=True)
class Payers:
    """Who is charged for a request besides the units."""

    dataset: str
    """Identifier of the data set."""
    requester: str
    """The requester's account."""
    dataset_limit: PrivacyLimit
    requester_limit: PrivacyLimit


class Ledger(LedgerReport):
    """A provider's privacy ledger; several processes may use it at once, but not several threads.

    Opened and failing as `LedgerReport` says.
    """

    # ------------------------------------------------------------------ units

    @property
    def has_former_units(self) -> bool:
        """Whether units may be in it under digests of before version 4."""
        with self.file.reading() as db:
            return db.execute("SELECT 1 FROM meta WHERE name = 'former'").fetchone() is not None

    def link(self, renamed: Iterable[tuple[bytes, bytes]]) -> None:
        """Let units take over what they had spent under former digests; once for each pair.

        `renamed`: (unit, digest of before version 4).
        """
        with self.file.transaction() as db:
            self.spending.link(db, renamed)

    # ------------------------------------------------------------------ budget

    def hold(self, deployment: bytes, request: int, event: Mechanism, payers: Payers) -> None:
        """Hold the budget of a whole request before joining it.

        Its releases draw on the hold; other requests cannot. Until the first does, another call
        takes the place of the one before; the same call writes nothing. Raises BudgetExceeded where
        the data set's or the requester's limit would be passed, whatever the records are.
        """
        cost = Spend.of(event)
        with self.file.transaction() as db:
            former = self._hold_of(db, deployment, request)
            if former is not None and former[1] != cost.encode():
                return
            wanted = (encode_event(event), payers.dataset, payers.requester)
            is_held = former is not None and former[2:] == wanted
            if not is_held:
                self._drop_hold(db, deployment, request)
            more = Spend.nothing() if is_held else cost
            spending = self.spending
            spending.demand(db, "datasets", payers.dataset, more, payers.dataset_limit)
            spending.demand(db, "requesters", payers.requester, more, payers.requester_limit)
            if is_held:
                return
            db.execute(
                "INSERT INTO holds (deployment, request, event, remaining, dataset, requester)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (deployment, request, wanted[0], cost.encode(), *wanted[1:]),
            )

    def drop_hold(self, deployment: bytes, request: int) -> None:
        """Free what a request that was never joined held."""
        with self.file.transaction() as db:
            self._drop_hold(db, deployment, request)

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
        keyed = {self.spending.keyed(unit): unit for unit in units}
        with self.file.transaction() as db:
            if self.row(db, release_id) is None:
                self.spending.ask(db, keyed)
                cost = Spend.nothing()
                if event is not None:
                    cost = Spend.of(event, self._schedule(db, release_id))
                    self.spending.drop_exhausted(db, cost, payers.dataset_limit)
                    self.spending.charge(db, cost)
                    self.spending.add(db, "datasets", payers.dataset, cost)
                    self.spending.add(db, "requesters", payers.requester, cost)
                    self._draw_on_hold(db, release_id, cost)
                db.execute(
                    "INSERT INTO release_units SELECT ?, ?, ?, digest FROM asked", release_id
                )
                count = db.execute("SELECT count(*) FROM asked").fetchone()[0]
                charge = self.journal_charge(
                    db, release_id, event, cost, count, [payers.dataset], payers.requester
                )
                db.execute(
                    "INSERT INTO releases (deployment, request, round, event, units, charged_at,"
                    " digest, payload, dataset, requester, published, charge)"
                    " VALUES (?, ?, ?, ?, ?, ?, x'', NULL, ?, ?, 0, ?)",
                    (
                        *release_id,
                        None if event is None else encode_event(event),
                        count,
                        int(time.time()),
                        payers.dataset,
                        payers.requester,
                        charge,
                    ),
                )
            return frozenset(
                keyed[digest] for digest in self._units_of(db, release_id) if digest in keyed
            )

    def keep(self, release_id: ReleaseId, payload: bytes, at: int) -> bytes:
        """Store the bytes of a release that `begin` charged; the bytes to publish. `at`: the
        chain's time, in seconds.

        They are those of the first call, in whichever process. Only returned bytes may leave the
        process. Raises LedgerError without `begin`, and for bytes that were discarded.
        """
        with self.file.transaction() as db:
            row = self.row(db, release_id)
            if row is None:
                raise LedgerError(
                    f"request {release_id.request}, round {release_id.round}: nothing was charged"
                    " for this release"
                )
            elsewhere = row[1] is None and bool(self._units_of(db, release_id))
            if row[0] and not elsewhere:  # else another machine drew it, and did not publish it
                return self.checked(release_id, *row)
            db.execute(
                "UPDATE releases SET digest = ?, payload = ?, kept_at = ?"
                " WHERE deployment = ? AND request = ? AND round = ?",
                (Cid.of(payload).digest, payload, at, *release_id),
            )
            journal.append(db, "keep", **named(release_id), digest=Cid.of(payload).digest.hex())
        return payload

    def replace(self, release_id: ReleaseId, former: bytes, payload: bytes) -> bytes:
        """Put the record of a secure sum in the place of the own values, which are deleted; the
        bytes to submit.

        `former`: digest of the values. Once: later calls return the bytes of the first. Raises
        LedgerError where the release has neither.
        """
        with self.file.transaction() as db:
            row = self.row(db, release_id)
            if row is None or row[0] != former:
                return self.checked(release_id, *(row or (b"", None)))
            db.execute(
                "UPDATE releases SET digest = ?, payload = ?"
                " WHERE deployment = ? AND request = ? AND round = ?",
                (Cid.of(payload).digest, payload, *release_id),
            )
            journal.append(db, "keep", **named(release_id), digest=Cid.of(payload).digest.hex())
        return payload

    def publishing(self, release_id: ReleaseId) -> None:
        """Note that a release's bytes are about to leave this machine: their charge is final."""
        with self.file.transaction() as db:
            at = "deployment = ? AND request = ? AND round = ?"
            if db.execute(
                f"UPDATE releases SET published = 1 WHERE {at} AND published = 0", release_id
            ).rowcount:
                journal.append(db, "publish", **named(release_id))
            db.execute(f"DELETE FROM release_units WHERE {at}", release_id)

    def end(self, deployment: bytes, request: int) -> None:
        """Close an ended request: free its hold, delete its bytes, and refund the releases whose
        bytes never left this machine and now never can."""
        with self.file.transaction() as db:
            self._drop_hold(db, deployment, request)
            unpublished = db.execute(
                "SELECT round, event, dataset, requester, charge FROM releases"
                " WHERE deployment = ? AND request = ? AND published = 0",
                (deployment, request),
            ).fetchall()
            for round_, event, dataset, requester, charge in unpublished:
                if event is not None:
                    release_id = ReleaseId(deployment, request, round_)
                    cost = Spend.of(decode_event(event))
                    self.spending.ask(db, self._units_of(db, release_id))
                    self.spending.refund(db, cost)
                    self.spending.take_off(db, "datasets", dataset, cost)
                    self.spending.take_off(db, "requesters", requester, cost)
                    journal.append(db, "refund", charge=bytes(charge).hex())
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
        datasets: Collection[str] = (),
    ) -> bytes:
        """The bytes of a release that the owner asks for, such as a profile: the same ones at
        every call.

        The first call charges `event` to `units` and stores `payload` (or what it returns) in one
        transaction; later calls, in any process, return the stored bytes and charge nothing. Only
        returned bytes may leave the process. An event of None is stored without a charge. Raises
        BudgetExceeded, before `payload` is called, if a unit or a data set would pass `limit`.
        `datasets`: the identifiers of the data sets that are charged too, so that none counts less
        than its units.
        """
        kept = self.stored(release_id)
        if kept is not None:
            return kept
        if not units:
            raise PrivacyError("a release of no records: nothing to charge")
        keyed = {self.spending.keyed(unit) for unit in units}
        cost = None if event is None else Spend.of(event)
        if callable(payload):
            if cost is not None and limit is not None:
                with self.file.transaction() as db:
                    self.spending.ask(db, keyed)
                    self._demand_of_all(db, cost, limit, datasets)
            payload = payload()  # outside any transaction: it may take long
        with self.file.transaction() as db:
            row = self.row(db, release_id)
            if row is not None:  # another process was faster; discard this draw
                return self.checked(release_id, *row)
            self.spending.ask(db, keyed)
            if cost is not None:
                if limit is not None:
                    self._demand_of_all(db, cost, limit, datasets)
                self.spending.charge(db, cost)
                for dataset in datasets:
                    self.spending.add(db, "datasets", dataset, cost)
            charge = self.journal_charge(
                db,
                release_id,
                event,
                cost or Spend.nothing(),
                len(keyed),
                sorted(datasets),
                "",
            )
            journal.append(db, "keep", **named(release_id), digest=Cid.of(payload).digest.hex())
            db.execute(
                "INSERT INTO releases (deployment, request, round, event, units, charged_at,"
                " digest, payload, dataset, requester, published, charge)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', 1, ?)",
                (
                    *release_id,
                    None if event is None else encode_event(event),
                    len(keyed),
                    int(time.time()),
                    Cid.of(payload).digest,
                    payload,
                    next(iter(datasets)) if len(datasets) == 1 else "",
                    charge,
                ),
            )
        return payload

    # ------------------------------------------------------------------ inside a transaction

    def journal_charge(
        self,
        db: sqlite3.Connection,
        release_id: ReleaseId,
        event: GaussianRelease | None,
        cost: Spend,
        units: int,
        datasets: Sequence[str],
        requester: str,
        source: str = "own",
    ) -> bytes:
        """Enter in the journal what a release is charged; the charge's identifier."""
        charge = secrets.token_bytes(16)
        journal.append(
            db,
            "charge",
            charge=charge.hex(),
            **named(release_id),
            event=None if event is None else asdict(event),
            filter=int(cost.filter),
            units=units,
            datasets=list(datasets),
            requester=requester,
            source=source,
        )
        return charge

    def _demand_of_all(
        self, db: sqlite3.Connection, cost: Spend, limit: PrivacyLimit, datasets: Collection[str]
    ) -> None:
        """Raise BudgetExceeded if `cost` would take any unit in `asked`, or a data set that has
        them, past `limit`. Data sets with one identifier may know one person by different units."""
        for dataset in datasets:
            self.spending.demand(db, "datasets", dataset, cost, limit)
        for spent in (Spend.nothing(), *self.spending.of_units(db, asked=True)):
            check_limit(spent, spent + cost, limit, "records'")

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
        query = (
            "SELECT id, remaining, event, dataset, requester FROM holds"
            " WHERE deployment = ? AND request = ?"
        )
        return db.execute(query, (deployment, request)).fetchone()

    def _schedule(self, db: sqlite3.Connection, release_id: ReleaseId) -> Mechanism | None:
        """All that the request of a release was joined for; None if nothing is held for it."""
        hold = self._hold_of(db, release_id.deployment, release_id.request)
        return None if hold is None else decode_event(hold[2])

    def _draw_on_hold(self, db: sqlite3.Connection, release_id: ReleaseId, cost: Spend) -> None:
        hold = self._hold_of(db, release_id.deployment, release_id.request)
        if hold is not None:
            remaining = self.spending.decode(hold[1]) - cost
            db.execute("UPDATE holds SET remaining = ? WHERE id = ?", (remaining.encode(), hold[0]))


def named(release_id: ReleaseId) -> dict[str, Any]:
    """A release's identifier in plain JSON types."""
    return {**release_id._asdict(), "deployment": release_id.deployment.hex()}
