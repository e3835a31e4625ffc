"""Tables of daemons that make secure sums."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.summing import SumTable, Tables


@pytest.fixture
def table_of(tmp_path: Path) -> Iterator[Tables]:
    made: list[SumTable] = []

    def make(members: int = 4, **privacy: object) -> SumTable:
        made.append(SumTable(tmp_path / str(len(made)), members, **privacy))
        return made[-1]

    yield make
    for one in made:
        one.close()
