"""Let go of a request."""

from fedpact.provider.request.view import RequestView
from fedpact.provider.state.checkpoint import Participation


def finish(view: RequestView, reason: str) -> None:
    """Nothing more to do for this request: free its held budget, its records and the bytes kept
    for it, and refund what was charged for models that were never published."""
    view.ctx.drop_records(view.id)
    view.ctx.ledger.end(view.ctx.deployment.fingerprint, view.id)
    view.ctx.cache.end(view.id)
    view.ctx.state.said.forget(view.id)
    view.ctx.state.decide(view.id, Participation.FINISHED, reason)
