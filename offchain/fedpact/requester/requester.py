"""What one requester's account does; `fedpact.api` and the commands call it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

from fedpact.chain.bindings.token import shown_currency
from fedpact.chain.client import ChainClient
from fedpact.chain.node_errors import RpcError
from fedpact.content import fetching
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.store import ContentStore
from fedpact.errors import FedpactError
from fedpact.exchange.gossip import Exchange
from fedpact.requester import buying, cancelling
from fedpact.requester.accept_or_dispute import Refund
from fedpact.requester.actor import Acting
from fedpact.requester.answer import Answers, answer_file
from fedpact.requester.card.quality import Quality
from fedpact.requester.card.writing import measured
from fedpact.requester.content import RequesterContent
from fedpact.requester.creating import RequestCreator
from fedpact.requester.declines import Declines
from fedpact.requester.draft import Draft
from fedpact.requester.duties import next_duty
from fedpact.requester.fetching import (
    OpenedKey,
    Slices,
    content_of,
    open_model,
    opened_key,
    receive,
    receiving,
    specification_in,
)
from fedpact.requester.follow import LONGEST_PAUSE, RequestProgress
from fedpact.requester.gifts import key_given, read_gift, write_gift
from fedpact.requester.listing import ListedRequest
from fedpact.requester.model_file import FetchedModel, card_paths, check_output
from fedpact.requester.offers import Offer, offers
from fedpact.requester.preparing import read_bytes
from fedpact.requester.request_view import RequestLog, RequestLook, look
from fedpact.requester.slice_keys import SliceKeys, own_slice_keys
from fedpact.requester.slice_messages import SliceMessages
from fedpact.requester.slices import own_slices
from fedpact.retrieval.http import OwnAddress
from fedpact.types.requests import Phase, Status
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)


class Requester(RequestCreator):
    """Requests of one account, from creation to the model, and results of others that it buys."""

    # Following

    def follow(
        self,
        request_id: int,
        report: Callable[[RequestProgress], None] = lambda _: None,
        *,
        poll_interval: float = 0.1,
        on_look: Callable[[RequestLook, Exchange], None] = lambda *_: None,
    ) -> RequestProgress:
        """Do all duties of one request until its money is shared out, and report each change.

        Whatever fails is reported and tried again with growing pauses; see `steps`.
        """
        last = None
        pause = poll_interval
        with closing(self.steps(request_id, poll_interval=pause, on_look=on_look)) as steps:
            for last in steps:
                report(last)
        assert last is not None
        return last

    def steps(
        self,
        request_id: int,
        *,
        poll_interval: float = 0.1,
        patience: float = math.inf,
        on_look: Callable[[RequestLook, Exchange], None] = lambda *_: None,
    ) -> Generator[RequestProgress, None, None]:
        """Do all duties of one request until its money is shared out: each change of its state.

        Duties are done between two steps. Nothing is kept between them, so it may be stopped and
        started at any time. Whatever fails is told in `note`, and tried again with growing pauses;
        what has failed for `patience` seconds is raised. `on_look`: called with what was seen at
        each poll, once what was due is done. Raises InvalidInput for another account's request.
        """
        declines = Declines(self.client, self.store, request_id)
        with self.exchange(poll_interval) as exchange, self.content() as content, declines:
            exchange.start()
            self.client.follow_heads()
            acting = self.acting(request_id, self.specification(request_id), exchange, content)

            def looked(seen: RequestLook) -> None:
                on_look(seen, exchange)

            yield from self._steps(acting, declines, poll_interval, patience, looked)

    def _steps(
        self,
        acting: Acting,
        declines: Declines,
        poll_interval: float,
        patience: float,
        looked: Callable[[RequestLook], None],
    ) -> Generator[RequestProgress, None, None]:
        last: RequestProgress | None = None
        request_id = declines.request
        seen: RequestLook | None = None
        failures, kept = 0, RequestLog(self.client, request_id)
        failing_since = math.inf
        while True:
            try:
                seen = look(self.client, request_id, kept, seen)
                acting.content.look_after(seen.now)
                note = next_duty(acting, seen)
                if seen.facts.phase is Phase.WAITING:
                    declines.look()
                current = seen.progress(note, tuple(declines.counted.items()))
                if current.status is Status.SETTLED:
                    self.release(request_id)
            except Exception as error:  # whatever it is, the request goes on
                failures += 1
                failing_since = min(failing_since, time.monotonic())
                if time.monotonic() - failing_since > patience:
                    raise
                if not isinstance(error, FedpactError):
                    log.exception("request %d: following failed; trying again", request_id)
                if last is not None:
                    last = replace(last, note=str(error))
                    yield last
                time.sleep(pause_after(error, failures, poll_interval))
                continue
            failures, failing_since = 0, math.inf
            if current != last:
                yield current
                last = current
            looked(seen)
            if current.status is Status.SETTLED:
                return
            time.sleep(poll_interval)

    def release(self, request_id: int) -> None:
        """Keep the content of a request that is over for `keep_days` more; of a result on offer for
        good: buyers need its specification."""
        if self.client.deployment.resale and self.client.resale.offered(request_id).price:
            return
        with self._keeping() as kept:
            kept.end(request_id, self.client.frame().timestamp + self.keep_seconds)

    def exchange(self, seconds: float) -> Exchange:
        """With members' daemons, for messages of rounds; not started. `seconds`: see Exchange."""
        return Exchange(self.client.deployment.fingerprint, OwnAddress(""), seconds)

    def content(self, patience: float = fetching.PATIENCE) -> RequesterContent:
        """The content store for use beside duties; `patience`: see RequesterContent."""
        return RequesterContent(self.store, EmbeddedStore(self._copies), self._keeping, patience)

    def acting(
        self,
        request_id: int,
        spec: Specification,
        exchange: Exchange,
        content: RequesterContent,
    ) -> Acting:
        """What this account needs to act for its request; InvalidInput for another's."""
        cancelling.require_own(self.client, self.keys, request_id)
        return Acting(
            self.keys,
            content,
            self._slice_keys(spec, request_id),
            self._secret,
            self.model_path(request_id),
            SliceMessages(exchange, content.fetching, self.keys),
        )

    def opening(self, given: SliceKeys, exchange: Exchange, content: RequesterContent) -> Acting:
        """What an opener needs to open the slices of another account's request."""
        output = self.model_path(given.request)
        messages = SliceMessages(exchange, content.fetching, self.keys)
        return Acting(self.keys, content, given, None, output, messages)

    def slice_keys(self, request_id: int) -> SliceKeys:
        """For an opener that the request names: whoever has them can read the slices. InvalidInput
        for another account's request."""
        cancelling.require_own(self.client, self.keys, request_id)
        return self._slice_keys(self.specification(request_id), request_id)

    def _slice_keys(self, spec: Specification, request_id: int) -> SliceKeys:
        fingerprint = self.client.deployment.fingerprint
        return own_slice_keys(self.keys, spec, fingerprint, request_id)

    # The end

    def fetch(
        self, request_id: int, output: Path | None = None, gift: Path | None = None
    ) -> FetchedModel:
        """The delivered model, decrypted and checked, as a safetensors file with a JSON file and a
        model card. For the account's own requests, for results that it bought, and with a gift.

        gift: a file of `give`, by whoever has the result.

        Raises NotReady before the delivery, InvalidInput for a file that cannot be written (see
        `check_output`), for a result that the account has not bought or another request's gift,
        DecryptionError for a key that does not open it (`follow` disputes it), ContentError or
        ModelError if the content is not the model.
        """
        if output is not None:
            check_output(output, request_id, self.client.deployment.fingerprint.hex())
        seen = look(self.client, request_id)
        opened = self._opened(seen) if gift is None else key_given(read_gift(gift), seen)
        content, output = content_of(seen)(self.store), output or self.model_path(request_id)
        return receive(seen, content, opened, output, self._slices(seen))

    def receive(self, request_id: int, content: RequesterContent) -> Path:
        """As `fetch`, to the default path, which is returned; ContentSought while the result is
        looked for and measured."""

        def prepare() -> Callable[[], FetchedModel]:
            seen = look(self.client, request_id)
            opened, path = self._opened(seen), self.model_path(request_id)
            found = content.read(request_id, "result", content_of(seen))
            return receiving(seen, found, opened, path, self._slices(seen, content))

        return content.keep(request_id, prepare).path

    def give(self, request_id: int, path: Path) -> None:
        """Write the key of the account's own result to a new file, with which anybody can
        `fetch` the model at no price.

        Raises as `fetch`, and InvalidInput for a result that is for sale.
        """
        spec, seen = self.specification(request_id), look(self.client, request_id)
        write_gift(spec, seen, self._opened(seen), path)

    def _slices(self, seen: RequestLook, content: RequesterContent | None = None) -> Slices:
        """From `content`, by which it may be used in another thread, or from the store."""
        if self.keys.address != seen.stored.requester:
            return lambda _: None
        if content is not None:
            return partial(content.slices, keys=self.keys)
        return lambda spec: own_slices(self.store.get, spec, self.keys)

    def _opened(self, seen: RequestLook) -> OpenedKey:
        return opened_key(seen, self._secret, self.keys.address)

    def quality(self, request_id: int) -> Quality | None:
        """The delivered model on this account's evaluation slices; None where one is lost. Raises
        as `fetch`."""
        seen = look(self.client, request_id)
        opened, content = self._opened(seen), content_of(seen)(self.store)
        fetched, model = open_model(seen, content, opened, self.model_path(request_id))
        slices = self._slices(seen)(content.spec)
        return None if slices is None else measured(fetched, model, slices)[1]

    def model_path(self, request_id: int) -> Path:
        """The default path at which a model is written."""
        return self._folder / "models" / f"request-{request_id}.safetensors"

    def has_model(self, request_id: int) -> bool:
        """Whether the model is there with its card, which is written last."""
        return all(one.exists() for one in card_paths(self.model_path(request_id)))

    def answer(self, model: int | Path, queries: Path) -> Answers:
        """Answer a file of queries with a fetched model (its file, or its request's id)."""
        path = self.model_path(model) if isinstance(model, int) else model
        return answer_file(path, queries)

    def cancel(self, request_id: int) -> None:
        """Cancel: before the start at once, later from the next round on. Raises UnknownRequest,
        InvalidInput for another account's request, NotReady if it is over or was cancelled."""
        cancelling.cancel(self.client, self.keys, request_id)

    def refund(self, request_id: int) -> Refund:
        """Share out the money of a request that is decided, if nobody has; what came back.

        Accepts a delivered model. Raises NotReady if it is settled, or not decided yet.
        Of another's request: takes back the price of its result, if no key arrived in time.
        """
        return cancelling.refund(self.client, self.keys, request_id)

    # Results of others

    def offers(self, draft: Draft, queries: Path | None = None) -> list[Offer]:
        """Results for resale that answer the draft's question, best first."""
        digest = None if queries is None else sha256(read_bytes(queries)).hexdigest()
        asked = self.priced(draft).specification.model_copy(update={"queries": digest})
        given = (self.client, self.store, self.keys.address)
        return offers(*given, asked.query_key, asked.usage_rules)

    def offers_like(self, request_id: int) -> list[Offer]:
        """As `offers`, for an existing request, under any usage rules. Raises UnknownRequest."""
        key = self.client.market.terms(request_id).query_key
        return offers(self.client, self.store, self.keys.address, key)

    def buy(self, request_id: int, most: int | None = None) -> buying.Bought:
        """Buy a finished result; a member then seals its key to this account.

        `most`: highest price, in the smallest unit of what the request pays in. Raises InvalidInput
        if it is not for sale to this account.
        """
        spec = self.specification(request_id)
        return buying.buy(self.client, self.keys, self._secret, request_id, spec, most)

    def await_key(self, request_id: int, *, poll_interval: float = 0.5) -> None:
        """Until a member has sealed the key of a bought result; a wrong one is disputed. NotReady
        once it is too late."""
        buying.await_key(self.client, self.keys, self._secret, request_id, poll_interval)

    def continue_purchase(self, request_id: int) -> tuple[bool, str]:
        """What a purchase asks of this account now, done: see `buying.continue_purchase`."""
        return buying.continue_purchase(self.client, self.keys, self._secret, request_id)

    def specification(self, request_id: int) -> Specification:
        """The request's specification from the store, as the chain fixed it."""
        return specification_of(self.client, self.store, request_id)


def specification_of(client: ChainClient, store: ContentStore, request_id: int) -> Specification:
    """The request's specification from the store, as the chain fixed it."""
    return specification_in(store, client.market.terms(request_id).specification)


def requests(client: ChainClient, requester: str | None = None) -> Iterator[ListedRequest]:
    """The requests of one account (or everybody's), oldest first."""
    market, frame = client.market, client.frame()
    numbers = market.numbers_of(requester, frame)
    states = zip(
        market.all_stored(numbers, frame), client.any_rounds.all_facts(numbers, frame), strict=True
    )
    currency = cache(lambda token: shown_currency(client, token))
    for number, (stored, facts) in zip(numbers, states, strict=True):
        terms = market.terms(number)
        yield ListedRequest(
            number,
            stored.requester,
            stored.status,
            terms.pay,
            currency(terms.token),
            facts.round,
            terms.max_rounds,
        )


def progress_of(client: ChainClient, store: ContentStore, request_id: int) -> RequestProgress:
    """Where a request is now, with who has declined it while it waits. Raises UnknownRequest."""
    seen = look(client, request_id)
    if seen.facts.phase is not Phase.WAITING:
        return seen.progress()
    with Declines(client, store, request_id) as declines:
        return seen.progress(declined=tuple(declines.everybody().items()))


def pause_after(error: Exception, failures: int, poll_interval: float) -> float:
    """Seconds until the next attempt: growing, and as long as a node asks for."""
    asked = error.fault.retry_after if isinstance(error, RpcError) else None
    return max(asked or 0.0, min(poll_interval * 2.0**failures, LONGEST_PAUSE))
