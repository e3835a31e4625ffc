"""The contracts' values, decoded: terms, pool, rounds and what they earned.

Units as in contracts/interfaces: errors, scores and reputations in 1/10,000 (16,383: invalid),
times and windows in seconds, digests and hashes 32 bytes. A mask has bit i for seat i.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

ETHER = "0x" + 40 * "0"
"""The `token` of requests that pay in ether."""
NOBODY = 16
"""The seat of a round's leader where there is none."""


class Phase(IntEnum):
    """Phase of a request's round, derived by the contract at the time of the call.

    In TALLY, FINALISE and FAILED anyone may take the round on.
    """

    NONE = 0
    WAITING = 1
    SUBMIT = 2
    COMMIT = 3
    REVEAL = 4
    TALLY = 5
    ATTEST = 6
    FINALISE = 7
    FAILED = 8
    ENDED = 9


class Status(IntEnum):
    """What happened to a request's money (ISharingMarket.Status)."""

    NONE = 0
    OPEN = 1
    DELIVERED = 2
    DISPUTED = 3
    SETTLED = 4


class WeightRule(IntEnum):
    """How likely a member of a large pool is drawn for a round."""

    UNIFORM = 0
    SAMPLES = 1
    REPUTATION = 2


class LeaderRule(IntEnum):
    """Who leads: lowest MAE^u (Lu eq. 7), or turns by reputation (Wang section 3.2)."""

    POQ = 0
    REPUTATION = 1


class ApprovalRule(IntEnum):
    """How many attestations make a round final."""

    TWO_THIRDS = 0
    UNANIMOUS = 1


class MessageKind(IntEnum):
    """What two signatures of one seat can contradict each other about."""

    MODEL = 0
    VOTE = 1
    ATTEST = 2


@dataclass(frozen=True)
class Terms:
    """What a requester fixes before anyone joins: see contracts/interfaces/Terms.sol."""

    specification: bytes
    evaluation: bytes
    initial_model: bytes
    query_key: bytes
    delivery_key_x: int
    delivery_key_y: int
    token: str
    pay: int
    gas_per_round: int
    max_gas_price: int
    min_pool: int
    max_pool: int
    cohort: int
    weight_rule: WeightRule
    sample_cap: int
    max_rounds: int
    max_error: int
    target: int
    leader_rule: LeaderRule
    approval_rule: ApprovalRule
    vote_band: int
    join_window: int
    start_window: int
    submit_window: int
    commit_window: int
    reveal_window: int
    attest_window: int
    deliver_window: int
    dispute_window: int
    openers: tuple[str, ...]

    @property
    def gas_budget(self) -> int:
        """Wei held for the posters of all rounds."""
        return self.gas_per_round * self.max_rounds

    @property
    def value(self) -> int:
        """Wei that the creation sends: the gas budget, and the pay if it is in ether."""
        return self.gas_budget + (self.pay if self.token == ETHER else 0)


@dataclass(frozen=True)
class StoredRequest:
    """A request as the market stores it."""

    status: Status
    requester: str
    delivered_at: int
    terms_hash: bytes


@dataclass(frozen=True)
class PoolPlan:
    """What a request fixes for its pool (ITrainingPool.PoolPlan)."""

    min_pool: int
    max_pool: int
    cohort: int
    weight_rule: WeightRule
    sample_cap: int
    join_deadline: int
    requester_organisation: int
    reputations: bool
    """Whether the draw or the leader rule reads the members' reputations."""


@dataclass(frozen=True)
class PoolFacts:
    """The state of a request's pool (ITrainingPool.PoolFacts)."""

    members: int
    """How many have joined; `left` of them have left again."""
    left: int
    batches: int
    weight: int
    closed: bool
    closed_at: int
    drawn: bool
    enough: bool
    plan: PoolPlan


@dataclass(frozen=True)
class PoolMember:
    """A member of a pool. Its index is final once the pool is closed."""

    account: str
    organisation: int
    samples: int
    reputation: int
    """As of joining."""
    weight_sum: int
    """The sum of the weights of all members up to and including this one."""


@dataclass(frozen=True)
class CohortMember:
    """One seat of a committee."""

    seat: int
    account: str
    samples: int
    reputation: int
    """In 1/10,000, at the time the provider joined."""


@dataclass(frozen=True)
class Join:
    """A provider's consent to train for a request; `attributes`: root of what it declares."""

    account: str
    samples: int
    attributes: bytes


@dataclass(frozen=True)
class Start:
    """What the member that starts a request fixes for all of its rounds (ITrainingRounds.Start).

    `manifest`: digest of the sealed request keys; `key_hash`: keccak256 of the request key;
    `committee_key`: X25519 public key of the slices; `delivery_hash`: root of the deliveries.
    """

    manifest: bytes
    key_hash: bytes
    committee_key: bytes
    delivery_hash: bytes


@dataclass(frozen=True)
class RoundFacts:
    """The present round (ITrainingRounds.RoundFacts)."""

    phase: Phase
    deadline: int
    """The last second of the phase (0: none). In WAITING: when the turns to start began."""
    round: int
    """From 1; 0: not started."""
    size: int
    expected: int
    submitted: int
    revealed: int
    acted: int
    """Seats that have committed (in COMMIT, REVEAL, TALLY) or attested (in ATTEST, FINALISE)."""
    voided: int
    returning: int
    turn: int
    last_leader: int | None
    """Pool index."""
    paid_rounds: int
    final_rounds: int
    slice_opened: bool
    reopened: bool
    halted: bool
    reached: bool
    blind: bool
    drawn: bool
    history: bytes
    seed: bytes
    log: bytes
    earned: bytes

    def slice_deadline(self, commit_window: int) -> int:
        """In COMMIT: the last second in which the slice may be opened (Clock.sliceDeadline)."""
        return self.deadline - commit_window + commit_window // 2


@dataclass(frozen=True)
class LargeFacts(RoundFacts):
    """The present round of a whole pool (ILargeRounds.Facts). No mask of seats is on chain."""

    members: int
    """Of the pool, those that left included."""
    forced: int
    """How many models were forced into this round."""
    draw_block: int
    """The block whose randomness draws the committee from `seed`; 0: `seed` draws it."""
    points: bytes
    """Running hash of the points of all rounds."""


@dataclass(frozen=True)
class RoundsOutcome:
    """What the rounds tell the market (ITrainingRounds.Outcome)."""

    running: bool
    ended: bool
    halted: bool
    any_submission: bool
    reached: bool
    ended_at: int
    final_rounds: int
    paid_rounds: int
    earned: bytes
    delivery_hash: bytes


@dataclass(frozen=True)
class Link:
    """One closed round's link in the history: hash of its batches (0: none) and of its record."""

    round: int
    log: bytes
    record: bytes


@dataclass(frozen=True)
class Earned:
    """One entry of what a request's rounds earned: a round, or gas of one batch."""

    cohort: int
    """The pool index of each seat, 16 bits a seat."""
    points: int
    """16 bits a seat."""
    extra: int
    """From bit 0: seats at fault 16, flags 16, gas to refund in gwei 64, account to refund 160. An
    entry that is `summed` has a fair share in place of the gas."""
    digest: bytes
    """The global model; zero where the round did not become final."""

    @property
    def fields(self) -> tuple[int, int, int, bytes]:
        """As the contract takes it."""
        return self.cohort, self.points, self.extra, self.digest

    @property
    def faults(self) -> int:
        """Mask of the seats that got a fault."""
        return self.extra & 0xFFFF

    @property
    def paid(self) -> bool:
        """Whether it is a paid round."""
        return bool(self.extra >> 16 & 1)

    @property
    def blind(self) -> bool:
        """Whether the requester's slice was missing, late or useless."""
        return bool(self.extra >> 17 & 1)

    @property
    def void_start(self) -> bool:
        """Whether it is the fault of the member in seat 0, whose start was void."""
        return bool(self.extra >> 18 & 1)

    @property
    def summed(self) -> bool:
        """Whether it has the points of up to sixteen members in all large rounds together."""
        return bool(self.extra >> 19 & 1)

    @property
    def fair(self) -> int:
        """Of an entry that is `summed`: the points of a member with an equal share of them all."""
        return self.extra >> 32 & (1 << 64) - 1

    @property
    def refund(self) -> int:
        """Wei of gas to refund to `poster`."""
        return 0 if self.summed else (self.extra >> 32 & (1 << 64) - 1) * 10**9

    @property
    def poster(self) -> str:
        """The account to refund, lower case."""
        return f"0x{self.extra >> 96:040x}"

    def index_of(self, seat: int) -> int:
        """The pool index of a seat."""
        return self.cohort >> 16 * seat & 0xFFFF

    def points_of(self, seat: int) -> int:
        """The points of a seat."""
        return self.points >> 16 * seat & 0xFFFF


def mask_of(seats: Iterable[int]) -> int:
    """The bits of some seats."""
    return sum(1 << seat for seat in seats)


def seats_of(mask: int) -> list[int]:
    """Seats whose bit is set, in ascending order."""
    return [seat for seat in range(mask.bit_length()) if mask >> seat & 1]
