"""What a daemon reads of one request, and of what this account has submitted in all of them."""

from collections.abc import Collection, Sequence
from typing import Any

from fedpact.chain.records import Frame
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.context import Context
from fedpact.provider.request.reading import specification_of
from fedpact.provider.request.view import RequestView, digest_of, drawn_cohort, posted_as_whole
from fedpact.types.requests import seats_of
from fedpact.types.specification import Specification


def look(ctx: Context, request: int, frame: Frame) -> RequestView:
    """Read a request at a block."""
    record = ctx.client.market.request(request, frame)
    facts = ctx.client.rounds.round_facts(request, frame)
    return RequestView(ctx, frame, request, record, facts)


def asked_for(ctx: Context, request: int, frame: Frame) -> tuple[Specification, str]:
    """A request's specification, and the account of its requester."""
    view = look(ctx, request, frame)
    return specification_of(view), view.record.requester


def submissions(
    ctx: Context, requests: Collection[int] | None = None
) -> list[tuple[ReleaseId, bytes]]:
    """The releases that this account has submitted on chain, with their digests; None: of all
    requests.

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


def _digests(ctx: Context, request: int, args: dict[str, Any]) -> Sequence[bytes]:
    """Of the models in an event, or in the calldata of a round posted as a whole."""
    if "digests" in args:
        return [digest_of(one) for one in args["digests"]]
    return posted_as_whole(ctx, request, args).digests
