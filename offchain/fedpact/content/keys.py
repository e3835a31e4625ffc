"""Keys of a request: who can read what.

A committee member creates a 32-byte request key and seals it to each member; every round key and
delivery key derives from it. The requester gets only one delivery key. Up to 16 members hold a
request key: encryption keeps outsiders out, but only differential privacy protects against the
members.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Literal

from eth_hash.auto import keccak
from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.public import Box, PrivateKey, PublicKey, SealedBox
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from fedpact.content.envelope import FINGERPRINT_BYTES, KEY_BYTES, derive, round_context
from fedpact.errors import ContentError, ContentTooLarge, DecryptionError, InvalidInput
from fedpact.types.validation import first_error

SEAL_OVERHEAD_BYTES = 48
"""Ephemeral public key (32) and Poly1305 tag (16) of a libsodium sealed box."""
SEALED_KEY_BYTES = KEY_BYTES + SEAL_OVERHEAD_BYTES
MANIFEST_MAX_BYTES = 262_144
"""One IPFS block, so that a manifest's CID always has the raw codec."""

_ADDRESS = re.compile(r"0x[0-9a-f]{40}")


def round_key(request_key: bytes, fingerprint: bytes, request_id: int, round: int) -> bytes:
    """32-byte key of the local models of a round; `fingerprint` is Deployment.fingerprint."""
    context = round_context(fingerprint, request_id, round)
    return derive(request_key, b"fedpact/round-key/v1", context, KEY_BYTES)


def delivery_key(request_key: bytes, fingerprint: bytes, request_id: int, round: int) -> bytes:
    """32-byte key of the global model of a round; reveals nothing about any other key."""
    context = round_context(fingerprint, request_id, round)
    return derive(request_key, b"fedpact/delivery-key/v1", context, KEY_BYTES)


def committee_key(request_key: bytes, fingerprint: bytes, request_id: int) -> PrivateKey:
    """The X25519 key to which slices are sealed.

    All who hold the request key derive it, so that a slice opens for all members or for none.
    """
    context = round_context(fingerprint, request_id, 0)
    return PrivateKey(derive(request_key, b"fedpact/committee-key/v1", context, KEY_BYTES))


def key_hash(request_key: bytes) -> bytes:
    """Keccak-256 of a request key, as the chain records it (32 bytes)."""
    return bytes(keccak(request_key))


def seal(public_key: bytes, secret: bytes, entropy: bytes) -> bytes:
    """libsodium sealed box to an X25519 public key (32 bytes); SEAL_OVERHEAD_BYTES longer.

    `entropy`: 32 secret bytes of the sender. The ephemeral key is derived from it, the receiver and
    the secret (HKDF-SHA256) instead of drawn: the same seal is the same bytes, so that a call with
    it can be repeated. Different seals have different ephemeral keys.
    Raises InvalidInput for a key of another length, or of small order, which anyone could open.
    """
    try:
        receiver = PublicKey(public_key)
        context = public_key + sha256(secret).digest()
        ephemeral = PrivateKey(derive(entropy, b"fedpact/seal/v1", context, KEY_BYTES))
        own = bytes(ephemeral.public_key)
        nonce = blake2b(own + public_key, digest_size=Box.NONCE_SIZE, encoder=RawEncoder)
        return own + Box(ephemeral, receiver).encrypt(secret, nonce).ciphertext
    except (CryptoError, ValueError, TypeError, RuntimeError) as error:
        raise InvalidInput(f"not an X25519 public key: 0x{public_key.hex()}") from error


def unseal(private_key: PrivateKey, sealed: bytes) -> bytes:
    """Open a seal; DecryptionError if it was sealed to another key, or changed."""
    try:
        return SealedBox(private_key).decrypt(sealed)
    except (CryptoError, ValueError, TypeError) as error:
        raise DecryptionError("this account's key does not open the seal") from error


ManifestKind = Literal["request-key", "slice-key"]
"""What is sealed."""


@dataclass(frozen=True)
class Manifest:
    """A key sealed to each of its readers, as content whose digest is on chain.

    `deployment` is Deployment.fingerprint; `round` is 0 for a request key; `seals` maps addresses
    (stored in lower case) to sealed keys of 80 bytes. Raises InvalidInput if a field is out of
    range.
    """

    deployment: bytes
    request_id: int
    kind: ManifestKind
    round: int
    seals: Mapping[str, bytes] = field(hash=False)

    def __post_init__(self) -> None:
        round_context(self.deployment, self.request_id, self.round)
        seals = {address.lower(): sealed for address, sealed in sorted(self.seals.items())}
        if len(seals) != len(self.seals):
            raise InvalidInput("a manifest names an address twice")
        for address, sealed in seals.items():
            if not _ADDRESS.fullmatch(address):
                raise InvalidInput(f"a manifest seals to {address!r}, which is not an address")
            if len(sealed) != SEALED_KEY_BYTES:
                raise InvalidInput(
                    f"the seal for {address} has {len(sealed)} bytes, not {SEALED_KEY_BYTES}"
                )
        object.__setattr__(self, "seals", MappingProxyType(seals))

    @classmethod
    def sealing(
        cls,
        secret: bytes,
        public_keys: Mapping[str, bytes],
        deployment: bytes,
        request_id: int,
        kind: ManifestKind,
        round: int,
        entropy: bytes,
    ) -> "Manifest":
        """`secret` sealed to the X25519 key of each account; `entropy`: see `seal`.

        An account whose registered key is invalid gets no seal: it shuts out only itself.
        """
        seals = {}
        for account, public_key in public_keys.items():
            with contextlib.suppress(InvalidInput):
                seals[account] = seal(public_key, secret, entropy)
        return cls(deployment, request_id, kind, round, seals)

    def with_seals_of(self, other: "Manifest") -> "Manifest":
        """With the seals of another as well, for accounts that have none here."""
        return replace(self, seals={**other.seals, **self.seals})

    def encode(self) -> bytes:
        """Canonical JSON (sorted keys, no spaces); ContentTooLarge beyond MANIFEST_MAX_BYTES."""
        document = {
            "version": 1,
            "deployment": self.deployment.hex(),
            "request": self.request_id,
            "kind": self.kind,
            "round": self.round,
            "seals": {address: sealed.hex() for address, sealed in self.seals.items()},
        }
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        _check_size(data)
        return data

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Parse and check; ContentTooLarge or ContentError, naming the first field that fails."""
        _check_size(data)
        try:
            document = _Document.model_validate_json(data)
            return cls(
                bytes.fromhex(document.deployment),
                document.request,
                document.kind,
                document.round,
                {address: bytes.fromhex(sealed) for address, sealed in document.seals.items()},
            )
        except ValidationError as error:
            raise ContentError(f"key manifest: {first_error(error)}") from error
        except InvalidInput as error:
            raise ContentError(f"key manifest: {error}") from error

    def open(self, address: str, private_key: PrivateKey) -> bytes:
        """The key (32 bytes) sealed to `address`; DecryptionError if none opens."""
        sealed = self.seals.get(address.lower())
        if sealed is None:
            raise DecryptionError(f"the key manifest holds no seal for {address}")
        return unseal(private_key, sealed)


def _check_size(data: bytes) -> None:
    if len(data) > MANIFEST_MAX_BYTES:
        raise ContentTooLarge(f"a key manifest of {len(data)} bytes: at most {MANIFEST_MAX_BYTES}")


def _hex(length: int) -> StringConstraints:
    return StringConstraints(pattern=rf"^[0-9a-f]{{{2 * length}}}$")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    deployment: Annotated[str, _hex(FINGERPRINT_BYTES)]
    request: Annotated[int, Field(ge=0)]
    kind: ManifestKind
    round: Annotated[int, Field(ge=0)]
    seals: dict[str, Annotated[str, _hex(SEALED_KEY_BYTES)]]
