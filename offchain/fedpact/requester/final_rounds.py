"""The final rounds of a request, as its requester reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fedpact.chain.bindings.events import Credited, RoundFinalised
from fedpact.consensus.artefacts import model_cid
from fedpact.content.store import ContentStore
from fedpact.learning.families import family_of
from fedpact.requester.fetching import RoundLook, round_of
from fedpact.requester.request_view import RequestLook
from fedpact.types.scores import INVALID, MAX_SCORE, lane
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class Member:
    """What one provider did in a round."""

    account: str
    submitted: bool
    """Whether it named a model in time."""
    included: bool
    """Whether the global model combines its model."""
    score: float | None
    """Median of the votes on its model, from 0 to 1; lower is better. By the specification's
    `score`: the model's own error, or (`contribution`) below 0.5 if it lowered the global model's
    error. None: no model, or one that could not be scored."""
    points: int
    """Share in the round's pay, of 10,000; in a large round of what it gives in all."""


@dataclass(frozen=True)
class Round:
    """A round that became final."""

    number: int
    error: float | None
    """Of the global model on the round's evaluation slice, by the request's metric: the median of
    what the members measured, from 0 to 1, of a regression in the output's unit. None: the slice
    was not open in time, or the round gathers statistics."""
    members: tuple[Member, ...]
    """By seat; in a large round all of the pool, by index."""
    cid: str
    """Of the sealed global model."""
    transaction: str
    """Hash of the transaction that made the round final."""
    time: datetime | None
    """Of its block, in UTC; None if the node does not say it."""

    @property
    def scores(self) -> dict[str, float | None]:
        """Each member's score, by account."""
        return {one.account: one.score for one in self.members}


def final_rounds(
    look: RequestLook, spec: Specification, after: int = 0, store: ContentStore | None = None
) -> list[Round]:
    """The final rounds with a number above `after`, in order; `store`: has the evidence of large
    rounds.

    Raises ContentMissing while the node does not know the transaction that posted one, and for
    large rounds what the store raises.
    """
    return [
        _round(look, spec, event, store)
        for event in look.events(RoundFinalised)
        if event.round > after
    ]


def _round(
    look: RequestLook, spec: Specification, event: RoundFinalised, store: ContentStore | None
) -> Round:
    seen = round_of(look, event.round, store)
    word = seen.points
    if word is None:
        entries = (
            one.entry.points
            for one in look.events(Credited)
            if one.digest == event.digest and one.at.tx_hash == event.at.tx_hash
        )
        word = next(entries, 0)
    unit = 1.0 if spec.output is None else spec.output.scale
    stamp = event.at.timestamp
    return Round(
        event.round,
        None if event.error == INVALID else event.error / MAX_SCORE * unit,
        tuple(_member(seen, seat, word >> 16 * seat & 0xFFFF) for seat in range(len(seen.members))),
        str(model_cid(family_of(spec).template(spec), event.digest)),
        event.at.tx_hash,
        None if stamp is None else datetime.fromtimestamp(stamp, UTC),
    )


def _member(seen: RoundLook, seat: int, points: int) -> Member:
    submitted = bool(seen.submitted >> seat & 1)
    score = lane(seen.board.medians, seat)
    return Member(
        seen.account(seat),
        submitted,
        bool(seen.included >> seat & 1),
        score / MAX_SCORE if submitted and score != INVALID else None,
        points,
    )
