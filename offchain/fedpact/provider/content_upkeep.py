"""What a daemon does for the content that it keeps, besides its duties."""

import logging
from pathlib import Path

from fedpact.chain.records import Frame
from fedpact.content.kept import KeptStore
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError
from fedpact.provider.state.checkpoint import Participation, ProviderState

log = logging.getLogger(__name__)


def look_after_content(
    store: ContentStore,
    state: ProviderState,
    frame: Frame,
    keep_seconds: float,
    prune: Path | None = None,
) -> None:
    """Give the content of ended requests an end, and put again what disappeared and is owed.

    `keep_seconds`: for which content is kept after its request has ended. `prune`: the state folder
    of all who use the store, if what none of them owes is to be unpinned.
    """
    if not isinstance(store, KeptStore):
        return
    standings = {request: standing for request, standing, _ in state.all_requests()}
    try:
        for request in store.going_on():
            standing = standings.get(request, Participation.DECLINED)
            if standing is Participation.DECLINED:
                store.end(request, 0)
            elif standing is Participation.FINISHED and not _is_sold(state, request):
                store.end(request, frame.timestamp + int(keep_seconds))
        store.look_after(frame.timestamp)
        store.drop_copies(frame.timestamp)
        if prune is not None:
            store.prune(prune, frame.timestamp)
    except FedpactError as error:
        log.warning("content was not looked after: %s", error)


def _is_sold(state: ProviderState, request: int) -> bool:
    """Whether its result is on offer to others."""
    return bool(state.events(request, "ResaleOffered") and state.events(request, "Delivered"))
