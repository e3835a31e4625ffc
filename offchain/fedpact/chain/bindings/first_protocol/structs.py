"""The first protocol's values, decoded.

Errors in 1/10,000, times and windows in seconds, digests 32 bytes. A mask has bit i for seat i.
"""

from dataclasses import dataclass
from enum import IntEnum

from fedpact.types.requests import ApprovalRule, LeaderRule

DELIVERY_WINDOWS = 2
"""The first delivery must come within this many deliver windows after the end."""


class RequestStatus(IntEnum):
    """Status of a request in the market."""

    UNKNOWN = 0
    OPEN = 1
    RUNNING = 2
    ENDED = 3
    DELIVERED = 4
    CANCELLED = 5


class Stage(IntEnum):
    """Phase of the current round, derived by the contract from facts and deadlines.

    EXPIRED: the round failed and anyone may end the request. ENDED: no round will follow.
    """

    NONE = 0
    SUBMIT = 1
    COMMIT = 2
    REVEAL = 3
    TALLY = 4
    ATTEST = 5
    EXPIRED = 6
    ENDED = 7


@dataclass(frozen=True)
class Terms:
    """The conditions of a request that the contracts enforced.

    Digests are 32-byte sha-256 multihash digests; errors in 1/10,000; windows in seconds.
    """

    specification: bytes
    evaluation: bytes
    initial_model: bytes
    query_key: bytes
    max_error: int
    target: int
    max_rounds: int
    min_providers: int
    max_providers: int
    leader_rule: LeaderRule
    approval_rule: ApprovalRule
    vote_band: int
    join_window: int
    start_window: int
    submit_window: int
    commit_window: int
    reveal_window: int
    propose_window: int
    deliver_window: int


@dataclass(frozen=True)
class RequestRecord:
    """A request as the market stores it."""

    request_id: int
    requester: str
    payment: int
    """Wei in escrow."""
    status: RequestStatus
    requester_organisation: int
    join_deadline: int
    close_time: int
    """When the committee closes: at the last join if it is full, else at the join deadline."""
    joined: int
    """Number of occupied seats."""
    start_window: int
    deliver_window: int
    max_rounds: int
    min_providers: int
    max_providers: int
    settled: bool
    refunded: bool
    claimed: int
    """Bit mask of the seats that have claimed."""


@dataclass(frozen=True)
class RoundState:
    """Everything about a request's current round. Masks have bit i for seat i."""

    request_id: int
    round: int
    """1-based; 0 before the start."""
    stage: Stage
    stage_start: int
    stage_deadline: int
    seats: int
    members: int
    expected: int
    barred: int
    ever: int
    submitted: int
    committed: int
    revealed: int
    attested: int
    last_leader: int | None
    paid_rounds: int
    final_rounds: int
    slice_opened: bool
    ended: bool
    reached: bool
    ended_at: int
    final_digest: bytes
    history: bytes
    """Running hash over the terms, the keys, all submissions and all tallies."""


@dataclass(frozen=True)
class RoundOutcome:
    """Result of all rounds of a request; masks as in RoundState."""

    ended: bool
    reached: bool
    seats: int
    last_leader: int
    """Seat that led last; 255 if none did."""
    members: int
    ever: int
    paid_rounds: int
    final_rounds: int
    ended_at: int


class PurchaseStatus(IntEnum):
    NONE = 0
    PENDING = 1
    SEALED = 2
    REFUNDED = 3


@dataclass(frozen=True)
class Purchase:
    """One account's purchase of one result."""

    status: PurchaseStatus
    price: int
    """Wei."""
    deadline: int
    """Last second in which the first key may be sealed."""
