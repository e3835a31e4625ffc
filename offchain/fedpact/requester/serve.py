"""The requester's service: does all duties of all requests of an account, and opens the slices of
those that it has slice keys for.

It can be stopped at any time: what to do follows from the chain, the content store and the
account's key.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fedpact.chain.scanner import SETTLED, EventScanner, indexed
from fedpact.content import fetching
from fedpact.errors import (
    ContentSought,
    DecryptionError,
    FedpactError,
    NotReady,
    Retryable,
    TransactionTimeout,
    UnknownRequest,
)
from fedpact.logs import about
from fedpact.requester.client import Requester, pause_after
from fedpact.requester.duties import Acting, next_duty
from fedpact.requester.fetching import specification_in
from fedpact.requester.look import RequestLog, RequestLook, look
from fedpact.requester.slice_keys import read_slice_keys
from fedpact.signals import on_signals
from fedpact.types.requests import Phase, Status
from fedpact.types.resale import SaleStatus

log = logging.getLogger(__name__)

SEND_PATIENCE = 0.3
"""Seconds that a duty waits for its transaction; then other requests have their turn."""


@dataclass
class _Waiting:
    """One request that could not be read yet."""

    failures: int = 0
    next_try: float = 0.0
    """Monotonic seconds."""


@dataclass
class _KeyFile(_Waiting):
    """A file of slice keys, as it was last read."""

    stamp: tuple[int, int] = (0, 0)
    """Time of change and size."""


@dataclass
class _Served:
    """One request that is not over."""

    acting: Acting
    log: RequestLog
    seen: RequestLook | None = None
    failures: int = 0
    next_try: float = 0.0
    """Monotonic seconds."""
    under_way: str = ""
    """The block at which its duty had sent a transaction that was not mined yet."""


class RequesterDaemon:
    """Serves until stopped; an error of one request never ends it, nor delays the others.

    `slices`: folder of files with slice keys of other accounts' requests, looked at in each cycle.
    """

    FETCH_PATIENCE = fetching.PATIENCE
    """Seconds that a duty waits for content; then other requests have their turn."""

    def __init__(
        self, requester: Requester, poll_interval: float, slices: Path | None = None
    ) -> None:
        self._requester = requester
        self._interval = poll_interval
        self._slices = slices
        self._stop = threading.Event()
        self._exchange = requester.exchange(poll_interval)
        self._content = requester.content(self.FETCH_PATIENCE)
        self._known: dict[int, _Served] = {}
        self._over: set[int] = set()
        self._waiting: dict[int, _Waiting] = {}
        self._purchases: dict[int, _Waiting] = {}
        self._news: tuple[EventScanner, EventScanner | None] | None = None
        """Of requests made and results bought."""
        self._read: dict[Path, _KeyFile] = {}

    def run(self) -> None:
        """Until SIGINT or SIGTERM, or `stop`."""
        with on_signals(self.stop, signal.SIGINT, signal.SIGTERM):
            self._run()

    def _run(self) -> None:
        log.info("serving requests of %s", self._requester.keys.address)
        failures = 0
        self._requester.client.follow_heads()
        self._exchange.start()
        while not self._stop.is_set():
            with _outlasting("the cycle failed") as trouble:
                self.cycle()
            failures = failures + 1 if trouble.error else 0
            self._stop.wait(trouble.pause(failures, self._interval) or self._interval)
        self._exchange.close()
        self._content.close()
        log.info("stopped")

    def stop(self) -> None:
        """After the present duty."""
        self._stop.set()

    def cycle(self) -> None:
        """Look at every request that is not over, once."""
        with _outlasting("content was not looked after"):
            self._content.look_after(self._requester.client.frame().timestamp)
        with _outlasting("transactions under way were not looked after"):
            self._requester.client.sender.tend(self._requester.keys)
        self._find()
        for request, waiting in sorted(self._purchases.items()):
            if time.monotonic() >= waiting.next_try:
                with about(request=request):
                    self._follow_purchase(request, waiting)
        for request, waiting in sorted(self._waiting.items()):
            if time.monotonic() >= waiting.next_try:
                self._take_up(request, waiting)
        for request, served in list(self._known.items()):
            if self._stop.is_set():
                return
            if time.monotonic() >= served.next_try:
                with about(request=request):
                    self._serve(request, served)

    def _find(self) -> None:
        """New requests and purchases of this account, and new files of slice keys."""
        made, bought = self._news = self._news or self._begin()
        for event in made.scan():
            self._add(int(event.args["request"]))
        for event in bought.scan() if bought is not None else ():
            self._add_purchase(int(event.args["request"]))
        for path in sorted(self._slices.glob("*.json")) if self._slices is not None else ():
            self._open_for(path)

    def _begin(self) -> tuple[EventScanner, EventScanner | None]:
        """Take up what the contracts' state says of this account; scanners for what comes later.

        The blocks before may be millions. The last ones are read, for they may be reorganised.
        """
        client, account = self._requester.client, self._requester.keys.address
        frame = client.frame()
        since = max(client.deployment.block, frame.block_number - SETTLED)
        for request in client.market.numbers_of(account, frame):
            self._add(request)
        topics = [client.market.event_topic("RequestCreated"), None, indexed(account)]
        made = EventScanner(client, since, addresses=[client.market.address], topics=topics)
        if client.deployment.resale is None:
            return made, None
        market, numbers = client.resale, client.market.numbers_of(None, frame)
        for request in market.bought_by(account, numbers, frame):
            self._add_purchase(request)
        topics = [market.event_topic("ResultBought"), None, indexed(account)]
        return made, EventScanner(client, since, addresses=[market.address], topics=topics)

    def _add(self, request: int) -> None:
        if request not in self._known and request not in self._over:
            self._waiting.setdefault(request, _Waiting())

    def _add_purchase(self, request: int) -> None:
        if not self._requester.has_model(request):
            self._purchases.setdefault(request, _Waiting())

    def _take_up(self, request: int, waiting: _Waiting) -> None:
        """Read what the request's duties need; later again if that fails."""
        with _outlasting(f"request {request} cannot be read yet") as trouble:
            if self._requester.client.market.request(request).status is Status.SETTLED:
                self._requester.release(request)
                self._over.add(request)
                del self._waiting[request]
                return
            named = self._requester.client.market.terms(request).specification
            reads = partial(specification_in, digest=named)
            spec = self._content.read(request, "specification", reads)
            acting = self._requester.acting(request, spec, self._exchange, self._content)
            self._known[request] = _Served(acting, RequestLog(self._requester.client, request))
            del self._waiting[request]
        waiting.failures += 1
        waiting.next_try = time.monotonic() + trouble.pause(waiting.failures, self._interval)

    def _follow_purchase(self, request: int, waiting: _Waiting) -> None:
        """Keep the model once its key is there, dispute a wrong key, take the price of a purchase
        back that nobody seals a key for."""
        requester = self._requester
        market, buyer = requester.client.resale, requester.keys.address
        with _outlasting(f"the purchase of request {request} failed; it is tried again") as trouble:
            if market.purchase(request, buyer).status is SaleStatus.REFUNDED:
                del self._purchases[request]
                return
            try:
                arrived, done = requester.take_up(request)
                if arrived:
                    path = requester.receive(request, self._content)
                    done = f"received the bought model ({path})"
            except NotReady as over:
                arrived, done = True, str(over)
                if market.purchase(request, buyer).status is SaleStatus.PENDING:
                    done = f"no key arrived: took {requester.refund(request).text} back"
            except DecryptionError as error:
                arrived, done = True, f"the bought key does not open, too late to dispute: {error}"
            if done:
                log.info("request %d: %s", request, done)
            if arrived:
                del self._purchases[request]
        waiting.failures = waiting.failures + 1 if trouble.error else 0
        waiting.next_try = time.monotonic() + trouble.pause(waiting.failures, self._interval)

    def _open_for(self, path: Path) -> None:
        """Take up a request for which this account has slice keys. A file is read again once it has
        changed, or if a node or store has failed, or if the node does not know the request: it may
        lag behind the one that told the requester."""
        file = self._read.setdefault(path, _KeyFile())
        with _outlasting(f"{path} cannot be used") as trouble:
            found = path.stat()
            stamp = found.st_mtime_ns, found.st_size
            if file.stamp != stamp:
                file = self._read[path] = _KeyFile(stamp=stamp)
            elif time.monotonic() < file.next_try:
                return
            self._take_keys(path)
        file.failures += 1
        again = isinstance(trouble.error, (Retryable, UnknownRequest, OSError))
        pause = trouble.pause(file.failures, self._interval) if again else math.inf
        file.next_try = time.monotonic() + pause

    def _take_keys(self, path: Path) -> None:
        given, client = read_slice_keys(path), self._requester.client
        request, here = given.request, client.deployment.fingerprint.hex()
        if given.deployment != here:
            log.warning("%s: its request is one of another deployment", path)
        elif request not in self._known and request not in self._over:
            kept = RequestLog(client, request)
            if self._requester.keys.address in kept.terms.openers:
                acting = self._requester.opening(given, self._exchange, self._content)
                self._known[request] = _Served(acting, kept)
            else:
                log.warning("%s: request %d does not name this account as opener", path, request)

    def _serve(self, request: int, served: _Served) -> None:
        with _outlasting(f"request {request} failed; it is tried again") as trouble:
            seen = served.seen = look(self._requester.client, request, served.log, served.seen)
            if served.under_way == seen.frame.block_hash:
                return
            done = self._do(served, seen)
            if done:
                log.info("request %d: %s", request, done)
            opener = served.acting.secret is None
            if seen.stored.status is Status.SETTLED or (opener and seen.facts.phase is Phase.ENDED):
                if not opener:
                    self._requester.release(request)
                log.info("request %d is over", request)
                self._over.add(request)
                del self._known[request]
                self._exchange.forget(request, seen.facts.round + 1)
        if isinstance(trouble.error, TransactionTimeout):
            served.under_way, trouble.error = seen.frame.block_hash, None
        served.failures = served.failures + 1 if trouble.error else 0
        served.next_try = time.monotonic() + trouble.pause(served.failures, self._interval)

    def _do(self, served: _Served, seen: RequestLook) -> str:
        """The next duty of a request, without a long wait for its transaction."""
        sender = self._requester.client.sender
        before = sender.timeout, sender.seen_block
        sender.timeout, sender.seen_block = SEND_PATIENCE, seen.frame.block_number
        try:
            return next_duty(served.acting, seen)
        finally:
            sender.timeout, sender.seen_block = before


@dataclass
class _Trouble:
    error: Exception | None = None

    def pause(self, failures: int, interval: float) -> float:
        """Seconds to wait; 0 if nothing failed."""
        return pause_after(self.error, failures, interval) if self.error else 0.0


@contextmanager
def _outlasting(what: str) -> Iterator[_Trouble]:
    """One request's trouble is not the others': log it, with its trace if nobody foresaw it."""
    trouble = _Trouble()
    try:
        yield trouble
    except (TransactionTimeout, ContentSought) as error:
        trouble.error = error
        log.info("waiting: %s", error)
    except Retryable as error:
        trouble.error = error
        log.warning("%s: %s", what, error)
    except FedpactError as error:
        trouble.error = error
        log.error("%s: %s", what, error)
    except Exception as error:
        trouble.error = error
        log.exception("%s", what)
