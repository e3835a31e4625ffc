"""A fetched model applied to queries."""

import csv
import io
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.documents import documents, pack
from fedpact.errors import DataError, ModelError, NotReady
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.artefact import encode
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.requester import model_file
from fedpact.requester.answer import answer, answer_file, as_csv, as_json
from fedpact.requester.model import Model
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.queries import read_queries, were_asked
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import draft
from tests.support.specifications import specification
from tests.support.text_examples import LABELS, text_dataset


@pytest.fixture
def spec() -> Specification:
    features = {"shape": [2], "scale": 2.0, "columns": ["a", "b"]}
    return draft(features=features).specification


@pytest.fixture
def model(tmp_path: Path, spec: Specification) -> Path:
    """Label red where the first value is largest, green by the second, blue where both are low."""
    weights: Weights = {
        "output.weight": np.array([[9, 0], [0, 9], [-9, -9]], dtype=np.float32),
        "output.bias": np.zeros(3, dtype=np.float32),
    }
    path = tmp_path / "model.safetensors"
    fetched = FetchedModel(1, "00", spec, "bafy", 3, 120, ("0x0",), path)
    model_file.write(path, encode(weights), fetched.facts())
    return path


def test_csv_and_npz_get_the_same_answers(model: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("a,b\n2,0\n0,2\n-2,-2\n")
    np.savez(tmp_path / "q.npz", x=np.array([[2, 0], [0, 2], [-2, -2]]))

    from_csv = answer_file(model, tmp_path / "q.csv")

    assert from_csv.labels == ["red", "green", "blue"]
    assert from_csv.columns == answer_file(model, tmp_path / "q.npz").columns
    assert all(0.99 < one <= 1 for one in from_csv.columns["probability"])


def test_answers_are_written_as_csv_or_json(model: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("a,b\n2,0\n0,2\n")
    answers = answer_file(model, tmp_path / "q.csv")

    rows = list(csv.DictReader(io.StringIO(as_csv(answers))))
    objects = json.loads(as_json(answers))

    assert [row["label"] for row in rows] == [one["label"] for one in objects] == ["red", "green"]
    assert [row["row"] for row in rows] == ["0", "1"]
    assert [row["quality"] for row in rows] == ["0.988000"] * 2  # 120 of 10,000 were wrong


def test_a_regression_answers_with_values_in_the_unit_of_its_column(tmp_path: Path) -> None:
    spec = specification(
        task="regression",
        labels=[],
        features={"shape": [2], "columns": ["a", "b"]},
        output={"column": "life", "scale": 125.0, "cap": 125.0},
        family={"name": "linear-regression"},
        initial_model="none",
    )
    weights: Weights = {
        "output.weight": np.array([[0.5, 0]], dtype=np.float32),
        "output.bias": np.array([0.1], dtype=np.float32),
    }
    (tmp_path / "q.csv").write_text("a,life,b\n1,7,0\n0,9,3\n")
    path = tmp_path / "model.safetensors"
    fetched = FetchedModel(1, "00", spec, "bafy", 3, 800, ("0x0",), path)
    model_file.write(path, encode(weights), fetched.facts())
    model = Model(path)
    answers = answer(model, read_queries(tmp_path / "q.csv", spec))
    assert answers.columns["value"] == [pytest.approx(75), pytest.approx(12.5)]
    assert answers.columns["mean_error"] == [10.0, 10.0]
    assert as_csv(answers) == (
        "row,value,mean_error\n0,75.000000,10.000000\n1,12.500000,10.000000\n"
    )


def test_queries_are_scaled_as_the_training_data(tmp_path: Path, spec: Specification) -> None:
    (tmp_path / "q.csv").write_text("a,b\n2,1\n")
    assert read_queries(tmp_path / "q.csv", spec).x.tolist() == [[1.0, 0.5]]


def test_a_label_column_is_passed_over(tmp_path: Path, spec: Specification) -> None:
    (tmp_path / "q.csv").write_text("a,label,b\n2,red,1\n")
    assert read_queries(tmp_path / "q.csv", spec).x.tolist() == [[1.0, 0.5]]


def test_a_table_without_named_columns_is_refused(tmp_path: Path) -> None:
    """Its columns were taken in the file's order."""
    (tmp_path / "q.csv").write_text("b,a\n2,1\n")
    with pytest.raises(DataError, match="the request names no columns"):
        read_queries(tmp_path / "q.csv", draft().specification)


def test_queries_are_read_as_data_are_and_further_columns_are_said(
    tmp_path: Path, spec: Specification, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "q.csv").write_text("b;note;a\n1,5;x;2\n", encoding="utf-16")
    assert read_queries(tmp_path / "q.csv", spec).x.tolist() == [[1.0, 0.75]]
    assert "columns that are not used: 'note'" in caplog.text


def test_named_columns_are_taken_in_the_specifications_order(tmp_path: Path) -> None:
    features = {"columns": ["b", "a"], "shape": [2], "scale": 1.0}
    spec = draft(features=features).specification
    (tmp_path / "q.csv").write_text("a,b,c\n1,2,3\n")
    assert read_queries(tmp_path / "q.csv", spec).x.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no examples"),
        ("a,b\n", "no examples"),
        ("a,b\n1\n", "q.csv"),
        ("a,b\n1,2,3\n", "q.csv"),
        ("a,b\n3,4\n1,x\n", "example 2: column 'b' is not a finite number"),
        ("a,b\n1,nan\n", "not a finite number"),
        ("a\n1\n", "no column 'b'"),
    ],
)
def test_queries_that_cannot_be_used_are_refused(
    tmp_path: Path, spec: Specification, text: str, said: str
) -> None:
    (tmp_path / "q.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_queries(tmp_path / "q.csv", spec)


def test_other_files_are_refused(tmp_path: Path, spec: Specification) -> None:
    (tmp_path / "q.doc").touch()
    with pytest.raises(DataError, match=r"a table, \.npz"):
        read_queries(tmp_path / "q.doc", spec)
    with pytest.raises(DataError, match="No such file"):
        read_queries(tmp_path / "q.csv", spec)
    (tmp_path / "q.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError):
        read_queries(tmp_path / "q.npz", spec)
    np.savez(tmp_path / "q.npz", z=np.zeros(2))
    with pytest.raises(DataError, match="array x"):
        read_queries(tmp_path / "q.npz", spec)
    np.savez(tmp_path / "q.npz", x=np.array([object()]))
    with pytest.raises(DataError):
        read_queries(tmp_path / "q.npz", spec)


def test_a_model_that_is_not_there_or_damaged_is_refused(model: Path, tmp_path: Path) -> None:
    queries = tmp_path / "q.csv"
    queries.write_text("a,b\n1,2\n")
    with pytest.raises(NotReady):
        answer_file(tmp_path / "none.safetensors", queries)
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ModelError):
        answer_file(model, queries)
    model_file.facts_path(model).write_text("[]")
    with pytest.raises(ModelError):
        answer_file(model, queries)


# ---------------------------------------------------------------------- texts


@pytest.fixture
def text_model(tmp_path: Path) -> Path:
    """Class sums of small texts about sea, sky and land."""
    queries = sha256(b"a tide\n").hexdigest()
    spec = specification(
        labels=list(LABELS),
        features={"kind": "text", "shape": []},
        family={"name": "text-statistics", "parameters": {"bits": 11}},
        local={"construction_seed": 0},
        aggregation={"name": "class-sums"},
        queries=queries,
        initial_model="none",
    )
    weights = train_local(
        LocalTraining(spec, {}, text_dataset(90, 0), noise=None, round_and_seat=(1, 0))
    )
    path = tmp_path / "texts.safetensors"
    fetched = FetchedModel(1, "00", spec, "bafy", 1, None, ("0x0",), path)
    model_file.write(path, encode(weights), fetched.facts())
    return path


def test_texts_are_answered_from_every_kind_of_file(text_model: Path, tmp_path: Path) -> None:
    asked = ["the anchor of a schooner", "thunder, a cloud", "meadow\x00 tractor hedge"]
    (tmp_path / "q.txt").write_text("\n".join(asked) + "\n\n")
    with (tmp_path / "q.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(asked)])
    np.savez(tmp_path / "q.npz", **pack(documents(asked)))
    answers = answer_file(text_model, tmp_path / "q.csv")
    assert answers.labels == ["sea", "sky", "land"]
    assert answers.columns["id"] == ["0", "1", "2"]
    for name in ("q.txt", "q.npz"):
        others = answer_file(text_model, tmp_path / name)
        assert others.found.tolist() == answers.found.tolist()
    assert as_csv(answers).splitlines()[1].startswith("0,0,sea,0.9")


def test_the_requests_own_queries_are_known_by_their_digest(
    text_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_bytes(b"a tide\n")
    (tmp_path / "fresh.txt").write_bytes(b"a tide \n")
    spec = model_file.specification(text_model)
    assert were_asked(tmp_path / "own.txt", spec)
    assert not were_asked(tmp_path / "fresh.txt", spec)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.csv", "a,b\n1,2\n", "no column 'text': the request is about texts"),
        ("q.csv", "a,text\n1\n", "example 1 has 1 cells, the header 2"),
        ("q.csv", "text\n", "no examples"),
        ("q.txt", " \n\n", "contains no texts"),
        ("q.json", "[]", "no examples"),
        ("q.doc", "", "a table, .npz, or for texts .txt is needed"),
        ("q.npz", "no archive", "q.npz"),
    ],
)
def test_a_query_set_of_another_schema_is_refused(
    text_model: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        answer_file(text_model, tmp_path / name)


def test_numbers_and_texts_are_not_interchangeable(
    text_model: Path, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "numbers.npz", x=np.zeros((2, 2)))
    with pytest.raises(DataError, match="must contain packed texts"):
        answer_file(text_model, tmp_path / "numbers.npz")
    np.savez(tmp_path / "texts.npz", **pack(documents(["a tide"])))
    with pytest.raises(DataError, match="must contain an array x of numbers"):
        answer_file(model, tmp_path / "texts.npz")
    (tmp_path / "q.csv").write_text("text\na tide\n")
    with pytest.raises(DataError, match="no column"):
        answer_file(model, tmp_path / "q.csv")


def test_a_long_or_empty_query_and_one_of_stop_words_are_answered(
    text_model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "q.npz", **pack(documents(["", "the of and", "tide \x1b" * 1_600_000])))
    answers = answer_file(text_model, tmp_path / "q.npz")
    assert answers.labels[2] == "sea"
    first, second, _ = answers.columns["probability"]
    assert first == second == pytest.approx(1 / 3, abs=0.01)
