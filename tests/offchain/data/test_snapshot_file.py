"""A snapshot holds all that training and the ledger need of a data set."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.declared import DeclaredData
from fedpact.data.documents import documents
from fedpact.data.readers.records import Records
from fedpact.data.snapshot_file import read_snapshot, write_snapshot
from fedpact.errors import DataError
from fedpact.types.layout import FileLayout
from fedpact.types.schema import ColumnSchema, DataSchema

TABLE = DataSchema(
    data_id="00" * 16,
    category="test",
    units=9,
    unit="patient",
    labels=("ä", "b"),
    columns=tuple(ColumnSchema(name=name, range=(0.0, 9.0)) for name in "xy"),
)
IMAGES = DataSchema(
    data_id="00" * 16, category="test", units=9, labels=("1",), shape=(2, 2), value_range=(0, 255)
)
TEXTS = DataSchema(data_id="00" * 16, category="test", units=9, kind="text", labels=("1",))
ODD = np.array([[np.nan, 1.0], [np.inf, -0.0]])
CASES: dict[str, tuple[DataSchema, Records]] = {
    "a table": (
        TABLE,
        Records(
            "csv",
            ODD,
            ("ä", "\ud800"),
            ("x", "y"),
            ("one", "two"),
            True,
            (b"1" * 32, b"2" * 32),
            ("note",),
            (("x", ("ä", "\ud800")),),
            FileLayout(decimal=","),
        ),
    ),
    "images": (IMAGES, Records("npz", np.arange(8, dtype=np.uint8).reshape(2, 2, 2), ("1", "1"))),
    "texts": (
        TEXTS,
        Records(
            "folder", documents(["", "zero \0 and \ud800"]), ("1", "2"), rows=(b"1" * 32, b"2" * 32)
        ),
    ),
    "nothing": (TEXTS, Records("folder", documents([]), ())),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_is_read(tmp_path: Path, case: str) -> None:
    schema, records = CASES[case]
    path = tmp_path / "kept.npz"
    write_snapshot(path, DeclaredData(schema, records))
    found = read_snapshot(path)
    assert found.schema == schema
    for one in fields(Records):
        mine, read = getattr(records, one.name), getattr(found.records, one.name)
        if one.name == "x":
            assert read.dtype == mine.dtype
            np.testing.assert_array_equal(read, mine)
        else:
            assert read == mine, one.name
    assert found.units == DeclaredData(schema, records).units
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.npz"]


@pytest.mark.parametrize("content", [b"records", b"", None])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kept.npz"
    write_snapshot(path, DeclaredData(*CASES["images"]))
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(DataError, match="cannot be read"):
        read_snapshot(path)
