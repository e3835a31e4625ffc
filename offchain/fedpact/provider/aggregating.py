"""Stages 7 and 8 of the workflow: compute the aggregate, attest it, lead when it is my turn."""

from fedpact.consensus.artefacts import seal_global
from fedpact.consensus.leader import approvals_needed
from fedpact.consensus.votes import approves, attestation
from fedpact.provider.context import DutyResult, RequestView, did, idle
from fedpact.provider.history import replay_of
from fedpact.provider.reading import (
    attestations,
    ballot_of,
    request_key,
    round_ref_of,
    specification_of,
)
from fedpact.provider.voting import round_models


def attest_aggregate(view: RequestView) -> DutyResult:
    """Aggregate the included models, store the sealed result, post its masked digest and error."""
    state, ctx = view.state, view.ctx
    if not view.in_mask(state.revealed):
        return idle("no part in this attestation")
    if view.in_mask(state.attested):
        return idle("attested; waiting for the leader")
    digest = aggregate_digest(view)
    if digest is None:
        return idle("waiting for the included models")
    if _leads_alone(view):
        return idle("my proposal will be my attestation")
    mae = _own_error(view)
    receipt = ctx.client.rounds.attest(
        ctx.keys,
        view.id,
        view.seat,
        attestation(ballot_of(view, ctx.keys.address), digest, mae),
        mae,
    )
    return did(f"round {view.round}: attested the aggregate ({receipt.gas_used} gas)")


def _leads_alone(view: RequestView) -> bool:
    """Whether this is the first leader, and no other one may propose yet."""
    order = view.ctx.client.rounds.leader_order(view.id, view.frame)
    alone = view.state.stage_start + specification_of(view).windows.propose
    return view.seat in order[:1] and view.frame.timestamp < alone


def aggregate_digest(view: RequestView) -> bytes | None:
    """Digest of the sealed global model, computed and stored once. None: a model is missing."""
    ctx, at = view.ctx, (view.id, view.round)
    if at in ctx.cache.proposals:
        return ctx.cache.proposals[at]
    models, replay = round_models(view), replay_of(view)
    if models is None or any(
        models.get(seat) is None for seat in replay.history.included(view.round)
    ):
        return None
    aggregate = replay.aggregate(view.round)
    cid = ctx.store.put(seal_global(aggregate, request_key(view), round_ref_of(view, view.round)))
    ctx.cache.globals[at] = aggregate
    ctx.cache.proposals[at] = cid.digest
    ctx.cache.forget(view.id, view.round - 1)
    return cid.digest


def _own_error(view: RequestView) -> int:
    """Error of the aggregate on this round's slice, 1/10,000; INVALID without a slice."""
    model = view.ctx.cache.globals[(view.id, view.round)]
    return replay_of(view).error_of(view.round, model)


def propose_aggregate(view: RequestView) -> DutyResult:
    """Publish the digest once enough attestations match it and it is this member's turn."""
    state, ctx = view.state, view.ctx
    digest = ctx.cache.proposals.get((view.id, view.round))
    if not view.in_mask(state.revealed) or digest is None:
        return idle("not a leader of this round")
    seats = ctx.client.rounds.leader_order(view.id, view.frame)
    if view.seat not in seats:
        return idle("not a leader of this round")
    spec = specification_of(view)
    turn = state.stage_start + seats.index(view.seat) * spec.windows.propose
    if view.frame.timestamp < turn:
        return idle(f"seat {seats[0]} leads")
    approving = {
        seat
        for seat, (posted, mae) in attestations(view).items()
        if approves(ballot_of(view, view.members[seat].account), seat, posted, mae, digest)
    }
    approvals = len(approving if view.in_mask(state.attested) else approving | {view.seat})
    needed = approvals_needed(
        state.revealed.bit_count(), state.expected.bit_count(), spec.chain_approval_rule
    )
    if approvals < needed:
        return idle(f"{approvals} of {needed} attestations match my aggregate")
    receipt = ctx.client.rounds.propose(
        ctx.keys, view.id, view.seat, digest, _own_error(view), view.committee
    )
    return did(f"round {view.round}: led; {approvals} attestations ({receipt.gas_used} gas)")
