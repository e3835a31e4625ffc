"""The version of what daemons tell each other in rounds."""

import json
from typing import Final

from fedpact.errors import InvalidInput

VERSION: Final = 1
"""Raised with each change that a daemon of the version before does not take."""
_MOST = 1_000_000


class OtherVersion(InvalidInput):
    """Messages are of another version of the exchange."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"messages of version {version}, where version {VERSION} is exchanged: all members of a"
            " request need versions of fedpact that exchange the same one"
        )


def unreadable(content: bytes, reason: str) -> InvalidInput:
    """What to raise for a peer's content: that it is of another version, or malformed for this
    reason."""
    try:
        version = json.loads(content).get("version", VERSION)
    except (ValueError, AttributeError, RecursionError):
        return InvalidInput(reason)
    if type(version) is int and version != VERSION and 0 <= version < _MOST:
        return OtherVersion(version)
    return InvalidInput(reason)
