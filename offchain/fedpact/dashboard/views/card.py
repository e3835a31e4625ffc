"""The model card of a request, as far as it is public: without its requester's measurements."""

from __future__ import annotations

from fedpact.dashboard.story import RequestStory
from fedpact.dashboard.units import error_text
from fedpact.dashboard.views.blocks import Fact, View
from fedpact.dashboard.views.charts import short
from fedpact.dashboard.views.money import MemberRow
from fedpact.dashboard.views.rounds import LargeRoundView, RoundView
from fedpact.requester.card.card import LIMITS


class CardView(View):
    """What a stranger may know of a model."""

    facts: tuple[Fact, ...]
    limit: str
    """What the card does not say of the data."""


def card_view(
    story: RequestStory,
    rounds: tuple[RoundView, ...],
    members: tuple[MemberRow, ...],
    *,
    summed: bool,
) -> CardView | None:
    """None before the first final round. `summed`: whether parts are seen in sums alone."""
    final = [one for one in rounds if one.state == "final"]
    if not final:
        return None
    last = final[-1]
    proof = last.final_transaction
    facts = (
        Fact(name="Model, digest of its sealed content", value=last.model, transaction=proof),
        *(_made(last, summed=summed) if last.large is None else _made_large(last, last.large)),
        Fact(name="Error, as voted", value=error_text(last.error), transaction=proof),
        Fact(
            name="Final rounds",
            value=f"{len(final)} of at most {story.terms.max_rounds}",
            section="errors-table",
        ),
        Fact(
            name="Samples declared",
            value=str(sum(one.samples for one in members)),
            section="members",
        ),
    )
    return CardView(facts=facts, limit=LIMITS[0])


def _made(last: RoundView, *, summed: bool) -> tuple[Fact, ...]:
    combined = [one for one in last.seats if one.included]
    parts = "parts, in secure sums" if summed else "models combined"
    made = f"round {last.round}: {len(combined)} of {len(last.seats)} seats' {parts}"
    makers = ", ".join(f"{one.seat} ({short(one.account)})" for one in combined)
    name = "With the parts of seats" if summed else "From the models of seats"
    proof = last.final_transaction
    return (
        Fact(name="Made in", value=made, transaction=proof),
        Fact(name=name, value=makers, transaction=proof),
    )


def _made_large(last: RoundView, large: LargeRoundView) -> tuple[Fact, ...]:
    """Whose models were combined is in the evidence."""
    trainers = "a pool" if large.trainers is None else f"{large.trainers} trainers"
    judged = f"{large.signed} of {large.committee} judges signed"
    return (
        Fact(
            name="Made in",
            value=f"round {last.round}, by {trainers}; {judged}",
            transaction=last.final_transaction,
        ),
        Fact(name="Evidence of models and scores", value=large.evidence, cid=large.evidence),
    )
