"""The model card of a request, as far as it is public: without its requester's measurements."""

from __future__ import annotations

from fedpact.dashboard.story import Story
from fedpact.dashboard.units import error_text
from fedpact.dashboard.views.blocks import Fact, View
from fedpact.dashboard.views.money import MemberRow
from fedpact.dashboard.views.rounds import RoundView
from fedpact.requester.card.card import LIMITS


class MakerRow(View):
    """A provider of the final model."""

    account: str
    samples: int
    """As it declared them."""
    share: float
    """Of all points, 0 to 1."""
    in_model: bool
    """Whether the final model combines one of its own."""


class CardView(View):
    """What a stranger may know of a model."""

    facts: tuple[Fact, ...]
    makers: tuple[MakerRow, ...]
    limits: tuple[str, ...]


def card_view(
    story: Story, rounds: tuple[RoundView, ...], members: tuple[MemberRow, ...]
) -> CardView | None:
    """None before the first final round."""
    final = [one for one in rounds if one.state == "final"]
    if not final:
        return None
    last, points = final[-1], sum(one.points for one in members)
    combined = {one.account for one in last.seats if one.included}
    seats = sum(bool(one.included) for one in last.seats)
    made = f"round {last.round}: {seats} of {len(last.seats)} seats' models combined"
    proof = last.final_transaction
    facts = (
        Fact(name="Model, digest of its sealed content", value=last.model, transaction=proof),
        Fact(name="Made in", value=made, transaction=proof),
        Fact(name="Error, as voted", value=error_text(last.error), transaction=proof),
        Fact(name="Final rounds", value=f"{len(final)} of at most {story.terms.max_rounds}"),
        Fact(name="Samples declared", value=str(sum(one.samples for one in members))),
    )
    makers = tuple(
        MakerRow(
            account=one.account,
            samples=one.samples,
            share=one.points / points if points else 0.0,
            in_model=one.account in combined,
        )
        for one in members
    )
    return CardView(facts=facts, makers=makers, limits=LIMITS[:2])
