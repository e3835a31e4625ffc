"""The participation game over all families, and mistakes that it must notice."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import attacks
from benchmarks import participation as pieces
from fedpact.data import declared
from fedpact.data.readers import table
from fedpact.errors import DataError, InvalidInput, PolicyRefusal
from fedpact.features.text import columns as text_columns
from fedpact.learning import unit_clipping
from fedpact.learning.families import family as family_named
from fedpact.privacy.attacks import AuditedMode
from fedpact.privacy_audit import hostile, participation
from fedpact.privacy_audit.hostile import hostile_request
from fedpact.privacy_audit.participation import OTHERS, audit_participation, compare
from fedpact.provider.duties import deciding
from fedpact.types.columns import ColumnSchema
from fedpact.types.decline_reason import Reason
from fedpact.types.document import canonical_json
from fedpact.types.privacy import AdaptiveClipping

FAMILIES = sorted(hostile._FORMS)
SOFTMAX = "softmax-regression"
SLOWER = ("scattering-linear", "char-lstm", "cnn", "network-linear", "network-statistics")
PIECES, PIECE = 5, 10
"""Of 500 requests: pieces of each family, and requests of a piece. One piece is run with
`-m slow -k "five_hundred and cnn-2"`."""


def modes_of(name: str) -> list[AuditedMode]:
    modes = [AuditedMode.SOUND, AuditedMode.SECURE]
    return modes if name in hostile.TEXT_FAMILIES else [*modes, AuditedMode.ADAPTIVE]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(one, marks=pytest.mark.slow if one == "network-statistics" else ())
        for one in FAMILIES
    ],
)
def test_one_record_changes_nothing_but_noised_bytes(name: str) -> None:
    """Hypothesis draws the requests; `--check participation` plays the same game."""

    @settings(max_examples=1 if name in SLOWER else 4, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.sampled_from(modes_of(name)))
    def game(seed: int, mode: AuditedMode) -> None:
        random = np.random.default_rng(seed)
        request = hostile_request(name, random, mode)
        differences, _, _ = compare(request, random)
        assert differences == []

    game()


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.parametrize("name", FAMILIES)
def test_one_record_changes_nothing_in_five_hundred_requests(name: str, piece: int) -> None:
    assert len(FAMILIES) * PIECES * PIECE >= 500
    found = audit_participation(name, requests=PIECE, seed=piece)
    assert found.details["differences"] == []
    assert found.details["joined"] >= PIECE // 3
    assert found.details["moving"]


def test_a_run_over_all_pieces_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[tuple[str, int]] = []

    def play(family: str, mode: AuditedMode, seed: int) -> dict[str, Any]:
        if len(played) == 3:
            raise KeyboardInterrupt
        played.append((family, seed))
        found = {"family": family, "mode": str(mode), "seed": seed, "requests": 10, "joined": 9}
        return found | {"moving": 5, "differences": [], "largest_move": 1.0}

    monkeypatch.setattr(pieces, "played", play)
    command = ["--json", str(tmp_path / "found.json")]
    with pytest.raises(KeyboardInterrupt):
        pieces.main(command)
    assert json.loads((tmp_path / "found.json").read_text())["requests"] == 30
    before, played = played, []
    monkeypatch.setattr(pieces, "pieces", lambda: [(*one, 0) for one in known[:5]])
    known = [(family, AuditedMode.SOUND) for family, _ in before]
    known += [("later", AuditedMode.SOUND), ("last", AuditedMode.SECURE)]
    assert pieces.main(command) == 0
    assert played == [("later", 0), ("last", 0)]
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["requests"], found["joined"], found["differences"]) == (50, 45, 0)
    assert found["moving"] == 25


@pytest.mark.parametrize("name", hostile.TABULAR)
def test_the_game_plays_texts_beside_numbers_and_static_columns_beside_windows(name: str) -> None:
    random = np.random.default_rng(0)
    drawn = [hostile_request(name, random).spec.features for _ in range(100)]
    played = {part.name for one in drawn if one.series is None for part in one.parts}
    windowed = {part.name for one in drawn if one.series is not None for part in one.parts}
    assert played == {"columns", "remark"}
    assert windowed == {"window", "columns", "remark"}


@pytest.mark.parametrize(
    "name", [pytest.param("softmax-regression", marks=pytest.mark.slow), "oblivious-trees"]
)
def test_a_text_read_by_what_the_other_texts_are_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = text_columns.text_inputs

    def all_or_none(column: ColumnSchema, texts: Sequence[str]) -> NDArray[np.float32]:
        found = own(column, texts)
        return found if found.any(axis=1).all() else np.zeros_like(found)

    random = np.random.default_rng(1)
    requests = (hostile_request(name, random) for _ in range(200))
    asked = [one for one in requests if "remark" in one.spec.features.names][:25]
    monkeypatch.setattr(text_columns, "text_inputs", all_or_none)
    assert any(compare(one, random)[0] for one in asked)


@pytest.mark.parametrize("name", hostile.TABULAR)
def test_the_game_plays_every_loss_with_and_without_priors(name: str) -> None:
    random = np.random.default_rng(0)
    drawn = [hostile_request(name, random).spec for _ in range(100)]
    asked = [{"task": one.task, **one.family.parameters} for one in drawn]
    played = {(one["task"], one.get("loss"), "priors" in one) for one in asked}
    assert played == {
        (task, loss, priors)
        for task, losses in (("classification", [None]), ("regression", hostile.REGRESSIONS))
        for loss in losses
        for priors in (False, True)
    }
    assert {"quantile", "class_weights"} <= {key for one in asked for key in one}


NOT_DRAWN = {
    **dict.fromkeys(("network", "digest", "width"), "networks are pinned"),
    "tokens": "MiniLM takes 256",
    "vectors": "a table that CI does not have",
    **dict.fromkeys(("features", "least_in_leaf", "terms"), "of grown trees, which are not sound"),
    "form": "of widths that are given",
}
"""Parameters of families that the game leaves alone, and why."""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_game_draws_every_parameter_that_a_requester_chooses(name: str) -> None:
    """Of trees `interaction`, by which questions are weighed, was never drawn, and of many others
    the activation, the number of layers or the example norm."""
    random, drawn = np.random.default_rng(0), dict[str, set[str]]()
    for _ in range(60):
        fields = hostile._fields(name, random)
        own, asked = {}, fields["family"]["parameters"]
        for field in family_named(name).schema.model_fields:
            own[field] = asked.get(field)
        for field, value in own.items():
            drawn.setdefault(field, set()).add(json.dumps(value))
    still = {field for field, values in drawn.items() if len(values) == 1}
    assert still <= set(NOT_DRAWN)


@pytest.mark.parametrize("name", sorted({*FAMILIES} - {*hostile.TEXT_FAMILIES}))
def test_the_game_plays_every_strategy_and_every_adaptive_clipping(name: str) -> None:
    random = np.random.default_rng(0)
    fields = [hostile._fields(name, random, AuditedMode.ADAPTIVE) for _ in range(60)]
    assert {one["strategy"]["name"] for one in fields} == set(hostile.STRATEGIES)
    for part in AdaptiveClipping.model_fields:
        assert len({one["privacy"]["adaptive_clipping"][part] for one in fields}) > 1
    secure = [hostile._fields(name, random, AuditedMode.SECURE) for _ in range(30)]
    assert {one["strategy"]["name"] for one in secure} == {"fedavg", "fedavgm"}


def found_with(seed: int = 5, requests: int = 3) -> list[str]:
    return list(audit_participation(SOFTMAX, requests=requests, seed=seed).details["differences"])


def test_a_choice_between_data_sets_by_their_records_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    considered = deciding._samples_to_join

    def by_records(own, data, *given):
        found = considered(own, data, *given)
        if len(data.records.load().units) > OTHERS:
            raise PolicyRefusal("too many records", Reason.SAMPLES)
        return found

    monkeypatch.setattr(deciding, "_samples_to_join", by_records)
    assert any("chosen is" in one for one in found_with(requests=6))


def test_the_game_joins_and_reaches_the_charged_sensitivity() -> None:
    found = audit_participation(SOFTMAX, requests=2, seed=7)
    assert found.holds
    assert found.details["joined"] >= 1
    assert found.details["largest_move"] == pytest.approx(1.0, abs=1e-3)
    assert audit_participation(SOFTMAX, AuditedMode.ADAPTIVE, requests=2, seed=3).holds


@pytest.mark.parametrize(
    ("name", "seed"), [(SOFTMAX, 3), ("text-statistics", 2), ("random-forest", 2)]
)
def test_a_part_of_a_secure_sum_is_moved_by_what_its_noise_pays_for(name: str, seed: int) -> None:
    """And by no more, whatever the group."""
    found = audit_participation(name, AuditedMode.SECURE, requests=4, seed=seed)
    assert found.details["differences"] == []
    assert found.details["joined"] >= 1
    assert found.details["largest_move"] == pytest.approx(1.0, abs=1e-3)


def test_in_many_requests_the_record_counts() -> None:
    """In nine of ten it counted as zero, for want of a label or a number: a difference in the sums
    could hardly be seen."""
    assert audit_participation(SOFTMAX, requests=5, seed=1).details["moving"] >= 4


def test_a_family_without_known_requests_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no hostile requests"):
        audit_participation("decision-tree", requests=1)


def test_a_reader_that_raises_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is no number stops the training; noise alone would betray it by its log line."""

    def strict(self: declared.DeclaredData, spec: object) -> np.ndarray:
        if not self._finite.all():
            raise DataError("a cell is no number")
        return np.ones(len(self.records.labels), dtype=bool)

    monkeypatch.setattr(declared.DeclaredData, "_usable_for", strict)
    assert any("log is" in one for one in found_with(seed=1))


def test_counting_the_records_when_joining_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from fedpact.privacy_audit import participation

    real = participation.match_to_join

    def counted(own, *arguments):
        match = real(own, *arguments)
        return replace(match, samples=len(match.data.records.load().records.labels))

    monkeypatch.setattr(participation, "match_to_join", counted)
    assert any("opt_in is" in one for one in found_with())


def test_a_missing_clipping_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unclipped(batch, bound, sums, norms=None):
        return unit_clipping.UnitSum(sums(*batch.examples, None), np.empty(0))

    from fedpact.learning import local_training

    monkeypatch.setattr(local_training, "clipped_unit_sum", unclipped)
    assert any("moves the first step" in one for one in found_with(seed=4))


def test_a_cell_that_changes_how_other_cells_are_read_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = table.values_of

    def all_or_none(column, cells, layout):
        found = real(column, cells, layout)
        return found if np.isfinite(found).all() else np.full_like(found, np.nan)

    monkeypatch.setattr(table, "values_of", all_or_none)
    assert any("moves the first step" in one for one in found_with(seed=3))


def test_what_a_provider_joins_with_carries_its_schema_signed() -> None:
    asked = attacks.request("softmax-regression")
    record = json.loads(participation.play(asked, None, "a", False, 1).behaviour.opt_in)
    message = encode_defunct(canonical_json(record["declaration"]))
    signature = bytes.fromhex(record["declaration_signature"])
    own = Account.from_key(b"\1" * 32).address
    assert Account.recover_message(message, signature=signature) == own
    assert record["declaration"]["version"] == 1
    record["declaration"]["units"] += 1
    changed = encode_defunct(canonical_json(record["declaration"]))
    assert Account.recover_message(changed, signature=signature) != own
