"""Records under a schema: clamped or left out, and never a reason to fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.data.declared import DeclaredData
from fedpact.data.schema_draft import as_toml, propose
from fedpact.errors import DataError, InvalidInput, PolicyRefusal
from fedpact.types.columns import ColumnSchema
from fedpact.types.layout import FileLayout
from fedpact.types.schema import DataSchema
from tests.support.specifications import specification

ID = "00112233445566778899aabbccddeeff"
SPEC = specification(
    labels=["a", "b"],
    features={"shape": [2], "columns": ["age", "income"], "scale": 2.0},
    privacy={"mode": "none"},
)


def table_schema(**changes: Any) -> DataSchema:
    return DataSchema(
        **{
            "data_id": ID,
            "category": "people",
            "units": 5,
            "unit": "record",
            "labels": ("a", "b"),
            "columns": (
                ColumnSchema(name="age", range=(0.0, 100.0)),
                ColumnSchema(name="income", range=(0.0, 1000.0)),
            ),
            **changes,
        }
    )


def read(folder: Path, rows: str, **changes: Any) -> DeclaredData:
    path = folder / "data.csv"
    path.write_text("age,income,note,label\n" + rows)
    return DeclaredData.read(path, table_schema(**changes))


def test_values_are_clamped_to_their_range_and_scaled(tmp_path: Path) -> None:
    found = read(tmp_path, "-5,2000,x,a\n50,1e300,y,b\n").dataset(SPEC)
    assert found.x.tolist() == [[0.0, 500.0], [25.0, 500.0]]
    assert found.y.tolist() == [0, 1]


@pytest.mark.parametrize("cell", ["", "abc", "nan", "inf", "-inf"])
def test_a_record_without_a_finite_number_does_not_count(tmp_path: Path, cell: str) -> None:
    found = read(tmp_path, f"1,{cell},x,a\n2,3,y,b\n").dataset(SPEC)
    assert found.x.tolist() == [[1.0, 1.5]]
    assert found.unit_count == 5


def test_a_cell_of_a_column_that_is_not_asked_for_does_no_harm(tmp_path: Path) -> None:
    spec = specification(labels=["a", "b"], features={"shape": [1], "columns": ["age"]})
    assert len(read(tmp_path, "1,abc,x,a\n2,3,y,b\n").dataset(spec)) == 2


@pytest.mark.parametrize("label", ["c", "", "z"])
def test_a_label_that_is_not_asked_for_or_not_declared_does_not_count(
    tmp_path: Path, label: str
) -> None:
    spec = specification(labels=["a", "c"], features={"shape": [2], "columns": ["age", "income"]})
    data = read(tmp_path, f"1,2,x,{label}\n2,3,y,a\n3,4,y,b\n")
    assert data.dataset(spec).y.tolist() == [0]


def test_a_specification_without_any_usable_record_gets_an_empty_data_set(tmp_path: Path) -> None:
    found = read(tmp_path, "x,2,x,a\n").dataset(SPEC)
    assert (found.x.shape, len(found), found.unit_count) == ((0, 2), 0, 5)


def test_only_the_declared_number_of_examples_of_a_unit_counts(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age,income,label,who\n1,2,a,x\n2,2,a,x\n3,2,a,x\n4,2,a,y\n")
    data = DeclaredData.read(path, table_schema(unit="who", examples_per_unit=2))
    assert data.dataset(SPEC).x[:, 0].tolist() == [0.5, 1.0, 2.0]
    assert data.misfits.beyond_unit == 1


def test_a_regression_takes_any_declared_column(tmp_path: Path) -> None:
    spec = specification(
        labels=[],
        task="regression",
        family={"name": "linear-regression", "parameters": {}},
        features={"shape": [1], "columns": ["age"]},
        output={"column": "income", "scale": 10.0},
    )
    found = read(tmp_path, "1,50,x,a\n2,9999,y,b\n3,?,y,b\n").dataset(spec)
    assert found.x.tolist() == [[1.0], [2.0]]
    assert found.y.tolist() == [5.0, 100.0]


def test_a_tiny_scale_overflows_nothing(tmp_path: Path) -> None:
    spec = specification(
        labels=["a", "b"], features={"shape": [2], "columns": ["age", "income"], "scale": 1e-6}
    )
    assert np.isfinite(read(tmp_path, "1,2,x,a\n").dataset(spec).x).all()


def test_more_units_than_declared_are_refused_when_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 privacy units, the schema declares 1"):
        read(tmp_path, "1,2,x,a\n2,3,x,a\n", units=1)


def test_a_unit_that_the_file_does_not_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing there names units"):
        read(tmp_path, "1,2,x,a\n", unit="patient")


def test_arrays_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=np.arange(2))
    arrays = DataSchema(
        data_id=ID, category="c", units=2, labels=("0", "1"), shape=(4,), value_range=(0.0, 1.0)
    )
    with pytest.raises(DataError, match=r"shape \[3\], the schema says \[4\]"):
        DeclaredData.read(tmp_path / "a.npz", arrays)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(width=64), min_size=4, max_size=4),
    scale=st.floats(min_value=1e-6, max_value=1e12),
)
def test_whatever_arrays_hold_becomes_finite_or_is_left_out(
    values: list[float], scale: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    np.savez(folder / "a.npz", x=np.array(values).reshape(2, 2), y=np.array(["a", "b"]))
    arrays = DataSchema(
        data_id=ID, category="c", units=9, labels=("a", "b"), shape=(2,), value_range=(-7.0, 7.0)
    )
    spec = specification(labels=["a", "b"], features={"shape": [2], "scale": scale})
    found = DeclaredData.read(folder / "a.npz", arrays).dataset(spec)
    assert np.isfinite(found.x).all()
    assert found.unit_count == 9
    assert len(found) == np.isfinite(np.array(values).reshape(2, 2)).all(axis=1).sum()


# ---------------------------------------------------------------------- proposals


def test_a_proposal_can_be_read_back_and_covers_the_records(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age,income,note,label\n41,10,x,a\n20,2123,y,b\n")
    proposed = propose(path, "people", unit="record")
    (tmp_path / "schema.toml").write_text(as_toml(proposed))
    found = DataSchema.read(tmp_path / "schema.toml")
    assert found == proposed
    assert [column.name for column in found.columns] == ["age", "income"]
    misfits = DeclaredData.read(path, found).misfits
    assert (misfits.unusable, misfits.outside, misfits.undeclared_labels) == (0, 0, 0)


def test_a_table_needs_its_unit_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age,label\n41,a\n20,b\n")
    with pytest.raises(InvalidInput, match="--unit record"):
        propose(path, "people")
    assert propose(path, "people", unit="record").unit == "record"


def test_units_of_several_examples_are_proposed_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age,label,who\n41,a,x\n20,b,x\n30,b,y\n")
    found = propose(path, "people", unit="who")
    assert (found.units, found.examples_per_unit, found.unit) == (2, 2, "who")


def test_a_regression_is_proposed_with_its_output_among_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age,income\n41,10\n20,2123\n")
    found = propose(path, "people", output_column="income", unit="record")
    assert [column.name for column in found.columns] == ["age", "income"]
    assert found.labels == ()


def test_a_request_that_names_no_columns_cannot_have_a_table(tmp_path: Path) -> None:
    """Columns in another order at another provider were trusted."""
    spec = specification(labels=["a", "b"], features={"shape": [2]})
    with pytest.raises(PolicyRefusal, match="the request must name its columns"):
        table_schema().check(spec)


def test_columns_are_matched_by_name_and_others_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("label,note,income,age\na,x,200,50\n")
    found = DeclaredData.read(path, table_schema())
    assert found.dataset(SPEC).x.tolist() == [[25.0, 100.0]]
    assert "columns that are not used: 'note'" in caplog.text


def test_a_file_is_read_as_its_schema_says_and_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age;income;label\n1,5;1.000;a\n", encoding="utf-16")
    layout = FileLayout(encoding="utf-16", separator=";", decimal=",", thousands=".")
    found = DeclaredData.read(path, table_schema(file=layout)).dataset(SPEC)
    assert found.x.tolist() == [[0.75, 500.0]]
    with pytest.raises(DataError, match="is not utf-8"):
        DeclaredData.read(path, table_schema())


@pytest.mark.parametrize("label", ["1.0", "1"])
def test_a_label_counts_however_its_number_is_written(tmp_path: Path, label: str) -> None:
    spec = specification(labels=["0", "1"], features={"shape": [1], "columns": ["age"]})
    data = read(tmp_path, f"1,2,x,{label}\n", labels=("0", "1"))
    assert data.dataset(spec).y.tolist() == [1]
