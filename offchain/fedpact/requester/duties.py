"""What a request asks of its requester, or of an opener that it names."""

from __future__ import annotations

from fedpact.chain.bindings.events import (
    Attested,
    RoundOpened,
    RoundPosted,
    RoundTallied,
    SliceOpened,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.signed_messages import Anchored
from fedpact.errors import (
    ContentMissing,
)
from fedpact.requester.accept_or_dispute import accept_or_dispute
from fedpact.requester.actor import Acting
from fedpact.requester.request_view import RequestLook
from fedpact.requester.slice_opening import open_slice
from fedpact.types.requests import LargeFacts, Phase, seats_of
from fedpact.types.scores import lane

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
    return accept_or_dispute(acting, look, acting.secret) if phase is Phase.ENDED else ""


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
        raise ContentMissing(f"request {request}: the node does not return all of its records")
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
