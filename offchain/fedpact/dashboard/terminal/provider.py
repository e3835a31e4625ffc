"""What a provider's daemon is part of, on its own terminal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.content.store_address import open_store
from fedpact.dashboard.terminal.live import Picture, shown_live
from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.charts import short
from fedpact.errors import FedpactError
from fedpact.provider.read_only import Decision, decisions
from fedpact.requester.request_view import RequestLog, look
from fedpact.settings import Settings
from fedpact.types.deployment import SecondDeployment

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)

SHORTEST_LOOK = 1.0
"""Seconds between two looks, at least: the daemon beside goes first."""
STORE_SECONDS = 5.0
MOST_SHOWN = 3


class ProviderPicture:
    """The requests of one account under way. One thread looks, another one shows."""

    def __init__(
        self, client: ChainClient, store: ContentStore, settings: Settings, account: str
    ) -> None:
        self._client, self._store = client, store
        self._settings, self._account = settings, account
        self._logs: dict[int, RequestLog] = {}
        self._shown: dict[int, Picture] = {}
        self._decided: list[Decision] = []
        self._over: set[int] = set()

    def look(self, exchange: Exchange | None) -> None:
        """Read again. Raises FedpactError; what was seen before stays."""
        state, deployment = self._settings.state, self._client.deployment
        self._decided = decisions(state, deployment, self._account)
        followed = [
            one.request
            for one in self._decided
            if one.request not in self._over
            # The daemon may have finished with one whose end has not been seen here.
            and (one.standing == "joined" or one.request in self._logs)
        ][-MOST_SHOWN:]
        for request in followed:
            log_ = self._logs.get(request) or RequestLog(self._client, request)
            self._logs[request] = log_
            seen = self._shown.get(request) or Picture(self._client, self._store, self._account)
            seen.take(look(self._client, request, log_), exchange)
            self._shown = {**self._shown, request: seen}
            if seen.over:
                self._over.add(request)
                self._logs.pop(request)
        kept = [one for one in followed if one not in self._over] or list(self._shown)[-1:]
        self._shown = {one: self._shown[one] for one in kept}

    def __rich__(self) -> RenderableType:
        decided = self._decided
        counts = {
            name: sum(one.standing == name for one in decided) for name in ("joined", "declined")
        }
        line = f"provider {short(self._account)}, requests joined: {counts['joined']}"
        line += f", declined: {counts['declined']}"
        parts: list[RenderableType] = [Text(line, style="bold")]
        declined = [one for one in decided if one.standing == "declined"]
        if declined:
            last = declined[-1]
            parts.append(Text(f"request {last.request} declined: {plain(last.reason)}"))
        parts += list(self._shown.values()) or [Text("No request under way.", style="dim")]
        return Group(*parts)


@contextmanager
def provider_shown(
    console: Console,
    settings: Settings,
    deployment: SecondDeployment,
    account: str,
    exchange: Exchange | None,
) -> Iterator[None]:
    """Show an account's requests until the block is left. `exchange`: of its daemon."""
    stop = threading.Event()

    def keep_looking(client: ChainClient, store: ContentStore, shown: ProviderPicture) -> None:
        with closing(client), closing(store):
            while not stop.is_set():
                try:
                    shown.look(exchange)
                except FedpactError as error:
                    log.debug("the live view is behind: %s", error)
                stop.wait(max(SHORTEST_LOOK, settings.poll_interval))

    # Without an outbox: this part of the program sends nothing.
    client = ChainClient.connect(
        settings.endpoint, deployment, calls_per_minute=settings.calls_per_minute
    )
    store = open_store(
        *settings.store, timeout=STORE_SECONDS, credentials=settings.store_credentials
    )
    shown = ProviderPicture(client, store, settings, account)
    arguments = (client, store, shown)
    thread = threading.Thread(target=keep_looking, args=arguments, name="live", daemon=True)
    thread.start()
    try:
        with shown_live(console, shown):
            yield
    finally:
        stop.set()
        thread.join(STORE_SECONDS)
