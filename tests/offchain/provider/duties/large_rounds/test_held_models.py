"""Which models a large round has: those that enough judges held as its submissions were over."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from fedpact.consensus.committee_evidence import ModelList, ScoreSheet
from fedpact.errors import ContentMissing
from fedpact.exchange.messages import Kind, LargeBallot, Message, RoundMessages
from fedpact.exchange.submissions import HeldLists, Models, Submission, Trainers
from fedpact.provider.context import Cache
from fedpact.provider.duties.large_rounds import submitting
from fedpact.provider.duties.large_rounds.picking import GATHERING, Picking
from fedpact.provider.duties.large_rounds.proposals import MOST_REFUSED, Proposals, Spoilt
from fedpact.provider.duties.large_rounds.submitting import gather
from fedpact.provider.duties.large_rounds.voting import Voting
from fedpact.provider.duties.voting import salt_of
from fedpact.provider.request.view import LargeView
from fedpact.provider.state.file import StateFile
from fedpact.provider.state.messages import Said
from fedpact.types.cid import Cid
from fedpact.types.requests import ApprovalRule, Phase
from tests.offchain.exchange.test_gossip import JSON, exchanging
from tests.offchain.exchange.test_messages import DIGEST, DOMAIN, OPENER, OTHER
from tests.offchain.exchange.test_submissions import PATH, PLACE, ROUND, named

JUDGES = [Account.from_key(keccak(text=f"judge {seat}")) for seat in range(4)]
"""Three of them are a quorum, two are more than a third. Seat 2 is the first in round 2."""
ACCOUNTS = tuple(one.address for one in JUDGES)
BALLOT = LargeBallot(DOMAIN, *PLACE, ROUND.history, ACCOUNTS, (OPENER.address,))
ALL = {index: named(index) for index in ROUND.accounts}


def word(kind: Kind, seat: int, value: bytes, extra: bytes = b"") -> Message:
    message = Message(kind=kind, seat=seat, value=value.hex(), extra=extra.hex())
    return message.signed_with(JUDGES[seat].sign_message(BALLOT.signable(message)).signature)


class Talk:
    """Of one seat."""

    def __init__(self, seat: int) -> None:
        self.seat, self.board = seat, RoundMessages(BALLOT)
        self.held = self.board.held

    def say(self, kind: Kind, value: bytes, extra: bytes = b"") -> bool:
        message = word(kind, self.seat, value, extra)
        self.board.take(message)
        return self.board.messages[message.at].value == message.value

    def hear(self, other: "Talk") -> None:
        for message in other.board.all():
            self.board.take(message)


class Judge:
    """One seat, as submissions are over. `store`: content that all judges share."""

    def __init__(
        self, seat: int, models: Mapping[int, Submission], store: dict[Cid, bytes], said: Said
    ) -> None:
        self.seat, self.talk = seat, Talk(seat)

        def put(_: int, content: bytes) -> Cid:
            cid = Cid.of(content)
            store[cid] = content
            return cid

        def take(_: int, cid: Cid, *__: object) -> bytes:
            if cid not in store:
                raise ContentMissing(f"{cid} is nowhere")
            return store[cid]

        self.view: Any = SimpleNamespace(
            id=PLACE[0],
            round=PLACE[1],
            seat=seat,
            account=ACCOUNTS[seat],
            start=BALLOT.start,
            facts=SimpleNamespace(history=ROUND.history, forced=0),
            cohort=SimpleNamespace(members=ACCOUNTS),
            terms=SimpleNamespace(approval_rule=ApprovalRule.TWO_THIRDS, commit_window=100),
            trainers=ROUND.accounts,
            events=lambda *_: [],
            frame=SimpleNamespace(timestamp=0),
            share_passed=lambda: 0.0,
        )
        self.view.ctx = SimpleNamespace(
            cache=Cache(),
            exchange=SimpleNamespace(models=lambda _: models),
            client=SimpleNamespace(large=SimpleNamespace(domain=DOMAIN)),
            fetching=SimpleNamespace(put=put, take=take),
            state=SimpleNamespace(said=said),
            keys=SimpleNamespace(derive=lambda *parts: keccak(repr(parts).encode())),
            deployment=SimpleNamespace(fingerprint=b"\1" * 32),
        )

    @property
    def voting(self) -> Voting:
        return Voting(self.view, self.talk)  # type: ignore[arg-type]

    def look(self) -> object:
        return Picking(self.view, self.talk).listed()  # type: ignore[arg-type]

    def restart(self) -> None:
        self.view.ctx.cache = Cache()

    @property
    def listed(self) -> list[int] | None:
        """Whose models it judges."""
        found = self.view.ctx.cache.picked.get(PLACE)
        return None if found is None else [one.index for one in found.models]


class Committee:
    def __init__(self, folder: Path, models: list[Mapping[int, Submission]]) -> None:
        self.store: dict[Cid, bytes] = {}
        self._files = [StateFile(folder / str(seat), {"seat": str(seat)}) for seat in range(4)]
        self.judges = [
            Judge(seat, models[seat], self.store, Said(file))
            for seat, file in enumerate(self._files)
        ]

    def talk(self, *silent: int) -> None:
        """All look, and hear each other, some times."""
        loud = [one for one in self.judges if one.seat not in silent]
        for _ in range(5):
            for judge in loud:
                judge.look()
            for judge in loud:
                for other in loud:
                    judge.talk.hear(other.talk)

    def pass_time(self, now: int = 15) -> None:
        for judge in self.judges:
            judge.view.share_passed = lambda: GATHERING * 1.1
            judge.view.frame = SimpleNamespace(timestamp=now)

    def close(self) -> None:
        for file in self._files:
            file.close()


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Any]:
    made: list[Committee] = []

    def make(*models: Mapping[int, Submission]) -> Committee:
        made.append(Committee(tmp_path, list(models)))
        return made[0]

    yield make
    for one in made:
        one.close()


def some(*indices: int) -> dict[int, Submission]:
    return {index: ALL[index] for index in indices}


def test_trainers_that_name_to_single_judges_split_no_committee(committee: Any) -> None:
    found = committee(some(4), some(4, 5), some(4), some(4, 6))
    found.talk()
    assert [one.listed for one in found.judges] == [[4]] * 4


def test_what_a_judge_lacks_that_others_held_is_in(committee: Any) -> None:
    found = committee(some(4, 5, 6), some(4, 5), some(4), some(4))
    found.talk()
    assert [one.listed for one in found.judges] == [[4, 5]] * 4


def test_a_judge_that_takes_names_later_brings_in_none(committee: Any) -> None:
    """The first seat lies: it says that it held all, and then names them all."""
    found = committee(some(4), some(4), some(4, 5, 6), some(4))
    first = found.judges[2]
    first.talk.say(Kind.HELD, ModelList.of(some(4, 5, 6), {}).digest)
    forged = ModelList.of(some(4, 5, 6), {})
    found.store[Cid.of(forged.encode())] = forged.encode()
    first.talk.say(Kind.PICK, forged.digest, b"\2\0\17")
    found.talk(2)
    for judge in found.judges:
        judge.talk.hear(first.talk)
    found.talk(2)
    assert [one.listed for one in found.judges] == [None, None, None, None]
    found.pass_time()
    found.talk(2)
    assert [one.listed for one in found.judges] == [[4], [4], None, [4]]


def test_a_silent_judge_is_waited_for_and_then_left_out(committee: Any) -> None:
    found = committee(some(4), some(4), some(4, 5), some(4, 5))
    found.talk(0)
    assert [one.listed for one in found.judges] == [None] * 4
    found.pass_time()
    found.talk(0)
    assert [one.listed for one in found.judges] == [None, [4, 5], [4, 5], [4, 5]]
    found.judges[0].look()  # what it held comes late, and changes nothing
    found.talk()
    assert [one.listed for one in found.judges] == [[4, 5]] * 4


def test_a_judge_that_says_two_things_splits_no_committee(committee: Any) -> None:
    """Seat 0 says to the first seat that it held trainer 5's model, and to others that it did
    not."""
    found = committee(some(4), some(4), some(4, 5), some(4))
    for models in (some(4, 5), some(4)):
        listed = ModelList.of(models, {})
        found.store[Cid.of(listed.encode())] = listed.encode()
        message = word(Kind.HELD, 0, listed.digest)
        for seat in (2,) if 5 in models else (1, 3):
            found.judges[seat].talk.board.take(message)
    first = found.judges[2]
    for seat in (1, 3):
        found.judges[seat].look()
        message = found.judges[seat].talk.board.messages[(Kind.HELD, seat)]
        first.talk.board.take(message)
    first.look()
    [proposed] = [one for one in first.talk.board.all() if one.kind is Kind.PICK]
    assert proposed.value == ModelList.of(some(4, 5), {}).digest.hex()
    found.talk(0)
    assert [one.listed for one in found.judges] == [None, [4, 5], [4, 5], [4, 5]]


def test_a_judge_that_proposes_two_lists_loses_its_turn_and_not_the_round(committee: Any) -> None:
    """It shows one to seat 0 and the other to seats 1 and 3, at the same moment."""
    found = committee(some(4), some(4, 5), some(4, 5), some(4))
    for judge in found.judges:
        judge.look()
    for judge in found.judges:
        for other in found.judges:
            judge.talk.hear(other.talk)
    two = []
    for models, mask in ((some(4, 5), 0b1111), (some(4), 0b1101)):
        listed = ModelList.of(models, {})
        found.store[Cid.of(listed.encode())] = listed.encode()
        two.append(word(Kind.PICK, 2, listed.digest, b"\2" + mask.to_bytes(2)))
    for seat, shown in ((0, two[0]), (1, two[1]), (3, two[1])):
        found.judges[seat].talk.board.messages.pop((Kind.PICK, 2), None)
        found.judges[seat].talk.board.take(shown)
    for seat in (0, 1, 3):
        found.judges[seat].look()
    for now in range(15, 60, 5):
        found.pass_time(now)
        found.talk(2)
    others = [one.listed for one in found.judges if one.seat != 2]
    assert others == [others[0]] * 3
    assert others[0] is not None


def spoilt_list() -> bytes:
    """The right one but for a signature."""
    right = ModelList.of(some(4, 5, 6), {})
    last = right.models[-1].model_copy(update={"signature": right.models[0].signature})
    return ModelList(models=(*right.models[:-1], last)).encode()


@pytest.mark.parametrize("content", [spoilt_list(), b"no list"], ids=["signature", "form"])
def test_a_list_that_can_never_hold_is_checked_once(
    committee: Any, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """A thousand signatures were checked in each look, until another seat's turn came."""
    found = committee(*[some(4, 5, 6)] * 4)
    for judge in found.judges:
        judge.look()
    for judge in found.judges:
        for other in found.judges:
            judge.talk.hear(other.talk)
    found.store[Cid.of(content)] = content
    spoilt, judge = word(Kind.PICK, 2, Cid.of(content).digest, b"\2\0\17"), found.judges[0]
    judge.talk.board.take(spoilt)
    judge.look()
    assert judge.listed is None
    for kind, name in ((Trainers, "require_signed"), (Picking, "_list_of")):
        monkeypatch.setattr(kind, name, lambda *_: pytest.fail("it was checked before"))
    for _ in range(3):
        judge.look()
    [of] = judge.view.ctx.cache.refused
    assert of[:2] == PLACE
    judge.view.ctx.cache.end(PLACE[0])
    assert not judge.view.ctx.cache.refused
    monkeypatch.undo()
    found.talk(2)
    found.pass_time()
    found.talk(2)
    assert [one.listed for one in found.judges] == [[4, 5, 6], [4, 5, 6], None, [4, 5, 6]]


def test_what_is_remembered_of_a_round_is_bounded(committee: Any) -> None:
    judge = committee(*[some(4)] * 4).judges[0]
    proposals = Proposals(judge.view, judge.talk)

    def never(_: Message) -> None:
        raise Spoilt("no list")

    for number in range(MOST_REFUSED + 9):
        message = Message(kind=Kind.PICK, seat=2, value=f"{number:064x}", extra="02000f")
        assert proposals._found(message, never) is None
    assert len(judge.view.ctx.cache.refused) == MOST_REFUSED


def test_of_a_trainer_that_named_two_models_that_which_more_held_is_in() -> None:
    a, b = named(4), named(4, OTHER)
    lists = HeldLists(4, [[a], [a], [b], [b, named(5)]])
    assert lists.picked() == {4: max(DIGEST, OTHER)}
    assert lists.allow([a])
    assert lists.allow([b])
    assert not lists.allow([a, named(5)])
    assert not lists.allow([])
    assert lists.allow([], [4])
    assert HeldLists(4, [[a], [a], [b]], 1).allow([b])
    assert not HeldLists(4, [[a], [a]], 1).allow([a, named(5), named(6)][1:])


def test_a_seat_that_said_nothing_has_no_turn(committee: Any) -> None:
    """The first one is silent: the next one need not wait for it twice."""
    found = committee(some(4), some(4), some(4), some(4))
    for judge in found.judges:
        judge.view.share_passed = lambda: GATHERING * 1.1
    found.talk(2)
    assert [one.listed for one in found.judges] == [[4], [4], None, [4]]


def test_a_judge_that_starts_again_goes_on_with_its_list_and_scores(
    committee: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though other lists are there by then, and it would give other scores."""
    found = committee(some(4), some(4), some(4), some(4))
    found.talk()
    judge, own = found.judges[0], ScoreSheet(scores=(70,))
    listed = judge.view.ctx.cache.picked[PLACE]
    monkeypatch.setattr(Voting, "_sheet", lambda *_: own)
    assert judge.voting.vote(listed) is None
    assert Cid.of(own.encode()) not in found.store, "nobody can copy scores before they are opened"
    judge.restart()
    judge.talk.board.messages.pop(Message.place_of(Kind.PICK, 2, 2))
    judge.look()
    assert judge.listed == [4]
    monkeypatch.setattr(Voting, "_sheet", lambda *_: "scoring the models")
    assert judge.voting._own_sheet(listed) == own.digest
    assert Cid.of(own.encode()) in found.store


def test_salts_are_of_one_start() -> None:
    """Those of a void one are public where its votes were opened."""
    ctx: Any = SimpleNamespace(
        keys=SimpleNamespace(derive=lambda *parts: keccak(repr(parts).encode())),
        deployment=SimpleNamespace(fingerprint=b"\1" * 32),
    )
    starts = [SimpleNamespace(history=bytes([start]) * 32, round=1) for start in (5, 6)]
    nothing: Any = None
    views = [LargeView(ctx, nothing, 7, nothing, facts) for facts in starts]  # type: ignore[arg-type]
    assert salt_of(views[0]) != salt_of(views[1])


def test_no_model_is_taken_once_submissions_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of nobody: who trains can read the slice and the others' models by then."""
    monkeypatch.setattr(submitting, "Talk", lambda *_: None)
    with exchanging() as exchange, StateFile(tmp_path / "state", {}) as file:
        view: Any = SimpleNamespace(
            id=PLACE[0],
            round=PLACE[1],
            start=BALLOT.start,
            account=ACCOUNTS[0],
            facts=SimpleNamespace(history=ROUND.history, phase=Phase.SUBMIT),
            trainers=ROUND.accounts,
            cohort=SimpleNamespace(members=[]),
            events=lambda *_: [],
        )
        view.ctx = SimpleNamespace(
            cache=Cache(),
            client=SimpleNamespace(large=SimpleNamespace(domain=DOMAIN)),
            state=SimpleNamespace(said=Said(file)),
        )

        def give(index: int) -> None:
            content = Models(known="", models=(named(index),)).encode()
            with httpx.Client(trust_env=False, headers=JSON) as http:
                http.post(exchange.own + PATH, content=content)

        def look() -> set[int]:
            gather(view, exchange)
            return set(exchange.models(PLACE))

        look()
        give(4)
        assert look() == {4}
        view.facts.phase = Phase.ATTEST
        assert look() == {4}
        give(5)
        assert look() == {4}
        exchange.forget(7, 3)
        assert look() == {4}, "kept over a restart"
        give(6)
        assert look() == {4}
