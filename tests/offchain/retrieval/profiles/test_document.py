import json
from dataclasses import replace
from hashlib import sha256

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import RetrievalError
from fedpact.retrieval.messages import Record
from fedpact.retrieval.profiles.document import (
    LONGEST_DOCUMENT,
    Details,
    Profile,
    Release,
    base64_of,
    shown,
)
from fedpact.retrieval.signature import Signature
from fedpact.types.attributes import verify_attribute
from fedpact.types.cid import Cid
from fedpact.types.privacy import PrivacyMode

NODE = bytes(range(20))
SIGNATURE = Signature((3,), (65_535,))
SALT = base64_of(bytes(32))


def details(**changes: object) -> Details:
    fields: dict[str, object] = {
        "type": "text",
        "task": "classification",
        "categories": ("texts/news",),
        "size": 500,
        "data_schema": "ab" * 32,
        "mode": PrivacyMode.SOUND,
        "release": Release(epsilon=2.0, delta=1e-5, noise_multiplier=1.99),
        "endpoint": "http://127.0.0.1:8600",
        "price": "7",
        "salts": (SALT,) * 4,
        "hidden": (base64_of(b"\1" * 32),),
        **changes,
    }
    return Details(**fields)  # type: ignore[arg-type]


def profile() -> Profile:
    one = details()
    return Profile(Record(NODE, SIGNATURE, one.encode()), one)


def test_a_profile_survives_its_byte_form_and_its_digest_is_that_of_its_cid() -> None:
    one = profile()
    document = one.record.document
    assert Profile.decode(NODE, document).details == one.details
    assert one.record.digest == Cid.of(document).digest == sha256(document).digest()


def test_the_hash_on_chain_is_that_of_digest_and_root() -> None:
    one = profile()
    wanted = keccak(encode(["bytes32"] * 2, [one.record.digest, one.details.tree.root]))
    assert one.profile_hash == wanted


def test_shown_attributes_prove_under_the_root_and_hidden_ones_only_fill_it() -> None:
    tree, attributes = details().tree, details().attributes
    assert [one.name.rstrip(b"\0") for one in attributes] == [
        b"type",
        b"size",
        b"schema",
        b"category 0",
    ]
    for index, attribute in enumerate(attributes):
        assert verify_attribute(tree.root, attribute, tree.proof(index))
    other = replace(attributes[0], salt=b"\2" * 32)
    assert not verify_attribute(tree.root, other, tree.proof(0))
    assert details(hidden=()).tree.root != tree.root


def test_attribute_values_are_as_documented() -> None:
    pairs = shown("text", 7, "ab" * 32, ("a/b",))
    assert pairs[0] == (b"type".ljust(32, b"\0"), sha256(b"text").digest())
    assert pairs[1][1] == (7).to_bytes(32, "big")


def test_a_profile_over_its_size_limit_is_refused() -> None:
    many = tuple(f"{index}" * 100 for index in range(8))
    with pytest.raises(RetrievalError, match="name fewer or shorter categories"):
        details(categories=many, endpoint="http://" + "h" * 249, salts=(SALT,) * 11,
                hidden=(SALT,) * 9).encode()  # fmt: skip
    with pytest.raises(RetrievalError, match="too many"):
        Profile.decode(NODE, SIGNATURE.encode() + b"x" * LONGEST_DOCUMENT)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", "500"),
        ("categories", []),
        ("categories", ["a", "a"]),
        ("categories", ["x" * 101]),
        ("endpoint", "ftp://somewhere"),
        ("price", "-1"),
        ("salts", []),
        ("salts", ["!" * 44] * 4),
        ("hidden", ["A" * 44]),
        ("mode", "none"),
        ("version", 2),
        ("unknown", 1),
    ],
)
def test_a_document_that_breaks_its_schema_is_refused_by_name(field: str, value: object) -> None:
    fields = json.loads(details().encode())
    fields[field] = value
    with pytest.raises(RetrievalError, match="profile"):
        Details.decode(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def test_a_second_form_of_the_same_document_is_refused() -> None:
    with pytest.raises(RetrievalError, match="not canonical JSON"):
        Details.decode(details().encode() + b" ")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_profile_or_a_clear_refusal(content: bytes) -> None:
    for document in (content, SIGNATURE.encode() + content):
        with pytest.raises(RetrievalError):
            Profile.decode(NODE, document)
