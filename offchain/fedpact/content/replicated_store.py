"""Several content stores as one: written to all of them, read from the first that has it."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from fedpact.content.store import ContentStore
from fedpact.errors import ContentMissing, ContentTooLarge, FedpactError, Retryable
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

T = TypeVar("T")


class ReplicatedStore:
    """ContentStore over at least two others. One that fails is named in a warning, and only if all
    fail is that an error: the first store's."""

    def __init__(self, stores: Sequence[ContentStore]) -> None:
        self._stores = tuple(stores)

    def check(self) -> None:
        self._of_any("check", lambda store: store.check())

    def put(self, data: bytes) -> Cid:
        return self._of_any("put", lambda store: store.put(data))[0]

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        errors: list[FedpactError] = []
        for store in self._stores:
            try:
                return store.get(cid, max_bytes)
            except ContentTooLarge:
                # The CID fixes the bytes: every store has as many.
                raise
            except FedpactError as error:
                errors.append(error)
        # What may come later counts more than what is wrong in one store.
        raise next((error for error in errors if isinstance(error, Retryable)), errors[0])

    def has(self, cid: Cid) -> bool:
        return any(self._of_any("has", lambda store: store.has(cid)))

    def pin(self, cid: Cid) -> None:
        self._of_any("pin", lambda store: store.pin(cid))

    def unpin(self, cid: Cid) -> None:
        self._of_any("unpin", lambda store: store.unpin(cid))

    def collect_garbage(self) -> int:
        return sum(self._of_any("collect_garbage", lambda store: store.collect_garbage()))

    def size(self) -> int:
        """Of the fullest store."""
        return max(self._of_any("size", lambda store: store.size()))

    def another(self) -> "ReplicatedStore":
        return ReplicatedStore([store.another() for store in self._stores])

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def _of_any(self, what: str, act: Callable[[ContentStore], T]) -> list[T]:
        """The answers of the stores that gave one; the first error where none did."""
        answers: list[T] = []
        errors: list[FedpactError] = []
        for store in self._stores:
            try:
                answers.append(act(store))
            except FedpactError as error:
                errors.append(error)
        if not answers:
            raise errors[0]
        for failed in errors:
            # That another store lacks a pinned item is not news.
            if not isinstance(failed, ContentMissing):
                log.warning("content store: %s failed, another store was used: %s", what, failed)
        return answers
