"""Content identifiers in the form that fedpact uses: CIDv1, sha2-256, base32, UnixFS.

Sources: the CID and multihash specifications (github.com/multiformats), RFC 4648 base32 in
lower case without padding behind the multibase prefix "b".
"""

from base64 import b32decode, b32encode
from dataclasses import dataclass
from enum import IntEnum

from aleph_cid import CidHasher

from fedpact.errors import InvalidInput

CHUNK_BYTES = 262_144
"""UnixFS chunk size. Content of at most one chunk is a single raw block, else a dag-pb tree."""

DIGEST_BYTES = 32
_VERSION = 0x01
_SHA2_256 = 0x12
_HEADER_BYTES = 4
_TEXT_CHARACTERS = 59


class Codec(IntEnum):
    """Multicodec of a CID's root block."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, order=True)
class Cid:
    """CIDv1 of a UnixFS file.

    `digest` is the sha2-256 (32 bytes) of the root block: the content itself under the raw
    codec, the tree's root under dag-pb. Raises InvalidInput for a digest of another length.
    """

    codec: Codec
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_BYTES:
            raise InvalidInput(f"a CID's digest has {DIGEST_BYTES} bytes, not {len(self.digest)}")

    def __bytes__(self) -> bytes:
        return bytes((_VERSION, self.codec, _SHA2_256, DIGEST_BYTES)) + self.digest

    def __str__(self) -> str:
        return "b" + b32encode(bytes(self)).decode().rstrip("=").lower()

    @classmethod
    def parse(cls, text: str) -> "Cid":
        """Parse a CID; InvalidInput for any other form (CIDv0, other hashes)."""
        refusal = InvalidInput(
            f"not a CID of the form used here (CIDv1, base32, raw or dag-pb, sha2-256): {text!r}"
        )
        if len(text) != _TEXT_CHARACTERS or not text.startswith("b"):
            raise refusal
        body = text[1:].upper()
        try:
            raw = b32decode(body + "=" * (-len(body) % 8))
            cid = cls(Codec(raw[1]), raw[_HEADER_BYTES:])
        except ValueError:
            raise refusal from None
        # Also refuses upper case, other headers and bits set in the base32 padding.
        if str(cid) != text:
            raise refusal
        return cid

    @classmethod
    def names(cls, text: str) -> bool:
        """Whether `parse` accepts a text."""
        try:
            cls.parse(text)
        except InvalidInput:
            return False
        return True

    @classmethod
    def of(cls, data: bytes) -> "Cid":
        """The CID that an IPFS node gives to `data`, which may be empty.

        Chunks of 256 KiB, raw leaves, balanced tree of at most 174 links: what
        `ipfs add --cid-version=1 --raw-leaves --chunker=size-262144` builds.
        """
        hasher = CidHasher.for_ipfs_v1_raw_leaves()
        hasher.update(data)
        return cls.parse(hasher.finalize())

    @classmethod
    def of_digest(cls, digest: bytes, size: int) -> "Cid":
        """The CID of content of `size` bytes whose root block hashes to `digest`.

        The chain holds only digests. The size follows from the specification and decides the
        codec.
        """
        return cls(Codec.RAW if size <= CHUNK_BYTES else Codec.DAG_PB, digest)
