"""The key of a final model, sealed to the requester: it opens, or it can be shown to be wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.content.bn254 import ORDER, Point, multiply, public_key
from fedpact.content.delivery import Deliveries, Delivery, open_delivery, requester_secret
from fedpact.content.keys import delivery_key
from fedpact.content.wrong_key_proof import SharedPoint, proof_holds, prove
from fedpact.errors import DecryptionError, InvalidInput

WORDS = st.binary(min_size=32, max_size=32)
SECRETS = st.integers(1, ORDER - 1)
FINGERPRINT = b"\x05" * 32
CONTEXT = b"\x06" * 32


def sealed(request_key: bytes, secret: int, rounds: int = 3) -> Deliveries:
    return Deliveries.seal(request_key, public_key(secret), FINGERPRINT, 9, rounds)


@settings(max_examples=15, deadline=None)
@given(request_key=WORDS, secret=SECRETS, rounds=st.integers(1, 9), data=st.data())
def test_a_sealed_key_opens_and_can_never_be_disputed(
    request_key: bytes, secret: int, rounds: int, data: st.DataObject
) -> None:
    made = sealed(request_key, secret, rounds)
    count = data.draw(st.integers(1, rounds))
    delivery = made.after(count)

    assert delivery.is_anchored(count, made.root)
    assert open_delivery(secret, delivery, count) == delivery_key(
        request_key, FINGERPRINT, 9, count
    )
    with pytest.raises(InvalidInput, match="nothing to dispute"):
        prove(secret, delivery, count, CONTEXT)


@settings(max_examples=15, deadline=None)
@given(request_key=WORDS, secret=SECRETS, cipher=WORDS, context=WORDS)
def test_a_wrong_key_is_provable(
    request_key: bytes, secret: int, cipher: bytes, context: bytes
) -> None:
    made = sealed(request_key, secret)
    delivery = replace(made.after(2), cipher=cipher)

    with pytest.raises(DecryptionError, match="dispute"):
        open_delivery(secret, delivery, 2)
    proof = prove(secret, delivery, 2, context)
    assert proof_holds(public_key(secret), delivery, proof, context)
    assert proof.shared == multiply(delivery.ephemeral, secret)


@settings(max_examples=5, deadline=None)
@given(secret=SECRETS, other=SECRETS, delta=st.integers(1, ORDER - 1))
def test_a_proof_shows_one_shared_point_alone(secret: int, other: int, delta: int) -> None:
    """Otherwise a requester could open a right key as another one."""
    delivery = replace(sealed(bytes(32), secret).after(1), cipher=bytes(32))
    key = public_key(secret)
    proof = prove(secret, delivery, 1, CONTEXT)

    changed = [
        replace(proof, shared=multiply(proof.shared, delta)) if delta != 1 else None,
        replace(proof, response=(proof.response + delta) % ORDER),
        replace(proof, challenge=(proof.challenge + delta) % ORDER),
        prove(other, delivery, 1, CONTEXT) if other != secret else None,
    ]
    assert not any(one and proof_holds(key, delivery, one, CONTEXT) for one in changed)
    assert not proof_holds(key, delivery, proof, bytes(32))


def test_all_members_seal_the_same_bytes() -> None:
    assert sealed(b"\x01" * 32, 5) == sealed(b"\x01" * 32, 5)
    assert sealed(b"\x01" * 32, 5).root != sealed(b"\x02" * 32, 5).root


def test_one_delivery_opens_one_model() -> None:
    made = sealed(b"\x01" * 32, 5)
    with pytest.raises(DecryptionError):
        open_delivery(5, made.after(1), 2)
    assert not made.after(1).is_anchored(2, made.root)


@pytest.mark.parametrize("count", [0, 4])
def test_no_delivery_beyond_the_rounds(count: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 3 are sealed"):
        sealed(bytes(32), 5).after(count)


def test_a_request_without_rounds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one round"):
        sealed(bytes(32), 5, 0)


def test_a_requester_has_a_secret_for_each_deployment() -> None:
    secrets = {requester_secret(bytes(32), name) for name in (bytes(32), b"\x01" * 32)}
    assert len(secrets) == 2
    assert all(0 < secret < ORDER for secret in secrets)


def test_a_cipher_of_another_length_is_refused() -> None:
    delivery = Delivery(Point(1, 2), bytes(31), bytes(32), ())
    with pytest.raises(InvalidInput, match="32 bytes, not 31"):
        open_delivery(5, delivery, 1)


def test_sealed_keys_are_in_no_log() -> None:
    assert "cipher" not in repr(sealed(bytes(32), 5))


VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "delivery.json").read_text())["cases"]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["max_rounds"])
def test_deliveries_and_proofs_are_those_that_the_contracts_are_tested_with(
    case: dict[str, Any],
) -> None:
    def data(name: str) -> bytes:
        return bytes.fromhex(case[name][2:])

    def point(name: str) -> Point:
        return Point(*(int(coordinate, 16) for coordinate in case[name]))

    secret, rounds = int(case["secret"], 16), case["final_rounds"]
    made = Deliveries.seal(
        *(data("request_key"), point("requester"), data("fingerprint")),
        *(case["request_id"], case["max_rounds"]),
    )
    delivery = made.after(rounds)

    assert public_key(secret) == point("requester")
    assert made.root == data("root")
    assert delivery == Delivery(
        *(point("ephemeral"), data("cipher"), data("key_digest")),
        tuple(bytes.fromhex(node[2:]) for node in case["proof"]),
    )
    assert open_delivery(secret, delivery, rounds) == data("key")
    proof = SharedPoint(point("shared"), int(case["challenge"], 16), int(case["response"], 16))
    assert proof_holds(point("requester"), delivery, proof, data("context"))
