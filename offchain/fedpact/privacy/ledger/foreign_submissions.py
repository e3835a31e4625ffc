"""Own submissions on chain that the ledger did not make, and what they are charged.

Another daemon of the account made them, or this ledger before it was lost or replaced by an older
copy. The bytes are public, so they are charged: to every unit, and to every data set, that this
ledger knows, since nobody can tell any more which took part. A submission is noted at once, and
charged when its request's specification has been read.
"""

import sqlite3
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fedpact.privacy.ledger import journal
from fedpact.privacy.ledger.ledger import Ledger, named
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import Spend
from fedpact.privacy.releases import GaussianRelease, Mechanism, encode_event

_AT = "deployment = ? AND request = ? AND round = ?"


@dataclass(frozen=True)
class Price:
    """What a submission can have cost at most."""

    event: GaussianRelease | None
    """None: no privacy was asked for."""
    schedule: Mechanism | None
    """All releases of its request."""
    requester: str
    """The requester's account; "" if unknown."""


def note(ledger: Ledger, submissions: Iterable[tuple[ReleaseId, bytes]]) -> list[ReleaseId]:
    """Take note of what was submitted on chain; the submissions that were not made here.

    `submissions`: (release, digest on chain). From then on their bytes count as published, and are
    never drawn again. Those that nothing was charged for are `unpriced` until they are charged.
    """
    foreign = []
    with ledger.file.transaction() as db:
        for release_id, digest in submissions:
            row = db.execute(
                f"SELECT digest, published FROM releases WHERE {_AT}", release_id
            ).fetchone()
            if row is not None and row[0] == digest:
                continue
            foreign.append(release_id)
            if row is None or row[1]:
                # Nothing was charged for it here, or this account has published two draws.
                db.execute(
                    "INSERT OR REPLACE INTO unpriced VALUES (?, ?, ?, ?)",
                    (*release_id, int(time.time())),
                )
            if row is None:
                db.execute(
                    "INSERT INTO releases (deployment, request, round, event, units, charged_at,"
                    " digest, payload, published) VALUES (?, ?, ?, NULL, 0, ?, ?, NULL, 1)",
                    (*release_id, int(time.time()), digest),
                )
            else:
                # What was drawn here, if anything, must never be published: it is not on chain.
                db.execute(
                    f"UPDATE releases SET digest = ?, payload = NULL, published = 1 WHERE {_AT}",
                    (digest, *release_id),
                )
                db.execute(f"DELETE FROM release_units WHERE {_AT}", release_id)
            journal.append(db, "foreign", **named(release_id), digest=digest.hex())
        if foreign:
            _set_seen(db)
    return foreign


def last_seen(ledger: Ledger) -> int:
    """When a submission was last found that was not made here, in Unix seconds; 0: never."""
    with ledger.file.reading() as db:
        row = db.execute("SELECT value FROM meta WHERE name = 'foreign'").fetchone()
        return int(row[0]) if row else 0


def see_now(ledger: Ledger) -> None:
    """As if such a submission had been found just now."""
    with ledger.file.transaction() as db:
        _set_seen(db)


def forget_seen(ledger: Ledger) -> None:
    """The operator has made sure that no other daemon of the account runs."""
    with ledger.file.transaction() as db:
        db.execute("DELETE FROM meta WHERE name = 'foreign'")


def unpriced(ledger: Ledger) -> list[tuple[ReleaseId, int]]:
    """Submissions that are not charged yet, and since when they are known, in Unix seconds."""
    with ledger.file.reading() as db:
        rows = db.execute("SELECT deployment, request, round, seen_at FROM unpriced")
        return [
            (ReleaseId(bytes(deployment), request, round_), seen)
            for deployment, request, round_, seen in rows
        ]


def charge(
    ledger: Ledger,
    release_id: ReleaseId,
    price: Price,
    datasets: Collection[str],
    units: Collection[bytes],
) -> None:
    """Charge a submission that was not made here, once.

    `datasets` and `units`: what is served now, which the ledger may not know yet.
    """
    with ledger.file.transaction() as db:
        if not db.execute(f"DELETE FROM unpriced WHERE {_AT}", release_id).rowcount:
            return
        spending, event = ledger.spending, price.event
        spending.ask(db, {spending.keyed(unit) for unit in units})
        db.execute("INSERT OR IGNORE INTO asked SELECT digest FROM units")
        count = db.execute("SELECT count(*) FROM asked").fetchone()[0]
        names = {*datasets, *(name for (name,) in db.execute("SELECT name FROM datasets"))}
        cost = Spend.nothing() if event is None else Spend.of(event, price.schedule)
        if event is not None:
            spending.charge(db, cost)
            for name in names:
                spending.add(db, "datasets", name, cost)
            if price.requester:
                spending.add(db, "requesters", price.requester, cost)
        mark = ledger.journal_charge(
            db, release_id, event, cost, count, sorted(names), price.requester, "chain"
        )
        db.execute(
            "UPDATE releases SET event = ?, units = ?, dataset = ?, requester = ?, charge = ?"
            f" WHERE {_AT}",
            (
                None if event is None else encode_event(event),
                count,
                next(iter(datasets)) if len(datasets) == 1 else "",
                price.requester,
                mark,
                *release_id,
            ),
        )


def _set_seen(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT OR REPLACE INTO meta VALUES ('foreign', ?)", (str(int(time.time())).encode(),)
    )
