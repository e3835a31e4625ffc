"""Where a request is now: its phase, whose turn it is, and how long there is for it."""

from __future__ import annotations

from fedpact.chain.bindings.events import (
    Equivocated,
    ModelsSubmitted,
    RoundsEnded,
    VotesCommitted,
)
from fedpact.dashboard.story import RequestStage, RequestStory, SeatStep
from fedpact.dashboard.views.blocks import View
from fedpact.dashboard.views.rounds import RoundView, SeatRow
from fedpact.exchange.messages import SLICE_SEAT, Kind
from fedpact.types.requests import LargeFacts, Phase, RoundFacts, seats_of

Said = frozenset[tuple[Kind, int]]
"""Kinds of messages by seat."""
KINDS = {
    SeatStep.MODEL: Kind.MODEL,
    SeatStep.COMMIT: Kind.VOTE,
    SeatStep.REVEAL: Kind.REVEAL,
    SeatStep.ATTEST: Kind.ATTEST,
}
"""By which message a seat takes a step."""


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
    transaction: str
    """The transaction from which the deadline counts; empty if there is none."""
    time: int
    """Of the block."""

    @property
    def in_round(self) -> bool:
        return self.phase not in ("joining", "starting", "over", "not known")


_OVER = {
    RequestStage.ENDED: "The rounds are over. A member delivers the model's key next.",
    RequestStage.DELIVERED: "The model is there. The requester accepts it, or disputes the key.",
    RequestStage.DISPUTED: "The requester has shown that the delivered key is not the model's.",
    RequestStage.PAID: "The members are paid.",
    RequestStage.REFUNDED: "Nobody is paid. The pay went back to the requester.",
}
_NO_MODEL = "The rounds are over. No model was made. Anyone may settle."
_MISSING = {
    Phase.SUBMIT: (SeatStep.MODEL, "train, and submit a model"),
    Phase.COMMIT: (SeatStep.COMMIT, "score the models, and commit to a vote"),
    Phase.REVEAL: (SeatStep.REVEAL, "reveal the vote"),
    Phase.ATTEST: (SeatStep.ATTEST, "aggregate, and attest the global model"),
}
_ANYONE = {
    Phase.TALLY: "All votes are in. Anyone may count them now.",
    Phase.FINALISE: "The global model is attested. Anyone may make the round final now.",
    Phase.FAILED: "Too few submitted a model. Anyone may close the round now.",
}


_LARGE = {
    Phase.SUBMIT: "The pool trains, and names its models to the committee{forced}.",
    Phase.ATTEST: "The committee judges{forced}. One of it posts what a quorum has signed.",
    Phase.FAILED: "Nobody posted a record in time. Anyone may close the round now.",
    Phase.FINALISE: "The rounds are over. Anyone may have their points summed up now.",
}
"""Of large rounds. Who has named a model, and what judges say, is not on chain."""


def _forced(facts: LargeFacts) -> str:
    if not facts.forced:
        return ""
    return f"; {facts.forced} put {'its model' if facts.forced == 1 else 'their models'} in alone"


def now_of(
    story: RequestStory,
    facts: RoundFacts | None,
    time: int,
    rounds: tuple[RoundView, ...],
    said: Said = frozenset(),
) -> Now:
    """`facts`: the present round, None where no node tells it; `time`: of the block; `said`: in the
    present round, by messages that are heard."""

    def at(phase: str, says: str, waits_for: tuple[str, ...] = (), deadline: int = 0) -> Now:
        return Now(
            phase=phase,
            says=says,
            waits_for=waits_for,
            deadline=deadline,
            transaction=_counts_from(story, facts, rounds) if deadline else "",
            time=time,
        )

    if story.stage in _OVER:
        ended = story.last(RoundsEnded)
        modelless = (
            story.stage is RequestStage.ENDED and ended is not None and not ended.final_rounds
        )
        return at("over", _NO_MODEL if modelless else _OVER[story.stage])
    if facts is None and story.stage is RequestStage.RUNNING:
        return at("not known", "No node answers now: whose turn it is cannot be told.")
    if facts is None or facts.phase in (Phase.WAITING, Phase.NONE):
        return at(*_before_the_start(story, time))
    if isinstance(facts, LargeFacts) and facts.phase in _LARGE:
        says = _LARGE[facts.phase].format(forced=_forced(facts))
        return at(facts.phase.name.lower(), says, (), facts.deadline)
    if facts.phase in _ANYONE:
        return at(facts.phase.name.lower(), _ANYONE[facts.phase])
    if facts.phase not in _MISSING:
        return at("over", "The rounds are over.")
    return at(*_in_a_round(story, facts, rounds[-1].seats if rounds else (), said))


_COMPLETES: dict[Phase, type[ModelsSubmitted | VotesCommitted]] = {
    Phase.COMMIT: ModelsSubmitted,
    Phase.REVEAL: VotesCommitted,
}
"""What completes the step before a phase, unless a seat is caught that it waited for."""


def _counts_from(
    story: RequestStory, facts: RoundFacts | None, rounds: tuple[RoundView, ...]
) -> str:
    """The transaction from which the present deadline counts: the one that completed the step
    before, or the round's opening where only time ended that; the request's before the first round.
    Empty where the present round is not known yet."""
    if facts is None or facts.phase not in _MISSING:
        return story.created.at.tx_hash
    if not rounds or rounds[-1].round != facts.round:
        return ""
    last = rounds[-1]
    if isinstance(facts, LargeFacts):
        return last.transaction
    if facts.phase is Phase.ATTEST:
        return last.tally_transaction
    if facts.phase is Phase.SUBMIT:
        return last.transaction
    terms = story.terms
    window = terms.commit_window if facts.phase is Phase.COMMIT else terms.reveal_window
    completing = [
        one.at.tx_hash
        for one in story.events
        if isinstance(one, _COMPLETES[facts.phase] | Equivocated)
        and one.round == last.round
        and one.at.timestamp == facts.deadline - window
    ]
    return completing[-1] if completing else last.transaction


_Where = tuple[str, str, tuple[str, ...], int]
"""Phase, sentence, accounts and deadline, as Now has them."""


def _in_a_round(
    story: RequestStory, facts: RoundFacts, seats: tuple[SeatRow, ...], said: Said
) -> _Where:
    """From the phase on chain on, the first step that somebody has neither done nor signed for."""
    phases = list(_MISSING)
    for phase in phases[phases.index(facts.phase) :]:
        name, (step, verb) = phase.name.lower(), _MISSING[phase]
        opened = facts.slice_opened or (Kind.SLICE, SLICE_SEAT) in said
        if phase is Phase.COMMIT and not opened:
            last = facts.deadline
            if facts.phase is Phase.COMMIT:
                last = facts.slice_deadline(story.terms.commit_window)
            says = "The requester opens the evaluation slice next."
            return name, says, (story.created.requester,), last
        waiting = _waiting(seats, step, facts, said)
        if waiting:
            listed = ", ".join(str(one.seat) for one in waiting)
            says = f"Seat{'' if len(waiting) == 1 else 's'} {listed} must {verb}."
            names = tuple(one.account or f"seat {one.seat}" for one in waiting)
            return name, says, names, facts.deadline
        if not said:
            return name, "All have acted.", (), facts.deadline
    return "attest", "All have signed. A member posts the round next.", (), facts.deadline


def _waiting(
    seats: tuple[SeatRow, ...], step: SeatStep, facts: RoundFacts, said: Said
) -> list[SeatRow]:
    def who(known: int, kind: Kind) -> set[int]:
        return set(seats_of(known)) | {seat for one, seat in said if one is kind}

    due = set(seats_of(facts.expected))
    if step is not SeatStep.MODEL:
        due = who(facts.submitted, Kind.MODEL) - set(seats_of(facts.voided))
    if step is SeatStep.ATTEST and not facts.blind:
        due &= who(facts.revealed, Kind.REVEAL)
    done = {seat for one, seat in said if one is KINDS[step]}
    return [one for one in seats if one.seat in due - done and getattr(one, step.value) is None]


def _before_the_start(story: RequestStory, time: int) -> _Where:
    terms, joined = story.terms, len(story.joined)
    deadline = (story.created.at.timestamp or 0) + terms.join_window
    full = joined >= terms.max_pool
    if not full and time <= deadline:
        missing = max(0, terms.min_pool - joined)
        says = f"Open to providers: {joined} of at most {terms.max_pool} have joined"
        says += f", {missing} more are needed." if missing else "; enough to start."
        return "joining", says, (), deadline
    if joined < terms.min_pool:
        return "starting", "Too few have joined. Anyone may end the request now.", (), 0
    return "starting", "The pool is closed. A member starts the first round next.", (), 0
