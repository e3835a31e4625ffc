"""Where members' daemons exchange messages: what they say in the records with which they joined."""

import json

from fedpact.content.store import ContentStore
from fedpact.errors import ContentError
from fedpact.types.cid import Cid

RECORD_MAX_BYTES = 1 << 16
"""Longest opt-in record that is read."""


def endpoint_in(store: ContentStore, digest: bytes) -> str:
    """The address in an opt-in record; empty where it names none, or is malformed.

    Raises ContentUnavailable.
    """
    try:
        record = store.get(Cid.of_digest(digest, RECORD_MAX_BYTES), RECORD_MAX_BYTES)
        said = json.loads(record).get("endpoint", "")
        return said if isinstance(said, str) else ""
    except (ContentError, ValueError, AttributeError):
        return ""
