"""What a draft becomes: a specification that fixes everything by which models are judged."""

import json
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.errors import InvalidInput, PrivacyError, SpecificationError
from fedpact.learning.artefact import decode
from fedpact.learning.families import family
from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import GaussianRelease, of_request, releases_of
from fedpact.requester.draft import DEFAULT_WINDOWS, Draft
from fedpact.requester.preparing import prepare
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import account, draft, evaluation

SOUND = {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": 1.0}


def test_everything_named_in_the_specification_is_among_the_contents() -> None:
    prepared = prepare(draft(), evaluation(), account())

    cids = [str(Cid.of(content)) for content in prepared.contents]
    spec = prepared.specification
    assert cids[0] == spec.initial_model
    assert cids[1:-1] == [part.cid for part in spec.evaluation]
    assert Specification.decode(prepared.contents[-1]) == spec
    assert len(spec.evaluation) == spec.rounds == 3


def test_the_same_draft_and_data_give_the_same_request() -> None:
    once = prepare(draft(seed=3), evaluation(), account())
    again = prepare(draft(seed=3), evaluation(), account())

    assert once.contents == again.contents


def test_another_account_cuts_and_seals_differently() -> None:
    mine = prepare(draft(), evaluation(), account(1)).specification.evaluation
    yours = prepare(draft(), evaluation(), account(2)).specification.evaluation

    assert {part.sha256 for part in mine}.isdisjoint(part.sha256 for part in yours)


def test_the_noise_is_the_least_that_keeps_all_releases_within_epsilon() -> None:
    spec = draft(privacy=SOUND).specification

    noise = spec.privacy.noise_multiplier
    assert noise is not None
    releases = spec.rounds * spec.local.steps
    assert cost(GaussianRelease(noise, 1.0, releases), 1e-5).epsilon <= 4.0
    assert cost(GaussianRelease(noise * 0.99, 1.0, releases), 1e-5).epsilon > 4.0


def test_a_drafts_own_noise_multiplier_is_kept() -> None:
    spec = draft(privacy={**SOUND, "noise_multiplier": 7.5}).specification
    assert spec.privacy.noise_multiplier == 7.5


def test_an_epsilon_that_no_noise_meets_is_refused() -> None:
    with pytest.raises((PrivacyError, SpecificationError), match="epsilon"):
        _ = draft(privacy={**SOUND, "epsilon": 1e-7}).specification


@pytest.mark.parametrize(
    ("name", "steps"), [("scattering-linear", [1, 19]), ("text-statistics", [1])]
)
def test_a_documented_draft_meets_epsilon_with_all_its_releases(
    name: str, steps: list[int]
) -> None:
    document = Path(__file__).resolve().parents[3] / "docs" / "families.md"
    drafts = map(tomllib.loads, re.findall(r"```toml\n(.*?)```", document.read_text(), re.DOTALL))
    [asked] = [one for one in drafts if one.get("family", {}).get("name") == name]
    spec = Draft(asked).specification
    schedule = of_request(spec)
    assert schedule is not None
    assert 1.999 < cost(schedule, 1e-5).epsilon <= 2.0
    assert [one.steps for one in releases_of(schedule)] == steps


def test_statistics_that_use_up_epsilon_are_refused_with_what_they_cost() -> None:
    images = {"features": {"shape": [8, 8]}, "family": {"name": "scattering-linear"}}
    dear = {**SOUND, "epsilon": 1.0, "statistics_multiplier": 2.0}
    with pytest.raises(PrivacyError, match=r"which cost 1\.99"):
        _ = draft(**images, privacy=dear).specification


def test_the_first_model_follows_from_the_seed() -> None:
    fields = draft(family={"name": "mlp", "parameters": {"hidden": [4]}})
    first = prepare(fields.changed(seed=1), evaluation(), account())
    second = prepare(fields.changed(seed=2), evaluation(), account())

    assert first.specification.initial_model != second.specification.initial_model
    template = family("mlp").template(first.specification)
    assert decode(first.initial_model, template).keys() == dict(template.tensors).keys()


def test_windows_that_the_draft_leaves_out_have_defaults() -> None:
    spec = draft(windows={"join": 30}).specification
    assert spec.windows.join == 30
    assert spec.windows.deliver == DEFAULT_WINDOWS["deliver"]


def test_the_file_of_queries_is_fixed_by_its_digest() -> None:
    spec = prepare(draft(), evaluation(), account(), queries=b"a,b\n1,2\n").specification
    assert spec.queries == sha256(b"a,b\n1,2\n").hexdigest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluation": []}, "evaluation is filled in"),
        ({"version": 1}, "version is filled in"),
        ({"seed": "x"}, "seed"),
        ({"seed": True}, "seed"),
        ({"rounds": "three"}, "rounds"),
        ({"rounds": 10**9}, "rounds"),
        ({"windows": 5}, "windows"),
        ({"windows": {"lunch": 5}}, "windows.lunch"),
        ({"privacy": {"mode": "sound", "epsilon": 4.0}}, "mode sound needs"),
        ({"privacy": "strong"}, "privacy"),
        ({"labels": ["red", "red", "red"]}, "labels name a class twice"),
        ({"max_error": float("nan")}, "draft"),
        ({"strategy": {"name": "scaffold"}}, "simulations only"),
        ({"strategy": {"name": "dlmu", "parameters": {"beta": 1}}}, "beta"),
        ({"aggregation": {"name": "vote"}}, "aggregation 'vote' is unknown"),
        ({"family": {"name": "linear-regression"}}, "no classification"),
    ],
)
def test_the_wrong_field_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        _ = draft(**change).specification


def test_all_that_is_wrong_is_named_at_once() -> None:
    """It was one field a run."""
    wrong = draft(rounds="three", title="", windows={"lunch": 5}, family={"nane": "mlp"})
    with pytest.raises(SpecificationError) as found:
        _ = wrong.specification
    for field in ("rounds", "title", "windows.lunch", "family.name", "family.nane"):
        assert f"{field}: " in str(found.value)


def test_unknown_names_are_named_with_all_else_that_is_wrong() -> None:
    wrong = draft(
        rounds=0,
        windows={"submit": -5},
        family={"name": "rezznet"},
        strategy={"name": "fedavvg"},
        aggregation={"name": "meen"},
    )
    with pytest.raises(SpecificationError) as found:
        _ = wrong.specification
    for what in ("rounds: ", "windows.submit: ", "'rezznet' is", "'fedavvg' is", "'meen' is"):
        assert what in str(found.value)
    with pytest.raises(SpecificationError, match=r"'rezznet' is unknown.*'meen' is unknown"):
        _ = draft(family={"name": "rezznet"}, aggregation={"name": "meen"}).specification


def test_a_draft_may_be_toml_or_json(tmp_path: Path) -> None:
    (tmp_path / "draft.json").write_text(json.dumps({"title": "x"}))
    (tmp_path / "draft.toml").write_text('title = "x"')

    assert Draft.read(tmp_path / "draft.json") == Draft.read(tmp_path / "draft.toml")


@pytest.mark.parametrize("text", [b"\xff", b"[1]", b"{"])
def test_a_file_that_is_not_a_draft_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "draft.json").write_bytes(text)
    with pytest.raises(SpecificationError, match=r"draft\.json"):
        Draft.read(tmp_path / "draft.json")


def test_the_resale_price_is_an_amount_or_wei() -> None:
    for price in ("0.5 ether", 5 * 10**17):
        spec = draft(resale={"price": price}).specification
        assert spec.resale is not None
        assert spec.resale.price == 5 * 10**17
    assert draft().specification.resale is None
    with pytest.raises(InvalidInput, match="not an amount"):
        _ = draft(resale={"price": "0.5"}).specification
    with pytest.raises(SpecificationError, match=r"resale\.price"):
        _ = draft(resale={"price": 0}).specification


def test_a_results_price_does_not_change_the_query_key() -> None:
    free, priced = (draft(**more).specification for more in ({}, {"resale": {"price": 1}}))
    assert free.query_key == priced.query_key


@pytest.mark.parametrize(
    ("header", "features", "columns"),
    [
        ("b,label,a", {"shape": [2]}, ["b", "a"]),
        ("b,label,a", {"shape": [1], "columns": ["a"]}, ["a"]),
        ("text,label,a", {"kind": "text", "shape": []}, None),
    ],
)
def test_a_draft_names_the_columns_of_its_evaluation_set(
    tmp_path: Path, header: str, features: dict[str, Any], columns: list[str] | None
) -> None:
    (tmp_path / "own.csv").write_text(f"{header}\n1,red,2\n")
    completed = Draft({"features": features}).with_columns_of(tmp_path / "own.csv")
    assert completed.fields["features"].get("columns") == columns


def test_numbers_of_numpy_are_numbers() -> None:
    """A draft refused `rounds=np.int64(5)` once it was published: no JSON."""
    asked = draft().changed(rounds=np.int64(5), max_error=np.int32(4000), seed=np.uint8(7))
    local = {"steps": np.int16(3), "learning_rate": np.float32(0.5)}
    spec = asked.changed(local=local).specification
    assert (spec.rounds, spec.max_error, asked.seed) == (5, 4000, 7)
    assert (spec.local.steps, spec.local.learning_rate) == (3, 0.5)


def test_odd_texts_and_schemas_are_refused_in_words() -> None:
    with pytest.raises(SpecificationError, match="a text in it is not valid Unicode"):
        _ = draft(title="half a pair: \ud800").specification
    with pytest.raises(
        InvalidInput, match=r"DataSchema\.read reads one from a file, not 'a\.toml'"
    ):
        Draft.proposed("a.toml", 2.0)  # type: ignore[arg-type]
