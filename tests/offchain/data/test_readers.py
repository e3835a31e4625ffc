"""Reading tables and NPZ files as a specification asks."""

import sys
from hashlib import sha256

import numpy as np
import pytest

from fedpact.data.readers import read_dataset
from fedpact.errors import DataError
from tests.support.specifications import specification

SPEC = specification(features={"shape": [2], "scale": 2.0})


def csv_file(folder, text):
    path = folder / "data.csv"
    path.write_text(text)
    return path


def npz_file(folder, **arrays):
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_a_table_becomes_scaled_values_and_label_indices(tmp_path):
    found = read_dataset(csv_file(tmp_path, "u,label,v\n1,a,2\n3,c,-4\n"), SPEC)
    assert found.x.dtype == np.float32
    assert found.x.tolist() == [[0.5, 1.0], [1.5, -2.0]]
    assert found.y.tolist() == [0, 2]


def test_named_columns_are_taken_in_the_order_of_the_specification(tmp_path):
    spec = specification(features={"shape": [2], "columns": ["w", "u"]})
    found = read_dataset(csv_file(tmp_path, "u,v,w,label\n1,2,3,b\n"), spec)
    assert found.x.tolist() == [[3.0, 1.0]]


def test_the_label_column_can_be_named(tmp_path):
    found = read_dataset(csv_file(tmp_path, "u,v,kind\n1,2,b\n"), SPEC, label_column="kind")
    assert found.y.tolist() == [1]


def test_arrays_are_read_with_labels_as_names_or_numbers(tmp_path):
    spec = specification(labels=["0", "1"], features={"shape": [2]})
    x = np.array([[1, 2], [3, 4]], dtype=np.uint8)
    for y in (np.array([1, 0]), np.array([1.0, 0.0]), np.array(["1", "0"])):
        found = read_dataset(npz_file(tmp_path, x=x, y=y), spec)
        assert found.y.tolist() == [1, 0]
        assert found.x.tolist() == [[1, 2], [3, 4]]


def test_a_unit_is_the_digest_of_the_raw_row_by_hand(tmp_path):
    found = read_dataset(csv_file(tmp_path, "v,u,label\n2,1,a\n"), SPEC)
    assert found.units == (sha256(b"label\x1fa\x1eu\x1f1.0\x1ev\x1f2.0").digest(),)


def test_units_do_not_depend_on_scale_columns_order_or_spelling(tmp_path):
    plain = read_dataset(csv_file(tmp_path, "u,v,label\n1,2,a\n3,4,b\n"), SPEC)
    others = [
        ("u,v,label\n1,2,a\n3,4,b\n", specification(features={"shape": [2], "scale": 9.0})),
        ("u,v,label\n1,2,a\n3,4,b\n", specification(features={"shape": [1], "columns": ["v"]})),
        ("label,v,u\na, 2.0,1e0\nb,4,3\n", SPEC),
        ("u,v,label\n3,4,b\n1,2,a\n", SPEC),
    ]
    for text, spec in others:
        assert set(read_dataset(csv_file(tmp_path, text), spec).units) == set(plain.units)


def test_array_units_do_not_depend_on_the_stored_type(tmp_path):
    spec = specification(labels=["0", "1"])
    x, y = np.array([[1, 2], [3, 4]]), np.array([0, 1])
    units = [
        read_dataset(npz_file(tmp_path, x=x.astype(kind), y=y), spec).units
        for kind in (np.uint8, np.float32, np.float64)
    ]
    assert units[0] == units[1] == units[2]
    assert len(set(units[0])) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("u,v,kind\n1,2,a\n", "no label column 'label'"),
        ("u,v,label\n1,2,z\n", "label 'z'"),
        ("u,v,label\n1,nan,a\n", "not a finite number"),
        ("u,v,label\n1,inf,a\n", "not a finite number"),
        ("u,v,label\n1,2,a\n1,2\n", "example 2 has 2 cells"),
        ("u,v,label\n1,two,a\n", "example 1"),
        ("u,v,label\n", "no examples"),
        ("", "no label column"),
        ("u,label\n1,a\n", "the specification.s shape is"),
        ("u,u,label\n1,2,a\n", "names a column twice"),
        ("u,v,label,unit\n1,2,a,\n", "example 1 has an empty 'unit'"),
        ('u,v,label\n1,"2,a\n', "data.csv"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason) as caught:
        read_dataset(csv_file(tmp_path, text), SPEC)
    assert "\n" not in str(caught.value)


def test_a_named_column_that_is_missing_is_refused(tmp_path):
    spec = specification(features={"shape": [1], "columns": ["w"]})
    with pytest.raises(DataError, match="no column 'w'"):
        read_dataset(csv_file(tmp_path, "u,label\n1,a\n"), spec)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.ones((2, 2))},
        {"x": np.ones((2, 2)), "y": np.array(["a"])},
        {"x": np.ones(2), "y": np.array(["a", "b"])},
        {"x": np.ones((1, 3)), "y": np.array(["a"])},
        {"x": np.ones((0, 2)), "y": np.array([])},
        {"x": np.full((1, 2), np.nan), "y": np.array(["a"])},
        {"x": np.ones((1, 2)), "y": np.array(["z"])},
        {"x": np.array([[{}, 1]], dtype=object), "y": np.array(["a"])},
        {"x": np.array([["1", "2"]]), "y": np.array(["a"])},
        {"x": np.ones((2, 2)), "y": np.array(["a", "b"]), "unit": np.array(["u"])},
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays):
    with pytest.raises(DataError):
        read_dataset(npz_file(tmp_path, **arrays), SPEC)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04pickle"])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_dataset(path, SPEC)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path):
    for name in ("none.csv", "none.npz", "none.parquet", "data.xlsx"):
        with pytest.raises(DataError, match=name):
            read_dataset(tmp_path / name, SPEC)


def regression(**output):
    return specification(
        task="regression",
        labels=[],
        family={"name": "linear-regression", "parameters": {}},
        output={"column": "left", "scale": 50.0, **output},
    )


def test_a_regressions_values_are_capped_and_scaled(tmp_path):
    path = csv_file(tmp_path, "u,v,left\n1,2,25\n3,4,130.5\n5,6,-10\n")
    found = read_dataset(path, regression(cap=100.0))
    assert found.y.dtype == np.float32
    assert found.y.tolist() == [0.5, 2.0, np.float32(-0.2)]
    assert found.x.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_regressions_arrays_hold_their_values_in_y(tmp_path):
    path = npz_file(tmp_path, x=np.ones((2, 2)), y=np.array([25.0, 130.5]))
    assert read_dataset(path, regression()).y.tolist() == [0.5, np.float32(2.61)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("u,v,left\n1,2,3\n1,2,many\n", "example 2 has left 'many', not a number"),
        ("u,v,left\n1,2,nan\n", "example 1 has left 'nan', not a finite"),
        ("u,v,left\n1,2,3\n1,2,\n", "example 2 has no left: add it, or leave the example out"),
        ("u,v,label\n1,2,3\n", "no label column 'left'"),
    ],
)
def test_values_that_a_regression_cannot_use_are_refused(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        read_dataset(csv_file(tmp_path, text), regression())


def test_rows_with_the_same_unit_entry_are_one_unit(tmp_path):
    first = read_dataset(csv_file(tmp_path, "u,unit,v,label\n1,p,2,a\n3,q,4,b\n5,p,6,a\n"), SPEC)
    later = read_dataset(csv_file(tmp_path, "u,v,label,unit\n7,8,a, p\n"), SPEC)
    assert first.x.shape == (3, 2)
    assert first.units[0] == first.units[2] == later.units[0]
    assert first.units[0] != first.units[1]


def test_a_named_unit_is_the_same_in_tables_and_arrays(tmp_path):
    table = read_dataset(csv_file(tmp_path, "u,v,label,unit\n1,2,a,7\n"), SPEC)
    arrays = npz_file(tmp_path, x=np.ones((1, 2)), y=np.array(["b"]), unit=np.array([7]))
    assert read_dataset(arrays, SPEC).units == table.units


def test_the_unit_column_is_not_a_feature(tmp_path):
    spec = specification(features={"shape": [2], "columns": ["u", "unit"]})
    with pytest.raises(DataError, match="'unit' cannot be a feature"):
        read_dataset(csv_file(tmp_path, "u,unit,label\n1,2,a\n"), spec)


def test_large_arrays_are_scaled_as_small_ones(tmp_path):
    spec = specification(features={"shape": [2], "scale": 255.0})
    x = np.arange(20_000, dtype=np.uint16).reshape(-1, 2)
    path = npz_file(tmp_path, x=x, y=np.full(10_000, "a"))
    assert np.array_equal(read_dataset(path, spec).x, (x / 255.0).astype(np.float32))


def test_the_first_value_that_is_not_finite_is_found_in_a_large_array(tmp_path):
    x = np.ones((10_000, 2), dtype=np.float32)
    x[7_000, 1] = np.inf
    with pytest.raises(DataError, match="example 7001"):
        read_dataset(npz_file(tmp_path, x=x, y=np.full(10_000, "a")), SPEC)


def parquet_file(folder, **columns):
    reason = "pyarrow is not installed"
    pyarrow = pytest.importorskip("pyarrow", reason=reason, exc_type=ImportError)
    parquet = pytest.importorskip("pyarrow.parquet", reason=reason, exc_type=ImportError)
    parquet.write_table(pyarrow.table(columns), folder / "data.parquet")
    return folder / "data.parquet"


def test_a_parquet_table_is_read_as_the_same_table_in_csv(tmp_path):
    path = parquet_file(tmp_path, u=[1, 3], v=[0.5, 4.0], label=["a", "c"])
    found = read_dataset(path, SPEC)
    same = read_dataset(csv_file(tmp_path, "u,v,label\n1,0.5,a\n3,4,c\n"), SPEC)
    assert found.x.tolist() == same.x.tolist()
    assert found.y.tolist() == same.y.tolist()
    assert found.units == same.units


def test_a_parquet_table_with_an_empty_cell_is_refused(tmp_path):
    path = parquet_file(tmp_path, u=[1, None], v=[2, 3], label=["a", "b"])
    with pytest.raises(DataError, match="example 2"):
        read_dataset(path, SPEC)


def test_a_parquet_file_cut_short_is_refused(tmp_path):
    path = parquet_file(tmp_path, u=[1, 3], v=[2, 4], label=["a", "c"])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"data\.parquet"):
        read_dataset(path, SPEC)


def test_without_pyarrow_a_parquet_file_is_refused_with_the_extra_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"pip install 'fedpact\[parquet\]'"):
        read_dataset(tmp_path / "data.parquet", SPEC)
