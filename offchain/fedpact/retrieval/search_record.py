"""The record of a search, for audit: the signed query and the providers found.

It is in the content store; the digest of its CID goes on chain with the request that was made
from it (IResaleMarket, `recordRetrieval`).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from fedpact.errors import InvalidInput
from fedpact.retrieval.messages import MAX_ENVELOPE, MAX_FOUND
from fedpact.retrieval.signature import LONGEST
from fedpact.types.document import Document, canonical_json
from fedpact.types.validation import first_error

LONGEST_RECORD = 1 << 16
"""Bytes."""
_HEX = r"^([0-9a-f]{2})*$"


class FoundProvider(Document):
    account: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the found profile, as on chain at that time."""
    likeness: Annotated[float, Field(ge=0, le=1)]


class RetrievalRecord(Document):
    version: Literal[1] = 1
    deployment: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    envelope: Annotated[str, Field(pattern=_HEX, max_length=2 * MAX_ENVELOPE)]
    """Hex byte form of the signed search (retrieval/signing.py): who, when, and what for."""
    query: Annotated[str, Field(pattern=_HEX, max_length=2 * LONGEST)]
    """Hex byte form of the query's signature."""
    entry: Annotated[str, Field(max_length=300)]
    """Address of the daemon that answered."""
    messages: Annotated[int, Field(ge=0)]
    hops: Annotated[int, Field(ge=0)]
    found: Annotated[tuple[FoundProvider, ...], Field(max_length=MAX_FOUND)]
    """Best first."""

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(one.account for one in self.found)

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def decode(cls, content: bytes) -> "RetrievalRecord":
        """Raises InvalidInput naming the first field that fails."""
        if len(content) > LONGEST_RECORD:
            raise InvalidInput(
                f"record of a search: {len(content)} bytes, at most {LONGEST_RECORD}"
            )
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise InvalidInput(f"record of a search: {first_error(error)}") from error

    @classmethod
    def read(cls, path: Path) -> "RetrievalRecord":
        """From the file that `fedpact search --output` wrote; raises InvalidInput."""
        try:
            return cls.decode(path.read_bytes())
        except OSError as error:
            raise InvalidInput(f"{path}: {error.strerror}") from error
