"""Start a request once its pool is closed, or end one that cannot start."""

from collections.abc import Iterable

from fedpact.content.bn254 import Point
from fedpact.content.delivery import withheld
from fedpact.content.keys import Manifest, committee_key, key_hash
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.finishing import finish
from fedpact.provider.duties.turns import TURN_SECONDS
from fedpact.provider.request.reading import deliveries_of, put, specification_of
from fedpact.provider.request.view import RequestView
from fedpact.types.requests import PoolFacts, Start


def wait_for_members(view: RequestView) -> DutyResult:
    """Wait until the pool closes."""
    return idle(f"joined; the pool has {view.pool_facts.members} of {view.terms.max_pool} members")


def start_request(view: RequestView) -> DutyResult:
    """Start it in this member's turn, or end it if it cannot start."""
    if view.own_index is None:
        finish(view, "its pool closed without me")
        return idle("its pool closed without me")
    if not view.pool_facts.enough:
        return _expire(view, "too few joined")
    return _start(view, view.pool_facts, view.own_index)


def _start(view: RequestView, pool: PoolFacts, index: int) -> DutyResult:
    """Make the request's key, seal it to the pool, and open round 1 in this member's turn."""
    ctx, facts, now = view.ctx, view.facts, view.frame.timestamp
    began, window = facts.deadline or pool.closed_at, view.terms.start_window
    if now > began + (pool.members - facts.turn) * window:
        return _expire(view, "nobody started it")
    if index < facts.turn:
        return idle("my turn to start is over")
    if now < began + (index - facts.turn) * window:
        return idle(f"member {facts.turn} starts first")
    if ctx.client.pool.has_left(view.id, index, view.frame):
        return idle("left the pool")
    ctx.client.agree(view.frame)
    secret = _new_request_key(view)
    fingerprint = ctx.deployment.fingerprint
    deliveries = deliveries_of(view, secret)
    manifest = _manifest(view, secret, deliveries.ephemeral)
    cid = put(view, manifest.encode(), "sealed keys")
    start = Start(
        cid.digest,
        key_hash(secret),
        bytes(committee_key(secret, fingerprint, view.id).public_key),
        deliveries.root,
    )
    receipt = ctx.client.send(ctx.keys, ctx.client.any_rounds.start(view.id, index, start))
    return did(f"started with a pool of {pool.members} ({receipt.gas_used} gas)")


def _manifest(view: RequestView, secret: bytes, ephemeral: Point) -> Manifest:
    """The request key, sealed to the pool, and to the auditors so that it opens for them once
    something is delivered."""
    here, entropy = view.ctx.deployment.fingerprint, view.ctx.keys.seal_entropy

    def sealing(content: bytes, accounts: Iterable[str]) -> Manifest:
        registry = view.ctx.client.registry
        public = {one: registry.participant(one).encryption_key for one in accounts}
        return Manifest.sealing(content, public, here, view.id, "request-key", 0, entropy)

    members = sealing(secret, [one.account for one in view.pool])
    later = withheld(secret, ephemeral, here, view.id)
    return members.with_seals_of(sealing(later, specification_of(view).auditors))


def _new_request_key(view: RequestView) -> bytes:
    """32 bytes that follow from the account's key, so that starting again is the same call.

    The history is in: after a void start, or a reorganisation that gave the number to another
    request, the key is another."""
    ctx = view.ctx
    request = (ctx.deployment.fingerprint, view.id.to_bytes(32, "big"), view.facts.history)
    return ctx.keys.derive("request-key", *request)


def _expire(view: RequestView, reason: str) -> DutyResult:
    """End a request that cannot start; members take turns, so that only one pays for it."""
    if view.waited() < (view.own_index or 0) * TURN_SECONDS:
        return idle(f"{reason}; waiting for the members before me to end it")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.any_rounds.expire(view.id))
    return did(f"{reason}: ended the request ({receipt.gas_used} gas)")
