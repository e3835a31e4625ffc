"""Ledgers that are replaced, copied or used twice: the journal, the lock, foreign releases."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedpact.errors import LedgerError, LedgerReplaced, LedgerUnavailable
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger import foreign_submissions, journal
from fedpact.privacy.ledger.check import verify
from fedpact.privacy.ledger.foreign_submissions import Price
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.lock import ServingLock
from fedpact.types.cid import Cid
from tests.offchain.privacy.test_ledger import (
    AMPLE,
    DELTA,
    EVENT,
    KEY,
    epsilon_of,
    payers,
    records,
    release_id,
)
from tests.support.disks import in_a_fork


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "privacy.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, KEY) as opened:
        yield opened


def make(ledger: Ledger, request: int, *units: int) -> bytes:
    """One published release; its digest."""
    ledger.begin(release_id(request), records(*units), EVENT, payers(AMPLE))
    payload = b"model %d" % request
    ledger.keep(release_id(request), payload, at=1)
    ledger.publishing(release_id(request))
    return Cid.of(payload).digest


def copy_of(path: Path) -> Path:
    other = path.with_name("older.sqlite")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, other)
    return other


def kinds(ledger: Ledger) -> list[str]:
    with ledger.file.reading() as db:
        return [entry["kind"] for entry in journal.entries(db)]


def test_an_older_file_renamed_over_the_open_one_is_noticed_before_anything_is_written(
    ledger: Ledger, path: Path
) -> None:
    make(ledger, 1, 1)
    older = copy_of(path)
    make(ledger, 2, 1)
    older.replace(path)
    content = path.read_bytes()
    for write in (
        lambda: make(ledger, 3, 1),
        lambda: ledger.publishing(release_id(2)),
        lambda: ledger.end(release_id(2).deployment, 2),
        lambda: Ledger(path, KEY, watch=ledger.file.watch),
    ):
        with pytest.raises(LedgerReplaced, match="has taken its place"):
            write()
    assert path.read_bytes() == content
    ledger.file.reopen()
    assert [entry.id.request for entry in ledger.entries()] == [1]
    make(ledger, 3, 1)


def test_an_older_content_in_the_same_file_is_noticed(ledger: Ledger, path: Path) -> None:
    make(ledger, 1, 1)
    watch = ledger.file.watch
    ledger.close()
    older = copy_of(path)
    with Ledger(path, KEY, watch=watch) as later:
        make(later, 2, 1)
    with path.open("r+b") as file:
        file.write(older.read_bytes())
        file.truncate()
    with pytest.raises(LedgerReplaced):
        Ledger(path, KEY, watch=watch)


def test_a_file_that_is_gone_is_not_written_to(ledger: Ledger, path: Path) -> None:
    make(ledger, 1, 1)
    path.unlink()
    with pytest.raises(LedgerReplaced):
        make(ledger, 2, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal SET entry = replace(entry, '\"request\":1', '\"request\":7')",
        "DELETE FROM journal WHERE sequence = 2",
        "UPDATE journal SET hash = x'00' WHERE sequence = 1",
    ],
)
def test_a_changed_journal_shows(ledger: Ledger, path: Path, change: str) -> None:
    make(ledger, 1, 1)
    make(ledger, 2, 1)
    assert kinds(ledger) == ["charge", "keep", "publish"] * 2
    verify(ledger)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    with pytest.raises(LedgerError, match="does not follow from the one before"):
        verify(ledger)


def test_one_daemon_holds_the_lock(path: Path) -> None:
    with ServingLock.of(path):
        with pytest.raises(LedgerError, match=r"another daemon \(process \d+\) serves with it"):
            ServingLock.of(path)
        Ledger(path, KEY).close()  # commands may look at it
    ServingLock.of(path).close()


def test_a_submission_that_is_not_of_this_ledger_is_charged_to_everyone_once(
    ledger: Ledger,
) -> None:
    make(ledger, 1, 1, 2)
    submitted = [(release_id(2), b"d" * 32), (release_id(1), Cid.of(b"model 1").digest)]
    assert foreign_submissions.note(ledger, submitted) == [release_id(2)]
    assert foreign_submissions.note(ledger, submitted) == []
    assert [one for one, _ in foreign_submissions.unpriced(ledger)] == [release_id(2)]
    assert foreign_submissions.last_seen(ledger)
    for _ in range(2):
        foreign_submissions.charge(
            ledger, release_id(2), Price(EVENT, EVENT, "0xB"), ["b"], records(3)
        )
    assert ledger.spent(DELTA, records(1)).epsilon == pytest.approx(epsilon_of(2))
    assert ledger.spent(DELTA, records(3)).epsilon == pytest.approx(epsilon_of(1))
    with ledger.file.reading() as db:
        for payer, name, times in (
            ("datasets", "a", 2),
            ("datasets", "b", 1),
            ("requesters", "0xA", 1),
            ("requesters", "0xB", 1),
        ):
            found = ledger.spending.of(db, payer, name).cost(DELTA).epsilon
            assert found == pytest.approx(epsilon_of(times)), name
    assert foreign_submissions.unpriced(ledger) == []
    verify(ledger)
    with pytest.raises(LedgerError, match="must not be drawn again"):
        ledger.keep(release_id(2), b"a second draw", at=1)


def test_a_draw_that_another_machine_overtook_is_never_published(ledger: Ledger) -> None:
    """Both machines drew; the other one's digest is on chain. The charge is for that one."""
    ledger.begin(release_id(1), records(1), EVENT, payers(AMPLE))
    ledger.keep(release_id(1), b"drawn here", at=1)
    assert foreign_submissions.note(ledger, [(release_id(1), b"d" * 32)]) == [release_id(1)]
    assert foreign_submissions.unpriced(ledger) == []
    with pytest.raises(LedgerError, match="must not be drawn again"):
        ledger.stored(release_id(1))
    ledger.end(release_id(1).deployment, 1)  # no refund: it was released
    assert ledger.spent(DELTA).epsilon == pytest.approx(cost(EVENT, DELTA).epsilon)


def test_two_published_draws_are_charged_twice(ledger: Ledger) -> None:
    make(ledger, 1, 1)
    foreign_submissions.note(ledger, [(release_id(1), b"d" * 32)])
    foreign_submissions.charge(ledger, release_id(1), Price(EVENT, EVENT, ""), ["a"], records(1))
    assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(2))


def test_a_full_disk_charges_all_or_nothing(path: Path) -> None:
    def work(fill) -> None:  # type: ignore[no-untyped-def]
        with Ledger(path, KEY) as ledger:
            make(ledger, 1, 1)
            fill()
            with pytest.raises(LedgerUnavailable):
                make(ledger, 2, *range(500))
            assert [entry.id.request for entry in ledger.entries()] == [1]
            with pytest.raises(LedgerUnavailable):
                ledger.file.check_writable()

    in_a_fork(work)
    with Ledger(path, KEY) as ledger:
        assert ledger.spent(DELTA).epsilon == pytest.approx(epsilon_of(1))
        make(ledger, 2, 1)
        verify(ledger)
