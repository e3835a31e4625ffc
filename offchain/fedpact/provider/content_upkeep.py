"""What a daemon does for the content that it keeps, besides its duties."""

from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content.pinning import KeptStore
from fedpact.content.upkeep import ContentUpkeep
from fedpact.provider.context import Context
from fedpact.provider.state.checkpoint import Participation, ProviderState


class ProviderContent:
    """Gives the content of ended requests an end, and has looked after what is owed."""

    def __init__(self, keep_seconds: float, prune: Path | None) -> None:
        """`keep_seconds`: for which content is kept after its request has ended. `prune`: as
        `ContentUpkeep` takes it."""
        self._keep_seconds = keep_seconds
        self._upkeep = ContentUpkeep(prune)

    def look_after(self, ctx: Context, frame: Frame) -> bool:
        """Look after a part of the content; called often enough, after all of it. False while the
        store does not answer. Raises what the store, its register or the copies raise."""
        if not isinstance(ctx.store, KeptStore):
            return True
        if not self._upkeep.under_way:
            self._end_requests(ctx.store, ctx.state, frame)
            self._upkeep.begin(ctx.store, frame.timestamp)
        return self._upkeep.is_done(ctx.fetching)

    def _end_requests(self, store: KeptStore, state: ProviderState, frame: Frame) -> None:
        standings = {request: standing for request, standing, _ in state.all_requests()}
        for request in store.going_on():
            standing = standings.get(request, Participation.DECLINED)
            if standing is Participation.DECLINED:
                store.end(request, 0)
            elif standing is Participation.FINISHED and not _is_sold(state, request):
                store.end(request, frame.timestamp + int(self._keep_seconds))


def _is_sold(state: ProviderState, request: int) -> bool:
    """Whether its result is on offer to others."""
    return bool(state.events(request, "ResaleOffered") and state.events(request, "Delivered"))
