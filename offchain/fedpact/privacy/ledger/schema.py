"""Tables of the ledger's file, and how files of earlier versions become files of this one."""

import json
import sqlite3
from hashlib import sha256

import numpy as np

from fedpact.privacy.accounting import steps_of
from fedpact.privacy.ledger import journal
from fedpact.privacy.lifetime_budget import Filter, Spend
from fedpact.privacy.releases import decode_event

SCHEMA_VERSION = 5

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # Spends as `filters.Spend` encodes them.
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, spend BLOB NOT NULL)",
    """CREATE TABLE units (digest BLOB PRIMARY KEY, account INTEGER NOT NULL
        REFERENCES accounts(id)) WITHOUT ROWID""",
    "CREATE INDEX units_by_account ON units(account)",
    """CREATE TABLE releases (
        deployment BLOB NOT NULL, request INTEGER NOT NULL, round INTEGER NOT NULL,
        event TEXT, units INTEGER NOT NULL, charged_at INTEGER NOT NULL,
        digest BLOB NOT NULL, payload BLOB,
        PRIMARY KEY (deployment, request, round)) WITHOUT ROWID""",
    """CREATE TABLE holds (
        id INTEGER PRIMARY KEY, deployment BLOB NOT NULL, request INTEGER NOT NULL,
        event TEXT NOT NULL, remaining BLOB NOT NULL, UNIQUE (deployment, request))""",
)
_VERSION_2 = (
    # Charged by name, whatever the records are.
    "CREATE TABLE datasets (name TEXT PRIMARY KEY, spend BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE requesters (name TEXT PRIMARY KEY, spend BLOB NOT NULL) WITHOUT ROWID",
    # '' in a hold of version 1: it counts for all.
    "ALTER TABLE holds ADD COLUMN dataset TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE holds ADD COLUMN requester TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN dataset TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN requester TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE releases ADD COLUMN published INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE releases ADD COLUMN kept_at INTEGER NOT NULL DEFAULT 0",
    # Of releases whose bytes have not left this machine.
    """CREATE TABLE release_units (
        deployment BLOB NOT NULL, request INTEGER NOT NULL, round INTEGER NOT NULL,
        digest BLOB NOT NULL, PRIMARY KEY (deployment, request, round, digest)) WITHOUT ROWID""",
    "DROP TABLE IF EXISTS held_units",
)
_VERSION_4 = (
    # Units under canonical digests, with the digests of version 3 whose spends they took over.
    "CREATE TABLE links (unit BLOB, former BLOB, PRIMARY KEY (unit, former)) WITHOUT ROWID",
    # What data sets look like, for their owner; keyed digests of 16 bytes end to end.
    """CREATE TABLE sketches (dataset TEXT PRIMARY KEY, size INTEGER NOT NULL,
        columns BLOB NOT NULL, sketch BLOB NOT NULL, confirmed BLOB NOT NULL) WITHOUT ROWID""",
)
_VERSION_5 = (
    journal.TABLE,
    # Identifies what a release was charged, in the journal and in every copy of the ledger.
    "ALTER TABLE releases ADD COLUMN charge BLOB NOT NULL DEFAULT x''",
    # Submissions on chain that were not made here, until they are charged.
    """CREATE TABLE unpriced (
        deployment BLOB NOT NULL, request INTEGER NOT NULL, round INTEGER NOT NULL,
        seen_at INTEGER NOT NULL, PRIMARY KEY (deployment, request, round)) WITHOUT ROWID""",
    # Contracts with which this ledger has served.
    "CREATE TABLE deployments (fingerprint BLOB PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID",
)


def create(db: sqlite3.Connection) -> None:
    """All tables of an empty file."""
    for statement in (*_TABLES, *_VERSION_2, *_VERSION_4, *_VERSION_5):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(db: sqlite3.Connection, version: int) -> None:
    """From an earlier version, 1 at least."""
    if version == 1:
        for statement in _VERSION_2:
            db.execute(statement)
    if version <= 2:
        _to_version_3(db)
    if version <= 3:
        for statement in _VERSION_4:
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('former', x'')")
    if version <= 4:
        _to_version_5(db)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _to_version_3(db: sqlite3.Connection) -> None:
    """Spends were Renyi curves of everything: these go on under the Renyi filter, as before."""
    events = db.execute(
        "SELECT event FROM releases WHERE event NOT NULL UNION ALL SELECT event FROM holds"
    )
    # Nobody has been charged for more steps than there were.
    steps = sum(steps_of(decode_event(event)) for (event,) in events)
    for table, key, column in (
        ("accounts", "id", "spend"),
        ("datasets", "name", "spend"),
        ("requesters", "name", "spend"),
        ("holds", "id", "remaining"),
    ):
        for name, old in db.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
            curve = np.frombuffer(old, "<f8").astype(np.float64)
            spend = Spend(Filter.RENYI, steps, 0.0, curve)
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (spend.encode(), name))


def _to_version_5(db: sqlite3.Connection) -> None:
    """The journal begins with the charges that there are. All copies of a file give them the same
    identifiers."""
    for statement in _VERSION_5:
        db.execute(statement)
    columns = "deployment, request, round, event, units, charged_at, digest, dataset, requester"
    query = f"SELECT {columns} FROM releases WHERE event NOT NULL ORDER BY 1, 2, 3"
    for deployment, request, round_, event, units, at, digest, dataset, requester in db.execute(
        query
    ).fetchall():
        seed = json.dumps([deployment.hex(), request, round_, event, at, digest.hex()]).encode()
        charge = sha256(seed).digest()[:16]
        journal.append(
            db,
            "charge",
            charge=charge.hex(),
            deployment=deployment.hex(),
            request=request,
            round=round_,
            event=json.loads(event),
            filter=int(Spend.of(decode_event(event)).filter),
            units=units,
            datasets=[dataset] if dataset else [],
            requester=requester,
            source="own",
        )
        at_release = (charge, deployment, request, round_)
        db.execute(
            "UPDATE releases SET charge = ? WHERE deployment = ? AND request = ? AND round = ?",
            at_release,
        )
