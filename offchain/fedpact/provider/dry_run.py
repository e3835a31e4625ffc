"""Deciding without acting: on copies of a provider's files, sending and storing nothing."""

import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fedpact.chain.records import Call
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError
from fedpact.provider.backup import copy_files
from fedpact.provider.context import DutyResult, idle
from fedpact.provider.daemon import Daemon
from fedpact.provider.dispatch import Requests
from fedpact.provider.duties.costs import require_worth
from fedpact.provider.duties.opting_in import opt_in
from fedpact.provider.duties.table import duties_of
from fedpact.provider.request.view import RequestView
from fedpact.provider.state.checkpoint import Participation
from fedpact.settings import Settings
from fedpact.types.cid import Cid


class Withheld(FedpactError):
    """A transaction that would have been sent."""


class RehearsedRequests(Requests):
    """Decides which to join, and sends nothing."""

    def perform(self, view: RequestView) -> DutyResult:
        duties = duties_of(view)
        if opt_in not in duties:
            named = " or ".join(duty.__name__ for duty in duties) or "nothing"
            return idle(f"would go on in stage {view.stage}: {named}")
        view.ctx.client.sender.allow = partial(_withhold, view)
        try:
            outcome = opt_in(view)
        except Withheld as would:
            outcome = idle(str(would))
        # In the copied file: each request is decided once, and its hold counts for the next ones.
        view.ctx.state.decide(view.id, Participation.DECLINED, outcome.reason)
        return outcome


class RehearsingDaemon(Daemon):
    """Decides which open requests to join, says so, and sends nothing."""

    FETCH_PATIENCE = 3600.0  # each request is decided once
    REQUESTS = RehearsedRequests


def _withhold(view: RequestView, call: Call, wei: int) -> None:
    require_worth(view, call, wei)
    raise Withheld(f"would send {call.action}, for about {wei} wei")


class UnwrittenStore:
    """ContentStore that reads from another one, and stores nothing."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self.check, self.get, self.has, self.size = store.check, store.get, store.has, store.size
        self.close = store.close

    def another(self) -> "UnwrittenStore":
        return UnwrittenStore(self._store.another())

    def put(self, data: bytes) -> Cid:
        return Cid.of(data)

    def pin(self, cid: Cid) -> None:
        """Nothing is pinned."""

    def unpin(self, cid: Cid) -> None:
        """What others have pinned stays."""

    def collect_garbage(self) -> int:
        return 0


@contextlib.contextmanager
def copied_files(settings: Settings, address: str) -> Iterator[Settings]:
    """Settings whose state folder is a copy of this account's files; it is deleted at the end.

    A daemon may be using the originals. Its transactions under way are left out, so that nobody
    broadcasts them. Raises StateError for files that cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="fedpact-") as name:
        copy_files(settings.state, Path(name), address)
        yield settings.model_copy(update={"state": Path(name)})
