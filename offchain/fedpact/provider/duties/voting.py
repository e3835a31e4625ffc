"""Fetch and score the round's models, commit, reveal, tally."""

import logging
from collections.abc import Callable
from contextlib import suppress

from fedpact.chain.signed_messages import BLIND, Anchored
from fedpact.consensus.artefacts import SLICE_MAX_BYTES
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.errors import (
    ContentError,
    ContentMissing,
    ContentUnavailable,
    NotReady,
    Retryable,
)
from fedpact.exchange.messages import Kind
from fedpact.learning.artefact import Model
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.catching_up import caught_up, counts_as_missing
from fedpact.provider.duties.turns import my_turn
from fedpact.provider.request.history import history_of, replay_of
from fedpact.provider.request.reading import (
    evaluation_slice,
    look_for,
    specification_of,
)
from fedpact.provider.request.view import LargeView, RequestView, digest_of
from fedpact.provider.state.checkpoint import CastVote
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, seats_of
from fedpact.types.scores import pack_scores

log = logging.getLogger(__name__)

PUBLISHING = 0.1
"""Share of the submit window that members have to publish their models once all have signed."""


def commit_vote(view: RequestView) -> DutyResult:
    """Score all models of the round and commit to the packed scores; to BLIND where the slice does
    not open."""
    if not view.in_mask(view.judged):
        return idle("no part in this vote")
    if view.in_mask(view.facts.acted):
        return idle("committed; waiting for the others")
    if not view.facts.slice_opened:
        look_ahead(view)
        return idle("waiting for the evaluation slice")
    vote = own_vote(view)
    if vote is None:
        return idle("waiting for the others' models")
    ctx, rounds = view.ctx, view.ctx.client.rounds
    commitment = rounds.domain.commitment(
        view.id, view.round, view.account, packed(vote), salt_of(view)
    )
    signed = ctx.keys.for_seat(*rounds.domain.typed("Vote", view.id, view.round, commitment))
    call = rounds.commit_votes(view.id, 1 << view.seat, [commitment], signed)
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"round {view.round}: committed a vote ({receipt.gas_used} gas)")


def own_vote(view: RequestView) -> CastVote | None:
    """The vote to cast, the same for good; None while a model may arrive, or the scoring runs."""
    kept = view.ctx.state.vote(view.id, view.round)
    if kept is not None:
        return kept
    look_ahead(view)
    try:
        if evaluation_slice(view, view.round) is None:
            return None
    except ContentUnavailable as error:
        # What the submit window leaves open, the commit window may bring.
        if view.facts.phase is Phase.SUBMIT or not counts_as_missing(view, error):
            raise
        return _save(view, _blind_vote(view, error))
    except ContentError as error:
        return _save(view, _blind_vote(view, error))
    return _scored(view)


def look_ahead(view: RequestView) -> None:
    """Begin to look for the round's slice, and read its models as they come, whatever the vote
    waits for: content that is looked for late counts as missing."""
    if (view.id, view.round) in view.ctx.cache.slices:
        return  # the vote waits for nothing else than what it reads itself
    cid = Cid.parse(specification_of(view).evaluation[view.round - 1].cid)
    view.ctx.fetching.begin(view.id, cid, SLICE_MAX_BYTES)
    with suppress(Retryable, ContentError):  # the vote meets it too, if it stays
        round_models(view)


def packed(vote: CastVote) -> int:
    """A vote as the contract takes it."""
    return pack_scores(vote.scores) if vote.scores else BLIND


def _blind_vote(view: RequestView, error: Exception) -> CastVote:
    log.warning(
        "request %d, round %d: this account cannot open the evaluation slice: %s",
        view.id,
        view.round,
        error,
    )
    return CastVote({}, {})


def _scored(view: RequestView) -> CastVote | None:
    if round_models(view) is None or not caught_up(view, voting=True):
        return None
    ctx = view.ctx

    def scoring() -> Callable[[], tuple[dict[int, int], ContributionRecord]]:
        return replay_of(view).scoring(view.round).result

    result = ctx.public_work.result(("score", view.id, view.round), scoring, view.deadline)
    if result is None:
        return None
    scores, record = result
    seats = {index: seat for seat, index in enumerate(view.cohort.indices)}
    by_seat = {seats[index]: score for index, score in scores.items()}
    return _save(view, CastVote(ctx.trainer.work.vote(by_seat, view.seat), record.to_json()))


def _save(view: RequestView, vote: CastVote) -> CastVote:
    view.ctx.state.save_vote(view.id, view.round, vote)
    return vote


def round_models(view: RequestView) -> dict[int, Model | None] | None:
    """All models of the round by pool index (None: invalid); None while some may still arrive."""
    models = view.ctx.cache.models.setdefault((view.id, view.round), {})
    history = history_of(view)
    digests = history.digests(view.round)
    if view.judged_members - set(digests):
        raise ContentMissing("not all submissions' events have been read yet")
    late = view.ctx.cache.late.setdefault((view.id, view.round), set())
    # A vote for good leaves a model out that had not come. The aggregate may need it all the same.
    voted = bool(late) and has_voted(view)
    missing = [
        index for index in sorted(digests) if index not in models or (voted and index in late)
    ]
    look_for(view, [digests[index] for index in missing])
    waiting, publishing = False, _may_be_publishing(view)
    # Every model is asked for each time: what was not found is then looked for again.
    for index in missing:
        try:
            models[index] = history.fetched(view.round, index, digests[index])
            late.discard(index)
        except Retryable as error:
            if index in late:
                continue
            if publishing or not counts_as_missing(view, error):
                waiting = True
                continue
            said = "request %d: the model of member %d counts as invalid: %s"
            log.warning(said, view.id, index, error)
            models[index] = None
            late.add(index)
    return None if waiting else models


def has_voted(view: RequestView) -> bool:
    """Whether the vote on the present round's models is given for good."""
    if isinstance(view, LargeView):
        kind = f"{Kind.VOTE} {view.start}"
        return view.ctx.state.said.said(view.id, view.round, kind) is not None
    return view.ctx.state.vote(view.id, view.round) is not None


def _may_be_publishing(view: RequestView) -> bool:
    """Whether members that have signed by messages may not have published their models yet."""
    if view.facts.phase is not Phase.SUBMIT:
        return False
    key, now = (view.id, view.round, "all have signed"), view.frame.timestamp
    since = view.ctx.cache.first_seen.setdefault(key, now)
    return now - since < PUBLISHING * view.terms.submit_window


def reveal_vote(view: RequestView) -> DutyResult:
    """Open the committed vote."""
    if not view.in_mask(view.facts.acted) or view.in_mask(view.facts.voided):
        return idle("no vote to reveal")
    if view.in_mask(view.facts.revealed):
        return idle("revealed; waiting for the others")
    vote = own_vote(view)
    if vote is None:
        raise NotReady("the committed vote is being computed again")
    ctx = view.ctx
    ctx.client.agree(view.frame)
    call = ctx.client.rounds.reveal_votes(
        view.id, anchored_of(view), 1 << view.seat, [packed(vote)], [salt_of(view)]
    )
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"round {view.round}: revealed a vote ({receipt.gas_used} gas)")


def anchored_of(view: RequestView) -> Anchored:
    """What the round anchored since its slice; empty without one."""
    opened = view.events("SliceOpened", view.round)
    if not opened:
        if view.facts.slice_opened:
            raise ContentMissing("the slice's event has not been read yet")
        return Anchored(bytes(32))
    return Anchored(digest_of(opened[-1]["log"]), _commitments(view), _votes(view))


def _commitments(view: RequestView) -> tuple[tuple[int, bytes], ...]:
    found = tuple(
        (seat, digest_of(value))
        for event in view.events("VotesCommitted", view.round)
        for seat, value in zip(seats_of(event["mask"]), event["commitments"], strict=True)
    )
    if len(found) != view.facts.acted.bit_count():
        raise ContentMissing("not all commitments' events have been read yet")
    return found


def _votes(view: RequestView) -> tuple[tuple[int, int], ...]:
    found = tuple(
        (seat, int(value))
        for event in view.events("VotesRevealed", view.round)
        for seat, value in zip(seats_of(event["mask"]), event["votes"], strict=True)
    )
    if len(found) != view.facts.revealed.bit_count():
        raise ContentMissing("not all votes' events have been read yet")
    return found


def tally_votes(view: RequestView) -> DutyResult:
    """Have the contract count the votes where some are hidden; members take turns, so that only one
    pays for it."""
    if not my_turn(view, view.facts.revealed or view.facts.submitted):
        return idle("waiting for the members before me to tally")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.rounds.tally(view.id, anchored_of(view)))
    return did(f"round {view.round}: tallied ({receipt.gas_used} gas)")


def salt_of(view: RequestView) -> bytes:
    """32 bytes derived from the account's key, so that no vote is lost with the database. Of large
    rounds others for each start: those of a void one are public where votes were opened in it."""
    ctx = view.ctx
    start = (view.facts.history,) if isinstance(view, LargeView) else ()
    return ctx.keys.derive(
        "vote-salt",
        ctx.deployment.fingerprint,
        view.id.to_bytes(32, "big"),
        view.round.to_bytes(32, "big"),
        *start,
    )
