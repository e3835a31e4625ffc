"""Where a fetched model came from, as the chain tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpact.consensus.artefacts import model_cid
from fedpact.learning.families import family_of
from fedpact.types.cid import Cid
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.records import Event

MILESTONES = {
    "RequestCreated": "request published",
    "Started": "request key sealed to the members",
    "Delivered": "model's key delivered",
    "Settled": "money shared out",
}
"""Events of either protocol that every finished request has."""


@dataclass(frozen=True)
class ProviderShare:
    """A member of the request."""

    account: str
    samples: int
    """That it declared when it joined."""
    points: int
    share: float
    """Of all points, by which the pay is shared."""
    in_model: bool
    """Whether the final global model combines a model of its own."""


@dataclass(frozen=True)
class GlobalModel:
    """The global model of a final round."""

    round: int
    error: float | None
    """Median of the members' measurements, a share of 1; None: not measured."""
    cid: str
    """Of the encrypted model."""
    transaction: str


@dataclass(frozen=True)
class Milestone:
    """A step of the request, and the transaction that took it."""

    what: str
    transaction: str


@dataclass(frozen=True)
class Provenance:
    protocol: int
    chain_id: int
    contracts: dict[str, str]
    """Addresses by name."""
    requester: str
    specification: str
    """CID."""
    providers: tuple[ProviderShare, ...]
    rounds: tuple[GlobalModel, ...]
    milestones: tuple[Milestone, ...]


def global_model(
    spec: Specification, number: int, digest: bytes, error: int, transaction: str
) -> GlobalModel:
    """`error` in 1/10,000; INVALID: not measured."""
    cid = model_cid(family_of(spec).template(spec), digest)
    return GlobalModel(number, None if error == INVALID else error / 10_000, str(cid), transaction)


def specification_cid(digest: bytes) -> str:
    return str(Cid.of_digest(digest, SPECIFICATION_MAX_BYTES))


def of_first_protocol(
    client: ChainClient, request_id: int, spec: Specification, events: Sequence[Event]
) -> Provenance:
    """`events`: all of the request's, market and rounds."""
    named = {one.name: one for one in events if one.name in MILESTONES}
    created = named["RequestCreated"]
    makers = seats_of(next(e.args["contributors"] for e in events if e.name == "ModelShared"))
    points, _ = client.rounds.points(request_id)
    total = sum(points) or 1
    providers = tuple(
        ProviderShare(
            one.account,
            one.samples,
            points[one.seat],
            points[one.seat] / total,
            one.seat in makers,
        )
        for one in client.rounds.members(request_id)
    )
    rounds = tuple(
        global_model(spec, e.args["round"], e.args["digest"], e.args["mae"], e.tx_hash)
        for e in events
        if e.name == "RoundFinalised"
    )
    return Provenance(
        1,
        client.deployment.chain_id,
        dict(client.deployment.contracts),
        created.args["requester"],
        specification_cid(created.args["terms"]["specification"]),
        providers,
        rounds,
        tuple(Milestone(MILESTONES[e.name], e.tx_hash) for e in named.values()),
    )
