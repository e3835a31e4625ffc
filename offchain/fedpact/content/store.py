"""The interface of a content store."""

from typing import Protocol

from fedpact.types.cid import Cid


class ContentStore(Protocol):
    """Bytes by CID. Every implementation gives equal CIDs for equal bytes.

    Any method raises StoreUnreachable if the store does not answer. Several processes may use a
    store at once, but only one thread an object of this class.
    """

    def check(self) -> None:
        """Raise StoreUnreachable, with the reason, unless the store is usable now."""

    def put(self, data: bytes) -> Cid:
        """Store and pin `data`, atomically. ContentTooLarge if the store refuses it."""

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """The content of `cid`, verified.

        Raises ContentMissing (it may come later), ContentMismatch for other bytes (right ones may
        come later), or ContentTooLarge before
        more than `max_bytes` + 1 bytes are read.
        """

    def has(self, cid: Cid) -> bool:
        """Whether the store holds all of `cid`, without asking other nodes."""

    def pin(self, cid: Cid) -> None:
        """Keep `cid` from being collected; ContentMissing if it is unavailable."""

    def unpin(self, cid: Cid) -> None:
        """Let `cid` be collected. Does nothing without a pin."""

    def collect_garbage(self) -> int:
        """Delete what is not pinned; returns the number of items deleted (files or blocks)."""

    def size(self) -> int:
        """Bytes that it holds, pinned or not."""

    def another(self) -> "ContentStore":
        """An object of the same store, for another thread, which closes it."""

    def close(self) -> None:
        """Release connections."""
