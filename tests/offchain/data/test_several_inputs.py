"""Examples of several inputs: a text beside numbers, static columns beside a window of rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from fedpact.data.declared import DeclaredData
from fedpact.data.readers import read_dataset
from fedpact.data.schema_draft import as_toml
from fedpact.data.snapshot_file import read_snapshot, write_snapshot
from fedpact.errors import DataError, PolicyRefusal, SpecificationError
from fedpact.features.networks.pinned import MINILM
from fedpact.learning.families import family_of, privacy_statement
from fedpact.requester.draft import Draft
from fedpact.requester.queries import queries_of, read_queries
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema
from fedpact.types.series import Series
from fedpact.types.specification import Specification
from tests.support.specifications import specification

ROWS = (
    "machine,hour,heat,site,note,label\n"
    'A,1,10,x,"Oil leaks, bearing hums",ok\n'
    "A,2,20,x,bearing hums,ok\n"
    "A,3,30,x,,bad\n"
    "B,1,40,,belt torn,ok\n"
    "B,2,50,y,belt torn twice,bad\n"
)
HEAT: dict[str, Any] = {"name": "heat", "range": [0.0, 100.0]}
SITE: dict[str, Any] = {"name": "site", "type": "category", "values": ["x", "y"]}
NOTE: dict[str, Any] = {
    "name": "note",
    "type": "text",
    "encoding": "words",
    "buckets": 64,
    "weight": 1.5,
}
HOUR: dict[str, Any] = {"name": "hour", "type": "integer", "range": [0.0, 9.0]}
WINDOWS = {"window": 2, "stride": 1, "by": "machine", "order": "hour", "static": ["site", "note"]}


def columns(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        ColumnSchema.model_validate_json(json.dumps(one)).model_dump(mode="json") for one in given
    ]


def asking(*given: dict[str, Any], shape: tuple[int, ...], **features: Any) -> Specification:
    asked = {"shape": list(shape), "table": columns(*given)} | features
    return specification(labels=["ok", "bad"], features=asked)


def schema(*given: dict[str, Any], **changes: Any) -> DataSchema:
    fields: dict[str, Any] = {
        "data_id": "00" * 16,
        "category": "machines",
        "units": 9,
        "unit": "record",
        "labels": ("ok", "bad"),
        "columns": columns(*(given or (HEAT, SITE, NOTE, HOUR))),
    }
    return DataSchema.model_validate_json(json.dumps(fields | changes))


SERIES = {
    "unit": "machine",
    "examples_per_unit": 9,
    "series": Series(by="machine", order="hour").model_dump(),
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def test_a_text_beside_numbers_is_the_same_input_at_every_party(own: Path) -> None:
    spec = asking(HEAT, NOTE, shape=(65,))
    found = DeclaredData.read(own, schema()).dataset(spec).x
    assert found[:, 0] == pytest.approx([-0.8, -0.6, -0.4, -0.2, 0.0])
    lengths = np.linalg.norm(found[:, 1:], axis=1)
    assert lengths == pytest.approx([1.5, 1.5, 0, 1.5, 1.5])
    assert np.count_nonzero(found[0, 1:]) > np.count_nonzero(found[1, 1:]) >= 2
    frame = pd.read_csv(own)[["note", "site", "heat"]]
    for other in (
        read_dataset(own, spec).x,
        read_queries(own, spec).x,
        queries_of(frame, spec).x,  # in another order, with NaN in place of the empty note
    ):
        assert np.array_equal(other, found)


def test_a_window_comes_with_the_static_columns_of_its_last_row(own: Path) -> None:
    spec = asking(HEAT, SITE, NOTE, shape=(2 + 2 + 64,), series=WINDOWS)
    data = DeclaredData.read(own, schema(**SERIES))
    found = data.dataset(spec)
    assert found.x[:, :2].tolist() == pytest.approx(
        np.array([[-0.8, -0.6], [-0.6, -0.4], [-0.2, 0.0]])
    )
    # The first row of B lacks its site, which only the window's last row needs.
    assert found.x[:, 2:4].tolist() == [[1, 0], [1, 0], [0, 1]]
    notes = DeclaredData.read(own, schema()).dataset(asking(HEAT, NOTE, shape=(65,))).x[:, 1:]
    assert np.array_equal(found.x[:, 4:], notes[[1, 2, 4]])
    assert found.y.tolist() == [0, 1, 1]
    own.write_text(ROWS.replace("B,1,40,,", "B,1,40,x,"), encoding="utf-8")
    for read in (read_dataset, read_queries):
        assert np.array_equal(read(own, spec).x, found.x)


def test_the_parts_of_an_example_have_documented_places() -> None:
    spec = asking(HEAT, SITE, NOTE, shape=(68,), series=WINDOWS)
    parts = {part.name: part for part in spec.features.parts}
    assert {name: (part.start, part.shape) for name, part in parts.items()} == {
        "window": (0, (2, 1)),
        "columns": (2, (2,)),
        "note": (4, (64,)),
    }
    x = np.arange(136, dtype=np.float32).reshape(2, 68)
    assert parts["window"].of(x).tolist() == [[[0], [1]], [[68], [69]]]
    assert torch.equal(parts["note"].of(torch.tensor(x)), torch.tensor(x[:, 4:]))
    plain = specification(features={"shape": [3, 2]}).features.parts
    assert [(part.name, part.shape) for part in plain] == [("columns", (3, 2))]


@pytest.mark.parametrize(
    ("given", "features", "said"),
    [
        ([NOTE, HEAT], {"shape": [65]}, "columns of rows come first, then static ones, then texts"),
        (
            [HEAT, NOTE],
            {"shape": [2, 65], "series": {**WINDOWS, "static": []}},
            "'note' is a text: a window has one",
        ),
        ([HEAT], {"shape": [2], "series": {**WINDOWS, "static": ["x"]}}, "'x' is not in table"),
        ([HEAT], {"shape": [1], "series": {**WINDOWS, "static": ["heat"]}}, "all columns are"),
        ([HEAT, NOTE], {"shape": [64]}, "become 65 inputs"),
    ],
)
def test_a_specification_says_its_parts_in_order(
    given: list[dict[str, Any]], features: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecificationError, match=said):
        specification(features={"table": columns(*given), **features})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "identifier"}, "only texts have an encoding"),
        ({"buckets": 100}, "a power of two, not 100"),
        ({"encoding": "sentences"}, "buckets go with"),
        ({"encoding": None, "buckets": None}, "weight goes with an encoding"),
        ({"encoding": "sentences", "buckets": None}, "digest goes with"),
        ({"missing": "indicator"}, "takes no `missing`"),
    ],
)
def test_a_text_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ColumnSchema.model_validate_json(json.dumps(NOTE | changes))


def test_a_text_without_an_encoding_stays_what_it_was() -> None:
    plain = ColumnSchema(name="note", type="text")
    assert not plain.is_input
    assert plain.model_dump(mode="json") == {"name": "note", "type": "text", "source": None}


def test_a_text_that_its_owner_does_not_offer_is_declined() -> None:
    spec = asking(HEAT, NOTE, shape=(65,))
    with pytest.raises(PolicyRefusal, match="no column 'note' is declared as an input"):
        schema(HEAT, {"name": "note", "type": "text"}).check(spec)
    schema(HEAT, {**NOTE, "buckets": 128, "weight": 9.0}).check(spec)  # the request's rules count


def test_no_regression_predicts_a_text() -> None:
    given = {"table": columns(HEAT), "shape": [1]}
    output = {"column": "note", "scale": 1.0}
    spec = specification(
        task="regression",
        labels=[],
        features=given,
        output=output,
        family={"name": "linear-regression"},
    )
    with pytest.raises(PolicyRefusal, match="'note' is a text"):
        schema().check(spec)


def test_a_records_text_is_part_of_its_identity_and_of_a_snapshot(
    own: Path, tmp_path: Path
) -> None:
    first = DeclaredData.read(own, schema())
    own.write_text(ROWS.replace("belt torn twice", "belt torn"), encoding="utf-8")
    second = DeclaredData.read(own, schema())
    assert [a == b for a, b in zip(first.units, second.units, strict=True)] == [True] * 4 + [False]
    write_snapshot(tmp_path / "kept", first)
    spec = asking(HEAT, NOTE, shape=(65,))
    assert np.array_equal(read_snapshot(tmp_path / "kept").dataset(spec).x, first.dataset(spec).x)


def test_a_text_of_many_digits_is_read(own: Path) -> None:
    own.write_text(ROWS.replace("belt torn twice", "9" * 10_000), encoding="utf-8")
    assert len(set(DeclaredData.read(own, schema()).units)) == 5


def test_arrays_hold_no_texts(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((3, 4)), y=np.array(["ok"] * 3))
    with pytest.raises(DataError, match="'note' is one: give a table"):
        DeclaredData.read(tmp_path / "own.npz", schema())


def test_a_draft_puts_the_columns_of_a_schema_in_order(own: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(as_toml(schema(NOTE, SITE, HEAT, HOUR)), encoding="utf-8")
    features: dict[str, Any] = {
        "schema": "s.toml",
        "columns": ["note", "site", "heat"],
        "series": WINDOWS,
    }
    fields = {
        name: value
        for name, value in specification(labels=["ok", "bad"]).model_dump(mode="json").items()
        if name not in ("version", "evaluation", "queries", "initial_model")
    }
    (tmp_path / "draft.json").write_text(json.dumps({**fields, "features": features}))
    asked = Draft.read(tmp_path / "draft.json").specification.features
    assert asked.names == ("heat", "site", "note")
    assert asked.shape == (68,)
    features["series"] = {"window": 2}
    (tmp_path / "draft.json").write_text(json.dumps({**fields, "features": features}))
    with pytest.raises(SpecificationError, match=r"features\.series"):
        Draft.read(tmp_path / "draft.json")


def test_sentences_name_their_network_and_what_no_promise_covers(own: Path) -> None:
    pytest.importorskip("all_minilm_l6_v2")
    pytest.importorskip("tokenizers")
    read = {"name": "note", "type": "text", "encoding": "sentences", "digest": MINILM.digest}
    spec = asking(HEAT, read, shape=(385,))
    family_of(spec).check(spec)
    assert family_of(spec).network(spec) == (MINILM.name, MINILM.digest)
    assert "is not covered" in privacy_statement(spec)
    assert "is not covered" not in privacy_statement(asking(HEAT, NOTE, shape=(65,)))
    found = DeclaredData.read(own, schema()).dataset(spec).x
    assert np.linalg.norm(found[:, 1:], axis=1) == pytest.approx([2] * 5, abs=1e-5)
    notes = found[[3, 4, 1], 1:]  # belt torn, belt torn twice, bearing hums
    assert notes[0] @ notes[1] > notes[0] @ notes[2]
    wrong = asking(HEAT, read | {"digest": "0" * 64}, shape=(385,))
    with pytest.raises(SpecificationError, match="is unknown"):
        family_of(wrong).check(wrong)
