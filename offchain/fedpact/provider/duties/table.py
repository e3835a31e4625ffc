"""Which duty follows from which facts.

A duty is idempotent. It derives all it needs from the chain's facts, the content store and the
account's key; after a crash the cycle simply runs it again.
"""

from collections.abc import Callable
from functools import wraps

from fedpact.logs import about
from fedpact.provider.context import DutyResult, idle
from fedpact.provider.duties.aggregating import attest_aggregate, close_round, finalise_round
from fedpact.provider.duties.agreeing import agree
from fedpact.provider.duties.delivering import end_request
from fedpact.provider.duties.large_rounds.closing import close_unposted, sum_points
from fedpact.provider.duties.large_rounds.committee import judge_models
from fedpact.provider.duties.large_rounds.submitting import name_model, publish_named
from fedpact.provider.duties.opting_in import opt_in
from fedpact.provider.duties.selling import on_offer, sell_result
from fedpact.provider.duties.starting import start_request, wait_for_members
from fedpact.provider.duties.submitting import publish_model, submit_model
from fedpact.provider.duties.voting import commit_vote, reveal_vote, tally_votes
from fedpact.provider.request.view import LargeView, RequestView
from fedpact.types.requests import Phase

Duty = Callable[[RequestView], DutyResult]


def unless_agreed(duty: Duty) -> Duty:
    """A member's own call, where messages do not take the round on."""

    @wraps(duty)
    def either(view: RequestView) -> DutyResult:
        agreed = agree(view)
        return duty(view) if agreed is None else agreed

    return either


_BY_PHASE: dict[Phase, tuple[Duty, ...]] = {
    Phase.WAITING: (start_request,),
    Phase.SUBMIT: (unless_agreed(submit_model),),
    Phase.COMMIT: (publish_model, unless_agreed(commit_vote)),
    Phase.REVEAL: (publish_model, unless_agreed(reveal_vote)),
    Phase.TALLY: (publish_model, tally_votes),
    Phase.ATTEST: (publish_model, unless_agreed(attest_aggregate)),
    Phase.FINALISE: (finalise_round,),
    Phase.FAILED: (close_round,),
    Phase.ENDED: (end_request,),
}


_OF_LARGE_ROUNDS: dict[Phase, tuple[Callable[[LargeView], DutyResult], ...]] = {
    Phase.SUBMIT: (name_model,),
    Phase.ATTEST: (publish_named, judge_models),
    Phase.FINALISE: (sum_points,),
    Phase.FAILED: (close_unposted,),
}


def duties_of(view: RequestView) -> tuple[Duty, ...]:
    """What may be due now, in the order in which it is tried."""
    if view.facts.phase is Phase.WAITING and not view.pool_facts.closed:
        return (wait_for_members,) if view.has_joined else (opt_in,)
    if view.facts.phase is Phase.ENDED and on_offer(view.ctx, view.id):
        return (end_request, sell_result)
    if isinstance(view, LargeView) and view.facts.phase in _OF_LARGE_ROUNDS:
        return tuple(_on(view, duty) for duty in _OF_LARGE_ROUNDS[view.facts.phase])
    return _BY_PHASE.get(view.facts.phase, ())


def _on(view: LargeView, duty: Callable[[LargeView], DutyResult]) -> Duty:
    """A duty of large rounds, as all others are called."""

    @wraps(duty)
    def bound(_: RequestView) -> DutyResult:
        return duty(view)

    return bound


def next_duty(view: RequestView) -> DutyResult:
    """Do the first duty that has something to do; otherwise say why nothing was done."""
    outcome = idle(f"no duty in stage {view.stage}")
    for duty in duties_of(view):
        name = duty.__name__
        with about(round=view.round, duty=name), view.ctx.metrics.duty(name):
            outcome = duty(view)
        if outcome.acted:
            view.ctx.metrics.done(name)
            break
    return outcome
