"""Models as bytes."""

import json
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load, save

from fedpact.errors import ModelError
from fedpact.learning.artefact import Template, decode, encode

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
MODELS = st.dictionaries(
    st.text("abc.é0", min_size=1, max_size=4),
    array_shapes(max_dims=3, max_side=4).flatmap(
        lambda shape: arrays(np.float32, shape, elements=FINITE)
    ),
    min_size=1,
    max_size=4,
)
MODEL = {"w": np.array([[1, 2], [3, 4]], np.float32), "b": np.array([-1, 0.5], np.float32)}
TEMPLATE = Template((("b", (2,)), ("w", (2, 2))))


def test_the_bytes_of_a_small_model_by_hand():
    header = (
        b'{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}}'
    )
    header += b" " * (-len(header) % 8)
    values = struct.pack("<6f", -1, 0.5, 1, 2, 3, 4)
    assert encode(MODEL) == struct.pack("<Q", len(header)) + header + values
    assert TEMPLATE.parameters == 6
    assert TEMPLATE.bytes == len(encode(MODEL))


@given(MODELS)
def test_a_model_survives_encoding_in_any_order_of_names(model):
    template = Template.of(model)
    data = encode(model)
    assert len(data) == template.bytes
    assert data == encode(dict(reversed(model.items())))
    found = decode(data, template)
    assert all(np.array_equal(found[name], model[name]) for name in model)
    assert encode(found) == data


@given(MODELS)
def test_safetensors_reads_and_writes_the_same_bytes(model):
    data = encode(model)
    read = load(data)
    assert all(np.array_equal(read[name], model[name]) for name in model)
    assert load(save(read)).keys() == model.keys()


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 40, -1])
def test_a_truncated_artefact_is_refused(cut):
    with pytest.raises(ModelError, match="bytes"):
        decode(encode(MODEL)[:cut], TEMPLATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    broken = {**MODEL, "b": np.array([0, value], np.float32)}
    with pytest.raises(ModelError, match="finite"):
        decode(encode(broken), TEMPLATE)


def test_other_shapes_names_and_types_are_refused():
    for other in (
        {"w": MODEL["w"].reshape(4, 1), "b": MODEL["b"]},
        {"v": MODEL["w"], "b": MODEL["b"]},
        {"w": MODEL["w"]},
    ):
        with pytest.raises(ModelError):
            decode(encode(other), TEMPLATE)
    with pytest.raises(ModelError, match="float64"):
        encode({"w": np.zeros(2)})
    as_integers = encode(MODEL).replace(b"F32", b"I32")
    with pytest.raises(ModelError):
        decode(as_integers, TEMPLATE)


def padded(data):
    """Hostile bytes of exactly the expected size, so that the size check does not save us."""
    return (data + bytes(TEMPLATE.bytes))[: TEMPLATE.bytes]


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickle_bytes_are_never_run(tmp_path):
    target = tmp_path / "run"
    with pytest.raises(ModelError):
        decode(padded(pickle.dumps(Touch(str(target)))), TEMPLATE)
    assert not target.exists()


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<Q", 2**63) + b"{",
        struct.pack("<Q", 10**8) + b"{" * 20,
        struct.pack("<Q", 8) + b"[[[[[[[[",
        json.dumps({"b": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode(),
    ],
)
def test_a_hostile_header_is_refused_unread(head):
    with pytest.raises(ModelError):
        decode(padded(head), TEMPLATE)


def test_another_spelling_of_the_same_header_is_refused():
    data = bytearray(encode(MODEL))
    at = data.index(b'"b"')
    data[at - 1 : at] = b" "  # "{" becomes " ": the same length, another file
    with pytest.raises(ModelError):
        decode(bytes(data), TEMPLATE)


def test_a_template_of_any_size_costs_nothing_to_measure():
    huge = Template((("w", (10**9, 10**6)),))
    assert huge.parameters == 10**15
    assert huge.bytes > 4 * 10**15


def test_names_must_be_sorted_and_distinct():
    for tensors in ((("w", (1,)), ("b", (1,))), (("b", (1,)), ("b", (1,)))):
        with pytest.raises(ModelError):
            Template(tensors)
