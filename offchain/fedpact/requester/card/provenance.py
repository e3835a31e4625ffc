"""What a model card says of where the model came from."""

from __future__ import annotations

from dataclasses import dataclass

from fedpact.consensus.artefacts import model_cid
from fedpact.learning.families import family_of
from fedpact.types.cid import Cid
from fedpact.types.scores import INVALID
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

MILESTONES = {
    "RequestCreated": "request published",
    "Started": "request key sealed to the members",
    "Delivered": "model's key delivered",
    "Settled": "money shared out",
}
"""Events that every finished request has."""


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
    """Whether the final global model combines its model, or its part in a secure sum."""


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
