"""Shares of secrets, each known by a public digest.

Shamir's scheme over GF(2^128) by PyCryptodome: a secret has exactly 16 bytes, so seeds are shared
and not keys. The digests tell whose fault a wrong share is: the opener's if it differs from its
digest, the dealer's if shares that equal their digests do not give the announced secret.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Literal

from Crypto.Protocol.SecretSharing import Shamir

Kind = Literal["pair", "self"]
"""Which of a member's two secrets: the seed of its keys with others, or that of its own mask."""
KINDS: tuple[Kind, Kind] = ("pair", "self")


def split(secret: bytes, threshold: int, holders: int) -> list[bytes]:
    """Shares (16 bytes each) of a secret of 16 bytes, of holder 0 first; `threshold` recover it."""
    return [bytes(share) for _, share in Shamir.split(threshold, holders, secret, ssss=False)]


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """What `threshold` shares, by the number of their holder, are shares of.

    The first ones in the order of their holders are taken; there must be as many.
    """
    chosen = sorted(shares.items())[:threshold]
    return bytes(Shamir.combine([(holder + 1, share) for holder, share in chosen], ssss=False))


def share_digest(context: bytes, kind: Kind, dealer: int, holder: int, share: bytes) -> bytes:
    """The public digest of a share. A share has 128 random bits, so that its digest hides it."""
    return _digest(f"share/{kind}", context, (dealer, holder), share)


def secret_digest(context: bytes, dealer: int, secret: bytes) -> bytes:
    """The public digest of the seed of a member's own mask."""
    return _digest("secret", context, (dealer,), secret)


def _digest(purpose: str, context: bytes, numbers: Sequence[int], value: bytes) -> bytes:
    placed = b"".join(number.to_bytes(4, "big") for number in numbers)
    head = b"fedpact/secure-sum/v1/" + purpose.encode() + b"\0"
    return sha256(head + sha256(context).digest() + placed + value).digest()
