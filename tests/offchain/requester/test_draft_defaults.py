"""A draft proposed from a schema is one that can be published, for every kind of data."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from fedpact.api.evaluation import evaluation_of
from fedpact.api.proposal import Proposal, propose
from fedpact.chain.client import ChainClient
from fedpact.demo import plant_data
from fedpact.errors import DataError, DataMissing, SpecificationError
from fedpact.requester.candidates import candidates
from fedpact.requester.draft import Draft
from fedpact.requester.draft_defaults import shares
from fedpact.simulation.expectation import Expectation
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

ID = "0" * 32
TABLE = plant_data.schema(100, ID)
ARRAYS = DataSchema(
    data_id=ID,
    category="images/digits",
    units=100,
    labels=("0", "1"),
    shape=(8, 8),
    value_range=(0.0, 16.0),
)
PHOTOGRAPHS = DataSchema(
    data_id=ID,
    category="images/photographs",
    units=100,
    labels=("a", "b"),
    shape=(3, 32, 32),
    value_range=(0.0, 255.0),
)
TEXTS = DataSchema(data_id=ID, category="texts", kind="text", units=100, labels=("a", "b"))
LITTLE = TABLE.model_copy(update={"columns": TABLE.columns[:2]})  # a category and a number
TREES = "oblivious-trees"
PAIRS = "oblivious-trees of pairs of numbers"
VALUES = DataSchema(
    data_id=ID,
    category="signals",
    units=100,
    shape=(5,),
    value_range=(-4.0, 2.0),
    output=ColumnSchema(name="y", range=(0.0, 40.0)),
)


@pytest.mark.parametrize(
    ("schema", "fields", "family"),
    [
        (TABLE, {}, "oblivious-trees"),
        (TABLE, {"output": "torque"}, "oblivious-trees"),
        (TABLE, {"output": {"column": "torque", "scale": 5.0}}, "oblivious-trees"),
        (ARRAYS, {}, "softmax-regression"),
        (VALUES, {}, "oblivious-trees"),
        (TEXTS, {}, "text-statistics"),
        (TABLE, {"metric": "auc", "rounds": 3, "title": "Pumps"}, "oblivious-trees"),
    ],
)
def test_a_proposal_can_be_published(
    schema: DataSchema, fields: dict[str, Any], family: str
) -> None:
    spec = Draft.proposed(schema, 2.0, **fields).specification
    assert spec.family.name == family
    assert spec.privacy.epsilon == 2.0
    assert spec.category == schema.category
    if "output" in fields or schema is VALUES:
        assert spec.output is not None
        assert spec.output.column not in spec.features.names
        assert not spec.labels
    schema.check(spec)  # a provider of these data would not decline it
    assert spec.title == fields.get("title", schema.category)


@pytest.mark.parametrize(
    ("schema", "fields", "said"),
    [
        (TABLE.model_copy(update={"labels": ()}), {}, "0 labels: a classification needs"),
        (TABLE, {"output": "kind"}, "'kind' is not a numeric column of the schema, which has heat"),
        (TEXTS, {"output": "length"}, "is not a numeric column of the schema, which has none"),
    ],
)
def test_a_schema_that_says_too_little_is_refused(
    schema: DataSchema, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecificationError, match=said):
        _ = Draft.proposed(schema, 2.0, **fields).specification


@pytest.mark.parametrize(
    ("schema", "output", "names"),
    [
        (TABLE, None, ["oblivious-trees", PAIRS, "generalised-linear"]),
        (TABLE, "torque", ["oblivious-trees"]),
        (LITTLE, None, ["oblivious-trees", "generalised-linear"]),
        (ARRAYS, None, ["softmax-regression", "scattering-linear"]),
        (PHOTOGRAPHS, None, ["softmax-regression", "scattering-linear", "network-linear"]),
        (TEXTS, None, ["text-statistics", "network-statistics"]),
    ],
)
def test_what_is_tried_follows_from_the_declared_columns(
    schema: DataSchema, output: str | None, names: list[str]
) -> None:
    tried = candidates(schema, 2.0, output)
    assert [one.name for one in tried] == names
    for one in tried:
        spec = Draft(one.fields).specification
        assert (spec.family.name, spec.privacy.epsilon) == (one.family, 2.0)
        asked = spec.family.parameters.get("questions", "any")
        assert asked == ("pairs" if one.name == PAIRS else "any")


@pytest.mark.parametrize(
    ("schema", "names"),
    [(PHOTOGRAPHS, ["softmax-regression", "scattering-linear"]), (TEXTS, ["text-statistics"])],
)
def test_a_network_that_is_not_installed_is_not_tried(
    schema: DataSchema, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise DataMissing("no network")

    monkeypatch.setattr("fedpact.requester.candidates.check_pinned", missing)
    assert [one.name for one in candidates(schema, 2.0)] == names


@pytest.mark.parametrize(("epsilon", "bits", "weight"), [(1, 12, 1.6), (2, 12, 0.8), (5, 14, 0.5)])
def test_the_more_noise_the_fewer_buckets(epsilon: float, bits: int, weight: float) -> None:
    family = candidates(TEXTS, epsilon)[1].fields["family"]["parameters"]
    assert (family["bits"], family["dense_weight"]) == (bits, weight)


@pytest.mark.parametrize("best", [TREES, PAIRS, "generalised-linear"])
def test_the_form_that_promises_least_error_is_proposed(
    best: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(spec: Specification, *_: Any) -> Expectation:
        pairs = spec.family.parameters.get("questions") == "pairs"
        error = 0.1 if (PAIRS if pairs else spec.family.name) == best else 0.2
        return Expectation(error, 0.01, 0.5, 0.05, 4, 3, 60, 0.1, 0.0, 0.0)

    monkeypatch.setattr("fedpact.api.proposal.expected", estimate)  # simulations take long
    file = plant_data.write_rows(tmp_path / "evaluation.csv", 200, seed=3)

    def proposed(family: str | None = None) -> Proposal:
        nobody, given = cast(ChainClient, None), {"windows": {"join": 60}}  # asks no chain
        return propose(nobody, TABLE, file, 4.0, usual=None, family=family, fields=given)

    found = proposed()
    assert found.form == best
    assert found.expected.error == 0.1
    asked = found.draft.specification.family
    assert asked.name == best.removesuffix(" of pairs of numbers")
    assert (asked.parameters.get("questions") == "pairs") == (best == PAIRS)
    assert list(found.considered) == [TREES, PAIRS, "generalised-linear"]
    assert list(proposed(TREES).considered) == [TREES, PAIRS]
    with pytest.raises(SpecificationError, match="only oblivious-trees, generalised-linear: write"):
        proposed("mlp")


def test_the_first_model_says_what_is_usual() -> None:
    y = np.array([0] * 90 + [1] * 10)
    assert shares(y, 3) == pytest.approx([0.9 / 1.01, 0.1 / 1.01, 0.01 / 1.01])
    asked = Draft.proposed(TABLE, 2.0).with_priors(y)
    assert sum(asked.specification.family.parameters["priors"]) == pytest.approx(1)
    given = {"name": "oblivious-trees", "parameters": {"priors": [0.5, 0.5]}}
    for draft in (Draft.proposed(TABLE, 2.0, family=given), Draft.proposed(ARRAYS, 2.0)):
        assert draft.with_priors(y).fields == draft.fields


@pytest.mark.parametrize("counts", [(1, 399), (399, 1), (3, 997), (0, 7), (1, 500, 499)])
def test_a_rare_label_keeps_a_prior_that_can_be_published(counts: tuple[int, ...]) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    found = shares(y, len(counts))
    assert min(found) > 0.009
    assert sum(found) == pytest.approx(1, abs=1e-12)
    assert found == pytest.approx([one / sum(counts) for one in counts], abs=0.02)
    if len(counts) == 2:
        spec = Draft.proposed(TABLE, 2.0).with_priors(y).specification
        assert list(spec.family.parameters["priors"]) == found


def test_evaluation_sets_come_as_arrays_and_texts() -> None:
    x = np.arange(128.0).reshape(2, 8, 8) / 8
    _, arrays = evaluation_of(Draft.proposed(ARRAYS, 2.0), (x, [1, 0]), None)
    assert arrays.y.tolist() == [1, 0]
    assert arrays.x == pytest.approx(x / 16)
    draft = Draft.proposed(TEXTS, 2.0)
    _, texts = evaluation_of(draft, (["a tide", "a cloud"], np.array(["b", "a"])), None)
    assert texts.x.tolist() == ["a tide", "a cloud"]
    assert texts.y.tolist() == [1, 0]
    digits = Draft.proposed(ARRAYS, 2.0)
    for asked, wrong, said in (
        (draft, (["a"], ["a", "b"]), "1 texts and 2 labels"),
        (digits, (x, [1]), "do not fit"),
        (digits, (x, [1, 7]), "label '7'"),
        (digits, None, "a data frame"),
    ):
        with pytest.raises(DataError, match=said):
            evaluation_of(asked, wrong, None)
    with pytest.raises(DataError, match="label: the name of a column is needed, not 3"):
        evaluation_of(digits, (x, [1, 0]), 3)  # type: ignore[arg-type]
