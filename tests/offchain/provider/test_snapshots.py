"""The provider's own records: read again when they change, and as they were at joining."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.declared import DeclaredData
from fedpact.errors import DataError
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider.data_sets import OwnData
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.startup_checks import Level, check_records
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema
from tests.support.specifications import specification

SPEC = specification(labels=["0", "1"], features={"shape": [2, 2]})
SCHEMA = DataSchema(
    data_id="00" * 16,
    category="test",
    units=9,
    unit="record",
    labels=("0", "1"),
    columns=tuple(ColumnSchema(name=name, range=(0.0, 9.0)) for name in "abcd"),
)
TABLE_SPEC = specification(
    labels=["0", "1"], features={"shape": [2, 2], "columns": ["a", "b", "c", "d"]}
)
IMAGES = DataSchema(
    data_id="00" * 16,
    category="test",
    units=9,
    examples_per_unit=3,
    labels=("0", "1"),
    shape=(2, 2),
    value_range=(0.0, 255.0),
)


OLD, LATER = 10**18, 10**18 + 1
"""Times of change in nanoseconds; both are long ago, so nobody is still writing."""


def records_of(path: Path, schema: DataSchema = SCHEMA) -> OwnRecords:
    return OwnRecords(path, schema, path.parent / "features", path.parent / "snapshots")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite", bytes(32)) as opened:
        yield opened


def table(path: Path, rows: str, *, at: int = OLD) -> None:
    path.write_text("a,b,c,d,label\n" + rows)
    os.utime(path, ns=(at, at))


def write(folder: Path, pixels: int, *, at: int) -> None:
    """IDX files of three images, their time of change `at`; the folder's own stays what it was."""
    x, y = np.full((3, 2, 2), pixels, np.uint8), np.array([0, 1, 0], np.uint8)
    for name, magic, values in (("images-idx3", 0x803, x), ("labels-idx1", 0x801, y)):
        path = folder / f"train-{name}-ubyte"
        sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
        path.write_bytes(magic.to_bytes(4, "big") + sizes + values.tobytes())
        os.utime(path, ns=(at, at))


def test_a_file_that_changes_inside_a_folder_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    write(folder, 1, at=OLD)
    before = folder.stat().st_mtime_ns
    records = records_of(folder, IMAGES)
    assert (records.dataset("1", SPEC).x == 1).all()
    write(folder, 2, at=LATER)
    assert folder.stat().st_mtime_ns == before
    assert (records.dataset("2", SPEC).x == 2).all()


def test_a_file_that_has_not_changed_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n")
    records_of(path).load()
    monkeypatch.setattr(DeclaredData, "read", lambda *_: 1 / 0)
    assert len(records_of(path).dataset("1", TABLE_SPEC)) == 1


def test_a_file_of_another_size_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n")
    records = records_of(path)
    assert len(records.dataset("1", TABLE_SPEC)) == 1
    table(path, "1,2,3,4,0\n5,6,7,8,1\n")
    assert len(records.dataset("2", TABLE_SPEC)) == 2


@pytest.mark.parametrize("becomes", [None, "1,2,0\n", "", "1,2,3,4,0\n5,6,7,8,1\n"])
def test_a_request_keeps_the_records_that_it_was_joined_with(
    tmp_path: Path, becomes: str | None
) -> None:
    """Removed, broken, truncated or longer: for this process, and for the next one."""
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n4,3,2,1,1\n")
    joined = records_of(path)
    before = joined.dataset("joined", TABLE_SPEC)
    path.unlink()
    if becomes is not None:
        table(path, becomes, at=LATER)
    for records in (joined, records_of(path)):
        after = records.dataset("joined", TABLE_SPEC)
        assert (after.x == before.x).all()
        assert (after.y == before.y).all()
        assert after.units == before.units


def test_a_file_that_can_no_longer_be_read_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n")
    before = records_of(path).dataset("1", TABLE_SPEC)
    for number, broken in enumerate(("1,2,0\n", None)):
        path.unlink()
        if broken is not None:
            table(path, broken, at=LATER)
        # After a restart too.
        assert (records_of(path).dataset(f"new {number}", TABLE_SPEC).x == before.x).all()
        assert "as they were read last" in caplog.text
        caplog.clear()


def test_a_daemon_starts_again_while_its_file_is_damaged(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """It has joined requests, whose rounds go on."""
    path, policy = tmp_path / "data.csv", Policy(min_samples=1)
    table(path, "1,2,3,4,0\n")
    assert not [*check_records(OwnData("", records_of(path), policy), ledger, new_data=True)]
    table(path, "1,2,0\n", at=LATER)
    [found] = check_records(OwnData("", records_of(path), policy), ledger, new_data=False)
    assert found.level is Level.WARNING
    assert "as they were read last" in found.said
    other = SCHEMA.model_copy(update={"units": 8})
    with pytest.raises(DataError):
        [*check_records(OwnData("", records_of(path, other), policy), ledger, new_data=False)]


def test_a_file_that_is_just_being_written_is_not_read_at_joining(tmp_path: Path) -> None:
    """Its first half is a whole table, too."""
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n4,3,2,1,1\n")
    records = records_of(path)
    records.load()
    now = time.time_ns()
    table(path, "1,2,3,4,0\n", at=now)
    assert len(records.dataset("at once", TABLE_SPEC)) == 2
    table(path, "1,2,3,4,0\n", at=now - 10**10)
    assert len(records.dataset("later", TABLE_SPEC)) == 1


def test_a_file_that_was_never_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.csv"):
        records_of(tmp_path / "data.csv").dataset("1", TABLE_SPEC)


def test_records_of_requests_that_are_over_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n")
    records = records_of(path)
    for name in ("aa-1", "aa-2", "bb-1"):
        records.source(name)
    (tmp_path / "snapshots" / f"{'0' * 32}.npz.1234").touch()
    records.keep_only("aa", ["aa-2"])
    kept = sorted(one.name for one in (tmp_path / "snapshots" / "requests").iterdir())
    assert kept == ["aa-2.npz", "bb-1.npz"]
    assert len([one for one in (tmp_path / "snapshots").iterdir() if one.is_file()]) == 1


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    table(path, "1,2,3,4,0\n")
    records_of(path).source("1")
    files = [one for one in (tmp_path / "snapshots").rglob("*.npz") if one.is_file()]
    assert len(files) == 2
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
