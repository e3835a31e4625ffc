"""Which duty follows from which facts: the table that the cycle looks up.

A duty is idempotent. It derives all it needs from the chain's facts, the content store and the
account's key; after a crash the cycle simply runs it again.
"""

from collections.abc import Callable

from fedpact.provider.aggregating import attest_aggregate, propose_aggregate
from fedpact.provider.claiming import claim_payment
from fedpact.provider.context import DutyResult, RequestView
from fedpact.provider.delivering import deliver_key
from fedpact.provider.ending import expire_request
from fedpact.provider.joining import check_seal, opt_in, start_request
from fedpact.provider.resale import claim_resale, seal_to_buyers
from fedpact.provider.training import publish_model, submit_model
from fedpact.provider.voting import commit_vote, reveal_vote, tally_votes
from fedpact.types.rounds import RequestStatus, Stage

Duty = Callable[[RequestView], DutyResult]

_BY_STATUS: dict[RequestStatus, tuple[Duty, ...]] = {
    RequestStatus.ENDED: (deliver_key, claim_payment),
    RequestStatus.DELIVERED: (claim_payment, seal_to_buyers, claim_resale),
    RequestStatus.CANCELLED: (claim_payment,),
}

_BY_STAGE: dict[Stage, tuple[Duty, ...]] = {
    Stage.SUBMIT: (check_seal, submit_model),
    Stage.COMMIT: (check_seal, publish_model, commit_vote),
    Stage.REVEAL: (publish_model, reveal_vote),
    Stage.TALLY: (tally_votes,),
    Stage.ATTEST: (attest_aggregate, propose_aggregate),
    Stage.EXPIRED: (expire_request,),
    Stage.ENDED: (deliver_key, claim_payment),
}


def duties_of(view: RequestView) -> tuple[Duty, ...]:
    """What may be due now, in the order in which it is tried."""
    if view.record.status is RequestStatus.OPEN:
        return (expire_request, start_request) if view.has_seat else (opt_in,)
    if view.record.status is RequestStatus.RUNNING:
        return _BY_STAGE.get(view.state.stage, ())
    return _BY_STATUS.get(view.record.status, ())
