"""Read from the chain where a fetched model came from, for its card."""

from fedpact.chain.bindings.events import (
    Delivered,
    Joined,
    RequestCreated,
    RoundFinalised,
    Settled,
    Started,
)
from fedpact.consensus.payout import MemberSum, sums_of
from fedpact.requester.card.provenance import (
    MILESTONES,
    Milestone,
    Provenance,
    ProviderShare,
    global_model,
    specification_cid,
)
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.request_view import RequestLook


def provenance_of(look: RequestLook, fetched: FetchedModel) -> Provenance:
    """Of a model that was fetched; members in the order of the pool."""
    deployment = look.client.deployment
    sums = sums_of(look.entries())
    total = sum(one.points for one in sums.values()) or 1
    samples = {one.provider: one.samples for one in look.events(Joined)}
    providers = []
    for index, member in enumerate(look.client.pool.members(look.request_id, look.frame)):
        points = sums.get(index, MemberSum()).points
        providers.append(
            ProviderShare(
                member.account,
                samples[member.account],
                points,
                points / total,
                member.account in fetched.contributors,
            )
        )
    kinds = (RequestCreated, Started, Delivered, Settled)
    steps = [one for one in look.up_to(Settled) if isinstance(one, kinds)]
    return Provenance(
        deployment.protocol,
        deployment.chain_id,
        dict(deployment.contracts),
        look.stored.requester,
        specification_cid(look.terms.specification),
        tuple(providers),
        tuple(
            global_model(fetched.specification, one.round, one.digest, one.error, one.at.tx_hash)
            for one in look.events(RoundFinalised)
        ),
        tuple(Milestone(MILESTONES[type(one).__name__], one.at.tx_hash) for one in steps),
    )
