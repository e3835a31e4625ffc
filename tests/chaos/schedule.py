"""Which faults strike when: the same seed gives the same schedule, however fast the machine is.

Episode n is a chain of its own with a few requests. Its faults are dealt from decks that hold each
kind once, shuffled again when they are empty, so that a run of some episodes has had them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from random import Random
from typing import TypeVar

from fedpact.demo.options import StoreKind
from fedpact.types.requests import Phase

Card = TypeVar("Card")

PROVIDERS, ROUNDS = 3, 4
REQUESTER = PROVIDERS
"""The `target` of a strike that is the requester; a smaller number is a provider's."""
PHASES = (Phase.SUBMIT, Phase.COMMIT, Phase.REVEAL, Phase.ATTEST)
"""Of a round. Before round 1 there is WAITING, after the last ENDED."""


class Group(StrEnum):
    """What a fault hits."""

    NODE = "node"
    """The Ethereum node, as one process sees it."""
    SENDING = "sending"
    """That process's next transaction."""
    CREATION = "creation"
    """The process that creates the request."""
    CHAIN = "chain"
    PROCESS = "process"
    STORE = "store"
    FILES = "files"
    """A provider's disk, state and records."""
    CLOCK = "clock"


@dataclass(frozen=True)
class Kind:
    """A kind of fault. It lasts `seconds`; 0 if it is over at once."""

    name: str
    group: Group
    seconds: float = 0.0
    amount: int = 0
    """Per cent, blocks, calls or minutes, as the kind has it."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("error -32005", Group.NODE, 4),
        Kind("error -32603", Group.NODE, 4),
        Kind("403 with a body", Group.NODE, 4),
        Kind("beyond head", Group.NODE, 4),
        Kind("null for a block", Group.NODE, 4),
        Kind("429 on 2 %", Group.NODE, 20, 2),
        Kind("429 on 10 %", Group.NODE, 20, 10),
        Kind("502 on 2 %", Group.NODE, 20, 2),
        Kind("502 on 10 %", Group.NODE, 20, 10),
        Kind("dropped connections", Group.NODE, 15, 10),
        Kind("delayed answers", Group.NODE, 15, 20),
        Kind("truncated answers", Group.NODE, 15, 10),
        Kind("ranges of 3 blocks", Group.NODE, 20, 3),
        Kind("no batches", Group.NODE, 20, 1),
        Kind("batches of 3", Group.NODE, 20, 3),
        Kind("logs a block late", Group.NODE, 15),
        Kind("head 3 blocks behind", Group.NODE, 15, 3),
        Kind("no answer for 20 s", Group.NODE, 20),
        Kind("sending refused", Group.SENDING),
        Kind("answer to sending lost", Group.SENDING),
        Kind("transaction dropped", Group.SENDING),
        Kind("nonce one too high", Group.SENDING),
        Kind("killed before sending", Group.SENDING),
        Kind("killed after sending", Group.SENDING),
        Kind("base fee of 20,000 gwei", Group.CHAIN, 8),
        Kind("blocks of 4 s", Group.CHAIN, 20, 4),
        Kind("creation killed before sending", Group.CREATION),
        Kind("creation killed after sending", Group.CREATION),
        Kind("training killed", Group.PROCESS, 10),
        Kind("stopped for 10 s", Group.PROCESS, 10),
        Kind("no ether", Group.PROCESS, 8),
        Kind("store killed", Group.STORE, 15),
        Kind("store answers 500", Group.STORE, 20),
        Kind("store silent", Group.STORE, 35),
        Kind("store emptied", Group.STORE, 60),
        # Files of the embedded store are damaged for good, answers of an IPFS node for a while.
        Kind("store corrupted", Group.STORE, 20),
        Kind("disk full", Group.FILES, 10),
        Kind("state locked", Group.FILES, 12),
        Kind("page damaged", Group.FILES),
        Kind("records truncated", Group.FILES),
        Kind("records removed", Group.FILES, 15),
        Kind("clock 10 minutes ahead", Group.CLOCK, 20, 10),
        Kind("clock 10 minutes behind", Group.CLOCK, 20, -10),
    )
}
KILL, REORGANISED = Kind("kill", Group.PROCESS), "reorganised by"
LONGEST = max(kind.seconds for kind in KINDS.values())
"""Seconds that a fault takes at most; windows are several times as long."""
FAULTS_EACH, KILLS_EACH, REORGANISATIONS_EACH = 7, 11, 3
"""For each request."""
IPFS_ONLY = frozenset({"store killed", "store answers 500", "store silent"})
"""A folder has no server that could do these."""


@dataclass(frozen=True)
class Strike:
    """A fault, and when: `delay` seconds after a phase was first seen, or at the next phase seen
    where that one has passed unseen."""

    request: int
    """Which of the episode's, from 0."""
    round: int
    phase: Phase
    delay: float
    kind: Kind
    target: int

    @property
    def moment(self) -> tuple[int, int]:
        return self.round, self.phase


@dataclass(frozen=True)
class Episode:
    number: int
    seed: int
    confirmations: int
    store: StoreKind
    exchanging: bool
    """Whether daemons exchange messages, and post whole rounds."""
    poor_node: bool
    """Whether nodes lack EIP-1898, `eth_maxPriorityFeePerGas` and batches from the start."""
    requests: int
    rounds: int
    strikes: tuple[Strike, ...]


def reorganisation(depth: int) -> Kind:
    return Kind(f"{REORGANISED} {depth}", Group.CHAIN, 0, depth)


def episodes(seed: int, requests: int = 2) -> Iterator[Episode]:
    """Deal cards without end."""
    random = Random(seed)
    kinds = _deck(random, KINDS.values())
    moments = ((0, Phase.WAITING), *product((1, 2), PHASES), (ROUNDS, Phase.ENDED))
    depths = _deck(random, product((1, 2, 3), moments))
    settings = _deck(random, product((0, 2), (True, False), (True, False)))
    number = 0
    while True:
        number += 1
        confirmations, exchanging, poor = next(settings)
        strikes: list[Strike] = []
        stores = False
        for request in range(requests):
            chosen = [next(kinds) for _ in range(FAULTS_EACH)]
            stores |= any(kind.name in IPFS_ONLY for kind in chosen)
            strikes += [_at(random, request, kind) for kind in chosen]
            strikes += [_at(random, request, KILL) for _ in range(KILLS_EACH)]
            for _ in range(REORGANISATIONS_EACH):
                depth, (round_, phase) = next(depths)
                delay = random.uniform(0, 0.5)
                strikes.append(Strike(request, round_, phase, delay, reorganisation(depth), 0))
        strikes.sort(key=lambda one: (one.request, one.moment, one.delay))
        store = StoreKind.IPFS if stores or random.random() < 0.5 else StoreKind.EMBEDDED
        yield Episode(
            number,
            random.randrange(2**31),
            confirmations,
            store,
            exchanging,
            poor,
            requests,
            ROUNDS,
            tuple(strikes),
        )


def brief(seed: int) -> Episode:
    """One request that meets one fault of most groups, within a minute."""
    random = Random(seed)
    kinds = [KINDS["429 on 10 %"], KINDS["killed after sending"], KINDS["error -32603"]]
    kinds += [KINDS["dropped connections"], reorganisation(random.randint(1, 3)), KILL]
    strikes = [_at(random, 0, kind, last=2) for kind in kinds]
    strikes.sort(key=lambda one: (one.moment, one.delay))
    return Episode(
        1, random.randrange(2**31), 0, StoreKind.EMBEDDED, True, False, 1, 2, tuple(strikes)
    )


def _at(random: Random, request: int, kind: Kind, last: int = ROUNDS) -> Strike:
    """Give a fault its own moment; faults of the creation come before it."""
    moments = [(0, Phase.WAITING), *product(range(1, last + 1), PHASES), (last, Phase.ENDED)]
    round_, phase = random.choice(moments)
    if kind.group is Group.CREATION:
        return Strike(request, 0, Phase.NONE, 0.0, kind, REQUESTER)
    if kind.group in (Group.SENDING, Group.FILES):
        round_, phase = random.choice(moments[:-1])
    files = kind.group in (Group.FILES, Group.CLOCK) or kind.name == "training killed"
    target = random.randrange(PROVIDERS if files else PROVIDERS + 1)
    return Strike(request, round_, phase, random.uniform(0, 1.5), kind, target)


def _deck(random: Random, cards: Iterable[Card]) -> Iterator[Card]:
    """All cards in an order of their own, then all again in another, without end."""
    deck = list(cards)
    while True:
        random.shuffle(deck)
        yield from deck
