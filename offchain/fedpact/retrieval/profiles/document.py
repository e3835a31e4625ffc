"""The published profile: a signature and, as canonical JSON, what its owner declares.

It is in the content store; the SHA-256 of its bytes (the digest of its CID) and the root of its
attributes are on chain. So anyone with the bytes can check them against the registry's
`profileHash` alone, and knows the address at which the provider answers.
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
from fedpact.retrieval.messages import MAX_DETAILS, MAX_ENDPOINT, Record
from fedpact.retrieval.signature import LONGEST
from fedpact.types.attributes import Attribute, AttributeTree
from fedpact.types.document import Document, canonical_json
from fedpact.types.privacy import PrivacyMode
from fedpact.types.validation import first_error

LONGEST_DOCUMENT = LONGEST + MAX_DETAILS
"""Bytes."""
MAX_CATEGORIES = 8
DataType = Literal["text", "table", "image", "array"]

Base64Digest = Annotated[str, Field(min_length=44, max_length=44)]


class Release(Document):
    """Privacy cost of the signature's data part."""

    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    noise_multiplier: Annotated[float, Field(gt=0)]


class Details(Document):
    """A profile without its signature. Everything here is its owner's claim."""

    version: Literal[1] = 1
    type: DataType
    task: Literal["classification", "regression"]
    categories: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_CATEGORIES)]
    size: Annotated[int, Field(ge=1, lt=2**63)]
    """Privacy units: documents, rows, engines."""
    data_schema: Annotated[str, Field(min_length=64, max_length=64)]
    """Hex SHA-256 of the schema that data trained on together share (`data.description`)."""
    mode: PrivacyMode
    release: Release | None
    """None without noise, or if nothing was taken from records."""
    endpoint: Annotated[str, Field(max_length=MAX_ENDPOINT)] = ""
    """Address of the provider's daemon, such as http://host:8600; empty: it answers no searches."""
    price: Annotated[str, Field(pattern=r"^[0-9]{1,30}$")] = "0"
    """Least pay per round in wei."""
    salts: tuple[Base64Digest, ...]
    """Salts of the attributes shown here, in the order of `shown`."""
    hidden: tuple[Base64Digest, ...] = ()
    """Leaves of the attributes not shown."""

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
        """The shown attributes with their salts."""
        pairs = shown(self.type, self.size, self.data_schema, self.categories)
        salts = map(_bytes32, self.salts)
        return tuple(
            Attribute(name, value, salt) for (name, value), salt in zip(pairs, salts, strict=True)
        )

    @cached_property
    def tree(self) -> AttributeTree:
        """The tree of the shown attributes, then the hidden ones."""
        leaves = [attribute.leaf() for attribute in self.attributes]
        return AttributeTree.of_leaves([*leaves, *map(_bytes32, self.hidden)])

    def encode(self) -> bytes:
        """Canonical JSON; raises RetrievalError over the size limit."""
        content = canonical_json(self.model_dump(mode="json"))
        if len(content) > MAX_DETAILS:
            raise RetrievalError(
                f"profile: {len(content)} bytes without its signature, at most {MAX_DETAILS}: "
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
            raise RetrievalError("profile: not canonical JSON")
        return found


@dataclass(frozen=True)
class Profile:
    """A published profile with its declared part parsed."""

    record: Record
    details: Details

    @classmethod
    def of(cls, record: Record) -> "Profile":
        """Raises RetrievalError if the details cannot be parsed."""
        return cls(record, Details.decode(record.details))

    @classmethod
    def decode(cls, node: bytes, document: bytes) -> "Profile":
        """From a document in the content store; raises RetrievalError."""
        return cls.of(Record.of_document(node, document))

    @property
    def profile_hash(self) -> bytes:
        """The registry's hash while this is the account's current profile."""
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
        *((name32(f"category {index}"), value32(one)) for index, one in enumerate(categories)),
    )


def name32(name: str) -> bytes:
    """An attribute's name: ASCII, padded with zeros."""
    return name.encode("ascii").ljust(32, b"\0")


def value32(value: str) -> bytes:
    """A text value of an attribute: its SHA-256."""
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
