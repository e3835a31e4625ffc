"""The passport of a ledger: what it knows of spent privacy, in a file that another machine merges.

The counterpart of EIP-3076 for validators. docs/passport.md has the format. It holds no record, no
model and no key in the clear: units are keyed digests, and the owner's key, which their digests on
the new machine need, is sealed under the account's.

Merging never lowers what was spent. Charges have identifiers that are the same in every copy of a
ledger. Let a unit have spent A in the passport and B here, and let a be the charges that only the
passport has and b those that only this ledger has. Then the true spend is at most B + min(A, a) and
at most A + min(B, b), component by component: each charge that only one side has was made to the
unit at most once, and at most what that side says. The smaller of the two is taken, and never less
than A or B. If one side has all charges of the other, that is the larger spend, exactly.
"""

import base64
import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fedpact.errors import LedgerError
from fedpact.privacy.accounting import ORDERS
from fedpact.privacy.ledger import journal
from fedpact.privacy.ledger.budgets import Payer
from fedpact.privacy.ledger.journal import Entry
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.lifetime_budget import Filter, Spend
from fedpact.types.document import canonical_json

DIGEST_BYTES = 32
_PAYERS: tuple[Payer, ...] = ("datasets", "requesters")
_AT = "deployment = ? AND request = ? AND round = ?"
_RELEASE = (
    "deployment, request, round, event, units, charged_at, digest, dataset, requester, charge"
)

Body = dict[str, Any]


@dataclass(frozen=True)
class Merged:
    """What a merge brought."""

    charges: int
    """New here."""
    releases: int


def body_of(ledger: Ledger) -> Body:
    """All that a passport says, in plain JSON types, but for account, key and signature."""
    with ledger.file.reading() as db:
        entries = _entries(ledger, db)
        _, head = journal.head(db)
        units = db.execute(
            "SELECT spend, digest FROM accounts JOIN units ON account = id"
        ).fetchall()
        grouped: dict[bytes, list[bytes]] = {}
        for spend, digest in units:
            grouped.setdefault(bytes(spend), []).append(bytes(digest))
        return {
            "orders": list(ORDERS),
            "journal": entries,
            "head": head.hex(),
            "units": [
                {
                    "spend": _spend_json(ledger.spending.decode(spend)),
                    "digests": _base64(b"".join(sorted(digests))),
                }
                for spend, digests in sorted(grouped.items())
            ],
            "datasets": _named(ledger, db, "datasets"),
            "requesters": _named(ledger, db, "requesters"),
            "releases": [
                {
                    "deployment": deployment.hex(),
                    "request": request,
                    "round": round_,
                    "event": None if event is None else json.loads(event),
                    "units": count,
                    "charged_at": at,
                    "digest": digest.hex(),
                    "dataset": dataset,
                    "requester": requester,
                    "charge": charge.hex(),
                    "contributing": _base64(_contributing(db, (deployment, request, round_))),
                }
                for (
                    deployment,
                    request,
                    round_,
                    event,
                    count,
                    at,
                    digest,
                    dataset,
                    requester,
                    charge,
                ) in db.execute(f"SELECT {_RELEASE} FROM releases ORDER BY 1, 2, 3").fetchall()
            ],
            "holds": [
                {
                    "deployment": deployment.hex(),
                    "request": request,
                    "event": json.loads(event),
                    "remaining": _spend_json(ledger.spending.decode(remaining)),
                    "dataset": dataset,
                    "requester": requester,
                }
                for deployment, request, event, remaining, dataset, requester in db.execute(
                    "SELECT deployment, request, event, remaining, dataset, requester FROM holds"
                    " ORDER BY 1, 2"
                ).fetchall()
            ],
            "sketches": [
                {
                    "dataset": dataset,
                    "size": size,
                    "columns": _base64(columns),
                    "sketch": _base64(sketch),
                    "confirmed": _base64(confirmed),
                }
                for dataset, size, columns, sketch, confirmed in db.execute(
                    "SELECT dataset, size, columns, sketch, confirmed FROM sketches ORDER BY 1"
                ).fetchall()
            ],
            "deployments": [
                {"fingerprint": fingerprint.hex(), "facts": facts}
                for fingerprint, facts in db.execute(
                    "SELECT fingerprint, facts FROM deployments ORDER BY fingerprint"
                ).fetchall()
            ],
            "unpriced": [
                {"deployment": deployment.hex(), "request": request, "round": round_, "seen": seen}
                for deployment, request, round_, seen in db.execute(
                    "SELECT deployment, request, round, seen_at FROM unpriced ORDER BY 1, 2, 3"
                ).fetchall()
            ],
            "links": [
                [_base64(unit), _base64(former)]
                for unit, former in db.execute("SELECT unit, former FROM links ORDER BY 1, 2")
            ],
            "before_version_4": db.execute("SELECT 1 FROM meta WHERE name = 'former'").fetchone()
            is not None,
        }


def check(body: Body) -> None:
    """Raise LedgerError unless the journal in a body is one chain up to its head, and the body is
    one that this version can merge."""
    before = journal.FIRST
    for number, entry in enumerate(body["journal"], 1):
        text = canonical_json({name: entry[name] for name in entry if name != "hash"})
        before = journal.chained(before, text)
        if entry["hash"] != before.hex():
            raise LedgerError(f"passport: entry {number} does not follow from the one before")
    if before.hex() != body["head"]:
        raise LedgerError("passport: its journal does not end at its head")
    if body["orders"] != list(ORDERS):
        raise LedgerError("passport: it uses other Renyi orders than this version of fedpact")


def merge(ledger: Ledger, body: Body) -> Merged:
    """Take over what a passport that passes `check` knows. Doing it again changes nothing."""
    with ledger.file.transaction() as db:
        entries = _entries(ledger, db)
        if not entries:
            _take_links(db, body)
        ours, theirs = journal.charges(entries), journal.charges(body["journal"])
        only_theirs, only_ours = _missing(theirs, ours), _missing(ours, theirs)
        grown = _merge_units(ledger, db, body["units"], only_theirs, only_ours)
        for payer in _PAYERS:
            grown |= _merge_named(ledger, db, payer, body[payer], only_theirs, only_ours)
        releases = sum(_merge_release(db, one, only_theirs) for one in body["releases"])
        _merge_rest(db, body)
        for charge in only_theirs.values():
            journal.append(db, **{name: charge[name] for name in charge if name != "hash"})
        if only_theirs or releases or grown:
            journal.append(db, "import", head=body["head"])
    return Merged(len(only_theirs), releases)


# ---------------------------------------------------------------------- spends


def _missing(these: Mapping[str, Entry], those: Mapping[str, Entry]) -> dict[str, Entry]:
    """The charges that only the first side has. What was charged from the chain stands for what the
    ledger that made the release knows better."""
    made = {_release(charge) for charge in those.values() if charge["source"] == "own"}
    return {
        name: charge
        for name, charge in these.items()
        if name not in those and not (charge["source"] == "chain" and _release(charge) in made)
    }


def _release(entry: Entry) -> tuple[str, int, int]:
    return entry["deployment"], entry["request"], entry["round"]


def _sum(charges: Iterable[Entry]) -> Spend:
    return sum((journal.cost_of(charge) for charge in charges), start=Spend.nothing())


def _merged(theirs: Spend, ours: Spend, only_theirs: Spend, only_ours: Spend) -> Spend:
    """As the module says, component by component."""

    def bound(name: str) -> Any:
        a, b = getattr(theirs, name), getattr(ours, name)
        first = b + np.minimum(a, getattr(only_theirs, name))
        second = a + np.minimum(b, getattr(only_ours, name))
        return np.maximum(np.minimum(first, second), np.maximum(a, b))

    kinds = {spend.filter for spend in (theirs, ours) if spend.filter}
    # Nobody knows any more which kind came first: the narrower region counts.
    which = Filter.GAUSSIAN if len(kinds) > 1 else max(kinds, default=Filter.NONE)
    return Spend(which, int(bound("steps")), float(bound("precision")), bound("sampled"))


def _merge_units(
    ledger: Ledger,
    db: sqlite3.Connection,
    groups: list[Any],
    only_theirs: Mapping[str, Entry],
    only_ours: Mapping[str, Entry],
) -> bool:
    missing, extra = _sum(only_theirs.values()), _sum(only_ours.values())
    grown = False
    for group in groups:
        theirs = _spend(group["spend"])
        packed = base64.b64decode(group["digests"])
        digests = (packed[n : n + DIGEST_BYTES] for n in range(0, len(packed), DIGEST_BYTES))
        ledger.spending.ask(db, digests)
        grown |= ledger.spending.change(
            db, partial(_merged, theirs, only_theirs=missing, only_ours=extra), fresh=theirs
        )
    return grown


def _merge_named(
    ledger: Ledger,
    db: sqlite3.Connection,
    payer: Payer,
    spends: Mapping[str, Any],
    only_theirs: Mapping[str, Entry],
    only_ours: Mapping[str, Entry],
) -> bool:
    def of(charges: Mapping[str, Entry], name: str) -> Spend:
        return _sum(
            charge
            for charge in charges.values()
            if name in (charge["datasets"] if payer == "datasets" else [charge["requester"]])
        )

    grown = False
    for name, spend in spends.items():
        before = ledger.spending.of(db, payer, name)
        after = _merged(_spend(spend), before, of(only_theirs, name), of(only_ours, name))
        if after.encode() != before.encode():
            ledger.spending.put(db, payer, name, after)
            grown = True
    return grown


# ---------------------------------------------------------------------- everything else


def _merge_release(
    db: sqlite3.Connection, one: Mapping[str, Any], only_theirs: Mapping[str, Entry]
) -> bool:
    """Whether it was unknown here. What another machine drew counts as published, and is never
    refunded; what it had not published may be drawn again under the same charge."""
    at = (bytes.fromhex(one["deployment"]), one["request"], one["round"])
    digest, event = bytes.fromhex(one["digest"]), one["event"]
    facts = (
        None if event is None else json.dumps(event, sort_keys=True),
        one["units"],
        one["charged_at"],
        one["dataset"],
        one["requester"],
        bytes.fromhex(one["charge"]),
    )
    ours = db.execute(f"SELECT event, digest FROM releases WHERE {_AT}", at).fetchone()
    if ours is not None:
        if ours[0] is None and one["charge"] in only_theirs:
            db.execute(
                "UPDATE releases SET event = ?, units = ?, charged_at = ?, dataset = ?,"
                f" requester = ?, charge = ?, published = 1 WHERE {_AT}",
                (*facts, *at),
            )
            if ours[1] == digest:
                db.execute(f"DELETE FROM unpriced WHERE {_AT}", at)
        return False
    db.execute(
        "INSERT INTO releases (deployment, request, round, event, units, charged_at, dataset,"
        " requester, charge, digest, payload, published) VALUES (?,?,?,?,?,?,?,?,?,?,NULL,1)",
        (*at, *facts, digest),
    )
    packed = base64.b64decode(one["contributing"])
    db.executemany(
        "INSERT OR IGNORE INTO release_units VALUES (?, ?, ?, ?)",
        ((*at, packed[n : n + DIGEST_BYTES]) for n in range(0, len(packed), DIGEST_BYTES)),
    )
    return True


def _merge_rest(db: sqlite3.Connection, body: Body) -> None:
    """Holds of requests under way, looks of data sets, deployments, what is not charged yet."""
    for one in body["holds"]:
        db.execute(
            "INSERT OR IGNORE INTO holds (deployment, request, event, remaining, dataset,"
            " requester) VALUES (?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(one["deployment"]),
                one["request"],
                json.dumps(one["event"], sort_keys=True),
                _spend(one["remaining"]).encode(),
                one["dataset"],
                one["requester"],
            ),
        )
    for one in body["sketches"]:
        parts = (base64.b64decode(one[name]) for name in ("columns", "sketch", "confirmed"))
        db.execute(
            "INSERT OR IGNORE INTO sketches VALUES (?, ?, ?, ?, ?)",
            (one["dataset"], one["size"], *parts),
        )
    for one in body["deployments"]:
        db.execute(
            "INSERT OR IGNORE INTO deployments VALUES (?, ?)",
            (bytes.fromhex(one["fingerprint"]), one["facts"]),
        )
    for one in body["unpriced"]:
        at = (bytes.fromhex(one["deployment"]), one["request"], one["round"])
        known = db.execute(f"SELECT charge FROM releases WHERE {_AT}", at).fetchone()
        if not known[0]:
            db.execute("INSERT OR IGNORE INTO unpriced VALUES (?, ?, ?, ?)", (*at, one["seen"]))


def _take_links(db: sqlite3.Connection, body: Body) -> None:
    """Which units have taken over what they spent before version 4: for an empty ledger alone. In
    any other they may be charged for it twice, which is too much and never too little."""
    for unit, former in body["links"]:
        db.execute(
            "INSERT OR IGNORE INTO links VALUES (?, ?)",
            (base64.b64decode(unit), base64.b64decode(former)),
        )
    if body["before_version_4"]:
        db.execute("INSERT OR IGNORE INTO meta VALUES ('former', x'')")


# ---------------------------------------------------------------------- plain JSON types


def _entries(ledger: Ledger, db: sqlite3.Connection) -> list[Entry]:
    """The journal, each entry with its hash."""
    try:
        found = journal.entries(db)
    except ValueError as error:
        raise ledger.file.corrupt(str(error)) from error
    hashes = db.execute("SELECT hash FROM journal ORDER BY sequence").fetchall()
    return [{**entry, "hash": kept.hex()} for entry, (kept,) in zip(found, hashes, strict=True)]


def _contributing(db: sqlite3.Connection, at: tuple[bytes, int, int]) -> bytes:
    rows = db.execute(f"SELECT digest FROM release_units WHERE {_AT} ORDER BY digest", at)
    return b"".join(digest for (digest,) in rows)


def _named(ledger: Ledger, db: sqlite3.Connection, payer: Payer) -> dict[str, Any]:
    rows = db.execute(f"SELECT name, spend FROM {payer} ORDER BY name").fetchall()
    return {name: _spend_json(ledger.spending.decode(spend)) for name, spend in rows}


def _spend_json(spend: Spend) -> dict[str, Any]:
    """`sampled` is null where nothing was sampled, and holds null for infinity."""
    sampled = None
    if spend.sampled.any():
        sampled = [value if math.isfinite(value) else None for value in spend.sampled.tolist()]
    return {
        "filter": int(spend.filter),
        "steps": spend.steps,
        "precision": spend.precision,
        "sampled": sampled,
    }


def _spend(kept: Mapping[str, Any]) -> Spend:
    values = kept["sampled"] or [0.0] * len(ORDERS)
    sampled = np.array([math.inf if value is None else value for value in values])
    spend = Spend(Filter(kept["filter"]), kept["steps"], float(kept["precision"]), sampled)
    try:
        return Spend.decode(spend.encode())
    except ValueError as error:
        raise LedgerError(f"passport: {error}") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
