"""A fetched model in Python: scikit-learn's conventions, columns by name, the same answers as the
command line's."""

import csv
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as theirs
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.inspection import permutation_importance
from sklearn.utils.validation import check_is_fitted

from fedpact.cli.main import run
from fedpact.demo import plant_data
from fedpact.errors import DataError, InvalidInput, ModelError, NotReady
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.artefact import encode
from fedpact.learning.families import family_of
from fedpact.requester import model_file
from fedpact.requester.draft import Draft
from fedpact.requester.model import Model
from fedpact.requester.model_file import FetchedModel, facts_path
from fedpact.requester.thresholds import Decisions
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import draft
from tests.support.specifications import specification

COLUMNS = [one.name for one in plant_data.COLUMNS]


def written(
    folder: Path,
    spec: Specification,
    weights: Weights | None = None,
    decisions: Decisions | None = None,
    error: int | None = 1_200,
) -> Model:
    """A model file with its description; without weights, random ones."""
    if weights is None:
        random = np.random.default_rng(5)
        shapes = family_of(spec).template(spec).tensors
        weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes}
    path = folder / "model.safetensors"
    found = FetchedModel(1, "00", spec, "bafy", 3, error, ("0x0",), path, decisions)
    model_file.write(found.path, encode(weights), found.facts())
    return Model(path)


def plants_model(folder: Path, **fields: Any) -> Model:
    asked = Draft.proposed(plant_data.schema(100, "0" * 32), 2.0, **fields)
    decisions = Decisions(0.5, (0.2, -0.2), (0.3, 0.7), 400)
    return written(folder, asked.specification, decisions=decisions)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return plants_model(tmp_path)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return pd.read_csv(plant_data.write_rows(tmp_path / "rows.csv", 60, 7))


# ---------------------------------------------------------------------- conventions


def test_it_stands_in_for_a_fitted_classifier(model: Model, frame: pd.DataFrame) -> None:
    assert is_classifier(model)
    assert not is_regressor(model)
    check_is_fitted(model)
    assert model.classes_.tolist() == ["fails", "works"]
    assert model.feature_names_in_.tolist() == COLUMNS
    assert model.n_features_in_ == len(COLUMNS)
    said, shares = model.predict(frame), model.predict_proba(frame)
    assert shares.shape == (60, 2)
    assert shares.sum(axis=1) == pytest.approx(1)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc"):
        theirs.get_scorer(name)(model, frame, frame["label"])
    assert model.score(frame, frame["label"]) == theirs.accuracy_score(frame["label"], said)
    found = permutation_importance(model, frame, frame["label"], n_repeats=2, random_state=0)
    by_name = dict(zip(frame.columns, found.importances_mean, strict=True))
    assert by_name["machine"] == by_name["label"] == 0
    again = clone(model)
    assert again.predict(frame).tolist() == said.tolist()
    assert pickle.loads(pickle.dumps(model)).predict(frame).tolist() == said.tolist()
    assert again.get_params() == {"path": model.path, "device": "cpu"}
    assert again.set_params(path=str(model.path)).predict(frame).tolist() == said.tolist()
    with pytest.raises(InvalidInput, match="not depth"):
        model.set_params(depth=3)
    with pytest.raises(ModelError, match="not fitted again"):
        model.fit(frame, frame["label"])


def test_columns_of_probabilities_are_in_the_order_of_classes(
    model: Model, frame: pd.DataFrame
) -> None:
    """The request names its labels works, fails; scikit-learn's metrics take columns as sorted."""
    p = model.raw(model.queries(frame).x)
    assert model.specification.labels == ("works", "fails")
    assert model.predict_proba(frame)[:, 1].tolist() == p[:, 0].tolist()
    expected = -np.log(np.where(frame["label"] == "works", p[:, 0], p[:, 1])).mean()
    assert theirs.log_loss(frame["label"], model.predict_proba(frame)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "1"], [1, 9, 10]),
        (["3.0", "1"], [1, 3]),
        (["True", "False"], [False, True]),
        (["yes", "no"], ["no", "yes"]),
        (["1", "b"], ["1", "b"]),
    ],
)
def test_labels_have_the_type_that_a_frame_gives_them(
    tmp_path: Path, labels: list[str], classes: list[Any]
) -> None:
    spec = draft(labels=labels, features={"shape": [2], "columns": ["a", "b"]}).specification
    model = written(tmp_path, spec)
    assert model.classes_.tolist() == classes
    rows = pd.DataFrame({"a": [1.0, -3.0], "b": [2.0, 5.0]})
    places = [classes.index(one) for one in model.predict(rows).tolist()]
    assert places == model.predict_proba(rows).argmax(axis=1).tolist()


def test_a_regression_predicts_in_the_unit_of_its_column(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    asked = Draft.proposed(plant_data.schema(100, "0" * 32), 2.0, output="torque")
    model = written(tmp_path, asked.specification)
    assert is_regressor(model)
    assert "torque" not in model.feature_names_in_
    assert model.error == pytest.approx(0.12 * 10)
    family = family_of(model.specification)
    raw = family.predict(model.specification, model.weights, model.queries(frame).x)
    assert model.predict(frame) == pytest.approx(raw[:, 0] * 10)
    assert model.score(frame, frame["torque"]) < 1
    assert not hasattr(model, "classes_")
    with pytest.raises(AttributeError, match="no predict_proba"):
        model.predict_proba(frame)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="does not exist"):
        Model(tmp_path / "none.safetensors")
    for folder in (tmp_path, "."):
        with pytest.raises(ModelError, match="is a folder"):
            Model(folder)


# ---------------------------------------------------------------------- what it takes


def test_further_columns_are_told_once(
    model: Model, frame: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    for rows in (frame, frame, frame.assign(site=1)):
        model.predict(rows)
    told = [one.getMessage().partition(": ")[2] for one in caplog.records]
    said = "columns that are not used: 'machine'"
    assert told == [said, f"{said}, 'site'"]


def test_columns_are_matched_by_name_in_frames_of_any_library(
    model: Model, frame: pd.DataFrame
) -> None:
    expected = model.predict_proba(frame).tolist()
    shuffled = frame[list(reversed(frame.columns))]
    assert model.predict_proba(shuffled).tolist() == expected
    assert model.predict_proba(frame.set_index("machine")).tolist() == expected
    assert model.predict_proba(pa.Table.from_pandas(shuffled)).tolist() == expected
    typed = shuffled.astype({"kind": "category", "wear": "Int64"})
    assert model.predict_proba(typed).tolist() == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="heat"), "no column 'heat'"),
        (lambda f: f.rename(columns={"heat": "Heat"}), "no column 'heat'"),
        (lambda f: f.assign(heat=np.nan), "column 'heat' has no value"),
        (lambda f: f.assign(kind="X"), "column 'kind' has a value that its declaration"),
        (lambda f: f.iloc[:0], "no examples"),
        (lambda f: f.set_axis(range(len(f.columns)), axis=1), "a column is called 0"),
        (lambda f: f.set_axis(["heat"] * len(f.columns), axis=1), "two columns are called 'heat'"),
        (lambda f: f[COLUMNS].to_numpy(), "the model's columns have names"),
        (lambda f: f[COLUMNS].to_numpy().tolist(), "the model's columns have names"),
    ],
)
def test_a_frame_that_cannot_be_taken_is_refused(
    model: Model, frame: pd.DataFrame, change: Any, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        model.predict(change(frame))


def test_units_and_missing_values_are_as_the_schema_says(model: Model, frame: pd.DataFrame) -> None:
    expected = model.predict_proba(frame).tolist()
    with_units = frame.assign(heat=[f"{one} °C" for one in frame["heat"]])
    assert model.predict_proba(with_units).tolist() == expected
    lost = frame.assign(wear=np.nan)
    assert np.isfinite(model.predict_proba(lost)).all()  # it has an indicator


def test_arrays_are_taken_as_they_are_in_the_data(tmp_path: Path) -> None:
    model = written(tmp_path, draft(features={"shape": [2, 3], "scale": 4.0}).specification)
    x = np.arange(12.0).reshape(2, 2, 3)
    expected = model.predict_proba(x).tolist()
    assert model.predict_proba(x.reshape(2, 6)).tolist() == expected
    assert model.raw((x / 4).astype(np.float32)).shape == (2, 3)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 6
    with pytest.raises(DataError, match="does not contain one example of shape"):
        model.predict(x.reshape(3, 4))
    with pytest.raises(DataError, match="names no columns"):
        model.predict(pd.DataFrame(x.reshape(2, 6), columns=list("abcdef")))
    with pytest.raises(DataError, match="not an array of numbers"):
        model.predict([["a", "b"]])


def test_texts_are_taken_as_lists_series_arrays_and_frames(tmp_path: Path) -> None:
    spec = specification(
        labels=["a", "b"],
        features={"kind": "text", "shape": []},
        family={"name": "text-statistics", "parameters": {"bits": 11}},
        local={"construction_seed": 0},
        aggregation={"name": "class-sums"},
        initial_model="none",
    )
    shapes = family_of(spec).template(spec).tensors
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes}
    model, texts = written(tmp_path, spec, weights), ["a tide", "a cloud of thunder"]
    expected = model.predict_proba(texts).tolist()
    for given_ in (np.array(texts), pd.Series(texts), pd.DataFrame({"id": [1, 2], "text": texts})):
        assert model.predict_proba(given_).tolist() == expected
    for wrong, said in (("a tide", "a text by itself"), ([1], "is not a text"), ([], "no texts")):
        with pytest.raises(DataError, match=said):
            model.predict(wrong)


# ---------------------------------------------------------------------- the command line


def answered(model: Model, queries: Path, output: Path, *more: str) -> None:
    arguments = ["request", "answer", str(model.path), str(queries), "--output", str(output)]
    run_cli([*arguments, *more])


def run_cli(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    assert ended.value.code in (0, None), ended.value.code


SAVERS = {
    "csv": lambda f, p: f.to_csv(p, index=False),
    "tsv": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "csv.gz": lambda f, p: f.to_csv(p, index=False),
    "csv.zst": lambda f, p: (
        f.to_csv(p, index=False, compression=None) if not str(p).endswith("zst") else zstd(f, p)
    ),
    "parquet": lambda f, p: f.to_parquet(p),
    "feather": lambda f, p: f.to_feather(p),
    "json": lambda f, p: f.to_json(p, orient="records"),
    "jsonl": lambda f, p: f.to_json(p, orient="records", lines=True),
}


def zstd(frame: pd.DataFrame, path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(frame.to_csv(index=False).encode())


@pytest.mark.parametrize("kind", SAVERS)
def test_every_kind_of_table_is_answered_as_the_frame_is(
    model: Model, frame: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    queries, output = tmp_path / f"q.{kind}", tmp_path / "answers.parquet"
    SAVERS[kind](frame, queries)
    answered(model, queries, output, "--id", "machine")
    found = pd.read_parquet(output)
    assert list(found)[:5] == ["row", "machine", "label", "probability", "quality"]
    assert found["machine"].tolist() == frame["machine"].tolist()
    assert found["label"].tolist() == model.predict(frame).tolist()
    both = found[["probability_fails", "probability_works"]].to_numpy()
    assert both.tolist() == model.predict_proba(frame).tolist()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12), order=st.permutations(COLUMNS))
def test_api_and_files_say_the_same_whatever_the_order_of_columns(
    tmp_path: Path, seed: int, count: int, order: list[str]
) -> None:
    model = plants_model(tmp_path)
    rows = pd.read_csv(plant_data.write_rows(tmp_path / "r.csv", count, seed, labelled=False))
    rows = rows.rename(columns={"machine": "id"})
    expected = model.predict_proba(rows)
    rows[["id", *order]].to_csv(tmp_path / "q.csv", index=False)
    for name in ("a.csv", "a.json", "a.parquet"):
        answered(model, tmp_path / "q.csv", tmp_path / name)
    listed = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    objects = json.loads((tmp_path / "a.json").read_text())
    table = pd.read_parquet(tmp_path / "a.parquet").to_dict("records")
    for given_, tolerance in ((listed, 5e-7), (objects, 0.0), (table, 0.0)):
        assert [str(one["id"]) for one in given_] == rows["id"].tolist()
        assert [one["label"] for one in given_] == model.predict(rows[order]).tolist()
        shares: NDArray[np.float64] = np.array(
            [[float(one[f"probability_{name}"]) for name in model.classes_] for one in given_]
        )
        assert np.abs(shares - expected).max() <= tolerance


def test_a_windows_answer_names_the_row_that_it_ends_with(tmp_path: Path) -> None:
    series = {"by": "machine", "order": None, "window": 2, "stride": 1}
    features = {"shape": [2, 1], "columns": ["heat"], "series": series}
    model = written(tmp_path, draft(features=features).specification)
    rows = pd.DataFrame({"machine": list("ABABA"), "heat": range(5), "id": list("vwxyz")})
    rows.to_csv(tmp_path / "q.csv", index=False)
    answered(model, tmp_path / "q.csv", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert [(one["row"], one["id"]) for one in found] == [(2, "x"), (4, "z"), (3, "y")]
    assert len(model.predict(rows)) == 3


def test_arrays_and_images_are_answered(tmp_path: Path) -> None:
    import h5py
    import PIL.Image

    model = written(tmp_path, draft(features={"shape": [4, 4], "scale": 255.0}).specification)
    x = np.random.default_rng(1).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    expected = model.predict_proba(x).tolist()
    with h5py.File(tmp_path / "q.h5", "w") as file:
        file["x"] = x
    assert model.predict_proba(tmp_path / "q.h5").tolist() == expected
    (tmp_path / "q").mkdir()
    for number, image in enumerate(x):
        PIL.Image.fromarray(image).save(tmp_path / "q" / f"{number}.png")
    answered(model, tmp_path / "q", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert [one["file"] for one in found] == ["0.png", "1.png", "2.png"]
    assert [one["label"] for one in found] == model.predict(x).tolist()


def test_answers_that_cannot_be_written_are_refused(
    model: Model, frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queries were replaced by their answers, and a model's description by anything."""
    frame.to_csv(tmp_path / "q.csv", index=False)
    files = {one: one.read_bytes() for one in (tmp_path / "q.csv", facts_path(model.path))}
    for output, more, said in (
        ("q.csv", [], "holds the queries: choose another name"),
        (str(facts_path(model.path)), [], "describes the model"),
        (str(model.path.with_suffix(".model-card.json")), [], "describes the model"),
        ("a.xlsx", [], "answers are written as .csv, .json, .parquet"),
        ("no/a.csv", [], "No such file"),
        ("a.csv", ["--id", "serial"], "no column 'serial'"),
        ("a.csv", ["--id", "label"], "is called like one of the answers"),
    ):
        arguments = ["request", "answer", str(model.path), str(tmp_path / "q.csv")]
        with pytest.raises(SystemExit) as ended:
            run([*arguments, "--output", str(tmp_path / output), *more])
        assert ended.value.code in (2, 4)
        assert said in capsys.readouterr().err
    assert files == {one: one.read_bytes() for one in files}
