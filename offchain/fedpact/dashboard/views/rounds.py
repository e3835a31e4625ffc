"""A request's rounds: who did what, the votes as a matrix, and who earned what, and why not."""

from __future__ import annotations

from fedpact.chain.bindings.events import Place
from fedpact.chain.signed_messages import BLIND, Board
from fedpact.consensus.judgement import points_of
from fedpact.dashboard.story import RequestStory, RoundStory, SeatStep
from fedpact.dashboard.views.blocks import View
from fedpact.types.requests import NOBODY
from fedpact.types.scores import INVALID, MAX_SEATS, lane


class Deed(View):
    """What a seat did, and the transaction that shows it."""

    time: int
    transaction: str


class SeatRow(View):
    """One seat in one round."""

    seat: int
    index: int | None
    """In the pool; None while the closed pool is not known."""
    account: str
    """Empty while the closed pool is not known."""
    expected: bool
    """Whether the round waits for it."""
    model: Deed | None
    commit: Deed | None
    reveal: Deed | None
    attest: Deed | None
    median: int | None
    """Of the votes on its model, 1/10,000; 16,383: could not be scored."""
    included: bool | None
    """Whether its model is in the global one; None before the tally."""
    outside: tuple[int, ...]
    """Seats whose model it scored outside the band."""
    leads: bool
    points: int | None
    """None while the round is under way."""
    fault: bool
    why: str
    """Why it earned nothing, or has a fault; empty if there is nothing to explain."""


class VoteCell(View):
    """One vote on one model."""

    score: int | None
    """1/10,000; 16,383: could not be scored; None: no vote."""
    outside: bool
    """Further from the median than the band."""


class VoteRow(View):
    """The votes of one seat."""

    seat: int
    account: str
    transaction: str
    """By which the vote became public."""
    blind: bool
    """It could not open the evaluation slice."""
    cells: tuple[VoteCell, ...]
    """One for each model of the matrix."""


class VoteMatrix(View):
    """Votes by voter and model."""

    models: tuple[int, ...]
    """Seats whose models were judged."""
    rows: tuple[VoteRow, ...]
    medians: tuple[int, ...]
    band: int
    ceiling: int
    """Models with a larger median are left out, 1/10,000."""


class RoundView(View):
    """One round."""

    round: int
    opened_at: int
    transaction: str
    """That opened it."""
    state: str
    """under way, final, failed or void start."""
    blind: bool
    posted: bool
    """Whether one transaction carried the whole round."""
    slice: Deed | None
    """The opening of the evaluation slice."""
    error: int | None
    """Of the global model, 1/10,000; None: not measured."""
    tally_transaction: str
    """By which the medians are counted; empty before."""
    credit_transaction: str
    """By which points and faults are credited; empty where there are none."""
    final_transaction: str
    """That ended it, final or failed; empty while it is under way."""
    model: str
    """Digest of the global model in hex; empty unless the round is final."""
    seats: tuple[SeatRow, ...]
    votes: VoteMatrix | None
    """None before votes are public."""


def round_views(story: RequestStory) -> tuple[RoundView, ...]:
    """All rounds, the first one first."""
    return tuple(_round(story, one) for one in story.rounds)


def _round(story: RequestStory, one: RoundStory) -> RoundView:
    terms, judged = story.terms, one.board(story.terms)
    final = one.final
    error = final.error if final is not None and final.error != INVALID else None
    return RoundView(
        round=one.number,
        opened_at=one.opened.at.timestamp or 0,
        transaction=one.opened.at.tx_hash,
        state=_state(one),
        blind=bool(judged and judged[1]),
        posted=one.posted is not None,
        slice=_deed(one.slice_opened),
        error=error,
        tally_transaction=one.tally_transaction,
        credit_transaction=one.credit_transaction,
        final_transaction=one.end_transaction,
        model=final.digest.hex() if final else "",
        seats=_seats(story, one, judged),
        votes=_matrix(story, one, None if judged is None else judged[0], terms.vote_band),
    )


def _state(one: RoundStory) -> str:
    if one.final is not None:
        return "final"
    if one.failed is None:
        return "under way"
    return "void start" if one.failed.void_start else "failed"


def _seats(
    story: RequestStory, one: RoundStory, judged: tuple[Board, bool] | None
) -> tuple[SeatRow, ...]:
    cohort = story.cohort_of(one)
    acted = max((seat for seat, _ in one.done), default=-1)
    count = len(cohort) or max(one.opened.expected.bit_length(), acted + 1)
    points, faults = _earned(one)
    outside = one.outside(judged[0], story.terms.vote_band) if judged else {}
    leader = one.final.leader if one.final is not None else NOBODY
    rows = []
    for seat in range(count):
        index = cohort[seat] if seat < len(cohort) else None
        deeds = {step: _deed(one.done.get((seat, step))) for step in SeatStep}
        median = lane(judged[0].medians, seat) if judged and seat in one.digests else None
        row = SeatRow(
            seat=seat,
            index=index,
            account="" if index is None else story.account_at(index) or "",
            expected=bool(one.opened.expected >> seat & 1),
            model=deeds[SeatStep.MODEL],
            commit=deeds[SeatStep.COMMIT],
            reveal=deeds[SeatStep.REVEAL],
            attest=deeds[SeatStep.ATTEST],
            median=median,
            included=bool(judged[0].included >> seat & 1) if judged else None,
            outside=tuple(outside.get(seat, ())),
            leads=seat == leader,
            points=points[seat] if one.over else None,
            fault=bool(faults >> seat & 1),
            why="",
        )
        rows.append(row.model_copy(update={"why": _why(row, one, judged)}))
    return tuple(rows)


def _earned(one: RoundStory) -> tuple[tuple[int, ...], int]:
    """Points by seat, and the mask of faults."""
    points, faults = [0] * MAX_SEATS, 0
    for entry in one.earned():
        points = [a + b for a, b in zip(points, points_of(entry.points, MAX_SEATS), strict=True)]
        faults |= entry.faults
    return tuple(points), faults


def _why(row: SeatRow, one: RoundStory, judged: tuple[Board, bool] | None) -> str:
    """Why a seat earned nothing, in the order in which the contract asks."""
    if not one.over or (row.points and not row.fault):
        return ""
    if one.failed is not None and one.failed.void_start:
        return "the start was void: the round began anew"
    if row.seat in {each.seat for each in one.equivocated}:
        return "it signed two different messages of one kind"
    if row.model is None:
        return "it submitted no model" if row.expected else "the round did not wait for it"
    if judged is None:
        return "the round ended before the models were judged"
    board, blind = judged
    if row.median == INVALID:
        return "its model could not be scored"
    if not blind and row.reveal is None:
        return "it revealed no vote"
    if not board.eligible >> row.seat & 1 and row.outside:
        return "most of its votes were outside the band around the medians"
    if row.fault:
        return "it left a step out"
    return "its model and votes earned no points"


def _matrix(
    story: RequestStory, one: RoundStory, board: Board | None, band: int
) -> VoteMatrix | None:
    if not one.votes:
        return None
    cohort = story.cohort_of(one)
    models = tuple(sorted(one.digests))
    outside = one.outside(board, band) if board else {}
    rows = []
    for voter, word in sorted(one.votes.items()):
        blind = word == BLIND
        cells = tuple(
            VoteCell(
                score=None if blind or seat == voter else lane(word, seat),
                outside=seat in outside.get(voter, ()),
            )
            for seat in models
        )
        account = (story.account_at(cohort[voter]) or "") if voter < len(cohort) else ""
        shown = one.done.get((voter, SeatStep.REVEAL))
        proof = shown.tx_hash if shown else ""
        rows.append(
            VoteRow(seat=voter, account=account, transaction=proof, blind=blind, cells=cells)
        )
    return VoteMatrix(
        models=models,
        rows=tuple(rows),
        medians=tuple(lane(board.medians, seat) for seat in models) if board else (),
        band=band,
        ceiling=story.terms.max_error,
    )


def _deed(at: Place | None) -> Deed | None:
    return None if at is None else Deed(time=at.timestamp or 0, transaction=at.tx_hash)
