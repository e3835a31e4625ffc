"""Evaluation slices: balanced, disjoint, opened by their own key alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.consensus.artefacts import open_slice
from fedpact.errors import ContentMismatch, DataError, DecryptionError
from fedpact.requester import slices
from fedpact.requester.request import prepare
from fedpact.requester.slices import cut, slice_key
from tests.offchain.requester.requests_of_digits import account, draft, evaluation

counts = st.tuples(*[st.integers(min_value=4, max_value=40)] * 3)


@given(counts=counts, rounds=st.integers(min_value=1, max_value=4))
def test_slices_are_disjoint_and_balanced(counts: tuple[int, ...], rounds: int) -> None:
    spec = draft(rounds=rounds).specification
    parts = cut(spec, evaluation(counts), account())

    rows = np.concatenate([part.x for part in parts])
    assert len(np.unique(rows, axis=0)) == len(rows) == 3 * min(counts)
    assert len(parts) == rounds
    for part in parts:
        by_label = np.bincount(part.y, minlength=3)
        assert by_label.max() - by_label.min() <= 1
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_label_without_an_example_a_round_is_refused() -> None:
    spec = draft().specification
    with pytest.raises(DataError, match="label 'green' has 2 examples for 3 rounds"):
        cut(spec, evaluation((5, 2, 5)), account())


def test_a_label_without_any_example_is_refused() -> None:
    spec = draft().specification
    with pytest.raises(DataError, match="label 'blue' has 0 examples"):
        cut(spec, evaluation((5, 5)), account())


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


def test_another_slice_than_the_one_fixed_is_refused() -> None:
    prepared = prepare(draft(), evaluation(), account())
    other = prepare(draft(), evaluation(seed=1), account())
    key = slice_key(account(), bytes.fromhex(other.slices[0].sha256))

    with pytest.raises(ContentMismatch):
        open_slice(prepared.specification, 1, key, other.slices[0].ciphertext)


def test_a_slice_too_large_to_fetch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_MAX_BYTES", 200)
    with pytest.raises(DataError, match=r"slice of round 1 has .* bytes, more than 200"):
        prepare(draft(), evaluation(), account())
