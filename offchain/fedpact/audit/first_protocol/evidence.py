"""A request's events in order: the evidence for each check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fedpact.chain.bindings.first_protocol.market import terms_of
from fedpact.chain.bindings.first_protocol.resale import ResaleMarket
from fedpact.chain.bindings.first_protocol.structs import Terms
from fedpact.chain.records import Event
from fedpact.errors import AuditFailed, UnknownRequest
from fedpact.types.requests import mask_of, seats_of


@dataclass(frozen=True)
class Vote:
    """A revealed vote and the transaction that carries its salt."""

    word: int
    tx_hash: str


@dataclass(frozen=True)
class Final:
    """Of the event RoundFinalised."""

    leader: int
    digest: bytes
    mae: int
    approvals: int
    passed: int
    block: int


@dataclass(frozen=True)
class Tally:
    """Of the event RoundTallied; `points` in 16-bit lanes."""

    medians: int
    included: int
    valid: int
    points: int
    faults: int
    block: int


@dataclass(frozen=True)
class RecordedOutcome:
    """One account's part of the event OutcomesRecorded."""

    account: str
    weight: int
    quality: int
    """Relative to the mean, 1/10,000."""
    losses: int
    """1/10,000."""
    ended_at: int
    block: int
    tx_hash: str


@dataclass
class RoundEvidence:
    """One round; masks and dictionaries are by seat."""

    number: int
    expected: int
    """Seats that the round waited for, including those that came back by submitting."""
    barred: int
    accounts: dict[int, str]
    """Seats that were occupied when the round opened."""
    digests: dict[int, bytes] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    slice_manifest: bytes | None = None
    commitments: dict[int, bytes] = field(default_factory=dict)
    votes: dict[int, Vote] = field(default_factory=dict)
    tally: Tally | None = None
    attestations: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    final: Final | None = None
    expired_faults: int | None = None

    @property
    def submitted(self) -> int:
        return mask_of(self.digests)

    @property
    def revealed(self) -> int:
        return mask_of(self.votes)


@dataclass
class Evidence:
    """All events of one request; lists are oldest first."""

    request_id: int
    requester: str
    payment: int
    terms: Terms
    seats: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Account and declared samples of each occupied seat."""
    manifest: bytes | None = None
    key_hash: bytes | None = None
    rounds: list[RoundEvidence] = field(default_factory=list)
    ended: Mapping[str, Any] | None = None
    deliveries: list[tuple[str, bytes]] = field(default_factory=list)
    shared: Mapping[str, Any] | None = None
    settled: Mapping[str, Any] | None = None
    settled_tx: str | None = None
    claims: dict[int, int] = field(default_factory=dict)
    refunds: list[int] = field(default_factory=list)
    outcomes: list[RecordedOutcome] = field(default_factory=list)
    """Of all accounts and requests, for reputation."""
    paid_in: int = 0
    """Wei that went into the market, over all requests."""
    paid_out: int = 0
    resale: list[Event] = field(default_factory=list)
    """The resale market's events of the request, oldest first."""
    resale_in: int = 0
    """Wei that went into the resale market, over all requests."""
    resale_out: int = 0

    @property
    def finals(self) -> list[RoundEvidence]:
        return [one for one in self.rounds if one.final is not None]

    @property
    def tallied(self) -> list[RoundEvidence]:
        return [one for one in self.rounds if one.tally is not None]


def gather(request_id: int, events: Iterable[Event]) -> Evidence:
    """Put the events of one request in order.

    Raises UnknownRequest if there are none, AuditFailed if one refers to what no earlier event
    reported: then the node leaves events out, or makes them up.
    """
    found: Evidence | None = None
    outcomes: list[RecordedOutcome] = []
    paid_in = paid_out = resale_in = resale_out = 0
    for event in events:
        if event.name == "OutcomesRecorded":
            outcomes += _outcomes(event)
        elif event.name == "RequestCreated":
            paid_in += event.args["payment"]
        elif event.name in ("Claimed", "Refunded"):
            paid_out += event.args["amount"]
        elif event.name == "ResultBought":
            resale_in += event.args["price"]
        elif event.name in ("ResaleClaimed", "PurchaseRefunded"):
            resale_out += event.args["amount"]
        if event.args.get("requestId") != request_id:
            continue
        if event.name == "RequestCreated":
            found = Evidence(
                request_id,
                event.args["requester"],
                event.args["payment"],
                terms_of(event.args["terms"]),
            )
        elif found is not None:
            _take(found, event)
    if found is None:
        raise UnknownRequest(f"the market knows no request {request_id}")
    found.outcomes, found.paid_in, found.paid_out = outcomes, paid_in, paid_out
    found.resale_in, found.resale_out = resale_in, resale_out
    return found


def _outcomes(event: Event) -> list[RecordedOutcome]:
    args = event.args
    return [
        RecordedOutcome(
            account=args["accounts"][seat],
            weight=args["weight"],
            quality=args["qualities"] >> 16 * seat & 0xFFFF,
            losses=args["losses"] >> 16 * seat & 0xFFFF,
            ended_at=args["endedAt"],
            block=event.block,
            tx_hash=event.tx_hash,
        )
        for seat in seats_of(args["seats"])
    ]


def _take(e: Evidence, event: Event) -> None:
    args = event.args
    if event.contract == ResaleMarket.NAME:
        e.resale.append(event)
        return
    if "round" in args and event.name not in ("RoundOpened", "RequestEnded"):
        _fits(e, event, 0 < args["round"] <= len(e.rounds), "its round was not opened")
        _take_round(e, e.rounds[args["round"] - 1], event)
        return
    match event.name:
        case "Joined":
            e.seats[args["seat"]] = (args["provider"], args["samples"])
        case "Withdrawn":
            e.seats.pop(args["seat"], None)
            if e.rounds:
                e.rounds[-1].expected &= ~(1 << args["seat"])
        case "Started":
            e.manifest, e.key_hash = bytes(args["manifest"]), bytes(args["keyHash"])
        case "RoundOpened":
            accounts = {seat: account for seat, (account, _) in e.seats.items()}
            _fits(e, event, not args["expected"] & ~mask_of(accounts), "nobody joined in a seat")
            e.rounds.append(
                RoundEvidence(args["round"], args["expected"], args["barred"], accounts)
            )
        case "RequestEnded":
            e.ended = args
        case "Delivered":
            e.deliveries.append((args["member"], bytes(args["sealedKey"])))
        case "ModelShared":
            e.shared = args
        case "Settled":
            e.settled, e.settled_tx = args, event.tx_hash
        case "Claimed":
            e.claims[args["seat"]] = e.claims.get(args["seat"], 0) + args["amount"]
        case "Refunded":
            e.refunds.append(args["amount"])


def _fits(e: Evidence, event: Event, holds: bool, what: str) -> None:
    if not holds:
        raise AuditFailed(
            f"request {e.request_id}: the node's events do not fit together: {event.name} in block"
            f" {event.block}, but {what}; ask another node"
        )


def _take_round(e: Evidence, one: RoundEvidence, event: Event) -> None:
    args = event.args
    match event.name:
        case "ModelSubmitted":
            one.digests[args["seat"]] = bytes(args["digest"])
            one.owners[args["seat"]] = args["member"]
            one.expected |= 1 << args["seat"]
        case "SliceOpened":
            one.slice_manifest = bytes(args["digest"])
        case "VoteCommitted":
            one.commitments[args["seat"]] = bytes(args["commitment"])
        case "VoteRevealed":
            one.votes[args["seat"]] = Vote(args["packedScores"], event.tx_hash)
        case "RoundTallied":
            _fits(e, event, not args["valid"] & ~one.submitted, "a model was not submitted")
            one.tally = Tally(
                args["medians"],
                args["included"],
                args["valid"],
                args["points"],
                args["faults"],
                event.block,
            )
        case "Attested":
            one.attestations[args["seat"]] = (bytes(args["attestation"]), args["mae"])
        case "RoundFinalised":
            _fits(e, event, one.tally is not None, "its round was not tallied")
            one.final = Final(
                args["leader"],
                bytes(args["digest"]),
                args["mae"],
                args["approvals"],
                args["passed"],
                event.block,
            )
        case "RoundExpired":
            one.expired_faults = args["faults"]
