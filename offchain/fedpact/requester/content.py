"""What a requester reads from its content store while it serves requests, and what it owes there.

The store is used beside the requests' duties, and models are measured there: a store that hangs, or
a model that takes long, keeps no slice from being opened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import TypeVar

from fedpact.background import Background
from fedpact.chain.keystore import AccountKeys
from fedpact.closing import Closing
from fedpact.content import fetching
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.pinning import CopiedStore, KeptStore
from fedpact.content.store import ContentStore
from fedpact.content.upkeep import NO_ANSWER, ContentUpkeep
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentSought, FedpactError
from fedpact.requester.fetching import specification_in
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.slices import own_slices
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification

CONTENT_GOOD_FOR = 60.0
"""Seconds between two looks at what the content store still has."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class RequesterContent(Closing):
    """Of all requests of an account. Use it from one thread."""

    def __init__(
        self,
        store: ContentStore,
        copies: EmbeddedStore,
        keeping: Callable[[], AbstractContextManager[KeptStore]],
        patience: float = fetching.PATIENCE,
    ) -> None:
        """`copies`: the account's own. `keeping`: opens it with the register of what is owed.
        `patience`: seconds that a duty waits for content, or for a model to be measured, before
        others have their turn."""
        self.fetching = Fetching(CopiedStore(store, copies), patience)
        self._store = store
        self._measuring = Background(patience)
        self._copies = copies
        self._keeping, self._upkeep = keeping, ContentUpkeep()
        self._good_until = 0.0
        self.failure = ""
        """Why content was not looked after the last time; empty: it was."""

    def look_after(self, now: int) -> None:
        """From time to time, put again what the store has lost and is owed at `now` (seconds since
        1970), and delete the copies of what is not owed any more. What fails is logged."""
        self.fetching.tidy()
        if time.monotonic() <= self._good_until:
            return
        self._good_until = time.monotonic() + CONTENT_GOOD_FOR
        try:
            if not self._upkeep.under_way:
                with self._keeping() as kept:
                    self._upkeep.begin(kept, now)
            if not self._upkeep.is_done(self.fetching):
                self._good_until = 0.0
                return
            self.failure = ""
        except FedpactError as error:
            if str(error) != self.failure:
                log.warning("content upkeep failed: %s", error)
            self.failure = str(error)

    @property
    def trouble(self) -> str:
        """Why content is not looked after, if it is not: also that the store has not answered."""
        return self.failure or (NO_ANSWER if self._upkeep.under_way else "")

    def read(self, request: int, what: str, work: Callable[[ContentStore], T]) -> T:
        """What `work` reads from the store for a request. Raises what it raised, and ContentSought
        while it has not ended."""
        found = self.fetching.found(request, what, work)
        if found is None:
            raise ContentSought(f"request {request}: looking for its {what}")
        return found

    def slices(self, spec: Specification, keys: AccountKeys) -> list[Dataset] | None:
        """As `own_slices`, in any thread. The copies come first: a store that hangs gives nothing
        for half a minute."""
        with closing(self._store.another()) as store, closing(self._copies.another()) as copies:

            def get(cid: Cid, max_bytes: int) -> bytes:
                try:
                    return copies.get(cid, max_bytes)
                except FedpactError:
                    return store.get(cid, max_bytes)

            return own_slices(get, spec, keys)

    def keep(self, request: int, prepare: Callable[[], Callable[[], FetchedModel]]) -> FetchedModel:
        """The model that a computation measures and keeps, one request's at a time. Raises what it
        raised, and ContentSought while it has not ended. `prepare`: makes the computation; raises
        as `read`."""
        kept = self._measuring.result(request, prepare)
        if kept is None:
            raise ContentSought(f"request {request}: measuring its model")
        return kept

    def specification(self, request: int, digest: bytes) -> Specification:
        """A request's specification, which its terms name by its digest. Raises as `read`.

        The copy comes first: without a specification no slice is opened, and a store that hangs
        gives none for half a minute.
        """
        try:
            return specification_in(self._copies, digest)
        except FedpactError:
            return self.read(request, "specification", partial(specification_in, digest=digest))

    def close(self) -> None:
        """Waits for nothing."""
        self.fetching.close()
        self._measuring.close(0.0)
