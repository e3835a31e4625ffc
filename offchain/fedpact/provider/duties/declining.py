"""Stay out of a request, and say at the endpoint why (docs/adr/0054)."""

import logging
from typing import TYPE_CHECKING

from fedpact.errors import BudgetExceeded, DataError, PolicyRefusal, Retryable, UnknownFamily
from fedpact.provider.context import Context, DutyResult, idle
from fedpact.provider.state.checkpoint import Participation, ProviderState
from fedpact.types.decline_reason import Reason

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)

ROUND, KIND = 0, "decline"
"""Where a decline is among the messages in the state file: before the first round."""


def decline(ctx: Context, request: int, refusal: Exception) -> DutyResult:
    """Stay out of a request for good, and free what was set aside for it."""
    ctx.ledger.drop_hold(ctx.deployment.fingerprint, request)
    ctx.drop_records(request)
    ctx.state.decide(request, Participation.DECLINED, str(refusal))
    return idle(f"declined: {refusal}")


def public_reason(refusal: Exception) -> Reason | None:
    """What may be said in public of a refusal; None: nothing, since it may follow from records
    (docs/adr/0054)."""
    if isinstance(refusal, PolicyRefusal):
        return None if refusal.reason is None else Reason(refusal.reason)
    if isinstance(refusal, BudgetExceeded):
        return Reason.BUDGET
    if isinstance(refusal, UnknownFamily):
        return Reason.FAMILY
    return None if isinstance(refusal, DataError) else Reason.REQUEST


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
    """Answer with what was said before the daemon was started again."""
    for request, body in state.said.of_kind(KIND):
        exchange.decline(request, body.encode())
