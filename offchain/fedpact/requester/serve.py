"""The requester's service: does all duties of all requests of an account, and opens the slices of
those that it has slice keys for.

It can be stopped at any time: what to do follows from the chain, the content store and the
account's key.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fedpact.chain.scanner import SETTLED, EventScanner, indexed
from fedpact.content import fetching
from fedpact.errors import (
    ContentError,
    ContentSought,
    ContentUnavailable,
    DecryptionError,
    ModelError,
    NotReady,
    Retryable,
    TransactionTimeout,
    UnknownRequest,
)
from fedpact.logs import about
from fedpact.monitor.health import Pulse
from fedpact.monitor.resources import MEASURED_FOR, free_bytes, warn_of_little_ether
from fedpact.monitor.server import telling
from fedpact.requester.attempts import Attempts
from fedpact.requester.duties import next_duty
from fedpact.requester.metrics import RequesterMetrics
from fedpact.requester.request_view import RequestLog, RequestLook, look
from fedpact.requester.requester import Requester
from fedpact.requester.service_tasks import KeyFile, Purchase, Result, ServedRequest
from fedpact.requester.slice_keys import read_slice_keys
from fedpact.settings import Settings
from fedpact.signals import on_signals
from fedpact.types.requests import Phase, Status, StoredRequest, Terms
from fedpact.types.resale import SaleStatus
from fedpact.waiting import when_there
from fedpact.wakeup import LAST_CALLS, Bell

log = logging.getLogger(__name__)

SEND_PATIENCE = 0.3
"""Seconds that a duty waits for its transaction; then other requests have their turn."""


def serve(settings: Settings, begin: Callable[[RequesterMetrics], RequesterDaemon]) -> None:
    """Begin as soon as node, store and disk are there, and serve until stopped. Health and metrics
    are told from before that on, if the settings name an address. Raises SettingsError.

    SIGHUP, by which other services read their files again, ends it at no time: no slice would be
    opened.
    """
    metrics = RequesterMetrics(Pulse(settings.max_cycle_age))
    with (
        on_signals(lambda: log.info("SIGHUP: nothing to reload"), signal.SIGHUP),
        telling(metrics, settings.monitor),
    ):
        service = when_there(lambda: begin(metrics), metrics.pulse.wait_for)
        service.give_up_when_stopped()
        service.run()


AttemptsT = TypeVar("AttemptsT", bound=Attempts)


class RequesterDaemon:
    """Serves until stopped; an error of one request never ends it, nor delays the others.

    `slices`: folder of files with slice keys of other accounts' requests, looked at in each cycle.
    """

    FETCH_PATIENCE = fetching.PATIENCE
    """Seconds that a duty waits for content; then other requests have their turn."""

    def __init__(
        self,
        requester: Requester,
        poll_interval: float,
        slices: Path | None = None,
        metrics: RequesterMetrics | None = None,
    ) -> None:
        self._requester = requester
        self._interval = poll_interval
        self._slices = slices
        self._metrics = metrics or RequesterMetrics(Pulse())
        self._metrics.watch(requester.client.rpc.nodes)
        requester.client.sender.paid = self._metrics.paid
        self._bell = Bell()
        self._exchange = requester.exchange(poll_interval)
        self._content = requester.content(self.FETCH_PATIENCE)
        self._known: dict[int, ServedRequest] = {}
        self._over: set[int] = set()
        self._waiting: dict[int, Attempts] = {}
        self._results: dict[int, Result] = {}
        self._purchases: dict[int, Purchase] = {}
        self._cycles, self._upkeep, self._tending = Attempts(), Attempts(), Attempts()
        self._measuring, self._measured_until = Attempts(), 0.0
        self._under_way = 0
        """Transactions."""
        self._news: tuple[EventScanner, EventScanner | None] | None = None
        """Of requests made and results bought."""
        self._read: dict[Path, KeyFile] = {}

    def run(self) -> None:
        """Until SIGINT or SIGTERM, or `stop`."""
        with on_signals(self.stop, signal.SIGINT, signal.SIGTERM):
            self._run()

    def _run(self) -> None:
        pulse = self._metrics.pulse
        pulse.serving()
        log.info("serving requests of %s", self._requester.keys.address)
        self._requester.client.follow_heads()
        self._exchange.start()
        while not self._bell.stopped:
            with self._trying(self._cycles, "the cycle failed"):
                self.cycle()
            if self._cycles.failing:
                self._metrics.cycle_failed()
            pulse.turned()
            self._bell.wait(self._cycles.pause or self._interval, math.inf)
        pulse.stopping()
        self._exchange.close()
        self._content.close()
        log.info("stopped")

    def stop(self) -> None:
        """After the present duty."""
        self._bell.stop()

    def give_up_when_stopped(self) -> None:
        """From now on, `stop` ends what nodes and other daemons do not answer, for good."""
        rpc = self._requester.client.rpc
        self._bell.afterwards((0.0, self._exchange.stop), (LAST_CALLS, rpc.give_up))

    def cycle(self) -> None:
        """Look at every request that is not over, once."""
        steps: list[Callable[[], None]] = [
            self._look_after,
            self._tend,
            self._find,
            lambda: self._each("take_up", self._waiting, self._take_up),
            lambda: self._each("serve", self._known, self._serve),
            lambda: self._each("follow_purchase", self._purchases, self._follow_purchase),
            lambda: self._each("fetch", self._results, self._fetch),
            self._tell,
        ]
        for step in steps:
            # A node that hangs holds each of them up for ten seconds.
            if not self._bell.stopped:
                step()

    def _tell(self) -> None:
        """What a cycle that succeeded saw."""
        metrics = self._metrics
        metrics.cycle_succeeded(self._under_way)
        listed = (self._waiting, self._known, self._purchases, self._results)
        every = [one for each in listed for one in each.values()]
        metrics.saw(one.stage for one in every)
        beside = (*self._read.values(), self._tending, self._upkeep)
        failing = [one.failing for one in (*every, *beside)]
        metrics.fail(sum(failing) + (bool(self._content.failure) and not self._upkeep.failing))
        metrics.pulse.part("content", self._upkeep.trouble or self._content.trouble)
        metrics.pulse.part("transactions", self._tending.trouble)
        if time.monotonic() > self._measured_until and self._measuring.is_due:
            with self._trying(self._measuring, "cannot tell what is left"):
                self._measure()
                self._measured_until = time.monotonic() + MEASURED_FOR

    def _measure(self) -> None:
        """Look at what the service may run out of."""
        requester, folder = self._requester, self._requester.state_folder
        balance = requester.client.balance(requester.keys.sender, requester.client.frame())
        self._metrics.has(balance, {str(folder): free_bytes(folder)})
        warn_of_little_ether(requester.keys.sender, balance)

    def _trying(self, attempts: Attempts, what: str) -> AbstractContextManager[None]:
        """An attempt, with this service's pauses and metrics."""
        return attempts.attempt(what, self._interval, self._metrics.unexpected.inc)

    def _did(self, request: int, duty: str, what: str) -> None:
        """A duty did something."""
        log.info("request %d: %s", request, what)
        self._metrics.done(duty)

    def _look_after(self) -> None:
        if self._upkeep.is_due:
            with self._trying(self._upkeep, "content was not looked after"):
                self._content.look_after(self._requester.client.frame().timestamp)

    def _tend(self) -> None:
        if self._tending.is_due:
            failed = "transactions under way were not looked after"
            with self._trying(self._tending, failed):
                sender = self._requester.client.sender
                self._under_way = sender.tend(self._requester.keys)

    def _each(
        self, duty: str, listed: dict[int, AttemptsT], act: Callable[[int, AttemptsT], None]
    ) -> None:
        """Act on each request that is due. `duty`: for logs and metrics."""
        for request, attempts in sorted(listed.items()):
            if attempts.is_due and not self._bell.stopped:
                with about(request=request, duty=duty), self._metrics.duty(duty):
                    act(request, attempts)
                self._metrics.pulse.turned()  # where a node hangs, each takes its time

    def _find(self) -> None:
        """New requests and purchases of this account, and new files of slice keys."""
        made, bought = self._news = self._news or self._begin()
        for event in made.scan():
            self._add(int(event.args["request"]))
        for event in bought.scan() if bought is not None else ():
            self._add_purchase(int(event.args["request"]))
        paths = sorted(self._slices.glob("*.json")) if self._slices is not None else []
        self._read = {path: file for path, file in self._read.items() if path in paths}
        for path in paths:
            self._open_for(path)
            self._metrics.pulse.turned()  # where a node hangs, each takes its time

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
            self._waiting.setdefault(request, Attempts())

    def _add_purchase(self, request: int) -> None:
        if not self._requester.has_model(request):
            self._purchases.setdefault(request, Purchase())

    def _take_up(self, request: int, waiting: Attempts) -> None:
        """Read what the request's duties need; later again if that fails."""
        with self._trying(waiting, f"request {request} cannot be read yet"):
            client = self._requester.client
            stored, terms = client.market.request(request), client.market.terms(request)
            if stored.status is Status.SETTLED:
                self._settled(request, stored, terms)
            else:
                spec = self._content.specification(request, terms.specification)
                acting = self._requester.acting(request, spec, self._exchange, self._content)
                self._known[request] = ServedRequest(acting, RequestLog(client, request))
            del self._waiting[request]

    def _settled(self, request: int, stored: StoredRequest, terms: Terms) -> None:
        """All money of a request is shared out, by whomever; its model may not be here yet."""
        requester = self._requester
        requester.release(request)
        self._over.add(request)
        if not stored.delivered_at or requester.has_model(request):
            return
        until = stored.delivered_at + terms.dispute_window + requester.keep_seconds
        if requester.client.frame().timestamp < until:
            self._results[request] = Result(until)
        else:
            log.info(
                "request %d: its model is not here, and its makers need not keep it any more: try"
                " `fedpact request fetch %d`",
                request,
                request,
            )

    def _fetch(self, request: int, result: Result) -> None:
        """Keep a model that was not fetched before its request was settled: the service was away,
        or the model was nowhere."""
        with self._trying(result, f"request {request}: its model is not here yet"):
            try:
                path = self._requester.receive(request, self._content)
                self._did(request, "fetch", f"received the model ({path})")
            except DecryptionError as error:
                log.error("request %d: its key does not open: %s", request, error)
            except (ContentError, ContentUnavailable, ModelError) as error:
                now = self._requester.client.frame().timestamp
                if isinstance(error, ContentSought) or now < result.until:
                    raise
                log.error("request %d: its model was not fetched: %s", request, error)
            del self._results[request]

    def _follow_purchase(self, request: int, purchase: Purchase) -> None:
        """Keep the model once its key is there, dispute a wrong key, take the price of a purchase
        back that nobody seals a key for."""
        client = self._requester.client
        failed = f"the purchase of request {request} failed; it is tried again"
        with self._trying(purchase, failed):
            frame = client.frame()
            if purchase.under_way == frame.block_hash:
                return
            bought = client.resale.purchase(request, self._requester.keys.address, frame)
            if bought.status is SaleStatus.REFUNDED:
                if purchase.under_way:
                    self._did(request, "follow_purchase", "the price of its result is back")
                del self._purchases[request]
                return
            try:
                with self._sending(frame.block_number):
                    self._advance(request)
            except TransactionTimeout as error:
                log.info("waiting: %s", error)
                purchase.under_way = frame.block_hash

    def _advance(self, request: int) -> None:
        """What a purchase asks for now."""
        requester = self._requester
        market, buyer = requester.client.resale, requester.keys.address
        try:
            arrived, done = requester.continue_purchase(request)
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
            self._did(request, "follow_purchase", done)
        if arrived:
            del self._purchases[request]

    def _open_for(self, path: Path) -> None:
        """Take up a request for which this account has slice keys. A file is read again once it has
        changed, or if a node or store has failed, or if the node does not know the request: it may
        lag behind the one that told the requester."""
        stamp = stamp_of(path)
        file = self._read.get(path)
        if file is None or file.stamp != stamp:
            file = self._read[path] = KeyFile(stamp)
        if file.is_read or not file.is_due:
            return
        with self._trying(file, f"{path} cannot be used"):
            file.is_read = True
            try:
                self._take_keys(path)
            except (Retryable, UnknownRequest, OSError):
                file.is_read = False
                raise

    def _take_keys(self, path: Path) -> None:
        given, client = read_slice_keys(path), self._requester.client
        request, here = given.request, client.deployment.fingerprint.hex()
        if given.deployment != here:
            log.warning("%s: its request is one of another deployment", path)
        elif (served := self._known.get(request)) is not None and served.acting.secret is None:
            acting = replace(served.acting, slices=given)
            self._known[request] = ServedRequest(acting, served.log)
            log.info("request %d: its slice keys are those of %s now", request, path)
        elif request not in self._known and request not in self._over:
            kept = RequestLog(client, request)
            if self._requester.keys.address in kept.terms.openers:
                acting = self._requester.opening(given, self._exchange, self._content)
                self._known[request] = ServedRequest(acting, kept)
            else:
                log.warning("%s: request %d does not name this account as opener", path, request)

    def _serve(self, request: int, served: ServedRequest) -> None:
        with self._trying(served, f"request {request} failed; it is tried again"):
            seen = served.seen = look(self._requester.client, request, served.log, served.seen)
            if served.under_way == seen.frame.block_hash:
                return
            try:
                done = self._do(served, seen)
            except TransactionTimeout as error:
                log.info("waiting: %s", error)
                served.under_way = seen.frame.block_hash
                return
            if done:
                self._did(request, "serve", done)
            settled = seen.stored.status is Status.SETTLED
            opener = served.acting.secret is None
            if settled and not opener:
                self._settled(request, seen.stored, seen.terms)
            if settled or (opener and seen.facts.phase is Phase.ENDED):
                log.info("request %d is over", request)
                self._over.add(request)
                del self._known[request]
                self._exchange.forget(request, seen.facts.round + 1)

    def _do(self, served: ServedRequest, seen: RequestLook) -> str:
        """The next duty of a request, without a long wait for its transaction, and on a full disk,
        which notes none, too: contracts refuse each that is sent twice."""
        with self._sending(seen.frame.block_number):
            return next_duty(served.acting, seen)

    @contextmanager
    def _sending(self, block: int) -> Iterator[None]:
        """Settings of the sender for a duty that rests on the state at `block`."""
        sender = self._requester.client.sender
        before = sender.timeout, sender.seen_block
        sender.timeout, sender.seen_block = SEND_PATIENCE, block
        sender.must_record = False
        try:
            yield
        finally:
            sender.timeout, sender.seen_block = before
            sender.must_record = True


def stamp_of(path: Path) -> tuple[int, int]:
    """Time of the last change of a file, of its mode or owner too, and its size; zeros where it
    cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ctime_ns, found.st_size
