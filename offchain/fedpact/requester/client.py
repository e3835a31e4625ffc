"""The requester's Python API; the command line uses it too."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.content.embedded import EmbeddedStore
from fedpact.content.kept import KeptStore, keeping_for
from fedpact.content.register import PINS, PinRegister
from fedpact.content.store import ContentStore
from fedpact.errors import InvalidInput, NotReady, Reverted, SpecificationError
from fedpact.requester import fetch, follow, resale
from fedpact.requester.answer import Answers, answer_file
from fedpact.requester.draft import TERMS
from fedpact.requester.fetch import FetchedModel
from fedpact.requester.follow import RequestProgress
from fedpact.requester.listing import look, specification_of
from fedpact.requester.request import PreparedRequest, prepare, read_bytes, read_evaluation
from fedpact.types.rounds import (
    DELIVERY_WINDOWS,
    RequestRecord,
    RequestStatus,
    RoundState,
    seats_of,
)
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.keystore import AccountKeys
    from fedpact.chain.records import Event
    from fedpact.data.dataset import Dataset
    from fedpact.requester.draft import Draft
    from fedpact.retrieval.record import RetrievalRecord
    from fedpact.types.resale import Purchase

log = logging.getLogger(__name__)

CONTENT_GOOD_FOR = 60.0
"""Seconds between two looks at what the content store still has."""


class Requester:
    """Requests of one account.

    Everything follows from the chain, the content store and the account's keys; `state_folder`
    holds fetched models and, while a request is being created, its specification's digest.
    """

    def __init__(
        self,
        client: "ChainClient",
        store: ContentStore,
        keys: "AccountKeys",
        state_folder: Path,
        *,
        keep_days: float = 7.0,
    ) -> None:
        """`keep_days`: how long a request's content is kept after its end."""
        self._client = client
        self._store = store
        self._keys = keys
        self._keep_seconds = int(keep_days * 24 * 3600)
        fingerprint = client.deployment.fingerprint.hex()
        self._folder = state_folder / "requester" / fingerprint[:16] / keys.address.lower()

    def create(
        self,
        draft: "Draft",
        evaluation: "Dataset | Path",
        payment: int,
        *,
        queries: Path | None = None,
        retrieval: "RetrievalRecord | None" = None,
    ) -> int:
        """Publish a request, pay `payment` wei into escrow, and return its id.

        `retrieval`: the record of a search. The providers found are invited; the record goes into
        the store and its digest on chain.
        If interrupted, the same call continues where it stopped; nothing is paid twice.
        Raises SpecificationError, DataError, PrivacyError for invalid arguments, InvalidInput if
        the account or an auditor is not registered, Reverted, UnfundedAccount.
        """
        if retrieval is not None:
            draft = draft.inviting(retrieval, self._client.deployment.fingerprint)
        if TERMS in draft.fields:
            raise SpecificationError(
                f"draft: {TERMS} are for deployments of the second protocol; this is of the first"
            )
        prepared = self.prepare(draft, evaluation, queries=queries)
        if prepared.specification.privacy.sum is not None:
            raise SpecificationError(
                "draft: privacy.sum: secure sums need a deployment of the second protocol"
            )
        self._check_participants(prepared.specification)
        if prepared.specification.resale is not None:
            _ = (
                self._client.resale
            )  # Fails before anything is paid if the deployment has no ResaleMarket.
        for content in prepared.contents:
            self._store.put(content)

        terms = prepared.terms
        pending = self.pending_file(prepared)
        if pending.exists():
            known = json.loads(pending.read_text())
            created = self._created_since(int(known["block"]), terms.specification)
        else:
            pending.parent.mkdir(parents=True, exist_ok=True)
            block = self._client.frame().block_number
            pending.write_text(json.dumps({"block": block}))
            created = None
        if created is None:
            receipt = self._client.market.create_request(self._keys, terms, payment)
            created = receipt.event("RequestCreated").args["requestId"]
        with self._keeping() as kept, keeping_for(int(created)):
            for content in prepared.contents:
                kept.keep(content)
        if prepared.specification.resale is not None:
            self._offer(int(created), prepared.specification.resale.price)
        if retrieval is not None:
            self._record(int(created), self._store.put(retrieval.encode()).digest)
        pending.unlink()
        return int(created)

    def prepare(
        self,
        draft: "Draft",
        evaluation: "Dataset | Path",
        *,
        queries: Path | None = None,
    ) -> PreparedRequest:
        """What `create` would publish; sends nothing."""
        draft, data = read_evaluation(draft, evaluation)
        asked = None if queries is None else read_bytes(queries)
        return prepare(draft, data, self._keys, queries=asked, store=self._store)

    def pending_file(self, prepared: PreparedRequest) -> Path:
        """The file that `create` keeps while it runs: the block at which it began."""
        return self._folder / "creating" / f"{prepared.terms.specification.hex()}.json"

    def status(self, request_id: int) -> RequestProgress:
        """The request's current state. Raises UnknownRequest."""
        return follow.progress(*self._look(request_id))

    def follow(
        self,
        request_id: int,
        report: Callable[[RequestProgress], None] = lambda _: None,
        *,
        poll_interval: float = 0.1,
    ) -> RequestProgress:
        """Open each round's slice in time, until the request is delivered or cancelled.

        Returns the last state; its status is ENDED if the time to deliver ran out. May be
        interrupted and called again at any time. What the store loses of the request's content
        meanwhile is put again.
        """
        self._own(request_id)
        with self._keeping() as kept, keeping_for(request_id):
            return self._follow(request_id, kept, report, poll_interval)

    def _follow(
        self,
        request_id: int,
        kept: KeptStore,
        report: Callable[[RequestProgress], None],
        poll_interval: float,
    ) -> RequestProgress:
        spec = specification_of(self._client, kept, request_id)
        looked_at = -math.inf

        def look() -> tuple[RequestRecord, RoundState]:
            nonlocal looked_at
            if time.monotonic() - looked_at > CONTENT_GOOD_FOR:
                looked_at = time.monotonic()
                kept.look_after(now())
                kept.drop_copies(now())
            return self._look(request_id)

        def now() -> int:
            return self._client.frame().timestamp

        def open_slice(state: RoundState) -> str:
            from fedpact.requester.slices import open_to_members

            gas = open_to_members(self._client, kept, self._keys, spec, state)
            return f"opened slice {state.round} ({gas} gas)"

        def give_up_at(record: RequestRecord, state: RoundState) -> float | None:
            if record.status is not RequestStatus.ENDED:
                return None
            if state.final_rounds == 0:
                return 0.0
            return state.ended_at + DELIVERY_WINDOWS * spec.windows.deliver

        end = follow.follow(
            look,
            open_slice,
            report,
            poll_interval=poll_interval,
            give_up_at=give_up_at,
            now=now,
        )
        if spec.resale is None:  # buyers need the specification of a result on offer
            kept.end(request_id, now() + self._keep_seconds)
        return end

    def fetch(self, request_id: int, output: Path | None = None) -> FetchedModel:
        """The delivered model, decrypted and checked, as a safetensors file with a JSON file and a
        model card.

        For the account's own requests and for results that it bought. Raises NotReady before the
        delivery, ContentError or ModelError if the content is not the model.
        """
        record, state = self._look(request_id)
        events = self._events(request_id)
        if record.requester == self._keys.address:
            delivered = [e.args["sealedKey"] for e in events if e.name == "Delivered"]
        else:
            delivered = resale.sealed_keys(self._client, request_id, self._keys.address)
        if not delivered:
            raise NotReady(f"request {request_id}: no model has been delivered yet")

        from fedpact.consensus.artefacts import RoundRef, model_cid, sealed_bytes
        from fedpact.learning.families import family_of
        from fedpact.requester.card.keeping import keep
        from fedpact.requester.card.provenance import of_first_protocol
        from fedpact.requester.slices import own_slices

        spec = self.specification(request_id)
        template = family_of(spec).template(spec)
        cid = model_cid(template, state.final_digest)
        round_ref = RoundRef(self._client.deployment.fingerprint, request_id, state.final_rounds)
        weights = fetch.decrypt(
            self._store.get(cid, sealed_bytes(template)),
            round_ref,
            template,
            delivered,
            self._private_keys(),
        )
        final = [e.args for e in events if e.name == "RoundFinalised"][-1]
        shared = next(e.args for e in events if e.name == "ModelShared")
        makers = seats_of(shared["contributors"])
        members = self._client.rounds.members(request_id)
        slices = None
        if record.requester == self._keys.address:  # a buyer cannot open them
            slices = own_slices(self._store, spec, self._keys)
        model = FetchedModel(
            request_id,
            round_ref.fingerprint.hex(),
            spec,
            str(cid),
            int(final["round"]),
            None if final["mae"] == INVALID else int(final["mae"]),
            tuple(member.account for member in members if member.seat in makers),
            output or self.model_path(request_id),
        )
        return keep(
            model, weights, slices, of_first_protocol(self._client, request_id, spec, events)
        )

    def model_path(self, request_id: int) -> Path:
        """The default path at which `fetch` writes a model."""
        return self._folder / "models" / f"request-{request_id}.safetensors"

    def answer(self, model: int | Path, queries: Path) -> Answers:
        """Answer a file of queries with a fetched model (its file, or its request's id)."""
        path = self.model_path(model) if isinstance(model, int) else model
        return answer_file(path, queries)

    def cancel(self, request_id: int) -> None:
        """Cancel before the start, or while the round has no submission. Raises Reverted."""
        self._own(request_id)
        self._client.market.cancel(self._keys, request_id)

    def refund(self, request_id: int) -> int:
        """Take back what the providers did not earn, or the price of a result whose key did not
        arrive; returns wei. Raises NotReady if nothing is due."""
        record, _ = self._look(request_id)
        if record.requester != self._keys.address:
            return resale.refund(self._client, self._keys, request_id)
        amount = int(self._client.market.refundable(request_id))
        if amount == 0:
            raise NotReady(f"request {request_id}: no refund is due now")
        accounts = self._client.rounds.committee(request_id)
        self._client.market.refund(self._keys, request_id, accounts)
        return amount

    def offers(self, draft: "Draft", queries: Path | None = None) -> "list[resale.Offer]":
        """Results for resale that answer the draft's question, best first."""
        digest = sha256(read_bytes(queries)).hexdigest() if queries is not None else None
        asked = draft.specification.model_copy(update={"queries": digest})
        return resale.offers(
            self._client, self._store, self._keys.address, asked.query_key, asked.usage_rules
        )

    def offers_like(self, request_id: int) -> "list[resale.Offer]":
        """As `offers`, for an existing request, under any usage rules. Raises UnknownRequest."""
        key = self._client.market.terms(request_id).query_key
        return resale.offers(self._client, self._store, self._keys.address, key)

    def buy(self, request_id: int, most: int | None = None) -> "Purchase":
        """Buy a finished result; a member then seals its key to this account.

        `most`: highest price in wei. Raises InvalidInput if it is not for sale to this account.
        """
        spec = self.specification(request_id)
        return resale.buy(self._client, self._keys, request_id, spec, most)

    def await_key(self, request_id: int, *, poll_interval: float = 0.5) -> None:
        """Until a member has sealed the key of a bought result; NotReady once it is too late."""
        resale.await_key(self._client, request_id, self._keys.address, poll_interval)

    def specification(self, request_id: int) -> Specification:
        """The request's specification from the store, as the chain fixed it."""
        return specification_of(self._client, self._store, request_id)

    def _offer(self, request_id: int, price: int) -> None:
        """Put the specification's price on chain, once, while that can be done."""
        market = self._client.resale
        if market.offered(request_id)[0]:
            return
        try:
            market.offer(self._keys, request_id, price)
        except Reverted as error:
            log.warning("request %d: its result cannot be resold: %s", request_id, error)

    def _record(self, request_id: int, digest: bytes) -> None:
        """Put the search's record on chain, once, while that can be done."""
        market = self._client.resale
        known = [
            bytes(event.args["digest"])
            for event in market.events(request_id)
            if event.name == "RetrievalRecorded"
        ]
        if digest in known:
            return
        try:
            market.record_retrieval(self._keys, request_id, digest)
        except Reverted as error:
            log.warning("request %d: its search is not on record: %s", request_id, error)

    @contextmanager
    def _keeping(self) -> Iterator[KeptStore]:
        """The store, with a register and copies of what this requester owes."""
        with PinRegister(self._folder / PINS) as register:
            yield KeptStore(
                self._store,
                register,
                EmbeddedStore(self._folder / "copies"),
                self._client.deployment.fingerprint,
            )

    def _look(self, request_id: int) -> tuple[RequestRecord, RoundState]:
        return look(self._client, request_id)

    def _own(self, request_id: int) -> None:
        record, _ = self._look(request_id)
        if record.requester != self._keys.address:
            raise InvalidInput(
                f"request {request_id} was made by {record.requester}, not by {self._keys.address}"
            )

    def _check_participants(self, spec: Specification) -> None:
        """A seal to an account without a key would fail after the money is in escrow."""
        for account in (self._keys.address, *spec.auditors):
            if not self._client.registry.participant(account).active:
                raise InvalidInput(
                    f"{account} is not an active participant: see `fedpact register`"
                )

    def _private_keys(self) -> list[Any]:
        version = self._client.registry.participant(self._keys.address).key_version
        return [self._keys.encryption_key(number) for number in range(version, 0, -1)]

    def _events(self, request_id: int) -> list["Event"]:
        """The request's events in market and rounds; there each has the id as first topic."""
        topics = [None, f"0x{request_id:064x}"]
        market, rounds = self._client.market, self._client.rounds
        return [event for contract in (market, rounds) for event in contract.history(topics)]

    def _created_since(self, block: int, specification: bytes) -> int | None:
        from fedpact.chain.scanner import EventScanner

        market = self._client.market.address
        for event in EventScanner(self._client, block, addresses=[market]).scan():
            if (
                event.name == "RequestCreated"
                and event.args["requester"] == self._keys.address
                and event.args["terms"]["specification"] == specification
            ):
                return int(event.args["requestId"])
        return None
