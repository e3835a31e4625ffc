"""What a daemon reads from its content store and puts there, beside the cycle.

An IPFS node says nothing for half a minute before it gives up, and whoever makes a request, or is
drawn for it, names content that may be nowhere. One that hangs takes as long for the daemon's own
content. No cycle waits for either: the store is used here alone.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, TypeVar

from fedpact.content.pinning import KeptStore
from fedpact.content.store import ContentStore
from fedpact.errors import ContentMissing, FedpactError
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that a cycle waits: what a folder or a node has on this machine is there within them."""
AT_ONCE = 16
"""Items of one owner that are looked for beside each other: as many as a round has models."""
MOST = 64
"""Items in all that are looked for beside each other; at most half of them are looked for again."""
MOST_PUTS = 16
"""Items in all that are put beside each other; at most half of them again. They are counted apart:
what others name, and is nowhere, delays nothing that is put."""
SILENT_SECONDS = 300.0
"""Seconds after which the log names a store that has not answered the daemon's own reads."""
KEPT_SECONDS = 120.0
"""Seconds for which what was found waits to be taken: longer than any back-off."""
FRESH_SECONDS = 3.0
"""Seconds after which a failure no longer counts if nobody tried to take the content: it may be
there by now."""

ITSELF = "the daemon itself"
"""Owner of what no request needs."""

T = TypeVar("T")
Work = Callable[[ContentStore], Any]


@dataclass(eq=False)
class _Search:
    owner: Hashable
    key: Hashable
    work: Work
    puts: bool
    """Whether it puts own content, so that it needs nothing that others name."""
    asked: float
    """When it was asked for last (`time.monotonic`)."""
    since: float
    """When it was asked for first, or first since it last failed."""
    wanted: float | None = None
    """When somebody last tried to take it, since it last failed; None for what was only begun."""
    again: bool = False
    """Whether it was looked for before in vain."""
    missing: bool = False
    """Whether the store said then that it was not there."""
    begun: float | None = None
    failed: float | None = None
    """When it failed, until that is raised."""
    found: "Future[Any] | None" = None
    """None after a failure, until it is asked for again."""


class Fetching:
    """Uses a content store in threads of its own, each time with an object of its own.

    An owner is whose duty needs the content: a request. Of what waits for a thread, that of the
    owner with the fewest begins first, and then what was not missing before: what is nowhere holds
    up whoever named it.
    """

    def __init__(self, store: ContentStore, patience: float = PATIENCE) -> None:
        """`patience`: seconds that a call waits from when its search begins."""
        self._store, self._patience = store, patience
        self._searches: dict[tuple[Hashable, Hashable], _Search] = {}
        self._lock = Lock()
        self._waiting: list[_Search] = []
        self._running: list[_Search] = []
        self._closed = self._told = False

    def take(self, owner: Hashable, cid: Cid, max_bytes: int) -> bytes | None:
        """This content, which is then forgotten here; None while it is looked for. It is kept as
        what is read from the store itself (`KeptStore`).

        Raises what the store raised, and looks again at the next call.
        """
        search = self._wanted(owner, cid, _getting(cid, max_bytes))
        data: bytes | None = self._result(search)
        if data is not None:
            del self._searches[owner, cid]
            if isinstance(self._store, KeptStore):
                self._store.keep(data, pinned=False)
        return data

    def was_missing(self, owner: Hashable, cid: Cid) -> bool:
        """Whether content that is looked for was not there when it was looked for before."""
        search = self._searches.get((owner, cid))
        return search is not None and search.missing

    def begin(self, owner: Hashable, cid: Cid, max_bytes: int) -> None:
        """Start to look for content that will be taken, so that several are looked for at once.

        It may fail long before it is taken: then it is looked for again when it is."""
        self._asked(owner, cid, _getting(cid, max_bytes))

    def is_done(self, owner: Hashable, key: Hashable, work: Work) -> bool:
        """Whether something that needs the store has been done; False while it is. Raises what it
        raised, and begins again at the next call."""

        def do(store: ContentStore) -> bool:
            work(store)
            return True

        return self._result(self._wanted(owner, key, do)) is not None

    def put(self, owner: Hashable, data: bytes) -> Cid | None:
        """Store and pin content; its CID once that is done, None while it is not. Where it is to be
        kept (`KeptStore`), it is from the first call on: a store that fails gets it later.

        Raises what the store raised, and puts it again at the next call.
        """
        cid = Cid.of(data)
        if isinstance(self._store, KeptStore):
            self._store.keep(data, pinned=True)
        search = self._wanted(owner, ("put", cid), lambda store: store.put(data), puts=True)
        stored: Cid | None = self._result(search)
        return stored

    def begin_pinning(self, owner: Hashable, cid: Cid, max_bytes: int) -> None:
        """Start what `is_pinned` waits for."""
        self._asked(owner, ("pin", cid), _pinning(cid, max_bytes))

    def is_pinned(self, owner: Hashable, cid: Cid, max_bytes: int) -> bool:
        """Whether content that others name has been read, and put into the store by this daemon
        too, so that it stays whatever they do. Raises as `take`."""
        data = self.found(owner, ("pin", cid), _pinning(cid, max_bytes))
        if data is not None and isinstance(self._store, KeptStore):
            self._store.keep(data, pinned=True)
        return data is not None

    def found(self, owner: Hashable, key: Hashable, work: Callable[[ContentStore], T]) -> T | None:
        """What something that needs the store gave, which is then forgotten here; None while it has
        given nothing. Raises what it raised, and begins again at the next call."""
        result: T | None = self._result(self._wanted(owner, key, work))
        if result is not None:
            del self._searches[owner, key]
        return result

    def tidy(self) -> None:
        """Forget what has not been asked for of late, and tell of a store that does not answer."""
        now = time.monotonic()
        since = now - KEPT_SECONDS
        with self._lock:
            silent = any(
                one.owner == ITSELF and one.found and not one.found.done()
                for one in self._searches.values()
                if now - one.since > SILENT_SECONDS
            )
            if silent and not self._told:
                log.warning(
                    "the content store has not answered for %d s: lost content is not restored",
                    SILENT_SECONDS,
                )
            self._told = silent
            for at, search in list(self._searches.items()):
                if search.asked < since:
                    del self._searches[at]
                    if search in self._waiting:
                        self._waiting.remove(search)

    def close(self) -> None:
        """Begin nothing more; what runs is left alone, and ends with the process."""
        with self._lock:
            self._closed = True
            self._waiting.clear()

    def _wanted(self, owner: Hashable, key: Hashable, work: Work, *, puts: bool = False) -> _Search:
        """As `_asked`, of what is needed now: an old failure says nothing about it."""
        search, now = self._searches.get((owner, key)), time.monotonic()
        if search is not None and search.failed is not None:
            recent = search.wanted is not None and now - search.wanted < KEPT_SECONDS
            if now - search.failed > FRESH_SECONDS and not recent:
                with suppress(Exception):
                    self._result(search)
        search = self._asked(owner, key, work, puts=puts)
        search.wanted = now
        return search

    def _asked(self, owner: Hashable, key: Hashable, work: Work, *, puts: bool = False) -> _Search:
        now = time.monotonic()
        with self._lock:
            search = self._searches.get((owner, key))
            if search is None:
                search = self._searches[owner, key] = _Search(owner, key, work, puts, now, now)
            search.asked = now
            if search.found is None:
                search.found, search.begun, search.failed = Future(), None, None
                search.since = now
                self._waiting.append(search)
                self._begin_next()
            return search

    def _result(self, search: _Search) -> Any:
        """None while there is none."""
        assert search.found is not None
        if search.begun is not None:
            wait([search.found], timeout=search.begun + self._patience - time.monotonic())
        if not search.found.done():
            return None
        try:
            found = search.found.result()
        except FedpactError as error:
            search.found = search.failed = search.wanted = None
            search.again = True
            search.missing = isinstance(error, ContentMissing)
            raise
        except BaseException:
            search.found = search.failed = search.wanted = None
            raise
        search.again = False
        return found

    def _begin_next(self) -> None:
        """Begin what may begin, with the lock held."""
        while not self._closed and (search := self._next(puts=True) or self._next(puts=False)):
            self._waiting.remove(search)
            search.begun = time.monotonic()
            self._running.append(search)
            Thread(target=self._look, args=(search,), name="fetching", daemon=True).start()

    def _next(self, puts: bool) -> _Search | None:
        """What is to begin next of what puts own content, or of all else; None: nothing may."""
        running = [one for one in self._running if one.puts is puts]
        most = MOST_PUTS if puts else MOST
        if len(running) >= most:
            return None
        repeated = sum(one.again for one in running)
        under_way = Counter(one.owner for one in running)
        able = [
            one
            for one in self._waiting
            if one.puts is puts
            and under_way[one.owner] < AT_ONCE
            and not (one.again and repeated >= most // 2)
        ]
        return min(able, key=lambda one: (under_way[one.owner], one.again), default=None)

    def _look(self, search: _Search) -> None:
        future = search.found
        assert future is not None
        try:
            with closing(self._store.another()) as store:
                found = search.work(store)
        except BaseException as error:  # noqa: BLE001 - raised where it is asked for
            search.failed = time.monotonic()
            future.set_exception(error)
        else:
            future.set_result(found)
        with self._lock:
            self._running.remove(search)
            self._begin_next()


def _pinning(cid: Cid, max_bytes: int) -> Callable[[ContentStore], bytes]:
    def pin(store: ContentStore) -> bytes:
        data = store.get(cid, max_bytes)
        store.put(data)
        return data

    return pin


def _getting(cid: Cid, max_bytes: int) -> Work:
    return lambda store: store.get(cid, max_bytes)
