"""Whether a transaction is worth its cost: no duty is done that costs more than it can earn."""

from fedpact.chain.abi import POOL, RESALE
from fedpact.chain.records import Call
from fedpact.errors import FeeTooHigh
from fedpact.provider.request.view import RequestView
from fedpact.types.requests import ETHER

JOINS_A_REQUEST, JOINS_A_ROUND = 3, 3
"""A member's share of the gas of a request, and of each of its rounds, in joins (docs/gas.md)."""


def require_worth(view: RequestView, call: Call, wei: int) -> None:
    """Raise FeeTooHigh if a call that costs `wei` is over the policy, or earns less than it costs.

    Joining is judged by what the whole request would cost at today's price, if each round draws
    each member alike.
    """
    ctx, terms, whole = view.ctx, view.terms, wei
    if call.action == f"{POOL}.enrol":
        drawn = -(-terms.max_rounds * min(terms.cohort, terms.max_pool) // terms.max_pool)
        whole = wei * (JOINS_A_REQUEST + JOINS_A_ROUND * drawn)
    spent, most = ctx.state.cost(view.id), ctx.policy.max_cost_per_request
    if spent + whole > most:
        raise FeeTooHigh(
            f"{call.action} would cost about {whole} wei after {spent} wei, more than"
            f" max_cost_per_request ({most} wei): waiting for a lower price"
        )
    earns = terms.pay // terms.max_pool
    if call.action.startswith(f"{RESALE}."):
        earns = ctx.client.resale.offered(view.id, view.frame).price
    if terms.token == ETHER and whole > earns:
        raise FeeTooHigh(
            f"{call.action} would cost about {whole} wei and earn at most {earns} wei:"
            " waiting for a lower price"
        )
