"""Whether a transaction is worth its cost: no duty is done that costs more than it can earn."""

from fedpact.chain.abi import MARKET, RESALE
from fedpact.chain.records import Call
from fedpact.errors import FeeTooHigh
from fedpact.provider.context import RequestView
from fedpact.types.rounds import RequestStatus, seats_of

JOINS_A_REQUEST, JOINS_A_ROUND = 3, 3
"""A member's share of the gas of a request, and of each of its rounds, in joins (docs/gas.md)."""


def require_worth(view: RequestView, call: Call, wei: int) -> None:
    """Raise FeeTooHigh if a call that costs `wei` is over the policy, or earns less than it costs.

    Joining is judged by what the whole request would cost at today's price.
    """
    ctx, whole = view.ctx, wei
    if call.action == f"{MARKET}.join":
        whole = wei * (JOINS_A_REQUEST + JOINS_A_ROUND * view.record.max_rounds)
    spent, most = ctx.state.cost(view.id), ctx.policy.max_cost_per_request
    if spent + whole > most:
        raise FeeTooHigh(
            f"{call.action} would cost about {whole} wei after {spent} wei, more than"
            f" max_cost_per_request ({most} wei): waiting for a lower price"
        )
    earns = _earns(view, call)
    if whole > earns:
        raise FeeTooHigh(
            f"{call.action} would cost about {whole} wei and earn at most {earns} wei:"
            " waiting for a lower price"
        )


def _earns(view: RequestView, call: Call) -> int:
    """Wei that a call can earn at most: the claim itself, else an equal share of the payment."""
    client = view.ctx.client
    if call.action == f"{MARKET}.claim":
        return client.market.claimable(view.id, view.seat)
    if call.action == f"{RESALE}.claim":
        return client.resale.claimable(view.id, view.seat)
    if call.action == f"{RESALE}.seal":
        return client.resale.offered(view.id)[0]
    members = len(seats_of(view.state.members)) or view.record.max_providers
    if view.record.status is RequestStatus.OPEN:
        members = view.record.max_providers
    return view.record.payment // members
