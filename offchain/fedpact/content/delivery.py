"""The final model's key, sealed to the requester so that a wrong one can be shown on chain.

Mirrors contracts/libraries/SealedDelivery.sol. Key encapsulation on the curve BN254: the
requester's public key is Q = q G. Every member derives the
same e from the request key, and from it E = e G and S = e Q; the k-th final global model's key is
sealed as key XOR keccak256(S, k). The start anchors the root of a tree with a leaf for each k, so
every member can check it, anyone can deliver, and the requester learns one key alone. If what was
delivered opens to another key, the requester disputes it (`wrong_key_proof.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from eth_hash.auto import keccak

from fedpact.content.bn254 import Point, derived_scalar, multiply, public_key, word
from fedpact.content.envelope import KEY_BYTES, derive, round_context
from fedpact.content.keys import delivery_key
from fedpact.errors import DecryptionError, InvalidInput


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
        return bytes(keccak(word(final_rounds) + content))

    def opened(self, secret: int, final_rounds: int) -> bytes:
        """What the cipher opens to for the requester whose secret is q (32 bytes)."""
        return self.opened_by(multiply(self.ephemeral, secret), final_rounds)

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
        secret = derived_scalar(request_key, b"fedpact/delivery-ephemeral/v1", context)
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
    return derived_scalar(seed, b"fedpact/requester-delivery-key/v1", context)


def open_delivery(secret: int, delivery: Delivery, final_rounds: int) -> bytes:
    """The key of the final model (32 bytes); DecryptionError if it is not the announced one.

    After such an error, `wrong_key_proof.prove` makes what a dispute needs.
    """
    key = delivery.opened(secret, final_rounds)
    if keccak(key) != delivery.key_digest:
        raise DecryptionError("the delivered key is not the model's: dispute the delivery in time")
    return key


def sale_anchor(key: Point, cipher: bytes) -> bytes:
    """What the resale market keeps of a buyer's key and the key sealed to it (32 bytes)."""
    return bytes(keccak(bytes(keccak(key.encode())) + cipher))


def _padded(key: bytes, shared: Point, final_rounds: int) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    pad = keccak(shared.encode() + word(final_rounds))
    return bytes(a ^ b for a, b in zip(key, pad, strict=True))


def _parent(a: bytes, b: bytes) -> bytes:
    return bytes(keccak(min(a, b) + max(a, b)))
