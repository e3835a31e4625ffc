"""The first model of a request that continues an earlier one."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import ContentMissing, SpecificationError
from fedpact.learning.artefact import Model, encode
from fedpact.requester import model_file
from fedpact.requester.draft import Draft
from fedpact.requester.preparing import prepare
from fedpact.types.cid import Cid
from tests.offchain.requester.requests_of_digits import account, draft, evaluation

LEARNT: Model = {
    "output.bias": np.array([1, 2, 3], np.float32),
    "output.weight": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
}


def fetched(folder: Path, asked: Draft | None = None) -> Path:
    """A model as `request fetch` leaves it: the artefact and its description."""
    path = folder / "request-1.safetensors"
    spec = (asked or draft()).specification
    fetched = model_file.FetchedModel(1, "ab", spec, "cid", 3, 100, (), path)
    model_file.write(path, encode(LEARNT), fetched.facts())
    return path


def test_a_request_starts_from_the_file_that_its_draft_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = draft(initial_model=str(fetched(tmp_path)))
    with caplog.at_level(logging.WARNING):
        prepared = prepare(asked, evaluation(), account())
    assert prepared.initial_model == encode(LEARNT)
    assert prepared.specification.initial_model == str(Cid.of(encode(LEARNT)))
    assert "everybody who sees the request can read its first model" in caplog.text


def test_a_personal_model_is_not_published(tmp_path: Path) -> None:
    path = fetched(tmp_path)
    facts = json.loads(model_file.facts_path(path).read_text())
    model_file.write(path, encode(LEARNT), {**facts, "personal": {"held_out": 3}}, private=True)
    assert {one.stat().st_mode & 0o777 for one in (path, model_file.facts_path(path))} == {0o600}
    with pytest.raises(SpecificationError, match="is a personal model"):
        prepare(draft(initial_model=str(path)), evaluation(), account())


def test_a_cid_is_read_from_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    asked = draft(initial_model=str(store.put(encode(LEARNT))))
    assert prepare(asked, evaluation(), account(), store=store).initial_model == encode(LEARNT)
    missing = draft(initial_model=str(Cid.of(b"another")))
    with pytest.raises(ContentMissing):
        prepare(missing, evaluation(), account(), store=store)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_file_is_looked_for_beside_the_draft(tmp_path: Path, suffix: str) -> None:
    fetched(tmp_path)
    named = "request-1.safetensors"
    text = (
        f'initial_model = "{named}"' if suffix == "toml" else json.dumps({"initial_model": named})
    )
    (tmp_path / f"draft.{suffix}").write_text(text)
    assert Draft.read(tmp_path / f"draft.{suffix}").initial_model == str(tmp_path / named)


def test_a_draft_keeps_a_cid_as_it_is(tmp_path: Path) -> None:
    named = str(Cid.of(b"model"))
    (tmp_path / "draft.toml").write_text(f'initial_model = "{named}"')
    assert Draft.read(tmp_path / "draft.toml").initial_model == named


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["green", "red", "blue"]}, "learnt with other labels"),
        ({"features": {"shape": [2], "scale": 3.0}}, "learnt with other features"),
        ({"family": {"name": "mlp", "parameters": {"hidden": [4]}}}, "learnt with other family"),
    ],
)
def test_a_model_of_other_inputs_or_classes_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    asked = draft(initial_model=str(fetched(tmp_path)), **changes)
    with pytest.raises(SpecificationError, match=said):
        prepare(asked, evaluation(), account())


def test_a_file_that_is_no_such_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(SpecificationError, match="does not fit the draft's family"):
        prepare(draft(initial_model=str(tmp_path / "other")), evaluation(), account())
    with pytest.raises(SpecificationError, match="No such file"):
        prepare(draft(initial_model=str(tmp_path / "none")), evaluation(), account())


def test_a_seed_beside_a_first_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="exclude each other"):
        prepare(draft(initial_model=str(fetched(tmp_path)), seed=1), evaluation(), account())


def test_a_family_that_builds_its_model_anew_continues_none(tmp_path: Path) -> None:
    asked = draft(
        initial_model=str(fetched(tmp_path)),
        family={"name": "boosted-trees"},
        local={"construction_seed": 0},
        aggregation={"name": "union"},
    )
    with pytest.raises(SpecificationError, match="cannot continue one"):
        prepare(asked, evaluation(), account())


@pytest.mark.parametrize("named", ["", 3, ["a"]])
def test_anything_but_a_name_is_refused(named: object) -> None:
    with pytest.raises(SpecificationError, match="must be a file or CID"):
        _ = draft(initial_model=named).specification
