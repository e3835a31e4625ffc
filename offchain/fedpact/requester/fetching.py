"""Open what was delivered, and fetch, decrypt and check the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpact.chain.bindings.events import (
    Delivered,
    KeySealed,
    ModelsSubmitted,
    ResultBought,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    RoundsEnded,
    RoundTallied,
    Started,
)
from fedpact.chain.signed_messages import Board
from fedpact.consensus import payout
from fedpact.consensus.artefacts import RoundRef, model_cid, open_global, sealed_bytes
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.consensus.proof_of_quality import judge
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Delivery, open_delivery, sale_anchor
from fedpact.content.store import ContentStore
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentMissing, InvalidInput, NotReady
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.requester.card.writing import keep
from fedpact.requester.large_rounds import reading_of
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.provenance import provenance_of
from fedpact.requester.request_view import RequestLook
from fedpact.types.cid import Cid
from fedpact.types.requests import PoolMember, mask_of, seats_of
from fedpact.types.resale import SaleStatus
from fedpact.types.scores import INVALID, SCORE_BITS
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification


def delivery_of(look: RequestLook) -> tuple[Delivery, int]:
    """What was delivered, after how many final rounds; NotReady before it, ContentMissing while the
    node has its block's state but not its log."""
    found = look.events(Delivered)
    if not found and look.stored.delivered_at:
        raise ContentMissing(f"request {look.request_id}: its delivery has not been read yet")
    if not found:
        raise NotReady(f"request {look.request_id}: no model has been delivered yet")
    sent = found[-1]
    delivery = Delivery(Point(*sent.ephemeral), sent.cipher, sent.key_digest, sent.proof)
    return delivery, sent.final_rounds


def sale_of(look: RequestLook, buyer: str) -> tuple[Delivery, Delivery, int]:
    """What a member sealed to a buyer last, as a delivery to it; the request's own delivery; and
    the number of final rounds. InvalidInput for who has bought nothing, NotReady before there is
    one, ContentMissing as `delivery_of`."""
    delivered, count = delivery_of(look)
    bought = look.client.resale.purchase(look.request_id, buyer, look.frame)
    if bought.status is SaleStatus.NONE:
        raise InvalidInput(
            f"request {look.request_id}: {buyer} neither made the request nor bought its result"
        )
    if bought.status not in (SaleStatus.SEALED, SaleStatus.SOLD):
        raise NotReady(f"request {look.request_id}: no member has sealed the key to {buyer} yet")
    keys = [Point(*one.key) for one in look.events(ResultBought) if one.buyer == buyer]
    sealed = [one.cipher for one in look.events(KeySealed) if one.buyer == buyer]
    if not keys or not sealed or sale_anchor(keys[-1], sealed[-1]) != bought.anchor:
        raise ContentMissing(f"request {look.request_id}: the sealed key has not been read yet")
    return replace(delivered, cipher=sealed[-1]), delivered, count


@dataclass(frozen=True)
class OpenedKey:
    """The final model's key, and the number of final rounds."""

    key: bytes = field(repr=False)
    final_rounds: int


def opened_key(look: RequestLook, secret: int, account: str) -> OpenedKey:
    """As delivered to the requester or sealed to a buyer. `secret`: of the account's delivery key.

    Raises NotReady, InvalidInput for who has bought nothing, DecryptionError for a key that is not
    the model's."""
    if account == look.stored.requester:
        delivery, count = delivery_of(look)
    else:
        delivery, _, count = sale_of(look, account)
    return OpenedKey(open_delivery(secret, delivery, count), count)


def specification_in(store: ContentStore, digest: bytes) -> Specification:
    """The specification that a request's terms name by its digest."""
    cid = Cid.of_digest(digest, SPECIFICATION_MAX_BYTES)
    return Specification.decode(store.get(cid, SPECIFICATION_MAX_BYTES))


@dataclass(frozen=True)
class ResultContent:
    """What the content store has of a result."""

    spec: Specification
    cid: Cid
    """Of the model."""
    sealed: bytes
    """The model, encrypted."""
    round: RoundLook | None
    """The last final round, if it is a large one."""


Slices = Callable[[Specification], list[Dataset] | None]
"""Reads the evaluation slices of a request, in order, in any thread; None for another account's
request, or where one is lost. They may be large, so they are read when a model is measured."""


def content_of(look: RequestLook) -> Callable[[ContentStore], ResultContent]:
    """Reads what the store has of a delivered result, in any thread; that raises ContentError or
    ContentUnavailable. ContentMissing while the node lacks logs."""
    finals = look.events(RoundFinalised)
    if not finals:
        raise ContentMissing(f"request {look.request_id}: its rounds have not been read yet")
    named, digest = look.terms.specification, finals[-1].digest
    large = look.client.deployment.is_large
    reading = reading_of(look, finals[-1].round) if large else None
    members = look.client.pool.members(look.request_id, look.frame) if large else ()

    def read(store: ContentStore) -> ResultContent:
        spec = specification_in(store, named)
        template = family_of(spec).template(spec)
        cid = model_cid(template, digest)
        sealed = store.get(cid, sealed_bytes(template))
        last = None if reading is None else _large_round(members, reading(store))
        return ResultContent(spec, cid, sealed, last)

    return read


def open_model(
    look: RequestLook, content: ResultContent, opened: OpenedKey, output: Path
) -> tuple[FetchedModel, Model]:
    """The model, and what the chain says of it.

    Raises ContentError or ModelError if the content is not the model.
    """
    return _described(look, content, opened, output), _opener(look, content, opened)()


def receive(
    look: RequestLook, content: ResultContent, opened: OpenedKey, output: Path, slices: Slices
) -> FetchedModel:
    """Keep the model, with its JSON file and its card. Raises as `open_model`."""
    return receiving(look, content, opened, output, slices)()


def receiving(
    look: RequestLook, content: ResultContent, opened: OpenedKey, output: Path, slices: Slices
) -> Callable[[], FetchedModel]:
    """What `receive` does, for any thread: what it needs of the chain is read here. How long it
    takes depends on the model and on the evaluation slices, on which it is measured."""
    described = _described(look, content, opened, output)
    provenance, read = provenance_of(look, described), _opener(look, content, opened)
    return lambda: keep(described, read(), slices(content.spec), provenance)


def _described(
    look: RequestLook, content: ResultContent, opened: OpenedKey, output: Path
) -> FetchedModel:
    """What the chain says of a model."""
    last = look.events(RoundFinalised)[-1]
    return FetchedModel(
        look.request_id,
        look.client.deployment.fingerprint.hex(),
        content.spec,
        str(content.cid),
        last.round,
        None if last.error == INVALID else last.error,
        _contributors(look, last.round, content.round),
        output,
    )


def _opener(look: RequestLook, content: ResultContent, opened: OpenedKey) -> Callable[[], Model]:
    """Decrypts the model, in any thread. That raises as `open_model`."""
    spec = content.spec
    fingerprint = look.client.deployment.fingerprint
    reference = RoundRef(fingerprint, look.request_id, opened.final_rounds)
    return lambda: open_global(
        content.sealed, opened.key, reference, family_of(spec).template(spec)
    )


@dataclass(frozen=True)
class RoundLook:
    """Who took part in a final round, by seat; in a large one the whole pool, by index."""

    members: tuple[PoolMember, ...]
    submitted: int
    """Mask of the seats whose models were named."""
    board: Board
    """What the votes amount to."""
    points: int | None = None
    """All points of a large round, 16 bits a member."""

    @property
    def included(self) -> int:
        """Mask of the seats whose models the global one combines."""
        return self.board.included

    def account(self, seat: int) -> str:
        return self.members[seat].account

    def drew(self, account: str) -> bool:
        return any(member.account == account for member in self.members)

    def has_model(self, account: str) -> bool:
        return any(self.account(seat) == account for seat in seats_of(self.submitted))


def round_of(look: RequestLook, round_: int, store: ContentStore | None = None) -> RoundLook:
    """What the chain says of a final round; `store`: has the evidence of large ones."""
    if look.client.deployment.is_large and store is not None:
        members = look.client.pool.members(look.request_id, look.frame)
        return _large_round(members, reading_of(look, round_)(store))
    seed = [one.seed for one in look.events(RoundOpened) if one.round == round_][-1]
    _, members = look.client.pool.cohort_of(look.request_id, seed, look.frame)
    submitted, board = 0, Board(0, 0, 0, 0, 0)
    for event in look.up_to(RoundsEnded):
        if isinstance(event, Started) and round_ == 1:
            submitted = 0  # a void start began this round before
        elif isinstance(event, ModelsSubmitted) and event.round == round_:
            submitted |= event.mask
        elif isinstance(event, RoundTallied) and event.round == round_:
            board = event.board
        elif isinstance(event, RoundPosted) and event.round == round_:
            submitted, board = event.mask, _board(look, event)
    return RoundLook(members, submitted, board)


def _large_round(members: tuple[PoolMember, ...], read: tuple[LargeBoard, set[int]]) -> RoundLook:
    """Every member of the pool has a place, by its index."""
    board, named = read
    medians = sum(one << SCORE_BITS * index for index, one in board.medians.items())
    points, included = payout.packed(board.points), mask_of(board.included)
    summed = Board(medians, included, included, points, 0)
    return RoundLook(members, mask_of(named), summed, points)


def _contributors(look: RequestLook, round_: int, known: RoundLook | None) -> tuple[str, ...]:
    """Accounts whose models a final round combines."""
    found = known or round_of(look, round_)
    return tuple(found.account(seat) for seat in seats_of(found.included))


def _board(look: RequestLook, posted: RoundPosted) -> Board:
    """Of a round that was posted as a whole: what the record's votes say."""
    record = look.client.rounds.posted_record(posted.at.tx_hash, posted.record)
    if record is None:
        raise ContentMissing(
            f"request {look.request_id}: the node does not know the transaction that posted round"
            f" {posted.round}"
        )
    votes = dict(zip(seats_of(posted.mask), record.votes, strict=True))
    board, _ = judge(votes, posted.mask, look.terms.max_error, look.terms.vote_band)
    return board
