"""Models for other programs: they say what the model says."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from fedpact.cli.main import run
from fedpact.demo import plant_data
from fedpact.errors import InvalidInput, ModelError
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.families import FAMILIES, family_of
from fedpact.learning.trees.ensemble import LARGEST
from fedpact.requester.model import Model
from fedpact.requester.thresholds import Decisions
from fedpact.types.columns import ColumnSchema
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import draft
from tests.offchain.requester.test_model import written

TOLERANCE = 1e-5
"""That `Model.to_onnx` promises."""
TABLE = (
    *plant_data.COLUMNS,
    ColumnSchema(name="worn", type="ordinal", values=("low", "mid", "high"), missing="indicator"),
    ColumnSchema(name="new", type="boolean", missing="constant", constant=1.0),
    ColumnSchema(name="age", range=(-5.0, 5.0), missing="constant", constant=0.5),
    ColumnSchema(name="site", type="category", values=("1", "2.0", "x"), missing="indicator"),
    ColumnSchema(name="runs", type="integer", range=(0.0, 9.0), missing="constant", constant=3.0),
)
LABELS = ["works", "fails", "odd"]
STEPS = {"steps": 1, "learning_rate": 0.5}
BUILT = {"construction_seed": 0}


def spec_of(family: str, parameters: dict[str, Any] | None = None, **fields: Any) -> Specification:
    given = {
        "labels": LABELS,
        "features": {
            "shape": [sum(one.width for one in TABLE)],
            "table": [one.model_dump(mode="json") for one in TABLE],
        },
        "family": {"name": family, "parameters": parameters or {}},
        "local": STEPS,
        "privacy": {"mode": "none"},
    }
    return draft(**given | fields).specification


def regression(family: str, parameters: dict[str, Any] | None = None) -> Specification:
    output = {"column": "torque", "scale": 20.0}
    return spec_of(family, parameters, task="regression", labels=[], output=output)


def images(family: str, parameters: dict[str, Any], **fields: Any) -> Specification:
    features = {"shape": [8, 8], "scale": 16.0}
    return spec_of(family, parameters, features=features, **fields)


def trees(family: str, parameters: dict[str, Any], **fields: Any) -> Specification:
    rest = {"local": BUILT, "aggregation": {"name": "union"}, "rounds": 1} | fields
    return spec_of(family, parameters, **rest)


PLAIN = {"features": {"shape": [3], "columns": ["a", "b", "c"], "scale": 4.0}}
WEIGHTED = {"class_weights": [1.0, 4.0, 2.0]}
EXPORTED = {
    "softmax": spec_of("softmax-regression"),
    "softmax on plain columns": spec_of("softmax-regression", **PLAIN),
    "softmax on centred arrays": images("softmax-regression", {"example_norm": 3.0}),
    "linear": regression("linear-regression"),
    "mlp": spec_of("mlp", {"hidden": [5, 4]}),
    "mlp of values": regression("mlp"),
    "logistic with weights": spec_of("generalised-linear", WEIGHTED),
    "poisson": regression("generalised-linear", {"loss": "poisson"}),
    "oblivious trees": spec_of("oblivious-trees", {"trees": 40, "depth": 4, **WEIGHTED}),
    "oblivious trees of values": regression("oblivious-trees", {"loss": "quantile"}),
    "oblivious trees on arrays": images("oblivious-trees", {"lowest": 0.0}),
    "decision tree": trees("decision-tree", {"depth": 3}),
    "random forest": trees("random-forest", {"depth": 3, "trees": 4}),
    "boosted trees": trees(
        "boosted-trees", {"depth": 2}, strategy={"name": "algorithm-one"}, rounds=2
    ),
    "cnn": images("cnn", {"form": "mnist", "channels": [3, 4], "hidden": [6]}),
    "cnn with strides and kernels": images(
        "cnn",
        {"form": "mnist", "channels": [3, 4], "kernels": [5, 3], "strides": [2, 1], "hidden": [6]},
    ),
    "char-lstm": spec_of(
        "char-lstm",
        {"hidden": 5, "layers": 2},
        labels=list("abcd"),
        features={"shape": [6]},
    ),
}


def weights_of(spec: Specification) -> Weights:
    """Random ones; of grown trees with splits that rows fall on both sides of."""
    random = np.random.default_rng(3)
    shapes = dict(family_of(spec).template(spec).tensors)
    found = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if spec.family.name == "cnn":  # else one label has all
        found = {
            n: (v / np.sqrt(np.prod(v.shape[1:]))).astype(np.float32) for n, v in found.items()
        }
    if "threshold" in shapes:
        width = int(np.prod(spec.features.shape))
        found["feature"] = random.integers(0, width, shapes["feature"]).astype(np.float32)
        found["threshold"] = (found["threshold"] / 2).astype(np.float32)
        found["threshold"][:, -1] = LARGEST
        found["value"] = np.abs(found["value"])  # shares of labels
    return found


def model_of(spec: Specification, folder: Path) -> Model:
    count = len(spec.labels)
    decisions = None
    if count:
        offsets = tuple(np.linspace(-0.3, 0.3, count).tolist())
        factors = tuple(np.linspace(0.2, 0.5, count).tolist())
        decisions = Decisions(0.6, offsets, factors, 100)
    return written(folder, spec, weights_of(spec), decisions)


def rows_for(spec: Specification, count: int = 200) -> Any:
    """Queries with every value that the schema takes, missing ones where it allows."""
    random = np.random.default_rng(11)
    if not spec.features.names:
        if spec.family.name == "char-lstm":
            return random.integers(0, spec.outputs, (count, *spec.features.shape)).astype(float)
        return random.integers(0, 17, (count, *spec.features.shape)).astype(float)
    if not spec.features.table:
        return pd.DataFrame({name: random.normal(size=count) for name in spec.features.columns})
    columns: dict[str, list[Any]] = {}
    for one in TABLE:
        low, high = one.limits
        spread = (high - low) / 4
        cells: NDArray[Any]
        if one.values:
            cells = random.choice(one.values, count).astype(object)
        elif one.type == "boolean":
            cells = random.integers(0, 2, count).astype(float)
        else:
            cells = random.uniform(low - spread, high + spread, count)
            cells = np.rint(cells) if one.type == "integer" else cells
        if one.missing != "omit":
            cells = np.where(random.random(count) < 0.2, "" if one.values else np.nan, cells)
        columns[one.name] = cells.tolist()
    return pd.DataFrame(columns)


def answers(path: Path, spec: Specification, rows: Any) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    if isinstance(rows, pd.DataFrame):
        kinds = {one.name: one.type for one in session.get_inputs()}
        given = {
            name: rows[[name]].to_numpy(dtype=object if "string" in kind else np.float64)
            for name, kind in kinds.items()
        }
    else:
        given = {"x": rows}
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx_says_what_the_model_says(name: str, tmp_path: Path) -> None:
    spec = EXPORTED[name]
    model, rows = model_of(spec, tmp_path), rows_for(spec)
    found = answers(model.to_onnx(tmp_path / "model.onnx"), spec, rows)
    if spec.output is not None:
        expected = model.predict(rows)
        assert np.ptp(expected) > 0
        assert found["value"] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
        return
    shares = model.predict_proba(rows)
    assert np.abs(found["probabilities"] - shares).max() <= TOLERANCE
    assert len(np.unique(shares.round(4), axis=0)) > 3
    said = model.predict(rows)
    assert (found["label"] == said).mean() > 0.99  # ties may fall to either side


@pytest.mark.parametrize("labels", [["10", "9", "1"], ["True", "False"]])
def test_labels_that_are_numbers_are_whole_numbers(labels: list[str], tmp_path: Path) -> None:
    spec = spec_of("softmax-regression", labels=labels)
    model, rows = model_of(spec, tmp_path), rows_for(spec)
    found = answers(model.to_onnx(tmp_path / "model.onnx"), spec, rows)
    assert found["label"].tolist() == model.predict(rows).astype(int).tolist()


def test_a_graph_refuses_nothing_and_says_nan(tmp_path: Path) -> None:
    """Where the model refuses a query: an undeclared category, a number that is not there."""
    spec = EXPORTED["softmax"]
    model, rows = model_of(spec, tmp_path), rows_for(spec, 3)
    rows.loc[0, "kind"], rows.loc[1, "heat"] = "Z", np.nan
    found = answers(model.to_onnx(tmp_path / "model.onnx"), spec, rows)["probabilities"]
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(model.predict_proba(rows.iloc[2:])[0])


REFUSED = set(FAMILIES) - {spec.family.name for spec in EXPORTED.values()}


def test_every_other_family_is_refused_in_one_line() -> None:
    from fedpact.requester.export.onnx_families import add_predictions
    from fedpact.requester.export.onnx_graph import PredictionGraph

    assert {"text-statistics", "scattering-linear", "network-linear"} <= REFUSED
    for name in REFUSED:
        spec = EXPORTED["softmax"]
        other = spec.model_copy(update={"family": spec.family.model_copy(update={"name": name})})
        with pytest.raises(ModelError, match=f"family {name} cannot be exported to ONNX"):
            add_predictions(PredictionGraph(), other, {}, "x")


@pytest.mark.parametrize("name", ["softmax", "mlp of values", "cnn", "char-lstm"])
def test_a_torch_program_gives_the_logits(name: str, tmp_path: Path) -> None:
    import torch

    spec = EXPORTED[name]
    model, rows = model_of(spec, tmp_path), rows_for(spec, 7)
    path = model.to_torch(tmp_path / "model.pt2")
    x = model.queries(rows).x
    with torch.no_grad():
        raw = torch.export.load(path).module()(torch.from_numpy(x)).double()
    expected = family_of(spec).predict(spec, model.weights, x)
    if spec.output is None:
        raw = torch.softmax(raw, dim=1)
    assert raw.numpy() == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["softmax", "softmax on plain columns", "linear"])
def test_a_pipeline_of_scikit_learn_predicts_alike(name: str, tmp_path: Path) -> None:
    import pickle

    spec = EXPORTED[name]
    model, rows = model_of(spec, tmp_path), rows_for(spec)
    found = pickle.loads(pickle.dumps(model.to_sklearn()))
    shuffled = rows[list(reversed(rows.columns))]
    if spec.output is not None:
        assert found.predict(shuffled) == pytest.approx(model.predict(rows))
        return
    shares = model.predict_proba(rows)
    assert found.predict_proba(shuffled) == pytest.approx(shares, abs=1e-7)
    assert found.classes_.tolist() == model.classes_.tolist()


def test_a_pipeline_of_two_labels_has_one_row_of_coefficients(tmp_path: Path) -> None:
    spec = spec_of("generalised-linear", labels=["works", "fails"])
    model, rows = model_of(spec, tmp_path), rows_for(spec)
    found = model.to_sklearn()
    assert found["model"].coef_.shape == (1, spec.features.shape[0])
    assert found.predict_proba(rows) == pytest.approx(model.predict_proba(rows), abs=1e-7)


def test_a_text_among_the_columns_is_refused_by_onnx_and_kept_by_the_others(
    tmp_path: Path,
) -> None:
    table = (*plant_data.COLUMNS, ColumnSchema(name="note", type="text", encoding="words"))
    width = sum(one.width for one in table)
    features = {"shape": [width], "table": [one.model_dump(mode="json") for one in table]}
    model = model_of(spec_of("softmax-regression", features=features), tmp_path)
    with pytest.raises(ModelError, match="column 'note' is a text, and ONNX has no operators"):
        model.to_onnx(tmp_path / "m.onnx")
    rows = rows_for(spec_of("softmax-regression")).assign(note="bearing hums")
    silent = model.predict_proba(rows.assign(note=""))
    found = model.predict_proba(rows)
    assert np.abs(found - silent).max() > 0.01
    assert model.predict_proba(rows[list(reversed(rows.columns))]) == pytest.approx(found)
    assert model.to_sklearn().predict_proba(rows) == pytest.approx(found, abs=1e-7)
    program = torch.export.load(model.to_torch(tmp_path / "m.pt2")).module()
    x = model.queries(rows).x
    logits = program(torch.tensor(x))
    expected = family_of(model.specification).predict(model.specification, model.weights, x)
    assert torch.softmax(logits, dim=1).detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_what_has_no_equivalent_is_refused(tmp_path: Path) -> None:
    for name, said in (
        ("mlp", "family mlp has no equivalent"),
        ("softmax on centred arrays", "example_norm"),
        ("logistic with weights", "class_weights"),
        ("poisson", "Poisson"),
    ):
        with pytest.raises(ModelError, match=said):
            model_of(EXPORTED[name], tmp_path).to_sklearn()
    with pytest.raises(ModelError, match="family oblivious-trees is not a torch network"):
        model_of(EXPORTED["oblivious trees"], tmp_path).to_torch(tmp_path / "m.pt2")
    model = model_of(EXPORTED["softmax"], tmp_path)
    for write in (model.to_onnx, model.to_torch):
        with pytest.raises(InvalidInput, match="cannot write"):
            write(tmp_path / "none" / "file")


def test_the_command_exports_by_the_files_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = EXPORTED["softmax"]
    model, rows = model_of(spec, tmp_path), rows_for(spec)
    for suffix in ("onnx", "pt2"):
        with pytest.raises(SystemExit) as ended:
            run(["request", "export", str(model.path), str(tmp_path / f"m.{suffix}")])
        assert not ended.value.code
    found = answers(tmp_path / "m.onnx", spec, rows)
    assert found["label"].tolist() == model.predict(rows).tolist()
    with pytest.raises(SystemExit):
        run(["request", "export", str(model.path), str(tmp_path / "m.pkl")])
    assert "models are exported as .onnx, .pt2" in capsys.readouterr().err
