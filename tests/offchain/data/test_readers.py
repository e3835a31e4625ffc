"""Reading CSV and NPZ files as a specification asks."""

from hashlib import sha256

import numpy as np
import pytest

from fedpact.data.readers import read_dataset
from fedpact.errors import DataError
from specifications import specification

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
        ("u,v,label\n1,nan,a\n", "not finite"),
        ("u,v,label\n1,inf,a\n", "not finite"),
        ("u,v,label\n1,2,a\n1,2\n", "example 2 has 2 cells"),
        ("u,v,label\n1,two,a\n", "example 1"),
        ("u,v,label\n", "no examples"),
        ("", "no label column"),
        ("u,label\n1,a\n", "do not fill the shape"),
        ("u,u,label\n1,2,a\n", "names a column twice"),
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
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays):
    with pytest.raises(DataError):
        read_dataset(npz_file(tmp_path, **arrays), SPEC)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04pickle"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_dataset(path, SPEC)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path):
    for name in ("none.csv", "none.npz", "data.parquet"):
        with pytest.raises(DataError, match=name):
            read_dataset(tmp_path / name, SPEC)
