"""Deterministic authenticated encryption of models: AES-SIV (RFC 5297).

Every member that encrypts the same global model gets the same bytes, hence the same CID, whoever
leads. Equal plaintexts under one key and `Aad` deliberately give equal ciphertexts. An `Aad` binds
key and ciphertext to one position in the protocol, so nothing can be replayed elsewhere.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpact.errors import DecryptionError, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

# The library takes 7 MB, so that what seals nothing yet, as an idle daemon, does without it.

KEY_BYTES = 32
OVERHEAD_BYTES = 16
"""Bytes that a ciphertext is longer than its plaintext: the synthetic IV (RFC 5297)."""
FINGERPRINT_BYTES = 32

_SIV_KEY_BYTES = 64  # AES-256-SIV: one 256-bit key for S2V, one for CTR (RFC 5297 section 2.2).
_DOMAIN = b"fedpact/envelope/v1"


@dataclass(frozen=True)
class Aad:
    """Associated data: where in the protocol a ciphertext belongs.

    `deployment_fingerprint` is Deployment.fingerprint (32 bytes; zeros before there is a
    deployment), `kind` names the plaintext ("model", "global", "slice"), `owner` is the address of
    its author, or "" if any member may create it. Raises InvalidInput if a field is out of range.
    """

    deployment_fingerprint: bytes
    request_id: int
    round: int
    kind: str
    owner: str

    def __post_init__(self) -> None:
        if not self.kind:
            raise InvalidInput("an envelope needs a kind")
        self.encode()

    def encode(self) -> bytes:
        """Distinct bytes for each Aad: fields have fixed widths or a length in front. The case of
        an address's letters (EIP-55) does not matter."""
        encoded = round_context(self.deployment_fingerprint, self.request_id, self.round)
        for text in (self.kind, self.owner.lower()):
            encoded += _bounded(len(text.encode()), 2, "length of a text") + text.encode()
        return encoded


def round_context(fingerprint: bytes, request_id: int, round: int) -> bytes:
    """Deployment, request and round as 72 bytes; InvalidInput if one is out of range."""
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise InvalidInput(
            f"a deployment's fingerprint has {FINGERPRINT_BYTES} bytes, not {len(fingerprint)}"
        )
    return fingerprint + _bounded(request_id, 32, "request id") + _bounded(round, 8, "round")


def seal_model(key: bytes, plaintext: bytes, aad: Aad) -> bytes:
    """Encrypt under a 32-byte key; OVERHEAD_BYTES longer, and equal for equal inputs.

    Raises InvalidInput for a key of another length or an empty plaintext.
    """
    if not plaintext:
        raise InvalidInput("an envelope cannot be empty")
    return _cipher(key, aad).encrypt(plaintext, [aad.encode()])


def open_model(key: bytes, ciphertext: bytes, aad: Aad) -> bytes:
    """Decrypt; DecryptionError unless key and `aad` are those it was sealed with."""
    from cryptography.exceptions import InvalidTag

    if len(ciphertext) <= OVERHEAD_BYTES:
        raise DecryptionError(f"an envelope of {len(ciphertext)} bytes is too short")
    if len(key) != KEY_BYTES:  # others chose it
        raise DecryptionError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    try:
        return _cipher(key, aad).decrypt(ciphertext, [aad.encode()])
    except InvalidTag:
        raise DecryptionError(
            f"the key does not open the {aad.kind!r} of request {aad.request_id}, round {aad.round}"
        ) from None


def derive(secret: bytes, purpose: bytes, context: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869) of a 32-byte secret; use one form of `context` per purpose."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if len(secret) != KEY_BYTES:
        raise InvalidInput(f"a key has {KEY_BYTES} bytes, not {len(secret)}")
    info = purpose + b"\0" + context
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def _cipher(key: bytes, aad: Aad) -> "AESSIV":
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    return AESSIV(derive(key, _DOMAIN, aad.encode(), _SIV_KEY_BYTES))


def _bounded(value: int, width: int, name: str) -> bytes:
    try:
        return value.to_bytes(width)
    except OverflowError:
        raise InvalidInput(f"{name} {value} does not fit {8 * width} bits") from None
