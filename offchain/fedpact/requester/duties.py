"""What a request asks of its requester, or of an opener that it names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from fedpact.chain.bindings.events import (
    Attested,
    Collected,
    RoundOpened,
    RoundPosted,
    RoundTallied,
    Settled,
    SliceOpened,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.bindings.token import currency_at
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import Anchored
from fedpact.consensus import settling
from fedpact.content.delivery import dispute_context, prove
from fedpact.errors import (
    ContentError,
    ContentMissing,
    ContentSought,
    ContentUnavailable,
    DecryptionError,
    ModelError,
    NotReady,
)
from fedpact.requester.acting import Acting
from fedpact.requester.fetching import content_of, delivery_of, opened_key, receiving
from fedpact.requester.look import RequestLook
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.slice_opening import open_slice
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import LargeFacts, Phase, Status, seats_of
from fedpact.types.scores import lane

log = logging.getLogger(__name__)

PATIENCE = 30
"""Seconds that members have, after a phase is over, before the requester moves a round on."""


def next_duty(acting: Acting, look: RequestLook) -> str:
    """Do what is due; says what was done, or "" if nothing was due."""
    if look.awaits_slice:
        return open_slice(acting, look)
    if acting.secret is None:
        return ""
    phase = look.facts.phase
    if look.cannot_start:
        call = look.client.any_rounds.expire(look.request_id)
        return acting.send(look, call, "ended it: no start")
    if isinstance(look.facts, LargeFacts):
        if phase in (Phase.FAILED, Phase.FINALISE) and look.now > _opened_at(look) + PATIENCE:
            return _move_large_on(acting, look)
    elif phase in (Phase.FAILED, Phase.TALLY, Phase.FINALISE):
        return _move_on(acting, look) if look.now > look.facts.deadline + PATIENCE else ""
    return _end(acting, look, acting.secret) if phase is Phase.ENDED else ""


def _opened_at(look: RequestLook) -> int:
    """When all windows of the present large round are over at the latest."""
    opened, terms = look.events(RoundOpened)[-1], look.terms
    block = look.client.frame_at(opened.at.block)
    windows = terms.submit_window + terms.commit_window + terms.reveal_window
    return windows + terms.attest_window + (look.now if block is None else block.timestamp)


def _move_large_on(acting: Acting, look: RequestLook) -> str:
    """As `_move_on`, of large rounds."""
    rounds, request = look.client.large, look.request_id
    if look.facts.phase is Phase.FAILED:
        return acting.send(look, rounds.close(request), f"closed round {look.facts.round}")
    records = [rounds.posted_record(one.at.tx_hash, one.record) for one in look.events(RoundPosted)]
    found = [record for record in records if record is not None]
    if len(found) < len(records):
        raise ContentMissing(f"request {request}: the node does not tell all records of its rounds")
    call = rounds.sum(request, [one.points for one in found if any(one.points)])
    return acting.send(look, call, "summed up the points")


def _move_on(acting: Acting, look: RequestLook) -> str:
    """Do what any member should have done, so that no request ends because all are silent."""
    rounds, facts, request = look.client.rounds, look.facts, look.request_id
    if facts.phase is Phase.FAILED:
        return acting.send(look, rounds.close(request), f"closed round {facts.round}")
    if facts.phase is Phase.TALLY:
        call = rounds.tally(request, _anchored(look))
        return acting.send(look, call, f"tallied round {facts.round}")
    tallied = look.events(RoundTallied)[-1]
    attestations = [
        (seat, event.digest, lane(event.errors, seat))
        for event in look.events(Attested)
        if event.round == facts.round
        for seat in seats_of(event.mask)
    ]
    call = rounds.finalise(request, tallied.log, tallied.board, attestations)
    return acting.send(look, call, f"finalised round {facts.round}")


def _anchored(look: RequestLook) -> Anchored:
    """What the round anchored since its slice; empty without one."""
    number = look.facts.round
    opened = [event for event in look.events(SliceOpened) if event.round == number]
    if not opened:
        return Anchored(bytes(32))
    commitments = tuple(
        pair
        for event in look.events(VotesCommitted)
        if event.round == number
        for pair in zip(seats_of(event.mask), event.commitments, strict=True)
    )
    votes = tuple(
        pair
        for event in look.events(VotesRevealed)
        if event.round == number
        for pair in zip(seats_of(event.mask), event.votes, strict=True)
    )
    return Anchored(opened[-1].log, commitments, votes)


def _end(acting: Acting, look: RequestLook, secret: int) -> str:
    """Accept or dispute what was delivered; take back what is not due."""
    status, terms = look.stored.status, look.terms
    if status is Status.DELIVERED:
        over = look.now > look.stored.delivered_at + terms.dispute_window
        try:
            found = _received(acting, look, secret)
        except DecryptionError as error:
            if over:
                return _settle(
                    acting, look, f"the key does not open ({error}); too late to dispute"
                )
            return _dispute(acting, look, secret)
        except (ContentError, ContentUnavailable, ModelError) as error:
            if not over or isinstance(error, ContentSought):
                raise
            return _settle(acting, look, f"the model cannot be read ({error})")
        return _settle(acting, look, found)
    if status is Status.DISPUTED:
        return _settle(acting, look, "disputed")
    if status is Status.OPEN:
        ended = look.client.any_rounds.outcome(look.request_id, look.frame)
        if ended.final_rounds == 0:
            return _settle(acting, look, "no round became final")
        if look.now > ended.ended_at + terms.deliver_window:
            return _settle(acting, look, "nobody delivered in time")
    return ""


def _received(acting: Acting, look: RequestLook, secret: int) -> str:
    """Keep the model with its card."""
    opened = opened_key(look, secret, acting.account.address)

    def prepare() -> Callable[[], FetchedModel]:
        reads = content_of(look, acting.account)
        found = acting.content.read(look.request_id, "result", reads)
        return receiving(look, found, opened, acting.output)

    acting.content.keep(look.request_id, prepare)
    return f"received the model ({acting.output})"


def _dispute(acting: Acting, look: RequestLook, secret: int) -> str:
    """Show on chain that the delivered key is not the model's."""
    delivery, count = delivery_of(look)
    here = look.client.deployment
    context = dispute_context(here.chain_id, here.market, look.request_id)
    proof = prove(secret, delivery, count, context)
    call = look.client.market.dispute(look.request_id, look.terms, delivery.fields, proof.fields)
    return acting.send(look, call, "the delivered key does not open: disputed")


def _settle(acting: Acting, look: RequestLook, reason: str) -> str:
    settle(acting.account, look)
    return f"{reason}; settled"


@dataclass(frozen=True)
class Refund:
    """What came back to a requester."""

    pay: int
    """In the currency's smallest unit."""
    currency: Currency
    gas: int
    """Wei."""

    @property
    def text(self) -> str:
        if self.currency == ETHER_CURRENCY:
            return self.currency.text(self.pay + self.gas)
        pay = self.currency.text(self.pay)
        return f"{pay} and {ETHER_CURRENCY.text(self.gas)}" if self.gas else pay


def settle(account: AccountKeys, look: RequestLook) -> Refund:
    """Have the market share out the money; returns what came back to the requester.

    As the requester's call it also accepts a delivery. Raises Reverted while it is not decided.
    """
    collected = look.events(Collected)
    cursor = collected[-1].cursor if collected else None
    given = (look.client, account, look.request_id, look.terms, look.entries(), cursor)
    settled = settling.settle(*given).event(Settled.__name__).args
    currency = currency_at(look.client, look.terms.token)
    return Refund(int(settled["refund"]), currency, int(settled["gasRefund"]))


def require_open(look: RequestLook) -> None:
    """Raise NotReady for a request whose money is shared out."""
    if look.stored.status is Status.SETTLED:
        raise NotReady(f"request {look.request_id} is settled: nothing is left to take back")
