"""A request, as the account that made it or a reader sees it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.errors import InvalidInput, NotReady, Retryable
from fedpact.requester import requester as requesters
from fedpact.requester.declines import Declines
from fedpact.requester.final_rounds import Round, final_rounds
from fedpact.requester.model import Model
from fedpact.requester.request_view import RequestLog, RequestLook, look
from fedpact.types.paths import path_of
from fedpact.types.requests import Status

if TYPE_CHECKING:
    from fedpact.audit import AuditReport
    from fedpact.requester.accept_or_dispute import Refund
    from fedpact.requester.follow import RequestProgress
    from fedpact.session import Session
    from fedpact.types.specification import Specification

PATIENCE = 300.0
"""Seconds for which nodes and stores may fail before `follow` raises."""


def number_of(request_id: Any) -> int:
    """A request's number as callers give it; InvalidInput for what is none."""
    if not isinstance(request_id, Integral) or isinstance(request_id, bool):
        raise InvalidInput(f"{request_id!r} is not a request number, such as 1")
    return int(request_id)


class Request:
    """One request. Everything is read from the chain and the content store: the object can be made
    again at any time (`Market.request_by_id`)."""

    def __init__(self, session: "Session", request_id: int) -> None:
        self._session, self.id = session, request_id

    @cached_property
    def specification(self) -> "Specification":
        """What was asked for. Raises ContentMissing, StoreUnreachable."""
        return requesters.specification_of(self._session.client, self._session.store, self.id)

    @property
    def progress(self) -> "RequestProgress":
        """Where the request is now. Raises UnknownRequest."""
        return self._look().progress()

    def declines(self) -> dict[str, int]:
        """Why providers stay out while the request waits for members: reasons, and how many gave
        each. Only daemons with an endpoint can be heard, if they have published a profile or joined
        a request before. What they say is not proven."""
        with Declines(self._session.client, self._session.store, self.id) as asked:
            return asked.everybody()

    @property
    def rounds(self) -> list[Round]:
        """Its final rounds so far. Raises as `progress`, and Retryable while a node or the store
        lacks a part."""
        return final_rounds(self._look(), self.specification, store=self._session.store)

    def follow(
        self,
        *,
        poll_interval: float | None = None,
        patience: float = PATIENCE,
        on_progress: Callable[["RequestProgress"], None] = lambda _: None,
    ) -> Iterator[Round]:
        """Do what the request asks of its requester until its money is shared out. Yields each
        final round, the first ones again if it is called again.

        Evaluation slices are opened, the delivered model is fetched, a key that does not open it is
        disputed, and what was not earned comes back. All of it happens while the loop asks for the
        next round: keep its body short. It may be stopped at any time (Ctrl-C, `break`) and called
        again; a slice that is not open in time makes its round blind.

        Ends by itself after the request's windows, also if nobody joins. `poll_interval`: seconds
        between two looks, by default that of the settings. `on_progress`: called with each change
        of state, also before the first round. Raises InvalidInput for a request of another account
        or seconds that are not above 0, what nodes and stores raise once they have failed for
        `patience` seconds, and NotReady if the request ended without a model.
        """
        interval = self._session.settings.poll_interval if poll_interval is None else poll_interval
        for name, seconds in (("poll_interval", interval), ("patience", patience)):
            if not isinstance(seconds, Real) or not seconds > 0:
                raise InvalidInput(f"{name}: seconds above 0 are needed, not {seconds!r}")
        client, told, last = self._session.client, 0, 0
        log = RequestLog(client, self.id)
        steps = self._session.requester.steps(self.id, poll_interval=interval, patience=patience)
        with closing(steps):
            for step in steps:
                on_progress(step)
                if step.final_rounds > told or step.status is Status.SETTLED:
                    ended = step.status is Status.SETTLED
                    for one in self._read(log, last, interval, patience if ended else 0.0):
                        yield one
                        told, last = told + 1, one.number
        if not step.model:
            why = f" ({step.declined_text})" if step.declined else ""
            raise NotReady(
                f"request {self.id} ended without a model{why}: what was not due came back; its"
                f" rounds and the members' votes are in `audit()`"
            )

    def result(self, path: Path | str | None = None) -> Model:
        """The delivered model. Its file, its description and its model card are written to `path`,
        a .safetensors file, by default in the state folder.

        Raises NotReady before the delivery, InvalidInput for another file name or no path,
        DecryptionError for a key that does not open it, ContentError or ModelError if the content
        is not the model.
        """
        to = None if path is None else path_of("path", path)
        path = self._session.requester.fetch(self.id, to).path
        return Model(path, self._session.settings.device)

    def audit(self, *, sealed: bool = False) -> "AuditReport":
        """As `Market.audit`."""
        return self._session.audit(self.id, sealed=sealed)

    def cancel(self) -> None:
        """Cancel: before the start at once, later from the next round on. Raises InvalidInput for
        another account's request, NotReady if it is over or was cancelled."""
        self._session.requester.cancel(self.id)

    def refund(self) -> "Refund":
        """Share out the money of a request that is decided, if nobody has; what came back. Accepts
        a delivered model. Raises NotReady if that was done, or if nothing is decided yet."""
        return self._session.requester.refund(self.id)

    def __repr__(self) -> str:
        seen = self.progress
        return f"Request({self.id}, {seen.status.name.lower()}, {seen.final_rounds} rounds final)"

    def _look(self) -> RequestLook:
        return look(self._session.client, self.id)

    def _read(self, log: RequestLog, after: int, interval: float, patience: float) -> list[Round]:
        """Final rounds after a number. What is missing is read at the next step; at the last one it
        is waited for."""
        since = time.monotonic()
        while True:
            try:
                seen = look(self._session.client, self.id, log)
                return final_rounds(seen, self.specification, after, self._session.store)
            except Retryable:
                if time.monotonic() - since >= patience:
                    if patience:
                        raise
                    return []
                time.sleep(interval)
