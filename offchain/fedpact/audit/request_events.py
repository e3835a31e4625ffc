"""A request's events in order: the evidence for each check."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fedpact.chain.abi import LARGE, LEDGER, MARKET, RESALE
from fedpact.chain.bindings.events import (
    Attested,
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
    Place,
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
    request_event,
)
from fedpact.chain.records import Event
from fedpact.errors import AuditFailed, UnknownRequest
from fedpact.types.requests import ETHER, Earned, Terms

Step = (
    ModelsSubmitted
    | SliceOpened
    | VotesCommitted
    | VotesRevealed
    | RoundTallied
    | Attested
    | Equivocated
    | RoundPosted
    | CommitteeDrawn
    | DrawMoved
    | ModelForced
)
"""What moves a round on."""
SaleEvent = (
    ResaleOffered
    | PointsTallied
    | ResultBought
    | KeySealed
    | SealDisputed
    | ResultSold
    | ResaleClaimed
    | PurchaseRefunded
)


@dataclass
class RoundEvidence:
    """One round, with its events in chain order."""

    opened: RoundOpened
    steps: list[Step] = field(default_factory=list)
    returning: list[Returning] = field(default_factory=list)
    end: RoundFinalised | RoundFailed | None = None
    credited: Credited | None = None
    """What the round earned, once it is closed."""
    large: bool = False
    """Whether the whole pool trains, and a committee judges."""

    @property
    def number(self) -> int:
        return self.opened.round

    @property
    def name(self) -> str:
        return f"round {self.number}"

    @property
    def posted(self) -> RoundPosted | None:
        """Set where the round was posted as a whole."""
        found = [one for one in self.steps if isinstance(one, RoundPosted)]
        return found[-1] if found else None

    @property
    def tallied(self) -> RoundTallied | None:
        found = [one for one in self.steps if isinstance(one, RoundTallied)]
        return found[-1] if found else None

    @property
    def slice(self) -> SliceOpened | None:
        found = [one for one in self.steps if isinstance(one, SliceOpened)]
        return found[-1] if found else None

    @property
    def judged(self) -> bool:
        """Whether there is a tally, on chain or in a posted record."""
        return self.posted is not None or self.tallied is not None


@dataclass
class StartEvidence:
    """A start and what followed it."""

    event: Started
    rounds: list[RoundEvidence] = field(default_factory=list)
    void: RoundFailed | None = None


@dataclass(frozen=True)
class Moved:
    """Money of all requests that went into the market or out of it."""

    token: str
    amount: int
    """Negative: out of it. Smallest unit."""


@dataclass
class Evidence:
    """All events of one request; lists are oldest first."""

    created: RequestCreated
    pool: list[Joined | Left] = field(default_factory=list)
    starts: list[StartEvidence] = field(default_factory=list)
    halted: Halted | None = None
    ended: RoundsEnded | None = None
    credited: list[Credited] = field(default_factory=list)
    """All entries of what the rounds earned."""
    delivered: Delivered | None = None
    disputed: Disputed | None = None
    collected: list[Collected] = field(default_factory=list)
    settled: Settled | None = None
    paid: list[Paid] = field(default_factory=list)
    ledger: list[Event] = field(default_factory=list)
    """The reputation ledger's, of all requests."""
    moved: list[Moved] = field(default_factory=list)
    recorded: list[RetrievalRecorded] = field(default_factory=list)
    """Searches on record."""
    sales: list[SaleEvent] = field(default_factory=list)
    resale_moved: list[Moved] = field(default_factory=list)
    """Money of all requests that went into the resale market or out of it."""

    @property
    def request_id(self) -> int:
        return self.created.request

    @property
    def terms(self) -> Terms:
        return self.created.terms

    @property
    def requester(self) -> str:
        return self.created.requester

    @property
    def start(self) -> StartEvidence | None:
        """The last one, whose rounds count."""
        return self.starts[-1] if self.starts else None

    @property
    def rounds(self) -> list[RoundEvidence]:
        """Of the last start."""
        return self.starts[-1].rounds if self.starts else []

    @property
    def closed(self) -> list[RoundEvidence]:
        return [one for one in self.rounds if one.end is not None]

    @property
    def earned(self) -> list[Earned]:
        return [one.entry for one in self.credited]

    def halted_before(self, at: Place) -> bool:
        """Whether the requester had cancelled when something happened."""
        if self.halted is None:
            return False
        when = self.halted.at
        return (when.block, when.log_index) < (at.block, at.log_index)


def gather(request_id: int, events: Iterable[Event]) -> Evidence:
    """Put the events of one request in order.

    `events`: of all contracts of the deployment, oldest first. Raises UnknownRequest if there are
    none, AuditFailed if one refers to what no earlier event reported: then the node leaves events
    out, or makes them up.
    """
    found: Evidence | None = None
    ledger: list[Event] = []
    moved: list[Moved] = []
    resale_moved: list[Moved] = []
    prices_in: dict[int, str] = {}
    for event in events:
        if event.contract == LEDGER:
            ledger.append(event)
            continue
        if event.contract == MARKET:
            moved += _moved(event)
        if event.contract == RESALE:
            resale_moved += _moved_by_sales(event, prices_in)
        typed = request_event(event)
        if typed is None or typed.request != request_id:
            continue
        if isinstance(typed, RequestCreated):
            found = Evidence(typed)
        elif found is not None:
            _take(found, typed)
            if isinstance(typed, RoundOpened):
                found.rounds[-1].large = event.contract == LARGE
    if found is None:
        raise UnknownRequest(f"the market knows no request {request_id}")
    found.ledger, found.moved, found.resale_moved = ledger, moved, resale_moved
    return found


def _moved(event: Event) -> list[Moved]:
    args = event.args
    if event.name == "RequestCreated":
        terms = args["terms"]
        budget = terms["gasPerRound"] * terms["maxRounds"]
        return [Moved(terms["token"], terms["pay"]), Moved(ETHER, budget)]
    if event.name == "Paid" and not args["credited"]:
        return [Moved(args["token"], -args["amount"])]
    if event.name == "Withdrawn":
        return [Moved(args["token"], -args["amount"])]
    return []


def _moved_by_sales(event: Event, prices_in: dict[int, str]) -> list[Moved]:
    """`prices_in`: the token of each result's price; filled by the offers."""
    args = event.args
    if event.name == "ResaleOffered":
        prices_in[args["request"]] = args["token"]
    if event.name == "ResultBought":
        return [Moved(prices_in.get(args["request"], ETHER), args["price"])]
    if event.name in ("PurchaseRefunded", "ResaleClaimed"):
        return [Moved(prices_in.get(args["request"], ETHER), -args["amount"])]
    return []


def _take(e: Evidence, event: RequestEvent) -> None:
    match event:
        case Joined() | Left():
            e.pool.append(event)
        case Started():
            e.starts.append(StartEvidence(event))
        case RoundOpened():
            _require(e, event, bool(e.starts), "the request was not started")
            known = len(e.starts[-1].rounds)
            _require(e, event, event.round == known + 1, f"it follows round {known}")
            e.starts[-1].rounds.append(RoundEvidence(event))
        case Credited():
            _credited(e, event)
        case RoundFailed(void_start=True):
            _require(e, event, bool(e.starts), "the request was not started")
            e.starts[-1].void = event
        case RoundFinalised() | RoundFailed():
            _round_of(e, event, event.round).end = event
        case Returning():
            _round_of(e, event, event.round).returning.append(event)
        case RecordPosted() | LargeRecordPosted():
            pass  # What it says is read with the record.
        case Halted():
            e.halted = event
        case RoundsEnded():
            e.ended = event
        case Delivered():
            e.delivered = event
        case Disputed():
            e.disputed = event
        case Collected():
            e.collected.append(event)
        case Settled():
            e.settled = event
        case Paid():
            e.paid.append(event)
        case RetrievalRecorded():
            e.recorded.append(event)
        case _ if isinstance(event, SaleEvent):
            e.sales.append(event)
        case _ if isinstance(event, Step):
            _require_as_many(e, event)
            _round_of(e, event, event.round).steps.append(event)


def _require_as_many(e: Evidence, event: RequestEvent) -> None:
    """A mask of seats, and a value for each of them."""
    match event:
        case ModelsSubmitted(digests=values) | VotesCommitted(commitments=values):
            pass
        case VotesRevealed(votes=values):
            pass
        case _:
            return
    named = event.mask.bit_count()
    _require(e, event, named == len(values), f"{named} seats and {len(values)} values")


def _credited(e: Evidence, event: Credited) -> None:
    """An entry: of the round that was closed in the event before, of a void start, or of gas."""
    e.credited.append(event)
    entry = e.earned[-1]
    last = e.rounds[-1] if e.rounds else None
    # A large round that nobody posted has none, and the sums of all are of none.
    unposted = last is not None and last.large and last.posted is None
    if entry.void_start or entry.summed or unposted:
        return
    if last is not None and last.end is not None and last.credited is None:
        last.credited = event


def _round_of(e: Evidence, event: RequestEvent, number: int) -> RoundEvidence:
    known = 0 < number <= len(e.rounds)
    _require(e, event, known, "its round was not opened")
    return e.rounds[number - 1]


def _require(e: Evidence, event: RequestEvent, holds: bool, why: str) -> None:
    if not holds:
        raise AuditFailed(
            f"request {e.request_id}: {type(event).__name__} in transaction {event.at.tx_hash}"
            f" does not fit: {why}; ask another node"
        )
