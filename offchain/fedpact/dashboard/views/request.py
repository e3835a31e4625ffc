"""A request, live: where it is, whose turn it is, and everything that is public about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedpact.chain.bindings.v2.events import RoundsEnded
from fedpact.dashboard.index.reading import Described, Transaction
from fedpact.dashboard.index.summary import RequestSummary, summarise
from fedpact.dashboard.story import Stage, Step, Story
from fedpact.dashboard.units import amount_text, error_text, ether
from fedpact.dashboard.views.blocks import Chart, Fact, View
from fedpact.dashboard.views.charts import error_chart, points_chart
from fedpact.dashboard.views.money import MemberRow, MoneyView, member_rows, money_view
from fedpact.dashboard.views.privacy import PrivacyView, privacy_view
from fedpact.dashboard.views.rounds import RoundView, SeatRow, round_views
from fedpact.dashboard.views.timeline import TimelineRow, timeline
from fedpact.types.rounds import seats_of
from fedpact.types.specification import ScoreKind, Specification
from fedpact.types.v2 import Phase, RoundFacts


class Now(View):
    """Where a request is at the block to which the page refers."""

    phase: str
    """joining, starting, submit, commit, reveal, tally, attest, finalise, failed, over, or not
    known."""
    says: str
    """What happens now, in a sentence."""
    waits_for: tuple[str, ...]
    """Accounts whose turn it is; empty where anyone may act, or nobody need."""
    deadline: int
    """Unix time, seconds; 0: none."""
    time: int
    """Of the block."""


class RequestView(View):
    """All that a request's page shows."""

    summary: RequestSummary
    problem: str
    """Why the specification is not shown; empty if it is."""
    specification: str
    """CID."""
    now: Now
    task: tuple[Fact, ...]
    rules: tuple[Fact, ...]
    usage_rules: str
    contribution: bool
    """Whether votes measure a model's share of the round's gain, not its own error."""
    privacy: PrivacyView | None
    rounds: tuple[RoundView, ...]
    members: tuple[MemberRow, ...]
    money: MoneyView
    timeline: tuple[TimelineRow, ...]
    errors: Chart
    points: Chart


@dataclass(frozen=True)
class Sources:
    """What a request's view is made from."""

    story: Story
    described: Described
    facts: RoundFacts | None = None
    """The present round as of the block; None where it does not matter or cannot be read."""
    now: int = 0
    """The block's time."""
    transactions: dict[str, Transaction] = field(default_factory=dict)


def request_view(of: Sources) -> RequestView:
    story, spec = of.story, of.described.spec
    rounds = round_views(story)
    members = member_rows(story, of.transactions)
    return RequestView(
        summary=summarise(story, of.described).summary,
        problem=of.described.problem,
        specification=of.described.cid,
        now=_now(of, rounds),
        task=_task(spec),
        rules=_rules(story),
        usage_rules=spec.usage_rules if spec else "",
        contribution=spec is not None and spec.score is ScoreKind.CONTRIBUTION,
        privacy=privacy_view(spec) if spec else None,
        rounds=rounds,
        members=members,
        money=money_view(story),
        timeline=timeline(story, of.transactions),
        errors=error_chart(story, spec.score if spec else None),
        points=points_chart(story, members),
    )


# ---------------------------------------------------------------------- now

_OVER = {
    Stage.ENDED: "The rounds are over. A member delivers the model's key next.",
    Stage.DELIVERED: "The model is delivered. The requester accepts it, or disputes the key.",
    Stage.DISPUTED: "The requester has shown that the delivered key is not the model's.",
    Stage.PAID: "The members are paid.",
    Stage.REFUNDED: "Nobody is paid. The pay went back to the requester.",
}
_NO_MODEL = "The rounds are over. No model was made. Anyone may settle."
_MISSING = {
    Phase.SUBMIT: (Step.MODEL, "train, and submit a model"),
    Phase.COMMIT: (Step.COMMIT, "score the models, and commit to a vote"),
    Phase.REVEAL: (Step.REVEAL, "reveal the vote"),
    Phase.ATTEST: (Step.ATTEST, "aggregate, and attest the global model"),
}
_ANYONE = {
    Phase.TALLY: "All votes are in. Anyone may count them now.",
    Phase.FINALISE: "The global model is attested. Anyone may make the round final now.",
    Phase.FAILED: "Too few submitted a model. Anyone may close the round now.",
}


def _now(of: Sources, rounds: tuple[RoundView, ...]) -> Now:
    story, facts = of.story, of.facts
    if story.stage in _OVER:
        ended = story.last(RoundsEnded)
        modelless = story.stage is Stage.ENDED and ended is not None and not ended.final_rounds
        return _at(of, "over", _NO_MODEL if modelless else _OVER[story.stage])
    if facts is None and story.stage is Stage.RUNNING:
        return _at(of, "not known", "No node answers now: whose turn it is cannot be told.")
    if facts is None or facts.phase in (Phase.WAITING, Phase.NONE):
        return _before_the_start(of)
    if facts.phase in _ANYONE:
        return _at(of, facts.phase.name.lower(), _ANYONE[facts.phase])
    if facts.phase not in _MISSING:
        return _at(of, "over", "The rounds are over.")
    step, verb = _MISSING[facts.phase]
    waiting = _waiting(rounds[-1].seats if rounds else (), step, facts)
    names = tuple(one.account or f"seat {one.seat}" for one in waiting)
    seats = ", ".join(str(one.seat) for one in waiting)
    if facts.phase is Phase.COMMIT and not facts.slice_opened:
        says = "The requester opens the evaluation slice next."
        last = facts.slice_deadline(story.terms.commit_window)
        return _at(of, "commit", says, (story.created.requester,), last)
    says = f"Seat {seats} must {verb}." if len(waiting) == 1 else f"Seats {seats} must {verb}."
    if not waiting:
        says = "All have acted."
    return _at(of, facts.phase.name.lower(), says, names, facts.deadline)


def _waiting(seats: tuple[SeatRow, ...], step: Step, facts: RoundFacts) -> list[SeatRow]:
    due = set(seats_of(facts.expected if step is Step.MODEL else facts.submitted & ~facts.voided))
    if step is Step.ATTEST and not facts.blind:
        due &= set(seats_of(facts.revealed))
    return [one for one in seats if one.seat in due and getattr(one, step.value) is None]


def _before_the_start(of: Sources) -> Now:
    story, terms = of.story, of.story.terms
    joined = len(story.joined)
    deadline = (story.created.at.timestamp or 0) + terms.join_window
    full = joined >= terms.max_pool
    if not full and of.now <= deadline:
        missing = max(0, terms.min_pool - joined)
        says = f"Open to providers: {joined} of at most {terms.max_pool} have joined"
        says += f", {missing} more are needed." if missing else "; enough to start."
        return _at(of, "joining", says, deadline=deadline)
    if joined < terms.min_pool:
        return _at(of, "starting", "Too few have joined. Anyone may end the request now.")
    return _at(of, "starting", "The pool is closed. A member starts the first round next.")


def _at(
    of: Sources, phase: str, says: str, waits_for: tuple[str, ...] = (), deadline: int = 0
) -> Now:
    return Now(phase=phase, says=says, waits_for=waits_for, deadline=deadline, time=of.now)


# ---------------------------------------------------------------------- what it is about


def _task(spec: Specification | None) -> tuple[Fact, ...]:
    if spec is None:
        return ()
    features = spec.features
    inputs = "texts" if features.kind == "text" else " by ".join(map(str, features.shape))
    if features.names:
        shown = ", ".join(features.names[:12])
        more = len(features.names) - 12
        inputs = f"columns {shown}" + (f" and {more} more" if more > 0 else "")
    predicts = ", ".join(spec.labels) if spec.labels else spec.output.column if spec.output else ""
    found = [
        Fact(name="Task", value=spec.task),
        Fact(name="Category", value=spec.category),
        Fact(name="Predicts", value=predicts),
        Fact(name="From", value=inputs),
        Fact(name="Model family", value=spec.family.name),
        Fact(name="Aggregation", value=spec.aggregation.name),
        Fact(name="First model", value=spec.initial_model, cid=spec.initial_model),
    ]
    return tuple(found)


def _rules(story: Story) -> tuple[Fact, ...]:
    terms = story.terms
    at = story.created.at.tx_hash
    found = [
        Fact(name="Requester", value="", account=story.created.requester),
        Fact(name="Pay", value=amount_text(terms.pay, terms.token)),
        Fact(name="Gas for posters", value=f"{ether(terms.gas_per_round)} ether a round at most"),
        Fact(name="Providers", value=f"{terms.min_pool} to {terms.max_pool}"),
        Fact(name="Seats a round", value=str(min(terms.cohort, terms.max_pool))),
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
