"""The final model's key, sealed to the requester so that a wrong one can be shown on chain.

Mirrors contracts/libraries/SealedDelivery.sol and Bn254.sol. Key encapsulation on BN254, which
the EVM computes with (EIP-196): the requester's public key is Q = q G. Every member derives the
same e from the request key, and from it E = e G and S = e Q; the k-th final global model's key is
sealed as key XOR keccak256(S, k). The start anchors the root of a tree with a leaf for each k, so
every member can check it, anyone can deliver, and the requester learns one key alone. If what was
delivered opens to another key, the requester publishes S = q E with a proof that S is to E as Q is
to G (Chaum & Pedersen 1992, by Fiat and Shamir's transform).

py_ecc is plain Python: its running time depends on the secrets, by microseconds in about 10 ms, so
no secret should be used where others can time it precisely.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

from eth_hash.auto import keccak

from fedpact.content.envelope import KEY_BYTES, derive, round_context
from fedpact.content.keys import delivery_key
from fedpact.errors import DecryptionError, InvalidInput

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Coordinates are below this prime."""
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Number of points, a prime; secrets are 1 to ORDER - 1."""

_SCALAR_BYTES = 48  # 128 bits more than ORDER has: the remainder is uniform (RFC 9380, section 5.1)


@dataclass(frozen=True)
class Point:
    """A point of BN254's first group other than its zero; InvalidInput if it is not on it."""

    x: int
    y: int

    def __post_init__(self) -> None:
        on_field = 0 <= self.x < FIELD and 0 <= self.y < FIELD
        if not on_field or (self.y**2 - self.x**3 - 3) % FIELD:
            raise InvalidInput(f"({self.x}, {self.y}) is not a point of BN254")

    def encode(self) -> bytes:
        """Both coordinates, 32 bytes each."""
        return _word(self.x) + _word(self.y)

    @property
    def fields(self) -> tuple[int, int]:
        """As the contract takes it."""
        return self.x, self.y


@dataclass(frozen=True)
class Delivery:
    """A sealed key and its place in the anchored tree.

    `cipher` and `key_digest` have 32 bytes; `proof` are the siblings from the leaf up.
    """

    ephemeral: Point
    cipher: bytes
    key_digest: bytes
    proof: tuple[bytes, ...]

    @property
    def fields(self) -> tuple[tuple[int, int], bytes, bytes, list[bytes]]:
        """As the contract takes it."""
        return self.ephemeral.fields, self.cipher, self.key_digest, list(self.proof)

    def leaf(self, final_rounds: int) -> bytes:
        """What the tree holds for this delivery after so many final rounds (32 bytes)."""
        content = self.key_digest + self.ephemeral.encode() + self.cipher
        return bytes(keccak(_word(final_rounds) + content))

    def opened_by(self, shared: Point, final_rounds: int) -> bytes:
        """What the cipher opens to with the shared point S (32 bytes)."""
        return _padded(self.cipher, shared, final_rounds)

    def is_anchored(self, final_rounds: int, root: bytes) -> bool:
        """Whether it is the leaf of this number of final rounds."""
        node = self.leaf(final_rounds)
        for sibling in self.proof:
            node = _parent(node, sibling)
        return node == root


@dataclass(frozen=True)
class SharedPoint:
    """S with the proof that only the requester can make; what a dispute publishes."""

    shared: Point
    challenge: int
    response: int

    @property
    def fields(self) -> tuple[tuple[int, int], int, int]:
        """As the contract takes it."""
        return self.shared.fields, self.challenge, self.response


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of a request, one for each number of final rounds from 1 on."""

    ephemeral: Point
    ciphers: tuple[bytes, ...] = field(repr=False)
    key_digests: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def seal(
        cls,
        request_key: bytes,
        requester: Point,
        fingerprint: bytes,
        request_id: int,
        max_rounds: int,
    ) -> "Deliveries":
        """Equal for all who hold the request key (32 bytes); `requester` is the key in the terms.

        `fingerprint` is Deployment.fingerprint.
        """
        if max_rounds < 1:
            raise InvalidInput(f"a request has at least one round, not {max_rounds}")
        context = round_context(fingerprint, request_id, 0)
        secret = _scalar(request_key, b"fedpact/delivery-ephemeral/v1", context)
        shared = multiply(requester, secret)
        counts = range(1, max_rounds + 1)
        keys = [delivery_key(request_key, fingerprint, request_id, count) for count in counts]
        pairs = zip(keys, counts, strict=True)
        return cls(
            ephemeral=public_key(secret),
            ciphers=tuple(_padded(key, shared, count) for key, count in pairs),
            key_digests=tuple(bytes(keccak(key)) for key in keys),
        )

    @property
    def root(self) -> bytes:
        """What the start of the request anchors (32 bytes)."""
        return self._levels()[-1][0]

    def after(self, final_rounds: int) -> Delivery:
        """The delivery of the model that is final after so many final rounds."""
        if not 1 <= final_rounds <= len(self.ciphers):
            raise InvalidInput(f"{final_rounds} final rounds: 1 to {len(self.ciphers)} are sealed")
        index, proof = final_rounds - 1, []
        for level in self._levels()[:-1]:
            if index ^ 1 < len(level):
                proof.append(level[index ^ 1])
            index //= 2
        return self._unproven(final_rounds, tuple(proof))

    def _unproven(self, final_rounds: int, proof: tuple[bytes, ...] = ()) -> Delivery:
        index = final_rounds - 1
        return Delivery(self.ephemeral, self.ciphers[index], self.key_digests[index], proof)

    def _levels(self) -> list[Sequence[bytes]]:
        """The tree from the leaves up; the last node of an odd level moves up as it is."""
        counts = range(1, len(self.ciphers) + 1)
        levels: list[Sequence[bytes]] = [[self._unproven(count).leaf(count) for count in counts]]
        while len(levels[-1]) > 1:
            below = levels[-1]
            pairs = [below[i : i + 2] for i in range(0, len(below), 2)]
            levels.append([_parent(*pair) if len(pair) == 2 else pair[0] for pair in pairs])
        return levels


def withheld(key: bytes, ephemeral: Point, fingerprint: bytes, request_id: int) -> bytes:
    """A request key (32 bytes) as it is sealed to auditors; the same function gives it back.

    It is the key XOR HKDF(E). Until a delivery shows E on chain, only whoever holds the request key
    can compute it: the start anchors E as part of a hash alone. So auditors hold their seals from
    the start on, and can open the models once the pay for them is certain.
    """
    context = round_context(fingerprint, request_id, 0)
    secret = bytes(keccak(ephemeral.encode()))
    pad = derive(secret, b"fedpact/auditor-seal/v1", context, KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return bytes(a ^ b for a, b in zip(key, pad, strict=True))


def requester_secret(seed: bytes, fingerprint: bytes) -> int:
    """A requester's q in one deployment, from 32 secret bytes of its account."""
    context = round_context(fingerprint, 0, 0)
    return _scalar(seed, b"fedpact/requester-delivery-key/v1", context)


def public_key(secret: int) -> Point:
    """secret * G; InvalidInput unless 1 <= secret < ORDER."""
    return multiply(Point(1, 2), secret)


def multiply(point: Point, scalar: int) -> Point:
    """scalar * point; InvalidInput unless 1 <= scalar < ORDER."""
    if not 0 < scalar < ORDER:
        raise InvalidInput(f"a scalar of BN254 is between 1 and {ORDER - 1}")
    product = _times(point, scalar)
    if product is None:
        raise InvalidInput("a point of BN254 times a scalar cannot be zero")
    return product


def open_delivery(secret: int, delivery: Delivery, final_rounds: int) -> bytes:
    """The key of the final model (32 bytes); DecryptionError if it is not the announced one.

    After such an error, `prove` makes what a dispute needs.
    """
    key = _opened(secret, delivery, final_rounds)
    if keccak(key) != delivery.key_digest:
        raise DecryptionError("the delivered key is not the model's: dispute the delivery in time")
    return key


def prove(secret: int, delivery: Delivery, final_rounds: int, context: bytes) -> SharedPoint:
    """What shows on chain that the delivered key is wrong; `context` as in `dispute_context`.

    Raises InvalidInput for a right key: the proof would publish it, and the chain refuse it.
    """
    if keccak(_opened(secret, delivery, final_rounds)) == delivery.key_digest:
        raise InvalidInput("the delivered key is the model's: there is nothing to dispute")
    base = delivery.ephemeral
    shared = multiply(base, secret)
    statement = public_key(secret).encode() + base.encode() + shared.encode()
    nonce = _scalar(_word(secret), b"fedpact/equal-logarithms-nonce/v1", context + statement)
    first, second = public_key(nonce), multiply(base, nonce)
    challenge = _challenge(context, statement, first, second)
    return SharedPoint(shared, challenge, (nonce + challenge * secret) % ORDER)


def proof_holds(requester: Point, delivery: Delivery, proof: SharedPoint, context: bytes) -> bool:
    """Whether S belongs to the requester's key and the delivery, as the contract checks it."""
    base, shared = delivery.ephemeral, proof.shared
    statement = requester.encode() + base.encode() + shared.encode()
    first = _difference(Point(1, 2), proof.response, requester, proof.challenge)
    second = _difference(base, proof.response, shared, proof.challenge)
    if first is None or second is None:
        return False
    return _challenge(context, statement, first, second) == proof.challenge


def dispute_context(chain_id: int, market: str, request_id: int) -> bytes:
    """What a proof is bound to: chain, market (address) and request."""
    address = bytes.fromhex(market.removeprefix("0x")).rjust(32, b"\0")
    return bytes(keccak(_word(chain_id) + address + _word(request_id)))


def sale_anchor(key: Point, cipher: bytes) -> bytes:
    """What the resale market keeps of a buyer's key and the key sealed to it (32 bytes)."""
    return bytes(keccak(bytes(keccak(key.encode())) + cipher))


def sale_context(chain_id: int, resale: str, request_id: int, buyer: str) -> bytes:
    """What a buyer's proof is bound to: chain, resale market (address), request and buyer."""
    words = (resale, buyer)
    market, account = (bytes.fromhex(one.removeprefix("0x")).rjust(32, b"\0") for one in words)
    return bytes(keccak(_word(chain_id) + market + _word(request_id) + account))


def _opened(secret: int, delivery: Delivery, final_rounds: int) -> bytes:
    return delivery.opened_by(multiply(delivery.ephemeral, secret), final_rounds)


def _padded(key: bytes, shared: Point, final_rounds: int) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    pad = keccak(shared.encode() + _word(final_rounds))
    return bytes(a ^ b for a, b in zip(key, pad, strict=True))


def _challenge(context: bytes, statement: bytes, first: Point, second: Point) -> int:
    return int.from_bytes(keccak(context + statement + first.encode() + second.encode()))


def _scalar(secret: bytes, purpose: bytes, context: bytes) -> int:
    wide = int.from_bytes(derive(secret, purpose, context, _SCALAR_BYTES))
    return wide % (ORDER - 1) + 1


def _parent(a: bytes, b: bytes) -> bytes:
    return bytes(keccak(min(a, b) + max(a, b)))


def _word(number: int) -> bytes:
    return number.to_bytes(32)


@cache
def _curve() -> ModuleType:
    """Imported when it is needed: it takes a sixth of a second.

    py_ecc raises the interpreter's recursion limit, for pairings, which we do not use.
    """
    limit = sys.getrecursionlimit()
    from py_ecc import optimized_bn128

    sys.setrecursionlimit(limit)
    return optimized_bn128


def _times(point: Point, scalar: int) -> Point | None:
    """None: zero."""
    curve = _curve()
    return _affine(curve.multiply(_projective(point), scalar % ORDER))


def _difference(p: Point, m: int, q: Point, n: int) -> Point | None:
    """m p - n q; None: zero."""
    curve = _curve()
    minus = curve.neg(curve.multiply(_projective(q), n % ORDER))
    return _affine(curve.add(curve.multiply(_projective(p), m % ORDER), minus))


def _projective(point: Point) -> object:
    curve = _curve()
    return (curve.FQ(point.x), curve.FQ(point.y), curve.FQ.one())


def _affine(point: object) -> Point | None:
    curve = _curve()
    if curve.is_inf(point):
        return None
    x, y = curve.normalize(point)
    return Point(int(x), int(y))
