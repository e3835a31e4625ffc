"""A committee goes by one proposal, whatever one judge of it says, to whom and when.

Judges and their proposals are real; messages take up to LATEST seconds, as the exchange takes.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.exchange.messages import Kind, LargeBallot, Message, RoundMessages
from fedpact.provider.context import Cache
from fedpact.provider.duties.large_rounds.proposals import Proposals, Spoilt
from fedpact.types.requests import ApprovalRule
from tests.offchain.exchange.test_messages import DOMAIN

TURN, LATEST, LIAR = 10, 3, 1
"""Seconds; in round 1 it is seat 1's turn first."""
A, B = b"\xaa" * 32, b"\xbb" * 32


class Believing(LargeBallot):
    """Takes all messages for signed."""

    def require_signed(self, message: Message, said: str) -> bool:
        return True


def ballot(seats: int) -> Believing:
    return Believing(DOMAIN, 7, 1, bytes(32), tuple(f"0x{seat:040x}" for seat in range(seats)), ())


def word(seat: int, proposer: int, value: bytes) -> Message:
    return Message(kind=Kind.TALLY, seat=seat, value=value.hex(), extra=f"{proposer:02x}")


def reveal(seat: int) -> Message:
    return Message(kind=Kind.HELD, seat=seat, value=bytes(32).hex())


class Judge:
    def __init__(self, seat: int, seats: int) -> None:
        self.board, self.seat = RoundMessages(ballot(seats)), seat
        self.went_by: bytes | None = None
        self.spoke = False
        self.frame = SimpleNamespace(timestamp=0)
        view: Any = SimpleNamespace(
            id=7,
            round=1,
            start="1",
            seat=seat,
            frame=self.frame,
            cohort=SimpleNamespace(members=range(seats)),
            terms=SimpleNamespace(commit_window=10 * TURN, approval_rule=ApprovalRule.TWO_THIRDS),
            ctx=SimpleNamespace(cache=Cache()),
        )
        talk: Any = SimpleNamespace(board=self.board, held=self.board.held, say=self._say)
        self.proposals = Proposals(view, talk)
        for other in range(seats):
            self.board.take(reveal(other))

    def look(self, now: int) -> None:
        self.frame.timestamp, self.spoke = now, False
        kind, before = Kind.TALLY, Kind.HELD
        found = self.proposals.settled(kind, before, lambda one: one.content, ready=True)
        if self.went_by is None:
            self.went_by = found
        if found is None and self.proposals.may_propose(kind, before):
            self.proposals.propose(kind, bytes([self.seat]) * 32)

    def _say(self, kind: Kind, value: bytes, extra: bytes) -> bool:
        self.spoke = True
        said = Message(kind=kind, seat=self.seat, value=value.hex(), extra=extra.hex())
        assert self.board.messages.get(said.at, said) == said, "it never says two things"
        return self.board.take(said)


class Network:
    """Honest judges hear each other; the liar says to each of them what a test wants."""

    def __init__(self, seats: int, chance: random.Random) -> None:
        self.honest = [Judge(seat, seats) for seat in range(seats) if seat != LIAR]
        self._under_way: list[tuple[int, Judge, list[Message]]] = []
        self._chance = chance

    def send(self, at: int, to: Judge, messages: list[Message]) -> None:
        self._under_way.append((at, to, messages))

    def run(self, until: int) -> None:
        for now in range(until):
            due = [one for one in self._under_way if one[0] <= now]
            self._under_way = [one for one in self._under_way if one[0] > now]
            for _, to, messages in due:
                for message in messages:
                    to.board.take(message)
            for judge in self.honest:
                judge.look(now)
                others = [one for one in self.honest if one is not judge]
                # What is said goes to all at once, with all that is held; else one is told.
                for to in others if judge.spoke else [self._chance.choice(others)]:
                    self.send(now + self._chance.randint(1, LATEST), to, judge.board.all())

    @property
    def went_by(self) -> set[bytes | None]:
        return {one.went_by for one in self.honest}


@pytest.mark.parametrize("seats", [5, 7, 16])
def test_two_proposals_at_the_same_moment_cost_their_maker_its_turn(seats: int) -> None:
    network = Network(seats, random.Random(1))
    for place, judge in enumerate(network.honest):
        network.send(0, judge, [word(LIAR, LIAR, (A, B)[place % 2])])
    network.run(2 * TURN + 3 * LATEST)
    [found] = network.went_by
    assert found not in (A, B, None)


def test_an_honest_first_judge_is_gone_by_at_once() -> None:
    network = Network(4, random.Random(1))
    for judge in network.honest:
        network.send(0, judge, [word(LIAR, LIAR, A)])
    network.run(2 * LATEST + 2)
    assert network.went_by == {A}


def test_a_silent_judge_costs_its_turn() -> None:
    network = Network(5, random.Random(1))
    network.run(TURN + 2 * LATEST + 2)
    assert network.went_by == {b"\2" * 32}


@pytest.mark.parametrize("seats", [4, 5, 6, 7, 10])
def test_whatever_one_judge_says_to_whom_and_when_it_splits_nobody(seats: int) -> None:
    """It proposes what it likes at any time, and supports what it likes, also what nobody has
    proposed."""
    for seed in range(15):
        chance = random.Random(1_000 * seats + seed)
        network = Network(seats, chance)
        for judge in network.honest:
            for _ in range(chance.randint(0, 4)):
                proposer = chance.choice([LIAR, LIAR, chance.randrange(seats)])
                value = chance.choice([A, B, bytes([proposer]) * 32, chance.randbytes(32)])
                said = word(LIAR, proposer, value)
                network.send(chance.randint(0, 4 * TURN), judge, [said])
        network.run((seats + 2) * TURN)
        assert len(network.went_by) == 1, (seed, network.went_by)
        assert None not in network.went_by, seed


def supported(judge: Judge) -> list[int]:
    """Whose proposals it supports, in the order in which it did so."""
    return [
        one.proposer
        for one in judge.board.messages.values()
        if one.seat == judge.seat and one.value != bytes(32).hex()
    ]


def test_nobody_supports_what_is_one_of_two() -> None:
    judge = Judge(0, 4)
    for value in (A, B):
        judge.board.take(word(LIAR, LIAR, value))
    judge.look(0)
    assert supported(judge) == []


def test_nobody_supports_what_only_another_says_was_proposed() -> None:
    judge = Judge(0, 4)
    judge.board.take(word(3, LIAR, A))
    judge.look(0)
    assert supported(judge) == []


def test_what_one_alone_supports_nobody_has_proposed() -> None:
    judge = Judge(0, 3)
    judge.board.take(word(LIAR, 2, A))
    judge.look(0)
    assert judge.went_by is None


def test_a_later_turns_proposal_waits_until_a_quorum_of_the_earlier_would_be_known() -> None:
    judge = Judge(0, 5)
    judge.look(0)
    judge.board.take(word(LIAR, LIAR, A))
    judge.look(TURN - 1)
    judge.board.take(word(2, 2, B))
    judge.look(2 * TURN - 2)
    assert supported(judge) == [LIAR]
    judge.look(2 * TURN - 1)
    assert supported(judge) == [LIAR, 2]


def test_nobody_goes_back_to_an_earlier_turn() -> None:
    judge = Judge(0, 5)
    judge.look(0)
    judge.board.take(word(2, 2, B))
    judge.look(TURN)
    judge.board.take(word(LIAR, LIAR, A))
    judge.look(9 * TURN)
    assert LIAR not in supported(judge)


def test_what_got_no_quorum_is_proposed_again_before_anything_else() -> None:
    """Some may have seen only later that it holds."""
    judge = Judge(2, 5)
    judge.board.take(word(LIAR, LIAR, A))
    judge.look(0)
    judge.look(TURN)
    assert judge.board.messages[Message.place_of(Kind.TALLY, 2, 2)].content == A


def test_what_can_never_hold_is_checked_once_in_each_round_however_many_there_were() -> None:
    """Those of thirteen rounds filled the memory, and each look checked a thousand signatures."""
    judge, checked = Judge(0, 5), list[bytes]()
    view: Any = judge.proposals._view

    def never(message: Message) -> None:
        checked.append(message.content)
        raise Spoilt("a signature is not its seat's")

    for number in range(50):
        view.round = number
        for proposer in range(1, 5):
            said = word(proposer, proposer, bytes([number, proposer]) * 16)
            for _ in range(3):
                assert judge.proposals._found(said, never) is None
    assert len(checked) == len(set(checked)) == 200
    assert len(view.ctx.cache.refused) == 4


def test_one_of_three_can_still_split_the_others() -> None:
    """It is a third of them, and either has a quorum with it."""
    network = Network(3, random.Random(1))
    for judge, value in zip(network.honest, (A, B), strict=True):
        network.send(0, judge, [word(LIAR, LIAR, value)])
    network.run(5 * TURN)
    assert network.went_by == {A, B}
