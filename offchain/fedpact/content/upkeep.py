"""Putting again what a content store has lost and its owner owes, beside the owner's duties."""

from __future__ import annotations

from pathlib import Path

from fedpact.content.fetching import ITSELF, Fetching, Work
from fedpact.content.pinning import CopiedStore, KeptStore
from fedpact.content.store import ContentStore

NO_ANSWER = "the content store has not answered yet"


class ContentUpkeep:
    """Of one owner's content. Its register and copies are asked at once; the store, which may hang,
    by `Fetching`."""

    def __init__(self, prune: Path | None = None) -> None:
        """`prune`: the state folder of all who use the store, if what none of them owes is to be
        unpinned."""
        self._prune = prune
        self._work: Work | None = None

    @property
    def under_way(self) -> bool:
        """Whether it was begun, and the store has not answered."""
        return self._work is not None

    def begin(self, kept: KeptStore, now: int) -> None:
        """Look after a part of what is owed at `now` (seconds since 1970); called often enough,
        after all of it. Raises what register and copies raise."""
        kept.drop_copies(now)
        owed, prune = kept.next_owed(now), self._prune

        def work(store: ContentStore) -> None:
            assert isinstance(store, CopiedStore)
            store.check()  # a wrong address is told though nothing is owed yet
            store.give_again(owed)
            if prune is not None:
                store.prune(prune, now)

        self._work = work

    def is_done(self, fetching: Fetching) -> bool:
        """Whether what was begun is done. Raises what the store raised, and is over then.

        `fetching`: over the store that was begun with, or one with the same copies.
        """
        work = self._work
        assert work is not None
        self._work = None
        done = fetching.is_done(ITSELF, work, work)
        if not done:
            self._work = work
        return done
