"""Verification of a privacy ledger: against itself, and against what was published from it."""

from collections.abc import Iterable

import numpy as np

from fedpact.errors import LedgerError
from fedpact.privacy.accounting import ORDERS, rdp
from fedpact.privacy.ledger import journal
from fedpact.privacy.ledger.report import LedgerEntry, LedgerReport, ReleaseId


def verify(ledger: LedgerReport) -> list[LedgerEntry]:
    """Check the whole file; returns the releases.

    Raises LedgerError if pages, spends or stored bytes are damaged, or if a release was not
    charged in full to as many records as it had.
    """
    ledger.file.verify()
    with ledger.file.reading() as db:
        try:
            journal.entries(db)
        except (ValueError, KeyError) as error:
            raise ledger.file.corrupt(str(error)) from error
        known = db.execute("SELECT count(*) FROM units").fetchone()[0]
        curves = [spend.curve for spend in ledger.spending.of_units(db)]
        kept = db.execute(
            "SELECT deployment, request, round, digest, payload FROM releases"
            " WHERE payload NOT NULL"
        )
        for deployment, request, round_, digest, payload in kept:
            ledger.checked(ReleaseId(bytes(deployment), request, round_), digest, payload)
        for table, column in (("holds", "remaining"), ("datasets", "spend")):
            for (curve,) in db.execute(f"SELECT {column} FROM {table}"):
                ledger.spending.decode(curve)
    largest = np.max(curves, axis=0) if curves else np.zeros(len(ORDERS))
    found = ledger.entries()
    for entry in found:
        if entry.event is None or not entry.units:
            continue
        short = (largest < rdp(entry.event) * (1 - 1e-9)).any()
        if short or known < entry.units:
            raise ledger.file.corrupt(
                f"what request {entry.id.request}, round {entry.id.round}, cost is not charged"
            )
    return found


def reconcile(ledger: LedgerReport, published: Iterable[tuple[ReleaseId, bytes]]) -> None:
    """Compare the ledger with what this account has published: submissions on chain, a profile.

    `published`: (release, digest of its bytes). Raises LedgerError if one is missing here or
    differs: then this file is an older copy, or another machine serves the same account, and
    what was spent since is unknown.
    """
    with ledger.file.reading() as db:
        for release_id, digest in published:
            row = ledger.row(db, release_id)
            if row is None or row[0] != digest:
                lacks = "is not in it" if row is None else "differs from what it holds"
                what = (
                    f"the model that it submitted to request {release_id[1]}, round {release_id[2]}"
                    if release_id[1]
                    else "the profile that it built"
                )
                raise LedgerError(
                    f"privacy ledger {ledger.file.path} is an older copy, or another machine"
                    f" serves this account: {what}, {lacks}. Restore the newest copy"
                )
