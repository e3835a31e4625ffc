"""What every duty gets: the parts of the daemon, and one request as of one block."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from fedpact.background import Background
from fedpact.chain.client import ChainClient
from fedpact.chain.signed_messages import Board, LargeRecord, RoundRecord
from fedpact.consensus.committee_evidence import JudgedRound, ModelList
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.consensus.replay import ReplayCache
from fedpact.consensus.secure_sum_record import GroupSum
from fedpact.content.fetching import Fetching
from fedpact.content.store import ContentStore
from fedpact.data.dataset import Dataset
from fedpact.errors import TrainingFailed
from fedpact.learning.artefact import Model
from fedpact.privacy.secure_sum.masks import Words
from fedpact.provider.data_sets import OwnData
from fedpact.provider.metrics import ProviderMetrics
from fedpact.provider.own import Own
from fedpact.provider.sales import Sales
from fedpact.provider.snapshots import SnapshotSource, request_name
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.provider.trials import Trials
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.requests import PoolMember, seats_of
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.exchange.gossip import Exchange

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class DutyResult:
    """What a duty did (after a transaction the chain is read again), or why it did nothing."""

    acted: bool
    reason: str


def did(reason: str) -> DutyResult:
    return DutyResult(True, reason)


def idle(reason: str) -> DutyResult:
    return DutyResult(False, reason)


@dataclass(frozen=True)
class Cohort:
    """Who takes part in a round, by seat."""

    indices: tuple[int, ...]
    """In the pool. A member is known by its index through all rounds; its seat may change."""
    members: tuple[PoolMember, ...]

    def seat_of(self, account: str) -> int | None:
        """None: the account takes no part."""
        for seat, member in enumerate(self.members):
            if member.account == account:
                return seat
        return None

    def indices_of(self, mask: int) -> tuple[int, ...]:
        """The pool indices of a mask's seats, in seat order."""
        return tuple(self.indices[seat] for seat in seats_of(mask))


class Events:
    """A request's events. Every duty asks for some, of pools of hundreds and rounds long over."""

    def __init__(self, known: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """`known`: name and arguments, oldest first."""
        self._by_name: dict[str, list[dict[str, Any]]] = {}
        self._by_round: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for name, args in known:
            if name == "Started":
                self._by_round.clear()
            self._by_name.setdefault(name, []).append(args)
            if "round" in args:
                self._by_round.setdefault((name, args["round"]), []).append(args)

    def of(self, name: str, round_: int | None) -> list[dict[str, Any]]:
        """Oldest first; with a round, those since the last start: a void one began round 1 too."""
        if round_ is None:
            return list(self._by_name.get(name, ()))
        return list(self._by_round.get((name, round_), ()))


_LASTING = {"lasting": True}
"""Of what outlives a request's duties."""


@dataclass
class Cache:
    """What can be fetched or computed again: specifications, keys, models of the current rounds."""

    specifications: dict[int, Specification] = field(default_factory=dict)
    request_keys: dict[int, bytes] = field(default_factory=dict)
    globals: dict[tuple[int, int], Model] = field(default_factory=dict)
    models: dict[tuple[int, int], dict[int, Model | None]] = field(default_factory=dict)
    global_digests: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By request and round: of the sealed aggregates in `globals`."""
    unstored: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By request and round: sealed aggregates that the store does not have yet."""
    errors: dict[tuple[int, int], tuple[bytes, int]] = field(default_factory=dict)
    """By request and round: the digest of a sealed aggregate, and its error as measured here."""
    slices: dict[tuple[int, int], Dataset | None] = field(default_factory=dict)
    fit_device: set[int] = field(default_factory=set)
    """Requests whose privacy holds on the device that trains, as tried before joining."""
    device_failures: dict[int, tuple[int, float, str]] = field(default_factory=dict)
    """By request: how often the device could not be tried, when last (`time.monotonic`), and
    why."""
    training_seconds: dict[int, float] = field(default_factory=dict)
    """By request: how long a round's training seems to take, as measured before joining."""
    least_errors: dict[int, int] = field(default_factory=dict)
    """By request: the least error, 1/10,000, of models of a round's training on easy made-up
    examples, as tried before joining; 0: nothing is known."""
    own_parts: dict[int, Dataset] = field(default_factory=dict)
    """By request: own records that judge models, where the specification asks for that."""
    replays: dict[int, ReplayCache] = field(default_factory=dict)
    """By request."""
    published: set[tuple[int, int]] = field(default_factory=set)
    announced: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)
    """By request and round: what members of the own group announced for a secure sum, by seat."""
    key_versions: dict[tuple[int, int], int] = field(default_factory=dict)
    """By request and round: of the own encryption key, to which others deal shares."""
    masked: dict[tuple[int, int], dict[bytes, Words]] = field(default_factory=dict)
    """By request and round: masked vectors, by the digest of their sealed bytes."""
    masked_stored: set[tuple[int, int]] = field(default_factory=set)
    """By request and round: where the store has the own masked vector."""
    sum_records: dict[tuple[int, int], dict[Cid, bytes]] = field(default_factory=dict)
    """By request and round: sealed records of sums, while vectors that they name are looked for."""
    sums: dict[tuple[int, int], dict[int, GroupSum | None]] = field(default_factory=dict)
    """By request and round: the sums of the members' groups, by pool index."""
    held: str | None = None
    """Why nothing may be joined, trained or submitted in this cycle (`guarding`); None: nothing
    stands in the way."""
    pinned: set[tuple[int, int]] = field(default_factory=set)
    """By request and round: slices whose ciphertext is kept here."""
    pools: dict[int, tuple[PoolMember, ...]] = field(default_factory=dict)
    """By request: the members of closed pools."""
    cohorts: dict[int, dict[bytes, Cohort]] = field(default_factory=dict)
    """By request and seed."""
    histories: dict[int, tuple[int, "Events"]] = field(default_factory=dict)
    """By request: its events, and their version in the state when they were read."""
    peers: dict[int, dict[str, str]] = field(default_factory=dict)
    """By request and account: the address of a member's daemon."""
    offered: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)
    """By request and round: the digests of all models by seat, before they are on chain."""
    sealed: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By request and round: the slice's sealed key, before it is on chain."""
    unsure_wallets: dict[int, list[frozenset[str]]] = field(default_factory=dict)
    """By request: the wallets of each call that failed as if one did not stand by its signature."""
    unreported: set[tuple[int, str]] = field(default_factory=set)
    """By request: wallets of which a report failed."""
    records: dict[tuple[int, int], ContributionRecord] = field(default_factory=dict)
    """By request and round: the records after rounds in which this account did not vote."""
    late: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    """By request and round: whose models counted as invalid in it because they had not come, by
    pool index. They may have come since."""
    agreed: dict[tuple[int, int], Board] = field(default_factory=dict)
    """By request and round: what a round's votes say that are not on chain."""
    posted: dict[tuple[int, int], RoundRecord] = field(default_factory=dict)
    """By request and round: the records of rounds that were posted as a whole."""
    seeds: dict[tuple[int, bytes, int], bytes] = field(default_factory=dict)
    """Of large rounds: by request, seed before and drawing block."""
    left: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """By request: members that left before the pool closed."""
    start: dict[int, str] = field(default_factory=dict)
    """By request: of its large rounds, the start that what is kept here is of."""
    picked: dict[tuple[int, int], ModelList] = field(default_factory=dict)
    """By request and large round: the list of its models, as this judge votes on it."""
    evidence: dict[tuple[int, int, bytes], bytes] = field(default_factory=dict)
    """By request, its latest large round and digest: what was read in it."""
    large_posted: dict[tuple[int, bytes], LargeRecord] = field(default_factory=dict)
    """By request and hash: the records of large rounds."""
    judged: dict[tuple[int, int], JudgedRound | None] = field(default_factory=dict)
    """By request and large round: what its points follow from; None where that is nowhere."""
    boards: dict[tuple[int, int], LargeBoard] = field(default_factory=dict)
    """By request and large round: what its votes come to."""
    refused: set[tuple[int, int, str, str, bytes]] = field(default_factory=set)
    """By request, its latest large round, start, kind and digest: proposals that can never hold."""
    unread: set[int] = field(default_factory=set)
    """Requests of large rounds whose evidence is looked for, to compare it with the ledger."""
    first_seen: dict[tuple[object, ...], int] = field(default_factory=dict)
    """By request, round and phase: when a cycle first saw it, in seconds of the chain's time."""
    untrained: set[tuple[int, int]] = field(default_factory=set)
    """By request and round: what was given up."""
    on_offer: tuple[int, dict[int, Sales]] | None = None
    """The sales of results, by request, and the version of their events when they were read."""
    no_share: set[int] = field(default_factory=set, metadata=_LASTING)
    """Requests in whose sales this account has no share."""
    sales: dict[int, int] = field(default_factory=dict, metadata=_LASTING)
    """By request: the number of buyers of its result when nothing more was due for them."""

    def clear(self) -> None:
        """Forget everything (after a reorganisation of the chain)."""
        fresh = Cache()
        for one in fields(self):
            setattr(self, one.name, getattr(fresh, one.name))

    def end(self, request: int) -> None:
        """Forget everything of a request but what is known of sales of its result."""
        for kept in self._of_requests():
            for key in [one for one in kept if _request(one) == request]:
                kept.pop(key) if isinstance(kept, dict) else kept.discard(key)

    def keep_only(self, requests: Iterable[int]) -> None:
        """End all requests but these."""
        known = {_request(key) for kept in self._of_requests() for key in kept}
        for request in known - set(requests):
            self.end(request)

    def _of_requests(self) -> Iterator[dict[Any, Any] | set[Any]]:
        """What is kept by request, or by request and more, for as long as it asks for something."""
        for one in fields(self):
            kept = getattr(self, one.name)
            if isinstance(kept, dict | set) and not one.metadata:
                yield kept

    def forget(self, request: int, before_round: int) -> None:
        """Drop the models of earlier rounds, but the one that the first round began with."""
        summed = (self.announced, self.key_versions, self.masked, self.sum_records, self.sums)
        judged = (self.models, self.global_digests, self.unstored, self.errors, self.slices)
        for store in (self.globals, *judged, *summed):
            for key in [k for k in store if k[0] == request and k[1] < before_round]:
                if key[1] or store is not self.globals:  # every round needs the first model
                    del store[key]


def _request(key: Any) -> int:
    """Of a key that is a request, or begins with one."""
    return int(key[0] if isinstance(key, tuple) else key)


@dataclass(frozen=True)
class Context(Own):
    """The daemon's parts, as duties see them."""

    client: ChainClient
    deployment: Deployment
    store: ContentStore
    state: ProviderState
    private_work: Background
    """For what depends on records."""
    reading: Background
    """For keeping the records that a request is joined with."""
    public_work: Background
    """For what depends on none, such as scores: it never waits for a training, or the time of a
    vote would tell how long another request's training takes."""
    trials: Trials
    """For trying, before joining, how a training would go here: it waits for no record's."""
    fetching: Fetching
    """For content that may be nowhere."""
    cache: Cache
    metrics: ProviderMetrics
    exchange: "Exchange | None" = None
    """With other daemons."""

    def waiting_for_training(
        self, request: int, round_: int, plan: Callable[[], Callable[[], bytes]], due: int
    ) -> str | None:
        """None once a round's model is in the ledger, else why it is not. `plan` and `due` are as
        `Background.result` takes them. What fails for good is not tried again."""
        at = (request, round_)
        if at not in self.cache.untrained:
            try:
                made = self.private_work.result(("train", *at), plan, due)
                return None if made is not None else "training"
            except TrainingFailed as failure:
                self.cache.untrained.add(at)
                log.error("request %d, round %d: the training failed: %s", *at, failure)
        return "its training failed: sitting this round out"

    def keep_records(self, request: int, data: OwnData) -> None:
        """Keep the records as they are for a request that is being joined: beside the cycle, since
        how long it takes depends on them. Where that fails, the training tries it again."""
        name = request_name(self.deployment.fingerprint, request)

        def say(kept: "Future[SnapshotSource]") -> None:
            if not kept.cancelled() and (error := kept.exception()) is not None:
                log.warning("request %d: its records are not kept yet: %s", request, error)

        self.reading.start(lambda: data.records.source(name)).add_done_callback(say)

    def drop_records(self, request: int) -> None:
        """Forget what was kept to train for a request."""
        name = request_name(self.deployment.fingerprint, request)
        self.trainer.forget(name)
        for one in self.data:
            one.records.drop(name)
