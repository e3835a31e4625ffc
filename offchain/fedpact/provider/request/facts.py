"""What a daemon reads of one request, and of what this account has submitted in all of them."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from fedpact.chain.records import Frame
from fedpact.errors import ContentError, ContentSought, ContentUnavailable
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.context import Context
from fedpact.provider.request.history import evidence_at
from fedpact.provider.request.reading import specification_of
from fedpact.provider.request.view import (
    LargeView,
    RequestView,
    digest_of,
    drawn_cohort,
    posted_as_whole,
)
from fedpact.types.requests import LargeFacts, seats_of
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)


def look(ctx: Context, request: int, frame: Frame) -> RequestView:
    """Read a request at a block."""
    record = ctx.client.market.request(request, frame)
    facts = ctx.client.any_rounds.round_facts(request, frame)
    if isinstance(facts, LargeFacts):
        return LargeView(ctx, frame, request, record, facts)
    return RequestView(ctx, frame, request, record, facts)


def asked_for(ctx: Context, request: int, frame: Frame) -> tuple[Specification, str]:
    """A request's specification, and the account of its requester."""
    view = look(ctx, request, frame)
    return specification_of(view), view.record.requester


def submissions(
    ctx: Context, requests: Collection[int] | None = None, frame: Frame | None = None
) -> list[tuple[ReleaseId, bytes]]:
    """The releases that this account has submitted on chain, with their digests; None: of all
    requests. With a `frame`, those of large rounds too: of these the chain has a root alone, and
    what is not read yet of their evidence is noted in the cache.

    After a void start the same model is submitted again, sealed under another key: only the
    first one is in the ledger.
    """
    found = dict[ReleaseId, bytes]()
    every = (request for request, _, _ in ctx.state.all_requests())
    for request in every if requests is None else requests:
        for round_, digest in ctx.state.submitted(request).items():
            found[ReleaseId(ctx.deployment.fingerprint, request, round_)] = digest
        seeds: dict[int, bytes] = {}
        events = ctx.state.events_of(request)
        if not any(args.get("provider") == ctx.keys.address for _, args in events):
            continue  # others' requests ask nothing of the node
        if ctx.deployment.is_large:
            if frame is not None:
                found |= _of_large_rounds(look(ctx, request, frame), events)
            continue
        for name, args in events:
            if name == "RoundOpened":
                seeds[args["round"]] = digest_of(args["seed"])
            elif name in ("ModelsSubmitted", "RoundPosted"):
                release = ReleaseId(ctx.deployment.fingerprint, request, args["round"])
                cohort = drawn_cohort(ctx, request, seeds[args["round"]])
                own, seats = cohort.seat_of(ctx.keys.address), seats_of(args["mask"])
                if own in seats and release not in found:
                    found[release] = _digests(ctx, request, args)[seats.index(own)]
    return list(found.items())


def _of_large_rounds(
    view: RequestView, events: Sequence[tuple[str, dict[str, Any]]]
) -> dict[ReleaseId, bytes]:
    """What this account named in posted rounds, or forced into any."""
    assert isinstance(view, LargeView)
    ctx, own, found = view.ctx, view.own_index, dict[ReleaseId, bytes]()
    ctx.cache.unread.discard(view.id)
    for name, args in events:
        release = ReleaseId(ctx.deployment.fingerprint, view.id, args.get("round", 0))
        digest = None
        if name == "ModelForced" and args["index"] == own:
            digest = digest_of(args["digest"])
        elif name == "RoundPosted" and own is not None:
            digest = _listed(view, args, own)
        if digest is not None and not ctx.state.said.has_named(view.id, release.round, digest):
            found.setdefault(release, digest)
    return found


def _listed(view: LargeView, posted: dict[str, Any], index: int) -> bytes | None:
    """A member's model on the list of a posted round; None: it has none, or the list is nowhere, or
    looked for."""
    try:
        return evidence_at(view, posted).listed.digests.get(index)
    except ContentSought as error:
        if not error.again:
            view.ctx.cache.unread.add(view.id)
            return None
        reason: Exception = error
    except (ContentError, ContentUnavailable) as error:
        reason = error
    said = "request %d, round %d: whether this account named a model cannot be told: %s"
    log.warning(said, view.id, posted["round"], reason)
    return None


def _digests(ctx: Context, request: int, args: dict[str, Any]) -> Sequence[bytes]:
    """Of the models in an event, or in the calldata of a round posted as a whole."""
    if "digests" in args:
        return [digest_of(one) for one in args["digests"]]
    return posted_as_whole(ctx, request, args).digests
