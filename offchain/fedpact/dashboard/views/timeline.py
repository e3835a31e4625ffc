"""A request's facts on chain in order, in words, with who sent them and what that cost."""

from __future__ import annotations

from fedpact.chain.bindings.events import (
    Attested,
    Cancelled,
    Collected,
    CommitteeDrawn,
    Credited,
    Delivered,
    Disputed,
    DrawMoved,
    Equivocated,
    Halted,
    Joined,
    KeySealed,
    LargeRecordPosted,
    Left,
    ModelForced,
    ModelsSubmitted,
    Paid,
    PointsTallied,
    PurchaseRefunded,
    RecordPosted,
    RequestCreated,
    RequestEvent,
    ResaleClaimed,
    ResaleOffered,
    ResultBought,
    ResultSold,
    RetrievalRecorded,
    Returning,
    RoundFailed,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    RoundsEnded,
    RoundTallied,
    SealDisputed,
    Settled,
    SliceOpened,
    Started,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.dashboard.index.reading import Transaction
from fedpact.dashboard.story import RequestStory
from fedpact.dashboard.units import Wei, amount_text, error_text
from fedpact.dashboard.views.blocks import View
from fedpact.types.requests import seats_of


class TimelineRow(View):
    """One fact on chain."""

    time: int
    block: int
    event: str
    says: str
    round: int
    """0: of no round."""
    account: str
    """Who sent the transaction; empty while that is not known."""
    action: str
    gas: int
    fee: Wei
    transaction: str


def timeline(story: RequestStory, transactions: dict[str, Transaction]) -> tuple[TimelineRow, ...]:
    """The oldest first; `transactions`: those known, by hash."""
    return tuple(_row(one, story.terms.token, transactions) for one in story.events)


def _row(event: RequestEvent, token: str, transactions: dict[str, Transaction]) -> TimelineRow:
    sent = transactions.get(event.at.tx_hash)
    return TimelineRow(
        time=event.at.timestamp or 0,
        block=event.at.block,
        event=type(event).__name__,
        says=_says(event, token),
        round=int(getattr(event, "round", 0)),
        account=sent.sender if sent else "",
        action=sent.action if sent else "",
        gas=sent.gas if sent else 0,
        fee=sent.fee if sent else 0,
        transaction=event.at.tx_hash,
    )


def _seats(mask: int) -> str:
    seats = ", ".join(map(str, seats_of(mask)))
    return f"seat {seats}" if mask.bit_count() == 1 else f"seats {seats}"


def _says(event: RequestEvent, token: str) -> str:
    """An event in words; `token`: of the pay."""
    match event:
        case RequestCreated():
            return "request published, pay in escrow"
        case Joined():
            return f"a provider joined with {event.samples} samples"
        case Left():
            return "a provider left the pool"
        case Started():
            return "request key sealed to the members, rounds begin"
        case RoundOpened():
            whom = _seats(event.expected) if event.expected else "the whole pool"
            return f"round opened for {whom}"
        case CommitteeDrawn():
            return "committee fixed"
        case DrawMoved():
            return (
                f"block {event.draw_block} draws the committee: the chain has forgotten the first"
            )
        case ModelForced():
            return f"member {event.index} put its model in by itself"
        case ModelsSubmitted():
            return f"models of {_seats(event.mask)}"
        case SliceOpened():
            return "evaluation slice opened"
        case VotesCommitted():
            return f"votes committed by {_seats(event.mask)}"
        case VotesRevealed():
            return f"votes revealed by {_seats(event.mask)}"
        case RoundTallied():
            return "votes counted" + (": nobody could judge" if event.blind else "")
        case Attested():
            return f"global model attested by {_seats(event.mask)}"
        case RoundPosted():
            return f"whole round posted, signed by {_seats(event.mask)}"
        case RecordPosted() | LargeRecordPosted():
            return "record of the round"
        case RoundFinalised():
            return f"round final, error {error_text(event.error)}"
        case RoundFailed():
            return "start void" if event.void_start else "round failed"
        case Credited():
            return "points credited" if event.points else "gas of a batch noted"
        case Equivocated():
            return f"seat {event.seat} signed two different messages"
        case Returning():
            return f"seat {event.seat} returns with the next round"
        case Halted():
            return "the present round is the last"
        case RoundsEnded():
            return "rounds over" + (", target reached" if event.reached else "")
        case Cancelled():
            return "cancelled by the requester"
        case Delivered():
            return "model's key delivered"
        case Disputed():
            return "the delivered key is wrong"
        case Collected():
            return "part of the settlement taken in"
        case Settled():
            pool, back = amount_text(event.pool, token), amount_text(event.refund, token)
            return f"settled: {pool} to the members, {back} back"
        case Paid():
            amount = amount_text(event.amount, event.token)
            return f"{amount} " + ("kept for withdrawal" if event.credited else "paid")
        case RetrievalRecorded():
            return "search for providers recorded"
        case _:
            return _says_of_sale(event, token)


def _says_of_sale(event: RequestEvent, token: str) -> str:
    match event:
        case ResaleOffered():
            return f"result offered to others for {amount_text(event.price, token)}"
        case ResultBought():
            return f"result bought for {amount_text(event.price, token)}"
        case PointsTallied():
            return "makers' points stored, by which sales pay"
        case KeySealed():
            return "model's key sealed to a buyer"
        case SealDisputed():
            return "the key sealed to a buyer is wrong"
        case ResultSold():
            return f"sale final: {amount_text(event.price, token)} to the makers"
        case ResaleClaimed():
            return f"{amount_text(event.amount, token)} of sales taken by a maker"
        case PurchaseRefunded():
            return f"{amount_text(event.amount, token)} back to a buyer without a key"
        case _:
            return type(event).__name__
