"""Evaluation slices: the whole set, stratified, opened by their own key alone."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.consensus.artefacts import open_slice
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import ContentError, DataError, DecryptionError
from fedpact.requester import slices
from fedpact.requester.preparing import prepare
from fedpact.requester.slices import cut, slice_key
from tests.offchain.requester.requests_of_digits import account, draft, evaluation

counts = st.tuples(*[st.integers(min_value=4, max_value=40)] * 3)


@given(counts=counts, rounds=st.integers(min_value=1, max_value=4))
def test_slices_are_disjoint_and_use_the_whole_set(counts: tuple[int, ...], rounds: int) -> None:
    spec = draft(rounds=rounds).specification
    parts = cut(spec, evaluation(counts), account())

    rows = np.concatenate([part.x for part in parts])
    assert len(np.unique(rows, axis=0)) == len(rows) == sum(counts)
    by_label = np.array([np.bincount(part.y, minlength=3) for part in parts])
    assert (by_label.max(axis=0) - by_label.min(axis=0)).max() <= 1


@pytest.mark.parametrize("metric", ["balanced-accuracy", "macro-f1", "auc"])
def test_a_metric_by_label_needs_each_label_in_each_slice(metric: str) -> None:
    spec = draft(metric=metric).specification
    with pytest.raises(DataError, match="label 'green' has 2 examples for 3 rounds: metric"):
        cut(spec, evaluation((5, 2, 5)), account())
    with pytest.raises(DataError, match="label 'blue' has 0 examples"):
        cut(spec, evaluation((5, 5)), account())


def test_other_metrics_do_without_a_rare_label_in_some_slices() -> None:
    parts = cut(draft(metric="brier").specification, evaluation((5, 2, 5)), account())
    assert sum(len(part) for part in parts) == 12


@pytest.mark.parametrize(
    ("counts", "named", "judged"),
    [
        ((100, 100, 100), None, None),
        ((125, 125, 50), None, None),  # exactly half of an even share
        ((126, 125, 49), None, "balanced-accuracy"),
        ((290, 5, 5), "accuracy", "accuracy"),
        ((290, 5, 5), "auc", "auc"),
    ],
)
def test_skewed_labels_are_judged_by_balanced_accuracy_unless_a_metric_is_named(
    counts: tuple[int, ...], named: str | None, judged: str | None
) -> None:
    asked = draft() if named is None else draft(metric=named)
    found = prepare(asked, evaluation(counts), account()).specification.metric
    assert (found and found.name) == judged


def test_the_changed_measure_is_said(caplog: pytest.LogCaptureFixture) -> None:
    prepare(draft(), evaluation((126, 125, 49)), account())
    assert "label 'blue' has 49 of 300 evaluation examples: models are judged by" in caplog.text


def test_a_slice_opens_with_its_own_key_and_as_its_own_round_only() -> None:
    prepared = prepare(draft(), evaluation(), account())
    spec = prepared.specification
    first, second = prepared.slices[:2]
    key = slice_key(account(), bytes.fromhex(first.sha256))

    opened = open_slice(spec, 1, key, first.ciphertext)

    assert len(opened) == spec.evaluation[0].examples
    with pytest.raises(DecryptionError):
        open_slice(spec, 2, key, second.ciphertext)
    with pytest.raises(DecryptionError):
        open_slice(spec, 2, key, first.ciphertext)
    stranger = slice_key(account(2), bytes.fromhex(first.sha256))
    with pytest.raises(DecryptionError):
        open_slice(spec, 1, stranger, first.ciphertext)


def test_the_requester_opens_its_own_slices(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, part = EmbeddedStore(tmp_path / "store"), evaluation((40, 30, 20))
    prepared = prepare(draft(rounds=4), part, account())
    for content in prepared.contents:
        store.put(content)
    found = slices.own_slices(store.get, prepared.specification, account())
    assert found is not None
    assert [len(one) for one in found] == [
        one.examples for one in prepared.specification.evaluation
    ]
    whole = slices.all_slices(found)
    assert sorted(whole.x.tolist()) == sorted(part.x.tolist())
    (lost := EmbeddedStore(tmp_path / "empty")).check()
    with caplog.at_level(logging.WARNING):
        assert slices.own_slices(lost.get, prepared.specification, account()) is None
    assert "evaluation slice 1 cannot be read" in caplog.text


def test_another_slice_than_the_one_fixed_is_refused() -> None:
    prepared = prepare(draft(), evaluation(), account())
    other = prepare(draft(), evaluation(seed=1), account())
    key = slice_key(account(), bytes.fromhex(other.slices[0].sha256))

    with pytest.raises(ContentError, match="sha-256"):
        open_slice(prepared.specification, 1, key, other.slices[0].ciphertext)


def test_a_slice_too_large_to_fetch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_MAX_BYTES", 200)
    with pytest.raises(DataError, match=r"slice of round 1 has .* bytes, more than 200"):
        prepare(draft(), evaluation(), account())
