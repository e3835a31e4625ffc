"""Content that may be nowhere, looked for beside the cycle.

An IPFS node says nothing for half a minute before it gives up. A request that names content that
nobody has must not cost the others that time.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import closing

from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError
from fedpact.provider.background import Background
from fedpact.types.cid import Cid

PATIENCE = 0.1
"""Seconds that a cycle waits: what a folder or a node has on this machine is there within them."""
AT_ONCE = 16
"""Items that are looked for beside each other: as many as a round has models, so that those that
are nowhere do not hold up others."""
MOST_KNOWN = 10_000
FIRST, AGAIN = 1.0, 2.0
"""Of those that wait, the lower number begins first."""


class Fetching:
    """Looks into a content store in threads of its own, each time with an object of its own."""

    def __init__(self, store: ContentStore, patience: float = PATIENCE) -> None:
        """`patience`: seconds that a call waits."""
        self._store = store
        self._background = Background(patience, AT_ONCE)
        self._done: OrderedDict[Hashable, None] = OrderedDict()
        self._failed: set[Hashable] = set()
        """What was not there when it was looked for last: its turn is after that of the rest."""

    def has_come(self, cid: Cid, max_bytes: int) -> bool:
        """Whether the store gives this content by now, and so at once; False while it is looked
        for. Raises what the store raised, and looks again at the next call."""
        return self.is_done(cid, lambda store: store.get(cid, max_bytes))

    def begin(self, cid: Cid, max_bytes: int) -> None:
        """Start to look for content for which `has_come` will ask, so that several are looked for
        at once."""
        if cid not in self._done:
            work = self._doing(lambda store: store.get(cid, max_bytes))
            self._background.begin(cid, lambda: work, self._turn(cid))

    def is_done(self, key: Hashable, work: Callable[[ContentStore], object]) -> bool:
        """Whether something that needs the store has been done; False while it is. Raises what it
        raised, and begins again at the next call."""
        if key in self._done:
            return True
        try:
            if self._background.result(key, lambda: self._doing(work), self._turn(key)) is None:
                return False
        except FedpactError:
            self._failed.add(key)
            raise
        self._failed.discard(key)
        self._done[key] = None
        if len(self._done) > MOST_KNOWN:
            self._done.popitem(last=False)
        return True

    def _turn(self, key: Hashable) -> float:
        if len(self._failed) > MOST_KNOWN:
            self._failed.clear()
        return AGAIN if key in self._failed else FIRST

    def _doing(self, work: Callable[[ContentStore], object]) -> Callable[[], bool]:
        def do() -> bool:
            with closing(self._store.another()) as store:
                work(store)
            return True

        return do

    def close(self) -> None:
        """Begin nothing more; what runs is left alone, and ends with the process."""
        self._background.close(0.0)
