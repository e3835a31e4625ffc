"""Keeps a request's picture on a terminal up to date while a program follows it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.dashboard.direct_reading import Looking
from fedpact.dashboard.terminal.picture import picture
from fedpact.dashboard.untrusted_text import plain
from fedpact.dashboard.views.now import Said
from fedpact.dashboard.views.request import RequestPage, request_view
from fedpact.errors import Retryable
from fedpact.requester.follow import RequestProgress
from fedpact.requester.request_view import RequestLook
from fedpact.requester.requester import Requester

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

PICTURES_PER_SECOND = 4


class Picture:
    """One request, as it was last seen; its clock goes on in between. Threads may share one."""

    def __init__(self, client: ChainClient, store: ContentStore, own: str = "") -> None:
        """`own`: as `picture` takes it."""
        self._looking, self._own = Looking(client, store), own
        self._seen: tuple[RequestPage, Said, float] | None = None
        self._at: tuple[str, Said] | None = None
        self._note = ""

    @property
    def over(self) -> bool:
        """Whether its money is shared out."""
        seen = self._seen
        return seen is not None and seen[0].summary.stage in ("paid", "refunded")

    def take(self, look: RequestLook, exchange: Exchange | None) -> None:
        """Show what was seen. `exchange`: of the program, whose messages show what is not on chain
        yet."""
        place = (look.request_id, look.facts.round)
        said = frozenset() if exchange is None else exchange.said(place)
        at = (look.frame.block_hash, said)
        if at == self._at:
            return
        try:
            sources = self._looking.at(look)
        except Retryable as error:  # The next look may do.
            self.note(str(error))
            return
        view = request_view(replace(sources, said=said))
        self._seen, self._at = (view, said, time.monotonic()), at

    def note(self, text: str) -> None:
        """What the program has done, or what went wrong; empty: nothing worth a line."""
        self._note = plain(text)

    def __rich__(self) -> RenderableType:
        seen = self._seen
        if seen is None:
            return Text(self._note or "reading the chain", style="dim")
        view, said, at = seen
        now = view.now.time + int(time.monotonic() - at)
        shown = picture(view, now, said, self._own)
        return Group(shown, Text(self._note, style="dim")) if self._note else shown


@contextmanager
def shown_live(console: Console, what: RenderableType) -> Iterator[None]:
    """Show something on a terminal, again and again, until the block is left; it stays as it was
    then. What the program logs is printed above."""
    same_terminal = sys.stderr.isatty()
    with ExitStack() as stack:
        stack.enter_context(
            Live(
                console=console,
                refresh_per_second=PICTURES_PER_SECOND,
                get_renderable=lambda: what,
                redirect_stderr=same_terminal,
                vertical_overflow="visible",
            )
        )
        if same_terminal:
            # Handlers hold the stream that they were made with.
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    before = handler.setStream(sys.stderr)
                    if before is not None:
                        stack.callback(handler.setStream, before)
        yield


def follow_live(
    requester: Requester,
    request_id: int,
    console: Console,
    poll_interval: float,
    report: Callable[[RequestProgress], None] = lambda _: None,
) -> RequestProgress:
    """`requester.follow` with the request's picture on a terminal. `report`: as `follow` takes it.
    Raises as `follow`."""
    shown = Picture(requester.client, requester.store)

    def told(progress: RequestProgress) -> None:
        parts = (progress.declined_text, progress.note)
        shown.note("; ".join(part for part in parts if part))
        report(progress)

    with shown_live(console, shown):
        return requester.follow(request_id, told, poll_interval=poll_interval, on_look=shown.take)
