"""Masks: words modulo 2^64 that hide a member's integers and cancel in the sum.

Of two members the first adds, and the second takes off, the words of a seed that both derive from
their keys of the round (X25519, RFC 7748). Each also adds words of a seed of its own, so that a
vector that comes late stays hidden when the pairs' seeds are opened (Bonawitz et al. 2017, section
4). Words are ChaCha20's key stream (RFC 8439), little-endian; seeds are derived by HKDF-SHA256 (RFC
5869), bound to the round and to who takes part in it.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

# The library cryptography is loaded when it is needed, as in content/envelope.py.

SEED_BYTES: Final = 16
"""Of the secrets that are shared: 128 bits, as many as X25519 is worth."""
KEY_BYTES: Final = 32

Words = NDArray[np.uint64]


def derive(secret: bytes, purpose: str, context: bytes) -> bytes:
    """32 bytes by HKDF-SHA256; `context`: a digest, or a round reference of fixed length."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"fedpact/secure-sum/v1/" + purpose.encode() + b"\0" + context
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def mask_key(seed: bytes, context: bytes) -> "X25519PrivateKey":
    """A member's key of the round from its seed (SEED_BYTES)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(derive(seed, "mask-key", context))


def has_small_order(key: bytes) -> bool:
    """Whether every secret shared with this public key (KEY_BYTES) is 0, which anyone knows."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return True
    return False


def pair_seed(
    own: "X25519PrivateKey", other: bytes, numbers: tuple[int, int], roster: bytes
) -> bytes:
    """What two members derive alike from one's private and the other's announced public key.

    numbers: of both members, in any order. roster: the digest of who takes part.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    ordered = b"".join(number.to_bytes(4, "big") for number in sorted(numbers))
    return derive(shared, "pair", roster + ordered)


def self_words(seed: bytes, roster: bytes, count: int) -> Words:
    """The words of a member's own seed."""
    return words(derive(seed, "self", roster), count)


def words(key: bytes, count: int) -> Words:
    """`count` words of the key stream of `key` (32 bytes), used for nothing else."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

    cipher = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * count)), dtype="<u8").astype(np.uint64)
