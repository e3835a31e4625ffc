"""A request, live: where it is, whose turn it is, and everything that is public about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fedpact.dashboard.index.reading import DescribedRequest, Transaction
from fedpact.dashboard.index.summary import RequestSummary, summarise
from fedpact.dashboard.story import RequestStory
from fedpact.dashboard.units import amount_text, error_text, ether
from fedpact.dashboard.views.blocks import Chart, Fact, View
from fedpact.dashboard.views.card import CardView, card_view
from fedpact.dashboard.views.charts import error_chart, points_chart
from fedpact.dashboard.views.money import MemberRow, MoneyView, member_rows, money_view
from fedpact.dashboard.views.now import Now, Said, now_of
from fedpact.dashboard.views.request_privacy import PrivacyView, privacy_view
from fedpact.dashboard.views.resale import ResaleView, resale_view
from fedpact.dashboard.views.rounds import RoundView, round_views
from fedpact.dashboard.views.timeline import TimelineRow, timeline
from fedpact.types.requests import RoundFacts
from fedpact.types.specification import ScoreKind, Specification

MOST_NAMED = 12
"""Labels or columns that a page lists."""


class DeclineRow(View):
    """Providers that stay out for one reason, as their daemons say."""

    reason: str
    providers: int


class RequestPage(View):
    """All that a request's page shows."""

    summary: RequestSummary
    problem: str
    """Why the specification is not shown; empty if it is."""
    specification: str
    """CID."""
    now: Now
    declines: tuple[DeclineRow, ...] | None
    """Why providers stay out of an open request; None: they are not asked, or it is not open."""
    task: tuple[Fact, ...]
    rules: tuple[Fact, ...]
    usage_rules: str
    contribution: bool
    """Whether votes measure a model's share of the round's gain, not its own error."""
    summed: bool
    """Whether members' parts are seen as sums of groups alone."""
    privacy: PrivacyView | None
    card: CardView | None
    """None before the first final round."""
    large: bool
    """Whether a whole pool trains in its rounds, and a committee judges."""
    rounds: tuple[RoundView, ...]
    members: tuple[MemberRow, ...]
    money: MoneyView
    resale: ResaleView | None
    """None where the result is not for sale."""
    timeline: tuple[TimelineRow, ...]
    errors: Chart
    points: Chart


@dataclass(frozen=True)
class Sources:
    """What a request's view is made from."""

    story: RequestStory
    described: DescribedRequest
    facts: RoundFacts | None = None
    """The present round as of the block; None where it does not matter or cannot be read."""
    now: int = 0
    """The block's time."""
    transactions: dict[str, Transaction] = field(default_factory=dict)
    declined: Mapping[str, int] | None = None
    """Providers by the reason for which they stay out; None: they are not asked."""
    said: Said = frozenset()
    """In the present round by messages to its members, where that is heard."""
    large: bool = False
    """Whether the deployment has large rounds."""


def request_view(of: Sources) -> RequestPage:
    story, spec = of.story, of.described.spec
    rounds = round_views(story)
    members = member_rows(story, of.transactions)
    summed = spec is not None and spec.privacy.sum is not None
    return RequestPage(
        summary=summarise(story, of.described).summary,
        problem=of.described.problem,
        specification=of.described.cid,
        now=now_of(story, of.facts, of.now, rounds, of.said),
        declines=_declines(of.declined),
        task=_task(spec, of.described.cid),
        rules=_rules(story, large=of.large),
        usage_rules=spec.usage_rules if spec else "",
        contribution=spec is not None and spec.score is ScoreKind.CONTRIBUTION,
        summed=summed,
        privacy=privacy_view(spec) if spec else None,
        card=card_view(story, rounds, members, summed=summed),
        large=of.large,
        rounds=rounds,
        members=members,
        money=money_view(story),
        resale=resale_view(story),
        timeline=timeline(story, of.transactions),
        errors=error_chart(story, spec.score if spec else None),
        points=points_chart(story, members),
    )


def _declines(declined: Mapping[str, int] | None) -> tuple[DeclineRow, ...] | None:
    if declined is None:
        return None
    return tuple(DeclineRow(reason=one, providers=count) for one, count in declined.items())


# ---------------------------------------------------------------------- what it is about


def _some(names: Sequence[str]) -> str:
    """The first of a list that may be as long as a specification; the specification has all."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _task(spec: Specification | None, cid: str) -> tuple[Fact, ...]:
    """`cid`: of the specification, which says all of it."""
    if spec is None:
        return ()
    features = spec.features
    shape = " by ".join(map(str, features.shape))
    inputs = "texts" if features.kind == "text" else f"{shape} numbers for each example"
    if features.names:
        inputs = f"columns {_some(features.names)}"
    predicts = _some(spec.labels) if spec.labels else spec.output.column if spec.output else ""
    found = [
        Fact(name="Task", value=spec.task),
        Fact(name="Category", value=spec.category),
        Fact(name="Predicts", value=predicts),
        Fact(name="From", value=inputs),
        Fact(name="Model family", value=spec.family.name),
        Fact(name="Strategy", value=spec.strategy.name),
        Fact(name="Aggregation", value=spec.aggregation.name),
    ]
    first = Fact(name="First model", value="", cid=spec.initial_model)
    return (*(one.model_copy(update={"cid": cid}) for one in found), first)


def _rules(story: RequestStory, *, large: bool) -> tuple[Fact, ...]:
    terms = story.terms
    at = story.created.at.tx_hash
    found = [
        Fact(name="Requester", value="", account=story.created.requester),
        Fact(name="Pay", value=amount_text(terms.pay, terms.token)),
        Fact(name="Gas for posters", value=f"{ether(terms.gas_per_round)} ether a round at most"),
        Fact(name="Providers", value=f"{terms.min_pool} to {terms.max_pool}"),
        Fact(
            name="Judges a round, all others train" if large else "Seats a round",
            value=str(min(terms.cohort, terms.max_pool)),
        ),
        Fact(name="Drawn by", value=terms.weight_rule.name.lower()),
        Fact(name="Rounds", value=f"at most {terms.max_rounds}"),
        Fact(name="Target error", value=error_text(terms.target) if terms.target else "none"),
        Fact(
            name="Largest error",
            value=f"{error_text(terms.max_error)}, above it a model is left out",
        ),
        Fact(name="Vote band", value=f"± {error_text(terms.vote_band)} around the median"),
        Fact(
            name="Windows",
            value=f"join {terms.join_window} s, submit {terms.submit_window} s,"
            f" commit {terms.commit_window} s, reveal {terms.reveal_window} s,"
            f" attest {terms.attest_window} s",
        ),
    ]
    return tuple(one.model_copy(update={"transaction": at}) for one in found)
