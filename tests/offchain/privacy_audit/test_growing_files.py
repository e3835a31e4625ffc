"""A file grows while a daemon runs: whether one record is in it must not decide which others are
used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fedpact.data.snapshot_file import read_snapshot
from fedpact.provider.snapshots import OwnRecords
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

OLD = 10**18
"""A time of change in nanoseconds, long ago: nobody is still writing."""
SCHEMA = DataSchema(
    data_id="00" * 16,
    category="test",
    units=30,
    unit="record",
    labels=("0", "1"),
    columns=(
        ColumnSchema(name="a", range=(0.0, 99.0)),
        ColumnSchema(name="b", range=(0.0, 99.0), missing="constant", constant=0.0),
    ),
)
EARLIER, LATER, MINE = range(5), range(5, 15), 9
"""Records of the file at first, those that come, and the one in question."""
Rows = list[tuple[int, str]]
"""Number and cells of each record."""


def numbered(rows: Rows) -> str:
    """With a column of row numbers without a name, as pandas writes it: a gap shows in it."""
    return ",a,b,label\n" + "".join(f"{number},{cells}\n" for number, cells in rows)


def beyond(rows: Rows) -> str:
    """The record has a cell in a column that has no name."""
    return "a,b,label,\n" + "".join(f"{cells},{'x' * (n == MINE)}\n" for n, cells in rows)


def used(folder: Path, name: str, text: Callable[[Rows], str], later: Rows) -> set[bytes]:
    """Units with which a request is joined after the file has grown."""
    folder.mkdir()
    path = folder / name
    records = OwnRecords(path, SCHEMA, folder / "features", folder / "snapshots")
    first = [(number, f"{number},1,0") for number in EARLIER]
    for at, rows in enumerate((first, [*first, *later])):
        path.write_text(text(rows))
        os.utime(path, ns=(OLD + at, OLD + at))
        source = records.source(f"request {at}")
    return set(read_snapshot(source.snapshot).units)


@pytest.mark.parametrize(
    ("name", "text"),
    [("own.csv", numbered), ("own.csv", beyond)],
    ids=["pandas", "beyond the header"],
)
def test_one_record_does_not_decide_whether_a_file_is_read(
    tmp_path: Path, name: str, text: Callable[[Rows], str], caplog: pytest.LogCaptureFixture
) -> None:
    later = [(number, f"{number},2,1") for number in LATER]
    with_it = used(tmp_path / "with", name, text, later)
    lines = [one.getMessage().replace("/with/", "/") for one in caplog.records]
    caplog.clear()
    others = [one for one in later if one[0] != MINE]
    without = used(tmp_path / "without", name, text, others)
    assert without < with_it
    assert len(with_it) == len(without) + 1 == len(EARLIER) + len(LATER)
    assert [one.getMessage().replace("/without/", "/") for one in caplog.records] == lines
