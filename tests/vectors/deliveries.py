"""Sealed deliveries and disputes, computed without the product's code (see naive_curve.py)."""

import hmac
import random
from hashlib import sha256
from typing import Any

from tests.vectors.naive_curve import GENERATOR, ORDER, hashed, proof_of, root_of, times, xor


def deliveries() -> list[dict[str, Any]]:
    source = random.Random("fedpact deliveries")
    return [_case(source, rounds) for rounds in (1, 2, 5, 8)]


def _case(source: random.Random, rounds: int) -> dict[str, Any]:
    request_key, fingerprint = source.randbytes(32), source.randbytes(32)
    request_id, final_rounds = source.randint(1, 10**6), source.randint(1, rounds)
    secret, nonce = source.randrange(1, ORDER), source.randrange(1, ORDER)
    place = fingerprint + request_id.to_bytes(32)
    ephemeral_secret = _scalar(request_key, b"fedpact/delivery-ephemeral/v1", place + bytes(8))
    requester, ephemeral = times(GENERATOR, secret), times(GENERATOR, ephemeral_secret)
    shared = times(requester, ephemeral_secret)
    keys = [
        _hkdf(request_key, b"fedpact/delivery-key/v1\0" + place + count.to_bytes(8), 32)
        for count in range(1, rounds + 1)
    ]
    ciphers = [xor(key, hashed(shared, count)) for count, key in enumerate(keys, 1)]
    leaves = [
        hashed(count, hashed(key), ephemeral, cipher)
        for count, (key, cipher) in enumerate(zip(keys, ciphers, strict=True), 1)
    ]
    context = source.randbytes(32)
    first, second = times(GENERATOR, nonce), times(ephemeral, nonce)
    digest = hashed(context, requester, ephemeral, shared, first, second)
    challenge = int.from_bytes(digest)
    return {
        "request_key": _hex(request_key),
        "fingerprint": _hex(fingerprint),
        "request_id": request_id,
        "max_rounds": rounds,
        "final_rounds": final_rounds,
        "secret": hex(secret),
        "requester": _point(requester),
        "ephemeral": _point(ephemeral),
        "shared": _point(shared),
        "key": _hex(keys[final_rounds - 1]),
        "cipher": _hex(ciphers[final_rounds - 1]),
        "key_digest": _hex(hashed(keys[final_rounds - 1])),
        "root": _hex(root_of(leaves)),
        "proof": [_hex(node) for node in proof_of(leaves, final_rounds - 1)],
        "context": _hex(context),
        "challenge": hex(challenge),
        "response": hex((nonce + challenge * secret) % ORDER),
    }


def _scalar(secret: bytes, purpose: bytes, context: bytes) -> int:
    wide = int.from_bytes(_hkdf(secret, purpose + b"\0" + context, 48))
    return wide % (ORDER - 1) + 1


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt."""
    extracted = hmac.digest(bytes(32), secret, sha256)
    made, block = b"", b""
    for number in range(1, 3):
        block = hmac.digest(extracted, block + info + bytes([number]), sha256)
        made += block
    return made[:length]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _point(point: tuple[int, int] | None) -> list[str]:
    assert point is not None
    return [hex(coordinate) for coordinate in point]
