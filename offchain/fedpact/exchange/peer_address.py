"""Where members' daemons exchange messages: what they say in the records with which they joined."""

import json
from collections.abc import Callable

from fedpact.errors import ContentError
from fedpact.types.cid import Cid

RECORD_MAX_BYTES = 1 << 16
"""Longest opt-in record that is read."""


def endpoint_in(read: Callable[[Cid, int], bytes], digest: bytes) -> str:
    """The address in an opt-in record; empty where it names none, or is malformed.

    `read`: content of at most so many bytes. Raises ContentUnavailable.
    """
    try:
        record = read(Cid.of_digest(digest, RECORD_MAX_BYTES), RECORD_MAX_BYTES)
        said = json.loads(record).get("endpoint", "")
        return said if isinstance(said, str) else ""
    except (ContentError, ValueError, AttributeError, RecursionError):
        return ""
