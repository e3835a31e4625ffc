"""The provider's own records are read again when they change, and only then."""

import os
from pathlib import Path

import numpy as np
import pytest

from fedpact.errors import DataError
from fedpact.provider.records import OwnRecords
from tests.support.specifications import specification

SPEC = specification(labels=["0", "1"], features={"shape": [2, 2]})


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
    records = OwnRecords(folder, tmp_path / "features")
    first = records.read(SPEC)
    assert records.read(SPEC) is first
    write(folder, 2, at=10**18 + 1)
    assert folder.stat().st_mtime_ns == before
    assert (records.read(SPEC).x == 2).all()


def test_a_file_of_another_size_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n")
    os.utime(path, ns=(10**18, 10**18))
    records = OwnRecords(path, tmp_path / "features")
    assert len(records.read(SPEC)) == 1
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n5,6,7,8,1\n")
    os.utime(path, ns=(10**18, 10**18))
    assert len(records.read(SPEC)) == 2


def test_missing_records_are_noticed_at_the_next_reading(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,d,label\n1,2,3,4,0\n")
    records = OwnRecords(path, tmp_path / "features")
    records.read(SPEC)
    path.unlink()
    with pytest.raises(DataError, match=r"data\.csv"):
        records.read(SPEC)
