"""What a schema may say, and which specifications it can serve."""

from pathlib import Path

import pytest

from fedpact.errors import DataError, PolicyRefusal
from fedpact.types.schema import DataSchema
from tests.support.specifications import specification

TABLE = """
data_id = "00112233445566778899aabbccddeeff"
category = "people"
units = 300
unit = "record"
labels = ["a", "b"]
[[columns]]
name = "age"
range = [0, 120]
[[columns]]
name = "income"
range = [0, 1e6]
"""
ARRAYS = """
data_id = "00112233445566778899aabbccddeeff"
category = "images"
units = 300
labels = ["a", "b"]
shape = [8, 8]
value_range = [0, 16]
"""


def schema(tmp_path: Path, text: str) -> DataSchema:
    path = tmp_path / "schema.toml"
    path.write_text(text)
    return DataSchema.read(path)


@pytest.mark.parametrize(
    ("text", "changed", "said"),
    [
        (TABLE, ("units = 300", "units = 0"), "units: "),
        (TABLE, ("units = 300", ""), "units: Field required"),
        (TABLE, ("[0, 120]", "[120, 0]"), "column 'age': lowest below highest"),
        (TABLE, ("[0, 1e6]", "[0, inf]"), "columns"),
        (TABLE, ("[0, 1e6]", "[0, 1e13]"), "within"),
        (TABLE, ('"income"', '"age"'), "columns name one column twice"),
        (TABLE, ('["a", "b"]', '["a", "a"]'), "labels name a class twice"),
        (TABLE, ("units = 300", "units = 300\ncolour = 1"), "colour"),
        (TABLE, ("units = 300", "units = 300\nshape = [2]"), "either columns"),
        (TABLE, ("units = 300", 'units = 300\nkind = "text"'), "texts have no shape"),
        (TABLE, ("units = 300", "units = 300\nvalue_range = [0, 1]"), "are for arrays"),
        (ARRAYS, ("value_range = [0, 16]", ""), "arrays need a value_range"),
        (ARRAYS, ("units = 300", "units = 2000-01-01"), "units"),
        (ARRAYS, ("units = 300", "units ="), "schema"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, changed: tuple[str, str], said: str
) -> None:
    assert changed[0] in text
    with pytest.raises(DataError, match=r"schema\.toml") as failure:
        schema(tmp_path, text.replace(*changed))
    assert said in str(failure.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: No such file"):
        DataSchema.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "asked",
    [
        {"labels": ["a", "b"], "features": {"shape": [2], "columns": ["age", "income"]}},
        {"labels": ["b", "z"], "features": {"shape": [1], "columns": ["income"]}},
        {"labels": ["a", "b"], "features": {"shape": [2], "columns": ["income", "age"]}},
        {
            "labels": [],
            "task": "regression",
            "family": {"name": "linear-regression"},
            "features": {"shape": [1], "columns": ["age"]},
            "output": {"column": "income", "scale": 10.0},
        },
    ],
)
def test_a_table_serves_what_asks_for_declared_columns(
    tmp_path: Path, asked: dict[str, object]
) -> None:
    schema(tmp_path, TABLE).check(specification(**asked))


@pytest.mark.parametrize(
    ("text", "asked", "said"),
    [
        (TABLE, {"labels": ["x", "y"], "features": {"shape": [2]}}, "none of the request's labels"),
        (TABLE, {"features": {"shape": [1], "columns": ["name"]}}, "no column 'name'"),
        (TABLE, {"features": {"shape": [2]}}, "the request must name its columns"),
        (TABLE, {"features": {"kind": "text", "shape": []}}, "the data are numbers"),
        (
            TABLE,
            {
                "labels": [],
                "task": "regression",
                "features": {"shape": [1], "columns": ["age"]},
                "output": {"column": "age", "scale": 1.0},
            },
            "cannot be both",
        ),
        (ARRAYS, {"features": {"shape": [2, 2]}}, "shape [8, 8]"),
        (ARRAYS, {"features": {"shape": [1], "columns": ["age"]}}, "the data are arrays"),
        (
            ARRAYS,
            {
                "labels": [],
                "task": "regression",
                "features": {"shape": [8, 8]},
                "output": {"column": "y", "scale": 1.0},
            },
            "no output is declared",
        ),
    ],
)
def test_other_requests_are_declined_by_what_is_declared(
    tmp_path: Path, text: str, asked: dict[str, object], said: str
) -> None:
    with pytest.raises(PolicyRefusal) as refusal:
        schema(tmp_path, text).check(specification(**asked))
    assert said in str(refusal.value)
