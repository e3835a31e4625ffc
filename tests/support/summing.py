"""Members of a secure sum in one process: each runs the daemon's steps over files of its own, with
messages that tests deliver or withhold. Chain, requester and other duties are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from eth_account import Account
from eth_utils.crypto import keccak

from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import Domain
from fedpact.consensus.secure_sum_record import GroupSum, decode_announced
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import key_hash
from fedpact.exchange.messages import Ballot, Forged, Kind, Message, RoundMessages
from fedpact.learning.summed_release import Integers, summed_values
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.releases import GaussianRelease
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.provider.context import Cache, Cohort
from fedpact.provider.duties.secure_sums import ready_sum, seal_values
from fedpact.provider.request.secure_sums import member_sum, sum_round
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.requests import PoolMember
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
REQUEST, KEY = 1, b"\7" * 32
SECURE = {"sum": "secure", "group": 4, "honest": 2, "colluders": 1}


def secure_specification(members: int = 4, **privacy: Any) -> Specification:
    """Softmax regression of nine values, one step a round, summed in groups of four and more."""
    given = {**SOUND, **SECURE, **privacy}
    return specification(privacy=given, rounds=2, min_providers=members, max_providers=members)


class Bus:
    """In place of `exchange.gossip.Exchange`: what is said lies here until `deliver`."""

    own = "http://member"

    def __init__(self) -> None:
        self.boards: dict[tuple[int, int], RoundMessages] = {}
        self._fresh: dict[tuple[int, int], list[Message]] = {}

    def open(self, ballot: Ballot, peers: Any, known: Callable[[], Iterable[Message]]) -> None:
        place = (ballot.request, ballot.round)
        if place not in self.boards:
            self.boards[place] = RoundMessages(ballot)
            self._fresh[place] = []
            for message in known():
                with suppress(Forged):  # of another start of the round
                    self.boards[place].take(message)

    def forget(self, request: int, before: int) -> None:
        """Nothing is dropped."""

    def board(self, place: tuple[int, int]) -> RoundMessages:
        board = self.boards[place]
        return RoundMessages(board.ballot, dict(board.messages), dict(board.contradictions))

    def fresh(self, place: tuple[int, int]) -> list[Message]:
        found, self._fresh[place] = self._fresh[place], []
        return found

    def say(self, place: tuple[int, int], message: Message) -> None:
        self.boards[place].take(message)

    def hear(self, place: tuple[int, int], message: Message) -> None:
        if place in self.boards and self.boards[place].take(message):
            self._fresh[place].append(message)


@dataclass
class Member:
    """One daemon's files; `view` is made anew at each step, `killed` drops all memory."""

    table: SumTable
    seat: int
    keys: AccountKeys
    folder: Path
    bus: Bus = field(default_factory=Bus)
    cache: Cache = field(default_factory=Cache)
    share: float = 0.0
    """Of the submit window that has passed for it."""
    waiting: str | None = None
    said: str = ""
    """Its last reason."""
    digest: bytes | None = None
    fetching: Any = None
    """In place of the table's store, which answers at once."""

    def __post_init__(self) -> None:
        self.open_files()

    def open_files(self) -> None:
        self.state = ProviderState(self.folder / "state.sqlite", HERE, self.keys.address)
        self.ledger = Ledger(self.folder / "privacy.db", self.keys.derive("ledger"))

    def kill(self) -> None:
        """As kill -9: what is not in a file is gone."""
        self.state.close()
        self.ledger.close()
        self.bus, self.cache = Bus(), Cache()
        self.open_files()

    def trained(self, values: Integers) -> None:
        """Charge and keep the round's values, as the training does."""
        view, release = self.view(), self.release
        limit = PrivacyLimit(8.0, 1e-5)
        payers = Payers("data", "requester", limit, limit)
        event = GaussianRelease.of_round(self.table.spec, self.table.round)
        self.ledger.begin(release, [b"unit"], event, payers)
        self.ledger.keep(release, seal_values(view, values.astype("<i8").tobytes()), 1)

    @property
    def release(self) -> ReleaseId:
        return ReleaseId(HERE.fingerprint, REQUEST, self.table.round)

    def step(self) -> None:
        found = ready_sum(self.view(), self.release, self.waiting)
        if isinstance(found, bytes):
            self.digest = found
            sealed = self.ledger.stored(self.release)
            assert sealed is not None
            self.table.store.put(sealed)
        else:
            self.said = found

    def reads(self, seat: int, digest: bytes) -> GroupSum | None:
        """The sum that this member finds in another's record."""
        self.cache.sums.clear()
        return member_sum(self.view(), self.table.round, seat, digest)

    def view(self) -> Any:
        table = self.table
        self.cache.specifications[REQUEST] = table.spec
        self.cache.request_keys[REQUEST] = KEY
        opened = {
            "history": "0x" + table.history.hex(),
            "seed": "0x" + "00" * 32,
            "expected": (1 << len(table.members)) - 1,
        }
        started = {"start": {"keyHash": "0x" + key_hash(KEY).hex()}}
        events = {"Started": [started], "RoundOpened": [opened], "Joined": []}
        rounds = SimpleNamespace(domain=Domain(31337, "0x" + "12" * 20))
        registry = SimpleNamespace(participant=table.participant)
        ctx = SimpleNamespace(
            client=SimpleNamespace(any_rounds=rounds, registry=registry, wallets=None),
            deployment=HERE,
            store=table.store,
            state=self.state,
            ledger=self.ledger,
            keys=self.keys,
            cache=self.cache,
            exchange=self.bus,
            fetching=self.fetching
            or SimpleNamespace(
                take=lambda _, *what: table.store.get(*what),
                begin=lambda *_: None,
                put=lambda _, data: table.store.put(data),
            ),
        )
        return SimpleNamespace(
            ctx=ctx,
            id=REQUEST,
            round=table.round,
            draws=False,
            seat=self.seat,
            account=self.keys.address,
            cohort=table.cohort,
            pool=table.cohort.members,
            cohort_in=lambda _: table.cohort,
            terms=SimpleNamespace(openers=()),
            record=SimpleNamespace(requester="0x" + "99" * 20),
            facts=SimpleNamespace(history=table.history),
            share_passed=lambda: self.share,
            events=lambda name, _=None: events[name],
            event=lambda name, _: events[name][-1],
        )


class SumTable:
    """All members of one request, and which messages reach whom."""

    def __init__(self, folder: Path, members: int = 4, **privacy: Any) -> None:
        self.spec = secure_specification(members, **privacy)
        self.round, self.history = 1, b"\5" * 32
        self.store = EmbeddedStore(folder / "content")
        self.members: list[Member] = []
        keys = [AccountKeys(Account.from_key(keccak(text=f"sum {n}"))) for n in range(members)]
        self._keys = {one.address: one for one in keys}
        pool = tuple(PoolMember(one.address, n + 1, 100 + n, 0, 0) for n, one in enumerate(keys))
        self.cohort = Cohort(tuple(range(members)), pool)
        self.members += [
            Member(self, seat, one, folder / str(seat)) for seat, one in enumerate(keys)
        ]
        rows = np.random.default_rng(1).integers(-(2**40), 2**40, (members, self.size))
        self.values: list[Integers] = list(rows)

    @property
    def size(self) -> int:
        return summed_values(self.spec, 1)

    def participant(self, account: str) -> Any:
        key = bytes(self._keys[account].encryption_key().public_key)
        return SimpleNamespace(encryption_key=key, key_version=1)

    def train(self, seats: Iterable[int] | None = None) -> None:
        for seat in range(len(self.members)) if seats is None else seats:
            self.members[seat].trained(self.values[seat])

    def deliver(
        self,
        seats: Iterable[int] | None = None,
        passes: Callable[[Message, int], bool] = lambda message, to: True,
    ) -> None:
        """Deliver all messages of `seats` to each other, except those that do not pass."""
        chosen = [
            self.members[seat] for seat in (range(len(self.members)) if seats is None else seats)
        ]
        place = (REQUEST, self.round)
        boards = [one.bus.boards[place] for one in chosen if place in one.bus.boards]
        order = [message for board in boards for message in board.all()]
        for one in chosen:
            for message in order:
                if passes(message, one.seat):
                    one.bus.hear(place, message)

    def run(
        self,
        seats: Iterable[int] | None = None,
        turns: int = 8,
        share: float | None = None,
        passes: Callable[[Message, int], bool] = lambda message, to: True,
    ) -> None:
        """Steps of `seats` alone, and deliveries between them."""
        chosen = list(range(len(self.members)) if seats is None else seats)
        for _ in range(turns):
            for seat in chosen:
                if share is not None:
                    self.members[seat].share = share
                self.members[seat].step()
            self.deliver(chosen, passes)

    def total(self, seats: Iterable[int]) -> list[int]:
        return [int(one) for one in np.sum([self.values[seat] for seat in seats], axis=0)]

    def sums(self, seats: Iterable[int], reader: int = 0) -> list[GroupSum | None]:
        """What the records of `seats` prove to a member."""
        digests = {seat: self.members[seat].digest for seat in seats}
        return [
            self.members[reader].reads(seat, digest)
            for seat, digest in digests.items()
            if digest is not None
        ]

    def close(self) -> None:
        for one in self.members:
            one.state.close()
            one.ledger.close()


# ---------------------------------------------------------------------- what members say


def messages(table: SumTable, seat: int) -> dict[tuple[Kind, int], Message]:
    return dict(table.members[seat].bus.boards[REQUEST, table.round].messages)


def held(table: SumTable, seat: int, kind: Kind, of: int | None = None) -> list[Message]:
    return [
        one
        for at, one in messages(table, seat).items()
        if at[0] is kind and (of is None or at[1] == of)
    ]


def with_submissions(
    events: Callable[..., Any], submitted: dict[str, Any]
) -> Callable[..., list[dict[str, Any]]]:
    found = {"ModelsSubmitted": [submitted], "RoundPosted": [], "Equivocated": []}
    return lambda name, round_=None: found[name] if name in found else events(name, round_)


def says(table: SumTable, seat: int, kind: Kind, value: str, extra: str) -> None:
    """A member says what its daemon would not, with its own signature."""
    member = table.members[seat]
    board = member.bus.boards[REQUEST, table.round]
    board.messages.pop((kind, seat), None)
    said = Message(kind=kind, seat=seat, value=value, extra=extra)
    signature = member.keys.sign_typed(*board.ballot.typed(said)).hex()
    assert board.take(said.model_copy(update={"signature": signature}))


def digest_of_roster(table: SumTable, seats: list[int]) -> bytes:
    """Of the roster of those who announced themselves."""
    view = table.members[seats[0]].view()
    group = sum_round(view, table.round).group(seats[0])
    assert group is not None
    found = []
    for seat in seats:
        [message] = held(table, seat, Kind.ANNOUNCE, seat)
        content = table.store.get(Cid.of_digest(message.content, 1 << 14), 1 << 14)
        found.append(decode_announced(group, group.number(seat), content)[0])
    return Roster.of(group.terms, group.context, found).digest


def until(table: SumTable, kind: Kind, seats: range | list[int]) -> None:
    """Steps and deliveries until these seats have said a kind of message (of a roster: anyone)."""
    for _ in range(10):
        for member in table.members:
            if not held_all(table, kind, seats):
                member.step()
        if held_all(table, kind, seats):
            table.deliver()
            return
        table.deliver()
    raise AssertionError(f"nobody said {kind}")


def held_all(table: SumTable, kind: Kind, seats: range | list[int]) -> bool:
    boards = [one.bus.boards.get((REQUEST, table.round)) for one in table.members]
    if kind is Kind.ROSTER:
        return any(at[0] is kind for board in boards if board for at in board.messages)
    return all(
        any(board is not None and (kind, seat) in board.messages for board in boards)
        for seat in seats
    )


Tables = Callable[..., SumTable]
"""Makes tables that are closed after the test."""
