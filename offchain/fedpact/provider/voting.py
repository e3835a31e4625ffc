"""Stage 6 of the workflow: fetch and score the round's models, commit, reveal, tally."""

import logging

from fedpact.consensus.votes import pack_scores, vote_commitment
from fedpact.errors import NotReady, Retryable
from fedpact.learning.artefact import Model
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.history import replay_of
from fedpact.provider.reading import (
    ballot_of,
    member_model,
    specification_of,
    submitted_digests,
)
from fedpact.provider.state import CastVote
from fedpact.types.rounds import seats_of

log = logging.getLogger(__name__)

MISSING_PATIENCE = 0.75
"""Fraction of the commit window after which a missing model counts as invalid."""

TALLY_TURN_SECONDS = 2
"""How long each member waits for the members before it to tally."""


def commit_vote(view: RequestView) -> DutyResult:
    """Score all models of the round and commit to the packed scores."""
    state = view.state
    if not view.in_mask(state.submitted):
        return idle("no part in this vote")
    if view.in_mask(state.committed):
        return idle("committed; waiting for the others")
    window = specification_of(view).windows.commit
    if not state.slice_opened and view.frame.timestamp <= state.stage_start + window // 2:
        return idle("waiting for the evaluation slice")
    vote = view.ctx.state.vote(view.id, view.round) or _score(view)
    if vote is None:
        return idle("waiting for the others' models")
    commitment = vote_commitment(
        ballot_of(view, view.ctx.keys.address), pack_scores(vote.scores), _salt(view)
    )
    receipt = view.ctx.client.rounds.commit_vote(view.ctx.keys, view.id, view.seat, commitment)
    return did(f"round {view.round}: committed a vote ({receipt.gas_used} gas)")


def _score(view: RequestView) -> CastVote | None:
    """The scores to cast; None while a model may still arrive, or the scoring runs."""
    if round_models(view) is None:
        return None
    ctx = view.ctx
    result = ctx.public_work.result(
        ("score", view.id, view.round),
        lambda: replay_of(view).scoring(view.round).result,
        view.deadline,
    )
    if result is None:
        return None
    scores, record = result
    vote = CastVote(ctx.trainer.work.vote(scores, view.seat), record.to_json())
    ctx.state.save_vote(view.id, view.round, vote)
    return vote


def round_models(view: RequestView) -> dict[int, Model | None] | None:
    """All models of the round by seat (None: invalid); None while some may still arrive."""
    ctx, state = view.ctx, view.state
    models = ctx.cache.models.setdefault((view.id, view.round), {})
    digests = submitted_digests(view, view.round)
    if set(digests) != set(seats_of(state.submitted)):
        return None
    window = specification_of(view).windows.commit
    late = view.frame.timestamp > state.stage_start + int(window * MISSING_PATIENCE)
    for seat in seats_of(state.submitted):
        if seat in models:
            continue
        try:
            models[seat] = member_model(view, view.round, seat, digests[seat])
        except Retryable as error:
            if not late:
                return None
            log.warning("request %d: seat %d counts as invalid: %s", view.id, seat, error)
            models[seat] = None
    return models


def reveal_vote(view: RequestView) -> DutyResult:
    """Open the committed vote."""
    state = view.state
    if not view.in_mask(state.committed):
        return idle("no vote to reveal")
    if view.in_mask(state.revealed):
        return idle("revealed; waiting for the others")
    vote = view.ctx.state.vote(view.id, view.round) or _score(view)
    if vote is None:
        raise NotReady(f"request {view.id}: the committed vote is being computed again")
    view.ctx.client.agree(view.frame)
    receipt = view.ctx.client.rounds.reveal_vote(
        view.ctx.keys, view.id, view.seat, pack_scores(vote.scores), _salt(view)
    )
    return did(f"round {view.round}: revealed a vote ({receipt.gas_used} gas)")


def tally_votes(view: RequestView) -> DutyResult:
    """Have the contract tally the votes; members take turns, so that only one pays for it."""
    turns = seats_of(view.state.revealed) or seats_of(view.state.members)
    if not view.has_seat or view.seat not in turns:
        return idle("the others tally")
    turn = (turns.index(view.seat) - view.round) % len(turns)
    if view.frame.timestamp < view.state.stage_start + turn * TALLY_TURN_SECONDS:
        return idle("waiting for the members before me to tally")
    receipt = view.ctx.client.rounds.tally(view.ctx.keys, view.id, view.committee)
    return did(f"round {view.round}: tallied ({receipt.gas_used} gas)")


def _salt(view: RequestView) -> bytes:
    """32 bytes derived from the account's key, so that no vote is lost with the database."""
    ctx = view.ctx
    return ctx.keys.derive(
        "vote-salt",
        ctx.deployment.fingerprint,
        view.id.to_bytes(32, "big"),
        view.round.to_bytes(32, "big"),
    )
