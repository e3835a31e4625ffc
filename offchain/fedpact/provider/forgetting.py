"""Forgetting what the state keeps of requests that ask nothing of this account any more."""

import logging

from fedpact.chain.records import Frame
from fedpact.chain.scanner import SETTLED
from fedpact.errors import FedpactError, StateDamaged
from fedpact.provider.context import Context
from fedpact.provider.duties.selling import on_offer
from fedpact.provider.request.facts import submissions

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Requests in one call."""


def forget_ended(ctx: Context, frame: Frame) -> str:
    """Drop the events of requests that are over for this account, once no reorganisation brings
    them back. Their creation stays, and what this account has submitted, which the ledger is
    compared with. Returns why that failed, empty if it did not. Raises StateDamaged.
    """
    state = ctx.state
    try:
        ended = state.forgettable(frame.block_number - SETTLED, AT_ONCE)
        over = [request for request in ended if not on_offer(ctx, request)]
        for request in over:
            submitted = {one.round: digest for one, digest in submissions(ctx, [request], frame)}
            state.forget_events(request, submitted)
        if over:
            state.give_back()
    except StateDamaged:
        raise
    except FedpactError as error:
        log.warning("the events of ended requests were not forgotten: %s", error)
        return str(error)
    return ""
