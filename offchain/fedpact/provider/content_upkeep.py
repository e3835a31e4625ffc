"""What a daemon does for the content that it keeps, besides its duties."""

import logging
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content import fetching
from fedpact.content.kept import CopiedStore, KeptStore
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError
from fedpact.provider.context import Context
from fedpact.provider.state.checkpoint import Participation, ProviderState

log = logging.getLogger(__name__)


class ContentUpkeep:
    """Gives the content of ended requests an end, and puts again what disappeared and is owed.

    What the register and the copies say is asked in the cycle; the store is asked beside it.
    """

    def __init__(self, keep_seconds: float, prune: Path | None) -> None:
        """`keep_seconds`: for which content is kept after its request has ended. `prune`: the state
        folder of all who use the store, if what none of them owes is to be unpinned."""
        self._keep_seconds, self._prune = keep_seconds, prune
        self._under_way: fetching.Work | None = None
        """What the store was asked to do, and has not done."""

    def look_after(self, ctx: Context, frame: Frame) -> bool:
        """Look after a part of the content; called often enough, after all of it. False while the
        store does not answer. What fails is logged."""
        if not isinstance(ctx.store, KeptStore):
            return True
        try:
            if self._under_way is None:
                self._end_requests(ctx.store, ctx.state, frame)
                ctx.store.drop_copies(frame.timestamp)
                self._under_way = self._store_part(ctx.store, frame)
            done = ctx.fetching.is_done(fetching.ITSELF, self._under_way, self._under_way)
        except FedpactError as error:
            log.warning("content was not looked after: %s", error)
            done = True
        if done:
            self._under_way = None
        return done

    def _end_requests(self, store: KeptStore, state: ProviderState, frame: Frame) -> None:
        standings = {request: standing for request, standing, _ in state.all_requests()}
        for request in store.going_on():
            standing = standings.get(request, Participation.DECLINED)
            if standing is Participation.DECLINED:
                store.end(request, 0)
            elif standing is Participation.FINISHED and not _is_sold(state, request):
                store.end(request, frame.timestamp + int(self._keep_seconds))

    def _store_part(self, store: KeptStore, frame: Frame) -> fetching.Work:
        owed, prune, now = store.next_owed(frame.timestamp), self._prune, frame.timestamp

        def work(other: ContentStore) -> None:
            assert isinstance(other, CopiedStore)
            other.give_again(owed)
            if prune is not None:
                other.prune(prune, now)

        return work


def _is_sold(state: ProviderState, request: int) -> bool:
    """Whether its result is on offer to others."""
    return bool(state.events(request, "ResaleOffered") and state.events(request, "Delivered"))
