"""Compute the aggregate, attest it, and close the round."""

from collections.abc import Callable

from fedpact.chain.signed_messages import Board
from fedpact.consensus.artefacts import seal_global
from fedpact.errors import ContentMissing
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.turns import my_turn
from fedpact.provider.duties.voting import round_models
from fedpact.provider.request.history import replay_of
from fedpact.provider.request.reading import put, request_key, round_ref_of
from fedpact.provider.request.view import RequestView, digest_of
from fedpact.types.cid import Cid
from fedpact.types.requests import seats_of
from fedpact.types.scores import INVALID, SCORE_BITS, lane

MEASURING = "measuring the aggregate"


def attest_aggregate(view: RequestView) -> DutyResult:
    """Aggregate the included models, store the sealed result, post its digest and error."""
    if not view.in_mask(view.attesters):
        return idle("no part in this attestation")
    if view.in_mask(view.facts.acted):
        return idle("attested; waiting for the others")
    digest = aggregate_digest(view)
    if digest is None:
        return idle("waiting for the included models")
    ctx, error = view.ctx, own_error(view)
    if error is None:
        return idle(MEASURING)
    errors = error << SCORE_BITS * view.seat
    rounds = ctx.client.rounds
    signed = ctx.keys.for_seat(*rounds.domain.typed("Attest", view.id, view.round, digest, error))
    call = rounds.attest(view.id, 1 << view.seat, digest, errors, signed)
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"round {view.round}: attested the aggregate ({receipt.gas_used} gas)")


def aggregate_digest(view: RequestView) -> bytes | None:
    """Digest of the sealed global model, computed and stored once. None: a model is missing.
    ContentSought while it is being stored.

    The k-th final model is sealed under the k-th delivery key, whatever its round.
    """
    ctx, at = view.ctx, (view.id, view.round)
    if at in ctx.cache.global_digests:
        return _stored_digest(view)
    models, replay = round_models(view), replay_of(view)
    if models is None or any(
        models.get(index) is None for index in replay.history.included(view.round)
    ):
        return None
    aggregate = replay.aggregate(view.round)
    reference = round_ref_of(view, view.facts.final_rounds + 1)
    sealed = seal_global(aggregate, request_key(view), reference)
    ctx.cache.globals[at], ctx.cache.unstored[at] = aggregate, sealed
    ctx.cache.global_digests[at] = Cid.of(sealed).digest
    ctx.cache.forget(view.id, view.round - 1)
    return _stored_digest(view)


def _stored_digest(view: RequestView) -> bytes:
    """As `aggregate_digest`, of an aggregate that is computed; raises as `reading.put`."""
    cache, at = view.ctx.cache, (view.id, view.round)
    if at in cache.unstored:
        put(view, cache.unstored[at], f"aggregate of round {view.round}")
        del cache.unstored[at]
    return cache.global_digests[at]


def own_error(view: RequestView) -> int | None:
    """Error of the aggregate on this round's slice, 1/10,000; INVALID without a slice. None while
    it is measured, beside the cycle and once: an app may take minutes."""
    ctx, at = view.ctx, (view.id, view.round)
    digest = ctx.cache.global_digests[at]
    known = ctx.cache.errors.get(at)
    if known is not None and known[0] == digest:
        return known[1]

    def measuring() -> Callable[[], int]:
        return replay_of(view).measuring(view.round, ctx.cache.globals[at])

    error = ctx.public_work.result(("error", *at, digest), measuring, view.deadline)
    if error is not None and error != INVALID:  # without a slice so far
        ctx.cache.errors[at] = digest, error
    return error


def attestations_of(view: RequestView) -> list[tuple[int, bytes, int]]:
    """Seat, digest and error of each attestation, in the order in which they were anchored."""
    found = [
        (seat, digest_of(event["digest"]), lane(event["errors"], seat))
        for event in view.events("Attested", view.round)
        for seat in seats_of(event["mask"])
    ]
    if len(found) != view.facts.acted.bit_count():
        raise ContentMissing("not all attestations' events have been read yet")
    return found


def tallied_of(view: RequestView) -> tuple[bytes, Board]:
    """The round's log before its board, and the board."""
    tallied = view.events("RoundTallied", view.round)
    if not tallied:
        raise ContentMissing("the tally's event has not been read yet")
    return digest_of(tallied[-1]["log"]), Board(**tallied[-1]["board"])


def finalise_round(view: RequestView) -> DutyResult:
    """Make the round final, or close it without a model; members take turns."""
    if not my_turn(view, view.facts.acted or view.attesters):
        return idle("waiting for the members before me to finalise")
    ctx = view.ctx
    call = ctx.client.rounds.finalise(view.id, *tallied_of(view), attestations_of(view))
    receipt = ctx.client.send(ctx.keys, call)
    return did(f"round {view.round}: finalised ({receipt.gas_used} gas)")


def close_round(view: RequestView) -> DutyResult:
    """Close a round in which too few submitted; members take turns."""
    if not my_turn(view, view.facts.submitted):
        return idle("waiting for the members before me to close the round")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.any_rounds.close(view.id))
    return did(f"round {view.round} failed: closed it ({receipt.gas_used} gas)")
