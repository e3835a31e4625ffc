"""A trainer's part in a large round: train, name the model to the committee, publish it.

Who judges is known a few blocks after a round opened. All others train as in any round, and their
release is charged, kept and timed as any other (`duties.submitting`). In place of a transaction,
the digest goes to the committee's daemons, signed. Their answers say what they hold: a trainer
whose model is held by too few, so that a quorum could leave it out, forces it in on chain.
"""

import logging

from fedpact.chain import headers
from fedpact.consensus.leader import approvals_needed
from fedpact.errors import ContentError
from fedpact.exchange.gossip import Exchange
from fedpact.exchange.submissions import Submission, Trainers, vouchers_needed
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.messages import Talk, peers_of
from fedpact.provider.duties.submitting import publish_submitted, ready_model
from fedpact.provider.duties.turns import due_turn
from fedpact.provider.request.reading import request_key
from fedpact.provider.request.view import LargeView, digest_of
from fedpact.provider.state.messages import NAMED
from fedpact.types.requests import Phase

log = logging.getLogger(__name__)

FORCE_AFTER, FORCE_SECONDS = 0.8, 5
"""Share of the submit window after which a model that too few judges hold is forced in, and the
least time that is left for that."""
DRAW_WITHIN = 200
"""Blocks after which the committee is fixed on chain: every chain tells a contract its last 256."""
ANSWER_SECONDS = 3
"""How long judges have to answer before that, in seconds of the chain's time."""


def name_model(view: LargeView) -> DutyResult:
    """Train and name the model, or gather the others' models as a judge."""
    begin_round(view)
    if view.own_index is None:
        return idle("no member of its pool")
    if not view.is_drawn:
        return idle(f"block {view.facts.draw_block} draws the committee")
    exchange = view.ctx.exchange
    if exchange is None:
        return idle("large rounds need an endpoint: set listen, and start again")
    exchange.forget(view.id, view.round)
    if view.own_seat is not None:
        gather(view, exchange)
        held = len(exchange.models((view.id, view.round)))
        return fix_committee(view) or idle(f"judges in this round: holds {held} models")
    try:
        request_key(view)
    except ContentError as error:
        return idle(f"not submitting: {error}")
    ready = ready_model(view)
    if isinstance(ready, str):
        return idle(ready)
    return _name(view, exchange, view.own_index, ready)


def begin_round(view: LargeView) -> None:
    """Forget what is kept of a round 1 whose start was void, which starts over with other models,
    and what was read as evidence in earlier rounds: any judge names what others read."""
    known = view.ctx.cache.start
    starts = str(len(view.events("Started")))
    if known.setdefault(view.id, starts) != starts:
        view.ctx.cache.end(view.id)
        known[view.id] = starts
    read = view.ctx.cache.evidence
    for at in [at for at in list(read) if at[0] == view.id and at[1] != view.round]:
        del read[at]


def gather(view: LargeView, exchange: Exchange) -> Talk:
    """As a judge: take part in the committee's exchange, and take the trainers' models until
    submissions are over. Who trains then can read the slice and the others' models."""
    peers = peers_of(view) or ()
    if view.facts.phase is Phase.SUBMIT:
        exchange.name_models(trainers_of(view), peers, _kept(view), judging=True)
    else:
        exchange.close_models(trainers_of(view), _kept(view))
    keep_models(view, exchange)
    return Talk(view, exchange, peers)


def keep_models(view: LargeView, exchange: Exchange) -> None:
    """Keep what trainers have named: a judge answers for it after a crash too."""
    held = exchange.models((view.id, view.round))
    kept = {one.index for one in _kept(view)}
    fresh = [
        (_kind(view), index, one.model_dump_json())
        for index, one in held.items()
        if index not in kept
    ]
    if fresh:
        view.ctx.state.said.hear(view.id, view.round, fresh)


def trainers_of(view: LargeView) -> Trainers:
    domain = view.ctx.client.large.domain
    return Trainers(domain, view.id, view.round, view.facts.history, view.trainers)


def needed_of(view: LargeView) -> int:
    """How many judges a record needs."""
    seats = len(view.cohort.members)
    return approvals_needed(seats, seats, view.terms.approval_rule)


def forced_models(view: LargeView) -> dict[int, bytes]:
    """What was forced into the present round, by pool index, as far as its events are read."""
    return {
        one["index"]: digest_of(one["digest"]) for one in view.events("ModelForced", view.round)
    }


def _name(view: LargeView, exchange: Exchange, index: int, digest: bytes) -> DutyResult:
    """Sign and send the digest of a model that is ready; force it in where that is not enough."""
    ctx, place = view.ctx, (view.id, view.round)
    if index in forced_models(view):
        return idle("forced its model in; waiting for the end of the submissions")
    if not ctx.state.said.may_say(*place, _kind(view), digest.hex()):
        log.error("request %d, round %d: not naming another model", *place)
        return idle("named another model in this round")
    if ctx.keys.wallet is not None:
        return _force(view, index, digest)  # A list of models holds signatures of keys alone.
    ctx.client.agree(view.frame)
    named = exchange.models(place).get(index)
    if named is None or named.content != digest:
        trainers = trainers_of(view)
        signed = ctx.keys.sign_typed(*trainers.typed(digest))
        named = Submission(index=index, digest=digest.hex(), signature=signed.hex())
    exchange.name_models(trainers_of(view), peers_of(view) or (), [named], judging=False)
    wanted = vouchers_needed(len(view.cohort.members))
    receipts = exchange.receipts(place, index)
    said = f"named its model; {receipts} of the committee hold it"
    if receipts >= wanted:
        return idle(said)
    key = (*place, view.start, "named")
    since = ctx.cache.first_seen.setdefault(key, view.frame.timestamp)
    left = view.facts.deadline - view.frame.timestamp
    late = view.share_passed() > FORCE_AFTER or left < FORCE_SECONDS
    if late and (view.frame.timestamp - since >= ANSWER_SECONDS or left < FORCE_SECONDS):
        return _force(view, index, digest)
    return idle(f"{said}, {wanted} have to")


def _force(view: LargeView, index: int, digest: bytes) -> DutyResult:
    """Put the model into the round by itself; the committee has to be fixed on chain first."""
    ctx = view.ctx
    ctx.client.agree(view.frame)
    if view.facts.draw_block:
        return draw_committee(view)
    receipt = ctx.client.send(ctx.keys, ctx.client.large.force(view.id, index, digest))
    return did(f"round {view.round}: forced its model in ({receipt.gas_used} gas)")


def fix_committee(view: LargeView) -> DutyResult | None:
    """Have a judge in turn fix the committee on chain before a contract cannot see the block any
    more that draws it: another block would draw another committee. None where that is not due."""
    number = view.facts.draw_block
    if not number or view.frame.block_number - number <= DRAW_WITHIN:
        return None
    seats = list(range(len(view.cohort.members)))
    if not due_turn(view, f"draw {view.start}", seats, view.round % len(seats)):
        return None
    return draw_committee(view)


def draw_committee(view: LargeView) -> DutyResult:
    """Fix on chain who judges the round."""
    ctx = view.ctx
    header = headers.encoded(view.drawing_block)
    receipt = ctx.client.send(ctx.keys, ctx.client.large.draw(view.id, header))
    return did(f"round {view.round}: fixed its committee ({receipt.gas_used} gas)")


def publish_named(view: LargeView) -> DutyResult:
    """Put the model that was named into the store, once nobody can name another one any more."""
    begin_round(view)
    if not view.trains or (view.id, view.round) in view.ctx.cache.published:
        return idle("nothing to publish")
    named = view.ctx.state.said.said(view.id, view.round, _kind(view))
    if named is None:
        view.ctx.cache.published.add((view.id, view.round))
        return idle("named no model in this round")
    return publish_submitted(view, bytes.fromhex(named))


def _kept(view: LargeView) -> list[Submission]:
    bodies = view.ctx.state.said.heard(view.id, view.round, [_kind(view)])
    return [Submission.model_validate_json(body) for body in bodies]


def _kind(view: LargeView) -> str:
    return f"{NAMED} {view.start}"
