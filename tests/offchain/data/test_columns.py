"""Declared columns: what cells mean, and that a cell gives the same input at every party."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedpact.data.declared import DeclaredData
from fedpact.data.readers import read_dataset
from fedpact.data.schema_draft import as_toml
from fedpact.errors import DataError, PolicyRefusal, SpecificationError
from fedpact.requester.draft import Draft
from fedpact.requester.queries import read_queries
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema
from tests.support.specifications import specification

COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "temp", "range": [0.0, 100.0], "measure": "°C", "missing": "indicator"},
    {"name": "kind", "type": "category", "values": ["L", "M", "H"]},
    {"name": "grade", "type": "ordinal", "values": ["low", "mid", "high"]},
    {"name": "new", "type": "boolean", "missing": "constant", "constant": 0},
    {"name": "made", "type": "timestamp", "range": ["2024-01-01", "2024-01-03"]},
)
ROWS = (
    "id,new,kind,temp,made,grade,label\n"
    "7,yes,M,25 °C,2024-01-01,low,a\n"
    "8,,H,,2024-01-02,mid,b\n"
    "9,FALSE,L,900,2024-01-02T12:00:00,high,a\n"
)
INPUTS = [
    [-0.5, 0, 0, 1, 0, -1, 1, -1],
    [0, 1, 0, 0, 1, 0, -1, 0],
    [1, 0, 1, 0, 0, 1, -1, 0.5],
]


def columns(*given: dict[str, Any]) -> tuple[ColumnSchema, ...]:
    return tuple(ColumnSchema.model_validate_json(json.dumps(one)) for one in given)


def schema(*given: dict[str, Any], **changes: Any) -> DataSchema:
    fields: dict[str, Any] = {
        "data_id": "00" * 16,
        "category": "machines",
        "units": 9,
        "unit": "record",
        "labels": ("a", "b"),
        "columns": columns(*(given or COLUMNS)),
    }
    return DataSchema(**(fields | changes))


def asking(*given: dict[str, Any], width: int = 8, **changes: Any) -> Any:
    table = [one.model_dump(mode="json") for one in columns(*(given or COLUMNS))]
    return specification(labels=["a", "b"], features={"shape": [width], "table": table}, **changes)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def test_a_cell_is_the_same_input_at_provider_and_requester_and_in_queries(own: Path) -> None:
    data = DeclaredData.read(own, schema())
    found = data.dataset(asking())
    assert found.x.dtype == np.float32
    assert found.x.tolist() == INPUTS
    assert read_dataset(own, asking()).x.tolist() == INPUTS
    assert read_queries(own, asking()).x.tolist() == INPUTS
    assert data.misfits.unusable == 0


def test_the_encoding_is_the_requests_whatever_order_a_provider_declares(own: Path) -> None:
    other = dict(COLUMNS[1], values=["H", "S", "L", "M"])
    found = DeclaredData.read(own, schema(*reversed(COLUMNS[2:]), other, COLUMNS[0]))
    assert found.dataset(asking()).x.tolist() == INPUTS


def test_a_record_without_a_value_that_nothing_replaces_does_not_count(own: Path) -> None:
    strict = dict(COLUMNS[0], missing="omit")
    found = DeclaredData.read(own, schema())
    assert found.dataset(asking(strict, *COLUMNS[1:], width=7)).y.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("M,25", "X,25", "example 1: column 'kind' has a value that its declaration does not have"),
        ("25 °C", "25 K", "example 1: column 'temp' has a value that"),
        ("L,900", ",900", "example 3: column 'kind' has no value"),
        ("grade", "grad", "no column 'grade'"),
    ],
)
def test_a_requesters_cell_that_is_not_declared_is_refused(
    own: Path, old: str, new: str, said: str
) -> None:
    own.write_text(ROWS.replace(old, new), encoding="utf-8")
    for read in (read_dataset, read_queries):
        with pytest.raises(DataError, match=said) as caught:
            read(own, asking())
        # The folder of a test run may be called pytest-25.
        assert "25" not in str(caught.value).removeprefix(f"data {own}")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "kind", "type": "ordinal", "values": ["L", "M"]}, "declared as category"),
        ({"name": "temp", "range": [0.0, 1.0], "measure": "K"}, "number in °C"),
        ({"name": "kind", "type": "category", "values": ["X"]}, "none of the request's values"),
        ({"name": "id", "range": [0.0, 1.0]}, "no column 'id' is declared"),
    ],
)
def test_a_column_that_means_something_else_is_declined(asked: dict[str, Any], said: str) -> None:
    spec = asking(asked, width=columns(asked)[0].width)
    declared = schema(*COLUMNS, {"name": "id", "type": "identifier"})
    with pytest.raises(PolicyRefusal, match=said):
        declared.check(spec)


def test_a_category_is_no_number_for_a_request_without_declarations() -> None:
    spec = specification(labels=["a", "b"], features={"shape": [1], "columns": ["kind"]})
    with pytest.raises(PolicyRefusal, match="the request takes it for a number"):
        schema().check(spec)


def test_a_records_identity_does_not_depend_on_the_order_of_declared_values(own: Path) -> None:
    reordered = dict(COLUMNS[1], values=["H", "L", "M", "S"])
    first = DeclaredData.read(own, schema())
    assert first.units == DeclaredData.read(own, schema(COLUMNS[0], reordered, *COLUMNS[2:])).units
    own.write_text(ROWS.replace("8,,H", "8,,S"), encoding="utf-8")
    assert first.units[1] != DeclaredData.read(own, schema()).units[1]


def test_a_schema_reads_as_it_was_written_and_publishes_no_source(tmp_path: Path) -> None:
    known = dict(COLUMNS[4], source="Made on", format="%d.%m.%Y")
    written = schema(*COLUMNS[:4], known)
    (tmp_path / "s.toml").write_text(as_toml(written), encoding="utf-8")
    assert DataSchema.read(tmp_path / "s.toml") == written
    assert "2024-01-03" in (tmp_path / "s.toml").read_text()
    published = json.dumps(written.published)
    assert not any(private in published for private in ("Made on", "%d", "data_id", "separator"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a"}, "number needs a range"),
        ({"name": "a", "type": "category"}, "category needs values"),
        ({"name": "a", "type": "boolean", "range": [0, 1]}, "boolean has no range"),
        ({"name": "a", "type": "category", "values": ["1", "1.0"]}, "values name one twice"),
        ({"name": "a", "type": "timestamp", "range": ["today", "now"]}, "Invalid isoformat string"),
        ({"name": "a", "range": [0, 1], "missing": "constant"}, "constant goes with"),
        ({"name": "a", "range": [0, 1], "missing": "constant", "constant": 2}, "not one of its"),
        ({"name": "a", "type": "identifier", "missing": "indicator"}, "it is not a feature"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        columns(given)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"shape": [7]}, "become 8 inputs"),
        ({"shape": [8], "scale": 2.0}, "takes the place of columns and scale"),
        ({"shape": [8], "columns": ["kind"]}, "takes the place of columns and scale"),
    ],
)
def test_a_specification_has_the_shape_that_its_columns_become(
    features: dict[str, Any], said: str
) -> None:
    table = [one.model_dump(mode="json") for one in columns(*COLUMNS)]
    with pytest.raises(SpecificationError, match=said):
        specification(features={**features, "table": table})


def test_without_declared_columns_a_specification_has_the_bytes_of_before() -> None:
    assert b"table" not in specification().encode()


def test_a_draft_takes_its_columns_from_a_schema(tmp_path: Path) -> None:
    (tmp_path / "plant.schema.toml").write_text(
        as_toml(schema(*COLUMNS, {"name": "id", "type": "identifier"})), encoding="utf-8"
    )
    draft = tmp_path / "draft.toml"
    draft.write_text('[features]\nschema = "plant.schema.toml"\n')
    assert Draft.read(draft).fields["features"] == {
        "shape": [8],
        "table": [one.model_dump(mode="json") for one in columns(*COLUMNS)],
    }
    draft.write_text('[features]\nschema = "plant.schema.toml"\ncolumns = ["grade", "temp"]\n')
    features = Draft.read(draft).fields["features"]
    assert ([one["name"] for one in features["table"]], features["shape"]) == (
        ["grade", "temp"],
        [3],
    )
    draft.write_text('[features]\nschema = "plant.schema.toml"\ncolumns = ["none"]\n')
    with pytest.raises(SpecificationError, match="declares no 'none'"):
        Draft.read(draft)
