"""The provider's own records are read again when they change, and only then."""

import os
from pathlib import Path

import numpy as np
import pytest

from fedpact.errors import DataError
from fedpact.provider.records import OwnRecords
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
    write(folder, 1, at=10**18)
    before = folder.stat().st_mtime_ns
    records = OwnRecords(folder, IMAGES, tmp_path / "features")
    first = records.dataset(SPEC)
    assert records.dataset(SPEC) is first
    write(folder, 2, at=10**18 + 1)
    assert folder.stat().st_mtime_ns == before
    assert (records.dataset(SPEC).x == 2).all()


def test_a_file_of_another_size_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n")
    os.utime(path, ns=(10**18, 10**18))
    records = OwnRecords(path, SCHEMA, tmp_path / "features")
    assert len(records.dataset(TABLE_SPEC)) == 1
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n5,6,7,8,1\n")
    os.utime(path, ns=(10**18, 10**18))
    assert len(records.dataset(TABLE_SPEC)) == 2


def test_a_file_that_can_no_longer_be_read_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n")
    records = OwnRecords(path, SCHEMA, tmp_path / "features")
    before = records.dataset(TABLE_SPEC)
    for broken in ("a,b,c,d,label\n1,2,0\n", None):
        path.unlink()
        if broken is not None:
            path.write_text(broken)
        assert (records.dataset(TABLE_SPEC).x == before.x).all()
        assert "as they were read last" in caplog.text


def test_a_file_that_was_never_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.csv"):
        OwnRecords(tmp_path / "data.csv", SCHEMA, tmp_path / "features").dataset(TABLE_SPEC)
