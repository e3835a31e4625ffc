"""The check at the end of every read."""

from fedpact.errors import ContentMismatch
from fedpact.types.cid import Cid


def verify(cid: Cid, data: bytes) -> None:
    """Raise ContentMismatch unless `data` is the content of `cid`."""
    actual = Cid.of(data)
    if actual != cid:
        raise ContentMismatch(f"{len(data)} bytes served as {cid} hash to {actual}")
