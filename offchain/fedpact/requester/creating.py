"""Creating a request: its content, its terms, the escrow.

A creation that was interrupted goes on where it stopped, by a file that its first call writes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.chain.bindings.events import RetrievalRecorded
from fedpact.chain.bindings.token import Token, currency_at
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.content.bn254 import Point, public_key
from fedpact.content.delivery import requester_secret
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.pin_register import PINS, opened_register
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.content.store import ContentStore
from fedpact.errors import InvalidInput, Reverted
from fedpact.requester.draft import TERMS, Draft
from fedpact.requester.preparing import PreparedRequest, prepare, read_bytes, read_evaluation
from fedpact.requester.request_view import RequestLog
from fedpact.requester.terms import LONGEST_WINDOW, MarketTerms
from fedpact.retrieval.search_record import RetrievalRecord
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.files import read_json
from fedpact.types.requests import ETHER, Terms

if TYPE_CHECKING:
    from fedpact.requester.preparing import Evaluation

PERMIT_SECONDS = 1800
"""Seconds for which a signed allowance holds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Began:
    """The creation of a request: its first call's block, and the time that counts for permits."""

    block: int
    timestamp: int
    """Seconds since 1970, as the chain has them."""
    before: bool
    """Whether an earlier call has begun it."""


class RequestCreator:
    """Creates requests of one account. Everything follows from the chain, the content store and the
    account's keys; `state_folder` holds fetched models, requests that are being created, and copies
    of what the account owes to the content store."""

    def __init__(
        self,
        client: ChainClient,
        store: ContentStore,
        keys: AccountKeys,
        state_folder: Path,
        *,
        keep_days: float = 7.0,
    ) -> None:
        """`keep_days`: how long a request's content is kept after its end."""
        self.keep_seconds = int(keep_days * 24 * 3600)
        self.client, self.store, self.keys = client, store, keys
        self.state_folder = state_folder
        fingerprint = client.deployment.fingerprint
        self._secret = requester_secret(keys.derive("delivery"), fingerprint)
        self._folder = state_folder / "requester" / fingerprint.hex()[:16] / keys.address.lower()

    @property
    def delivery_key(self) -> Point:
        """To which the keys of this account's models are sealed; goes into the terms."""
        return public_key(self._secret)

    @property
    def _copies(self) -> Path:
        """Folder of copies of what is owed to the content store."""
        return self._folder / "copies"

    @property
    def first_models(self) -> Path:
        """Folder for first models that a program makes, which are public once published."""
        return self._folder / "first-models"

    def create(
        self,
        draft: Draft,
        evaluation: Evaluation,
        payment: int,
        *,
        queries: Path | None = None,
        retrieval: RetrievalRecord | None = None,
    ) -> int:
        """Publish a request, pay `payment` and the gas of its rounds into escrow; its id.

        `payment`: in the smallest unit of what the draft pays in (see `currency`); `retrieval`: the
        record of a search. The providers found are invited; the record goes into the store and its
        digest on chain, and so does the price of a result that may be resold. If interrupted, the
        same call continues where it stopped; nothing is paid twice. Raises SpecificationError,
        DataError, PrivacyError for invalid arguments, InvalidInput if the account or an auditor is
        not registered, or the account lacks the token, Reverted, UnfundedAccount, DeploymentError
        if the deployment is older than ResaleMarket and the request needs it.
        """
        if retrieval is not None or draft.fields.get("resale") is not None:
            _ = self.client.resale  # before anything is paid
        if retrieval is not None:
            draft = draft.inviting(retrieval, self.client.deployment.fingerprint)
        prepared, terms = self.prepare(draft, evaluation, payment, queries=queries)
        for account in (self.keys.address, *prepared.specification.auditors):
            if not self.client.registry.participant(account).active:
                raise InvalidInput(
                    f"{account} is not an active participant: see `fedpact register`"
                )
        for content in prepared.contents:
            self.store.put(content)
        record = None if retrieval is None else self.store.put(retrieval.encode()).digest
        pending = self._folder / "creating" / f"{terms.specification.hex()}.json"
        began = self._began(pending)
        request = self._created_since(began.block, terms) if began.before else None
        if request is None:
            receipt = self.client.send(self.keys, self._creation(terms, began.timestamp))
            request = int(receipt.event("RequestCreated").args["request"])
        with self._keeping() as kept, keeping_for(request):
            for content in prepared.contents:
                kept.keep(content, pinned=True)
        if record is not None:
            self._record(request, record)
        if prepared.specification.resale is not None:
            self._offer(request, terms, prepared.specification.resale.price)
        pending.unlink()
        return request

    def _record(self, request: int, digest: bytes) -> None:
        """Put the search's record on chain, once, while that can be done."""
        log_ = RequestLog(self.client, request)
        known = log_.up_to(self.client.frame())
        if any(isinstance(one, RetrievalRecorded) and one.digest == digest for one in known):
            return
        try:
            self.client.send(self.keys, self.client.resale.record_retrieval(request, digest))
        except Reverted as error:
            log.warning("request %d: its search is not on record: %s", request, error)

    def _offer(self, request: int, terms: Terms, price: int) -> None:
        """Put the specification's price on chain, once, while that can be done."""
        if self.client.resale.offered(request).price:
            return
        try:
            self.client.send(self.keys, self.client.resale.offer(request, terms, price))
        except Reverted as error:
            log.warning("request %d: its result cannot be resold: %s", request, error)

    def currency(self, draft: Draft) -> Currency:
        """What a draft pays in. Raises SpecificationError, InvalidInput if it is no token."""
        return currency_at(self.client, MarketTerms.read(draft.fields.get(TERMS, {})).pays_in)

    def priced(self, draft: Draft) -> Draft:
        """With a resale price in the symbol of the draft's token as a number."""
        resale = draft.fields.get("resale")
        price = resale.get("price") if isinstance(resale, Mapping) else None
        if not isinstance(resale, Mapping) or not isinstance(price, str):
            return draft
        currency = self.currency(draft)
        if currency == ETHER_CURRENCY:
            return draft  # in ether, gwei or wei
        return draft.changed(resale={**resale, "price": currency.parse(price)})

    def _creation(self, terms: Terms, began: int) -> Call:
        """The call that creates a request and takes the pay: with a permit where the token has
        them, else after an allowance of exactly the pay.

        `began`: seconds since 1970; the same for the same call, so that one that was interrupted
        after signing is not made again as another one.
        """
        market = self.client.market
        if terms.token == ETHER:
            return market.create_request(terms)
        token = Token(self.client, terms.token)
        if not token.must_allow(self.keys.address, market.address, terms.pay):
            return market.create_request(terms)
        permit = token.permit(self.keys, market.address, terms.pay, began + PERMIT_SECONDS)
        if permit is not None:
            return market.create_request_with_permit(terms, permit)
        self.client.send(self.keys, token.approve(market.address, terms.pay))
        return market.create_request(terms)

    def prepare(
        self,
        draft: Draft,
        evaluation: Evaluation,
        payment: int,
        *,
        queries: Path | None = None,
    ) -> tuple[PreparedRequest, Terms]:
        """What `create` would publish, and the terms; sends nothing."""
        conditions = MarketTerms.read(draft.fields.get(TERMS, {}))
        kind = self.client.deployment.rounds_kind
        if conditions.rounds_kind != kind:
            raise InvalidInput(
                f"draft: terms: rounds_kind is {conditions.rounds_kind!r}, and this deployment has"
                f" {kind} rounds: say rounds_kind = {kind!r}, or name another deployment"
            )
        draft, data = read_evaluation(self.priced(draft), evaluation)
        asked = None if queries is None else read_bytes(queries)
        prepared = prepare(draft, data, self.keys, queries=asked, store=self.store)
        terms = conditions.complete(prepared.specification, self.delivery_key, payment)
        shortest = self.client.deployment.min_window
        windows = {k: v for k, v in vars(terms).items() if k.endswith("_window")}
        for name, seconds in windows.items():
            if seconds < shortest:
                raise InvalidInput(
                    f"draft: {name} is {seconds} s; this deployment asks for {shortest} s at least"
                )
            if seconds > LONGEST_WINDOW:
                raise InvalidInput(
                    f"draft: {name} is {seconds} s; the contracts take {LONGEST_WINDOW} s at most"
                )
        return prepared, terms

    def _began(self, pending: Path) -> _Began:
        """When the creation began that this file is of; another process may have begun it. A permit
        that is about to expire is signed again."""
        here = self.client.frame()
        block, before = here.block_number, pending.exists()
        if before:
            block, time = _noted(pending)
            if here.timestamp < time + PERMIT_SECONDS // 2:
                return _Began(block, time, before)
        pending.parent.mkdir(parents=True, exist_ok=True)
        new = pending.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"block": block, "time": here.timestamp}, file)
            file.flush()
            os.fsync(file.fileno())  # a power cut leaves all of it, or none
        new.replace(pending)
        return _Began(block, here.timestamp, before)

    def _created_since(self, block: int, terms: Terms) -> int | None:
        """What an interrupted call has made since a block."""
        for event in self.client.market.made_since(block, self.keys.address):
            if event.terms == terms:
                return event.request
        return None

    @contextmanager
    def _keeping(self) -> Iterator[KeptStore]:
        """The store, with a register and copies of what this requester owes."""
        with opened_register(self._folder / PINS) as register:
            copies = EmbeddedStore(self._copies)
            fingerprint = self.client.deployment.fingerprint
            yield KeptStore(self.store, register, copies, fingerprint)


def _noted(pending: Path) -> tuple[int, int]:
    """Block and time in the file of a creation. Raises InvalidInput for a damaged one: equal
    requests may be meant, so that nobody but the account's owner knows whether this one was made.
    """
    try:
        known = read_json(pending, "", InvalidInput)
        return int(known["block"]), int(known.get("time", 0))
    except (InvalidInput, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{pending} is damaged, which says that a creation was interrupted: look with `fedpact"
            " request list` whether the request was made, then remove the file"
        ) from error
