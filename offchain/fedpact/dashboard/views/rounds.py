"""A request's rounds: who did what, the votes as a matrix, and who earned what, and why not."""

from __future__ import annotations

from collections.abc import Sequence

from fedpact.chain.bindings.events import Place
from fedpact.chain.signed_messages import BLIND, Board
from fedpact.consensus.committee_evidence import evidence_cid
from fedpact.consensus.proof_of_quality import points_of
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
    """In a large round: that it signed the record."""
    error: int | None
    """Of the global model as it measured it, 1/10,000; None: it said none."""
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
    """The transaction by which the vote became public."""
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


class ForcedRow(View):
    """A model that its trainer put into a large round by itself."""

    index: int
    """Of the trainer, in the pool."""
    account: str
    """Empty while the closed pool is not known."""
    digest: str
    """In hex."""
    time: int
    transaction: str


class LargeRoundView(View):
    """What the chain has of a round in which a whole pool trains: its committee are the seats. The
    models, scores and votes are in the evidence in the content store, which an audit reads."""

    pool: int | None
    """Members that can take part; None while the closed pool is not known."""
    trainers: int | None
    """Those of them that do not judge; None while the committee is not known."""
    committee: int
    """Judges of a round."""
    draw_transaction: str
    """The transaction that fixed the committee on chain; empty before."""
    signed: int
    """Judges that signed the record; 0 before it is posted."""
    post_transaction: str
    """The transaction that posted the record; empty before."""
    points: int | None
    """That the round gave in all; None before its record is read."""
    paid_trainers: int | None
    """Trainers with points."""
    judges_points: int | None
    earned: dict[str, int]
    """Points by account, of who has any; empty before the record is read."""
    forced: tuple[ForcedRow, ...]
    submissions: str
    """Root of the tree of submissions in hex; empty before the record is read, as is `evidence`."""
    evidence: str
    """CID of the evidence."""


class RoundView(View):
    """One round."""

    round: int
    opened_at: int
    transaction: str
    """The transaction that opened it."""
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
    """The transaction by which the medians are counted; empty before."""
    credit_transaction: str
    """The transaction by which points and faults are credited; empty where there are none."""
    final_transaction: str
    """The transaction that ended it, final or failed; empty while it is under way."""
    model: str
    """Digest of the global model in hex; empty unless the round is final."""
    seats: tuple[SeatRow, ...]
    votes: VoteMatrix | None
    """None before votes are public; those of large rounds are not on chain."""
    large: LargeRoundView | None
    """None of a usual round."""


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
        blind=bool(judged and judged[1]) or bool(one.large_record and one.large_record.blind),
        posted=one.posted is not None,
        slice=_deed(one.slice_opened),
        error=error,
        tally_transaction=one.tally_transaction,
        credit_transaction=one.credit_transaction,
        final_transaction=one.end_transaction,
        model=final.digest.hex() if final else "",
        seats=_seats(story, one, judged),
        votes=_matrix(story, one, None if judged is None else judged[0], terms.vote_band),
        large=_large(story, one) if one.is_large else None,
    )


def _large(story: RequestStory, one: RoundStory) -> LargeRoundView:
    pool, judges, record = story.pool, story.cohort_of(one), one.large_record
    members = None if pool is None else len(pool.members) - len(pool.left)
    points = story.points_by_index(one)
    given = sum(points[index] for index in judges) if points else None
    return LargeRoundView(
        pool=members,
        trainers=None if members is None or not judges else members - len(judges),
        committee=story.terms.cohort,
        draw_transaction=one.drawn.at.tx_hash if one.drawn else "",
        signed=one.posted.mask.bit_count() if one.posted else 0,
        post_transaction=one.posted.at.tx_hash if one.posted else "",
        points=sum(points) if points else None,
        paid_trainers=sum(map(bool, points)) - sum(bool(points[index]) for index in judges)
        if points
        else None,
        judges_points=given,
        earned={account: own for account, own in story.earned_in(one).items() if own},
        forced=tuple(
            ForcedRow(
                index=each.index,
                account=story.account_at(each.index) or "",
                digest=each.digest.hex(),
                time=each.at.timestamp or 0,
                transaction=each.at.tx_hash,
            )
            for each in one.forced
        ),
        submissions=record.submissions.hex() if record else "",
        evidence=str(evidence_cid(record.evidence)) if record else "",
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
    whole = story.points_by_index(one)
    if whole:
        points = tuple(whole[index] for index in cohort)
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
            expected=one.is_large or bool(one.opened.expected >> seat & 1),
            model=deeds[SeatStep.MODEL],
            commit=deeds[SeatStep.COMMIT],
            reveal=deeds[SeatStep.REVEAL],
            attest=deeds[SeatStep.ATTEST],
            error=_measured(one, seat),
            median=median,
            included=bool(judged[0].included >> seat & 1) if judged else None,
            outside=tuple(outside.get(seat, ())),
            leads=seat == leader,
            points=_points(one, points, seat),
            fault=bool(faults >> seat & 1),
            why="",
        )
        rows.append(row.model_copy(update={"why": _why(row, one, judged)}))
    return tuple(rows)


def _measured(one: RoundStory, seat: int) -> int | None:
    error = one.attested.get(seat, (b"", INVALID))[1]
    return None if error == INVALID else error


def _points(one: RoundStory, points: Sequence[int], seat: int) -> int | None:
    """None while they are not known."""
    if not one.over or (one.posted is not None and one.is_large and one.large_record is None):
        return None
    return points[seat] if seat < len(points) else 0


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
        return "the start was void: the round started over"
    if one.is_large:
        return _why_judge(row, one)
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


def _why_judge(row: SeatRow, one: RoundStory) -> str:
    if one.posted is None:
        return "nobody posted a record in time"
    if row.points is None:
        return ""
    return "the record gives it no points" if row.attest else "it has not signed the record"


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
