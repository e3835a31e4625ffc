"""The version of what daemons tell each other in rounds."""

import json
from typing import ClassVar, Final, Literal, Self

from pydantic import ValidationError

from fedpact.errors import InvalidInput
from fedpact.types.document import Document, canonical_json
from fedpact.types.validation import first_error

VERSION: Final = 1
"""Raised with each change that a daemon of the version before does not take."""
_MOST = 1_000_000


class OtherVersion(InvalidInput):
    """Messages are of another version of the exchange."""

    def __init__(self, version: int) -> None:
        """`version`: 0 for none, as daemons had it at first."""
        given = f"of version {version}" if version else "without a version"
        super().__init__(
            f"messages {given}, where version {VERSION} is exchanged: all members of a request need"
            " versions of fedpact that exchange the same one"
        )


class Versioned(Document):
    """What one side of an exchange tells the other, as JSON."""

    what: ClassVar[str]
    longest: ClassVar[int]
    """Bytes."""
    version: Literal[1] = VERSION

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Raises InvalidInput naming the first field that fails; OtherVersion."""
        if len(content) > cls.longest:
            raise InvalidInput(f"{cls.what}: {len(content)} bytes, at most {cls.longest}")
        try:
            found = cls.model_validate_json(content)
        except ValidationError as error:
            version = _version_of(content)
            if version != VERSION:
                raise OtherVersion(version) from error
            raise InvalidInput(f"{cls.what}: {first_error(error)}") from error
        if "version" not in found.model_fields_set:
            raise OtherVersion(0)
        return found


def _version_of(content: bytes) -> int:
    """What malformed content says of its version, 0 for nothing; that of here for what no daemon
    says."""
    try:
        version = json.loads(content).get("version", 0)
    except (ValueError, AttributeError, RecursionError):
        return VERSION
    return version if type(version) is int and 0 <= version < _MOST else VERSION
