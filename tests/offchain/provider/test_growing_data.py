"""Data that grow or change between two requests: what the second one is trained on."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedpact.data.declared import DeclaredData
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.ledger.opening import introduce
from fedpact.provider.snapshots import OwnRecords
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

SCHEMA = DataSchema(
    data_id="00" * 16,
    category="test",
    units=500,
    unit="machine",
    labels=("0", "1"),
    columns=tuple(ColumnSchema(name=name, range=(0.0, 999.0)) for name in "ab"),
)
LIMIT = PrivacyLimit(8.0, 1e-5)
PAYERS = Payers("00" * 16, "0xA", LIMIT, LIMIT)
EVENT = GaussianRelease(5.0, 1.0, 1)


def rows(first: int, count: int, prefix: str = "m") -> str:
    return "".join(f"{prefix}{n},{n},{n * 7 % 500},{n % 2}\n" for n in range(first, first + count))


def table(path: Path, lines: str, at: int) -> None:
    path.write_text("machine,a,b,label\n" + lines)
    os.utime(path, (at, at))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "provider" / "x" / "privacy.sqlite", bytes(32)) as opened:
        yield opened


def serving(path: Path, ledger: Ledger) -> OwnRecords:
    """As a daemon has it once its checks have passed."""
    records = OwnRecords(path, SCHEMA, path.parent / "features", path.parent / "snapshots")
    introduce(ledger, records.load())
    records.accept = lambda data: introduce(ledger, data)
    return records


def trained_on(records: OwnRecords, request: str) -> DeclaredData:
    from fedpact.data.snapshot_file import read_snapshot

    return read_snapshot(records.source(request).snapshot)


def charged(ledger: Ledger, data: DeclaredData, request: int) -> int:
    """The number of units that one release of the data charges."""
    return len(ledger.begin(ReleaseId(bytes(32), request, 1), data.units, EVENT, PAYERS))


def test_appended_rows_are_trained_on_by_the_next_request(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """The ledger knows the units of before: their second release adds to their first."""
    caplog.set_level(logging.ERROR)
    path = tmp_path / "data.csv"
    table(path, rows(0, 100), at=1000)
    records = serving(path, ledger)
    first = trained_on(records, "1")
    assert charged(ledger, first, 1) == 100
    once = ledger.spent(1e-5).epsilon
    table(path, rows(0, 101), at=2000)
    second = trained_on(records, "2")
    assert charged(ledger, second, 2) == 101
    assert ledger.spent(1e-5, second.units[100:]).epsilon == pytest.approx(once)
    assert ledger.spent(1e-5, second.units[:1]).epsilon > once
    assert trained_on(records, "1").units == first.units  # a running request keeps its own
    assert not caplog.text


def test_a_window_of_the_newest_rows_is_no_question_either(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """An export of the last hundred machines shares some with the one before."""
    caplog.set_level(logging.ERROR)
    path = tmp_path / "data.csv"
    table(path, rows(0, 100), at=1000)
    records = serving(path, ledger)
    charged(ledger, trained_on(records, "1"), 1)
    table(path, rows(60, 100), at=2000)
    second = trained_on(records, "2")
    assert charged(ledger, second, 2) == 100
    with closing(sqlite3.connect(ledger.file.path)) as db:
        assert db.execute("SELECT count(*) FROM units").fetchone() == (160,)
    assert not caplog.text


def test_units_that_were_renamed_under_a_running_daemon_get_no_second_budget(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """As at a start, their owner must say whether they are new; until then nothing changes.

    It was asked at a start alone: an export that anonymised its names anew each night doubled what
    each machine may spend."""
    path = tmp_path / "data.csv"
    table(path, rows(0, 100), at=1000)
    records = serving(path, ledger)
    first = trained_on(records, "1")
    charged(ledger, first, 1)
    table(path, rows(0, 100, prefix="x"), at=2000)
    assert trained_on(records, "2").units == first.units
    assert "no privacy unit is the same" in caplog.text
    table(path, rows(0, 120), at=3000)
    assert len(trained_on(records, "3").units) == 120


def test_more_units_than_are_declared_leave_the_version_before(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data.csv"
    table(path, rows(0, 490), at=1000)
    records = serving(path, ledger)
    table(path, rows(0, 501), at=2000)
    assert len(trained_on(records, "1").units) == 490
    assert "the schema declares 500: raise units" in caplog.text


def test_a_database_is_asked_again_for_each_request(tmp_path: Path, ledger: Ledger) -> None:
    pytest.importorskip("sqlalchemy")
    database, path = tmp_path / "plant.db", tmp_path / "plant.sql.toml"

    def inserted(first: int, count: int) -> None:
        with closing(sqlite3.connect(database)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS runs (machine TEXT, a REAL, b REAL, label TEXT)")
            values = [(f"m{n}", n, n * 7 % 500, str(n % 2)) for n in range(first, first + count)]
            db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", values)

    inserted(0, 30)
    path.write_text(f'url = "sqlite:///{database}"\nquery = "select * from runs"\n')
    os.utime(path, (1000, 1000))
    records = serving(path, ledger)
    assert len(trained_on(records, "1").units) == 30
    assert trained_on(records, "2").units == trained_on(records, "1").units
    inserted(30, 5)
    assert len(trained_on(records, "3").units) == 35
    assert len(trained_on(records, "1").units) == 30
    path_of_database = database.rename(tmp_path / "moved.db")
    assert len(trained_on(records, "4").units) == 35  # no database: the rows of the last time
    assert path_of_database.exists()
    assert len(list((tmp_path / "snapshots").glob("*.npz"))) == 1
