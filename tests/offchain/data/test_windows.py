"""Windows of time series: which rows they hold, in which order, and their labels."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fedpact.data.declared import DeclaredData
from fedpact.data.readers import read_dataset
from fedpact.errors import DataError, PolicyRefusal, SpecificationError
from fedpact.requester.queries import read_queries
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema
from fedpact.types.series import Series
from tests.support.specifications import specification

ROWS = (
    "cycle,engine,heat,label\n"
    "1,A,1,a\n1,B,10,a\n2,B,20,b\n3,B,30,a\n3,A,3,b\n2,A,2,a\n4,A,4,a\n1,C,9,a\n"
)
WINDOWS = {"window": 2, "stride": 2, "by": "engine", "order": "cycle"}
IN_ORDER = [[[1.0], [2.0]], [[3.0], [4.0]], [[20.0], [30.0]]]


def asking(series: Any = WINDOWS, **features: Any) -> Any:
    features = {"shape": [2, 1], "columns": ["heat"], "series": series} | features
    return specification(labels=["a", "b"], features=features)


def schema(**changes: Any) -> DataSchema:
    columns = [ColumnSchema(name=name, range=(0.0, 100.0)) for name in ("heat", "cycle")]
    fields: dict[str, Any] = {
        "data_id": "00" * 16,
        "category": "engines",
        "units": 3,
        "examples_per_unit": 4,
        "unit": "engine",
        "labels": ("a", "b"),
        "columns": tuple(columns),
        "series": Series(by="engine", order="cycle"),
    }
    return DataSchema(**(fields | changes))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(ROWS)
    return path


def test_windows_are_the_same_at_provider_and_requester_and_in_queries(own: Path) -> None:
    found = DeclaredData.read(own, schema()).dataset(asking())
    assert found.x.tolist() == IN_ORDER
    assert found.y.tolist() == [0, 0, 0]
    assert found.units[0] == found.units[1] != found.units[2]
    assert found.unit_count == 3
    assert read_dataset(own, asking()).x.tolist() == IN_ORDER
    assert read_queries(own, asking()).x.tolist() == IN_ORDER


def test_a_window_has_its_last_rows_label(own: Path) -> None:
    by_one = asking({**WINDOWS, "stride": 1})
    assert read_dataset(own, by_one).y.tolist() == [0, 1, 0, 1, 0]
    assert DeclaredData.read(own, schema()).dataset(by_one).y.tolist() == [0, 1, 0, 1, 0]


def test_declared_columns_make_windows_too(own: Path) -> None:
    spec = asking(table=[{"name": "heat", "range": [0.0, 100.0]}], columns=[])
    expected = [value / 50 - 1 for window in IN_ORDER for [value] in window]
    for found in (DeclaredData.read(own, schema()).dataset(spec), read_dataset(own, spec)):
        assert found.x.shape == (3, 2, 1)
        assert found.x.ravel().tolist() == pytest.approx(expected)


def test_a_unit_gives_as_many_windows_as_are_declared(own: Path) -> None:
    data = DeclaredData.read(own, schema(examples_per_unit=1))
    assert data.dataset(asking()).x.tolist() == [IN_ORDER[0], IN_ORDER[2]]


def test_a_window_with_a_row_that_cannot_be_used_does_not_count(own: Path) -> None:
    own.write_text(ROWS.replace("1,A,1", "1,A,?"))
    assert DeclaredData.read(own, schema()).dataset(asking()).x.tolist() == IN_ORDER[1:]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2,B,20", "2,B,?", "example 3: column 'heat' is not a finite number"),
        ("2,B,20", ",B,20", "example 3: column 'cycle' is not a finite number"),
        ("engine", "machine", "no column 'engine'"),
    ],
)
def test_a_requesters_series_that_cannot_be_used_is_refused(
    own: Path, old: str, new: str, said: str
) -> None:
    own.write_text(ROWS.replace(old, new))
    for read in (read_dataset, read_queries):
        with pytest.raises(DataError, match=said):
            read(own, asking())


def test_a_series_without_one_whole_window_is_refused(own: Path) -> None:
    own.write_text("cycle,engine,heat,label\n1,A,1,a\n1,B,10,a\n")
    with pytest.raises(DataError, match="no 'engine' has the 2 rows"):
        read_queries(own, asking())


def test_a_table_without_declared_series_declines() -> None:
    for own in (schema(series=None), schema(series=Series(by="engine"))):
        with pytest.raises(PolicyRefusal, match="windows by 'engine' in the order of 'cycle'"):
            own.check(asking())
    schema().check(asking())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit": "record"}, "are one privacy unit"),
        ({"series": Series(by="engine", order="day")}, "order 'day' is not a number"),
    ],
)
def test_a_series_is_of_one_unit_and_has_an_order(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        schema(**changes)


@pytest.mark.parametrize(
    ("features", "said"),
    [({"shape": [3, 1]}, "windows of 2 rows"), ({"columns": []}, "need columns or table")],
)
def test_a_specification_of_windows_says_their_shape(features: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        asking(**features)
