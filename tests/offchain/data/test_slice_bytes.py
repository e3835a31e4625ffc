"""Evaluation slices as bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_at_random, decode_slice, encode_slice
from fedpact.errors import DataError
from tests.support.specifications import specification

SPEC = specification()
X = np.array([[1, 2], [3, 4]], dtype=np.float32)
Y = np.array([0, 2], dtype=np.int64)


def test_a_slice_is_decoded_unchanged():
    plain = encode_slice(Dataset(X, Y, ()))
    found = decode_slice(plain, SPEC)
    assert found.x.tolist() == X.tolist()
    assert found.y.tolist() == Y.tolist()
    assert encode_slice(found) == plain


REGRESSION = specification(
    task="regression",
    labels=[],
    output={"column": "y", "scale": 1.0},
    family={"name": "linear-regression"},
)


def test_a_slice_of_a_regression_is_decoded_unchanged():
    plain = encode_slice(Dataset(X, np.array([-0.5, 7], np.float32), ()))
    found = decode_slice(plain, REGRESSION)
    assert (found.y.dtype, found.y.tolist()) == (np.float32, [-0.5, 7.0])
    for wrong in (Y, np.array([0, np.nan], np.float32)):
        with pytest.raises(DataError):
            decode_slice(encode_slice(Dataset(X, wrong, ())), REGRESSION)


@given(st.integers(1, 9), st.integers(0, 40))
def test_slices_cut_at_random_hold_every_example_once(rounds, more):
    slices = cut_at_random(rounds + more, rounds, np.random.default_rng(more))
    assert sorted(np.concatenate(slices).tolist()) == list(range(rounds + more))
    assert max(map(len, slices)) - min(map(len, slices)) <= 1
    with pytest.raises(DataError, match="at least one per round"):
        cut_at_random(rounds - 1, rounds, np.random.default_rng(0))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\xff" * 64,
        b"\x80\x04\x95pickle",
        save({"x": X}),
        save({"x": X.astype(np.float64), "y": Y}),
        save({"x": X, "y": Y.astype(np.int32)}),
        save({"x": X[:, :1].copy(), "y": Y}),
        save({"x": X[:1], "y": Y}),
        save({"x": X[:0], "y": Y[:0]}),
        save({"x": X * np.float32(np.nan), "y": Y}),
        save({"x": X, "y": Y + 1}),
        save({"x": X, "y": Y - 1}),
    ],
)
def test_bytes_that_do_not_fit_the_specification_are_refused(plain):
    with pytest.raises(DataError):
        decode_slice(plain, SPEC)
