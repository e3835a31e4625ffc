"""Say at the endpoint why this provider stays out of a request (docs/adr/0054)."""

import logging
from typing import TYPE_CHECKING

from fedpact.errors import Retryable
from fedpact.provider.context import Context
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.declining import Reason

if TYPE_CHECKING:
    from fedpact.exchange.boards import Exchange

log = logging.getLogger(__name__)

ROUND, KIND = 0, "decline"
"""Where a decline is among the messages in the state file: before the first round."""


def say_declined(ctx: Context, request: int, reason: Reason | None) -> None:
    """Sign it, keep it in the state file, and answer with it from now on. Nobody waits for it: a
    signer that fails makes this daemon silent about the request."""
    from fedpact.exchange.declines import declined

    if reason is None or ctx.exchange is None or not ctx.exchange.own:
        return
    try:
        said = declined(ctx.keys, ctx.client.any_rounds.domain, request, reason).encode()
    except Retryable as error:
        log.warning("request %d: its decline is not published: %s", request, error)
        return
    ctx.state.said.hear(request, ROUND, [(KIND, 0, said.decode())])
    ctx.exchange.decline(request, said)


def say_again(state: ProviderState, exchange: "Exchange") -> None:
    """Answer with what was said before the daemon was started anew."""
    for request, body in state.said.of_kind(KIND):
        exchange.decline(request, body.encode())
