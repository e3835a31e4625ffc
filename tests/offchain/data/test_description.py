"""What a provider would publish about its data, and what stays private."""

from hashlib import sha256

import numpy as np
import pytest

from fedpact.data.description import attributes, describe
from fedpact.errors import DataError


def csv_file(folder, text):
    path = folder / "own.csv"
    path.write_text(text)
    return path


def test_a_table_is_described_by_hand(tmp_path):
    path = csv_file(tmp_path, "u,label,v,unit\n1,b,2,p\n3,a,-4,q\n5,b,6,p\n")
    found = describe(path, "things")
    assert (found.format, found.records, found.units) == ("csv", 3, 2)
    assert found.values == (-4.0, 6.0)
    assert found.histogram == {"a": 1, "b": 2}
    assert found.attributes == {
        "type": "classification",
        "category": "things",
        "size": 3,
        "features": [2],
        "columns": ["u", "v"],
        "schema": sha256(
            b'{"columns":["u","v"],"features":[2],"type":"classification"}'
        ).hexdigest(),
    }


def test_published_data_reveal_no_label_and_no_label_count(tmp_path):
    said = [
        describe(csv_file(tmp_path, f"u,label\n1,{label}\n2,{label}\n"), "things").attributes
        for label in ("ill", "well")
    ]
    assert said[0] == said[1]


def test_a_regression_is_described_by_its_range(tmp_path):
    path = csv_file(tmp_path, "u,left\n1,10\n2,30\n3,70\n")
    found = describe(path, "things", output_column="left")
    assert found.outputs == (10.0, 30.0, 70.0)
    assert found.histogram is None
    assert found.attributes["type"] == "regression"


def test_equal_records_count_once_as_units(tmp_path):
    np.savez(tmp_path / "own.npz", x=np.ones((3, 4)), y=np.array([0, 0, 1]))
    found = describe(tmp_path / "own.npz", "things")
    assert (found.records, found.units) == (3, 2)
    assert found.attributes["features"] == [4]


def test_schemas_differ_if_data_cannot_be_trained_together():
    base = ("classification", "things", 3, (2, 2), ("u",))
    others = [
        ("regression", "things", 3, (2, 2), ("u",)),
        ("classification", "things", 3, (4,), ("u",)),
        ("classification", "things", 3, (2, 2), ("w",)),
    ]
    assert all(attributes(*one)["schema"] != attributes(*base)["schema"] for one in others)
    same = attributes("classification", "others", 9, (2, 2), ("u",))
    assert same["schema"] == attributes(*base)["schema"]


@pytest.mark.parametrize("value", ["many", "nan"])
def test_outputs_that_are_not_numbers_are_refused(tmp_path, value):
    path = csv_file(tmp_path, f"u,left\n1,10\n2,{value}\n")
    with pytest.raises(DataError, match=f"example 2 has left '{value}'"):
        describe(path, "things", output_column="left")
