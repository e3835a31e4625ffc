"""The published profile: a signature and, as canonical JSON, what its owner declares.

It lies in the content store; SHA-256 of its bytes, the digest of its CID, stands on chain beside
the root of its attributes. Hence whoever has the bytes can check them against the registry's
`profileHash` alone, and knows at which address the provider answers.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal, Self

from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from pydantic import Field, ValidationError, field_validator, model_validator

from fedpact.errors import InvalidInput, RetrievalError
from fedpact.retrieval.messages import MOST_DETAILS, MOST_ENDPOINT, Record
from fedpact.retrieval.signature import LONGEST
from fedpact.types.attributes import Attribute, AttributeTree
from fedpact.types.document import Document, canonical_json
from fedpact.types.privacy import PrivacyMode
from fedpact.types.validation import first_error

LONGEST_DOCUMENT = LONGEST + MOST_DETAILS
"""Bytes."""
MOST_CATEGORIES = 8
DataType = Literal["text", "table", "image", "array"]

Base64Digest = Annotated[str, Field(min_length=44, max_length=44)]


class Release(Document):
    """What the signature's data part cost its owner."""

    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    noise_multiplier: Annotated[float, Field(gt=0)]


class Details(Document):
    """What a profile says besides its signature. Everything here is its owner's own claim."""

    version: Literal[1] = 1
    type: DataType
    task: Literal["classification", "regression"]
    categories: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_CATEGORIES)]
    size: Annotated[int, Field(ge=1, lt=2**63)]
    """Units of privacy: documents, rows, engines."""
    data_schema: Annotated[str, Field(min_length=64, max_length=64)]
    """Hex SHA-256 of what can be trained on together (`data.description`)."""
    mode: PrivacyMode
    release: Release | None
    """Of a sound profile; None of one without noise, or where nothing was taken from records."""
    endpoint: Annotated[str, Field(max_length=MOST_ENDPOINT)] = ""
    """Where the provider's daemon answers, such as http://host:8600; empty: nowhere."""
    price: Annotated[str, Field(pattern=r"^[0-9]{1,30}$")] = "0"
    """Wei that a round must pay the provider at least."""
    salts: tuple[Base64Digest, ...]
    """Of the attributes that stand here, in the order of `shown`."""
    hidden: tuple[Base64Digest, ...] = ()
    """Leaves of the attributes that do not."""

    @field_validator("categories")
    @classmethod
    def _named(cls, categories: tuple[str, ...]) -> tuple[str, ...]:
        if any(not 1 <= len(one) <= 100 for one in categories):
            raise ValueError("a category has 1 to 100 characters")
        if len(set(categories)) != len(categories):
            raise ValueError("a category is named twice")
        return categories

    @field_validator("endpoint")
    @classmethod
    def _http(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError("an endpoint starts with http:// or https://")
        return endpoint

    @model_validator(mode="after")
    def _salted(self) -> Self:
        wanted = len(shown(self.type, self.size, self.data_schema, self.categories))
        if len(self.salts) != wanted:
            raise ValueError(f"{len(self.salts)} salts for {wanted} attributes")
        if self.mode is PrivacyMode.NONE and self.release is not None:
            raise ValueError("a profile without privacy has no release")
        return self

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Those that stand here, with their salts."""
        pairs = shown(self.type, self.size, self.data_schema, self.categories)
        salts = map(_bytes32, self.salts)
        return tuple(
            Attribute(name, value, salt) for (name, value), salt in zip(pairs, salts, strict=True)
        )

    @cached_property
    def tree(self) -> AttributeTree:
        """Over the shown attributes, then the hidden ones."""
        leaves = [attribute.leaf() for attribute in self.attributes]
        return AttributeTree.of_leaves([*leaves, *map(_bytes32, self.hidden)])

    def encode(self) -> bytes:
        """Canonical JSON; raises RetrievalError over the size limit."""
        content = canonical_json(self.model_dump(mode="json"))
        if len(content) > MOST_DETAILS:
            raise RetrievalError(
                f"profile: {len(content)} bytes besides its signature, {MOST_DETAILS} are allowed: "
                "name fewer or shorter categories"
            )
        return content

    @classmethod
    def decode(cls, content: bytes) -> "Details":
        """Parse and check; raises RetrievalError naming the first field that fails."""
        try:
            found = cls.model_validate_json(content)
            canonical = found.encode() == content
            root = found.tree.root
        except ValidationError as error:
            raise RetrievalError(f"profile: {first_error(error)}") from error
        except (InvalidInput, json.JSONDecodeError) as error:
            raise RetrievalError(f"profile: {error}") from error
        if not canonical or len(root) != 32:
            raise RetrievalError("profile: not in the one form that it has")
        return found


@dataclass(frozen=True)
class Profile:
    """A published profile with its declared part parsed."""

    record: Record
    details: Details

    @classmethod
    def of(cls, record: Record) -> "Profile":
        """Raises RetrievalError where the details are none."""
        return cls(record, Details.decode(record.details))

    @classmethod
    def decode(cls, node: bytes, document: bytes) -> "Profile":
        """Of a document from the content store; raises RetrievalError."""
        return cls.of(Record.of_document(node, document))

    @property
    def profile_hash(self) -> bytes:
        """What the registry holds while this is the account's present profile."""
        return profile_hash(self.record.digest, self.details.tree.root)


def profile_hash(digest: bytes, attributes_root: bytes) -> bytes:
    """keccak256(abi.encode(profile, attributesRoot)), as ParticipantRegistry stores it."""
    return keccak(abi_encode(["bytes32", "bytes32"], [digest, attributes_root]))


def shown(
    kind: str, size: int, data_schema: str, categories: tuple[str, ...]
) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values, 32 bytes each, of the attributes that a profile shows."""
    return (
        (name32("type"), value32(kind)),
        (name32("size"), size.to_bytes(32, "big")),
        (name32("schema"), value32(data_schema)),
        *((name32(f"category {place}"), value32(one)) for place, one in enumerate(categories)),
    )


def name32(name: str) -> bytes:
    """An attribute's name: ASCII, filled up with zeros."""
    return name.encode("ascii").ljust(32, b"\0")


def value32(value: str) -> bytes:
    """An attribute's value that is text: its SHA-256."""
    return sha256(value.encode()).digest()


def base64_of(digest: bytes) -> str:
    return b64encode(digest).decode()


def _bytes32(text: str) -> bytes:
    try:
        found = b64decode(text, validate=True)
    except (BadBase64, ValueError) as error:
        raise RetrievalError(f"profile: {text!r} is not base64") from error
    if len(found) != 32 or base64_of(found) != text:
        raise RetrievalError(f"profile: {text!r} is not 32 bytes in base64")
    return found
