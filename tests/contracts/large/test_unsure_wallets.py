"""A judge's daemon posts a round though a wallet denies on chain what it signed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import LargeRecord, pack_signatures
from fedpact.consensus.large_rounds import SubmissionTree
from fedpact.errors import Reverted
from fedpact.exchange.messages import Kind, LargeBallot, Message
from fedpact.provider.context import Cache, DutyResult
from fedpact.provider.duties.large_rounds.recording import Recording
from fedpact.provider.duties.unsure_wallets import MOST_FAILED
from fedpact.types.requests import ApprovalRule, Phase
from tests.contracts.large.kit import LargeRounds
from tests.support import chainkit
from tests.support.wallets import TAKES_ANYTHING, TAKES_NOTHING

OWN, ANOTHER, WALLET = 0, 1, 2
NOT_SIGNED = keccak(text="SeatSignatures_NotSigned(address,uint256)")[:4]


class Client:
    """Sends a judge's posts to the contract."""

    def __init__(self, r: LargeRounds) -> None:
        self._r, self.large, self.sent = r, self, 0

    def post(
        self, _: int, record: LargeRecord, forced: Any, mask: int, signed: Any, header: bytes
    ) -> tuple[Any, ...]:
        return record.fields, list(record.points), forced, mask, pack_signatures(signed), header

    def send(self, _: Any, call: tuple[Any, ...]) -> Any:
        self.sent += 1
        try:
            return SimpleNamespace(
                gas_used=self._r.send(self._r.seats[OWN], "post", *call)["gasUsed"]
            )
        except chainkit.Reverted as error:
            known = {NOT_SIGNED: "SeatSignatures_NotSigned"}
            raise Reverted(known.get(error.data[:4], error.data.hex())) from error


@pytest.fixture
def r(running: Any) -> LargeRounds:
    made: LargeRounds = running()
    return made


def view_of(r: LargeRounds, cache: Cache, client: Client, now: int) -> Any:
    seats, facts = r.seats, r.facts
    return SimpleNamespace(
        **{"id": r.id, "round": facts.round, "start": "", "seat": OWN, "own_seat": OWN},
        account=seats[OWN].address,
        ctx=SimpleNamespace(cache=cache, client=client, keys=SimpleNamespace(wallet=None)),
        cohort=SimpleNamespace(members=seats),
        terms=SimpleNamespace(approval_rule=ApprovalRule.TWO_THIRDS),
        facts=SimpleNamespace(draw_block=facts.drawBlock, phase=Phase.ATTEST),
        drawing_block=r.block(facts.drawBlock),
        frame=SimpleNamespace(timestamp=now),
        events=lambda *_: [],
    )


def talk_of(r: LargeRounds, record: LargeRecord, wallets: Collection[int] = (WALLET,)) -> Any:
    """All judges have signed the record; some of them are wallets."""
    seats, facts = r.seats, r.facts
    accounts = tuple(one.address for one in seats)
    ballot = LargeBallot(r.domain, r.id, facts.round, bytes(facts.history), accounts, ())
    signed = {}
    for seat, keys in enumerate(seats):
        message = Message(kind=Kind.ROUND, seat=seat, value=record.hash.hex())
        if seat in wallets:
            message = message.model_copy(update={"wallet": "00"})
        else:
            signature = bytes(keys.sign_message(ballot.signable(message)).signature)
            message = message.model_copy(update={"signature": signature.hex()})
        signed[seat] = message
    board = SimpleNamespace(ballot=ballot)
    return SimpleNamespace(board=board, held=lambda kind: signed if kind is Kind.ROUND else {})


@contextmanager
def wallets(r: LargeRounds, codes: Mapping[int, str]) -> Iterator[None]:
    """Judges whose accounts are contracts, by seat."""
    r.chain.mine_at(r.facts.deadline + 1)
    for seat, code in codes.items():
        r.chain.rpc("anvil_setCode", r.seats[seat].address, code)
    try:
        yield
    finally:
        for seat in codes:
            r.chain.rpc("anvil_setCode", r.seats[seat].address, "0x")


class Posting:
    """The post of a round, by one judge's daemon."""

    def __init__(self, r: LargeRounds, seats: Collection[int]) -> None:
        record, self._r, self._cache = r.large_record(), r, Cache()
        self.client, self._record, self._talk = Client(r), record, talk_of(r, record, seats)
        self._listed: Any = SimpleNamespace(tree=SubmissionTree(r.models()), models=r.models())
        self.again(0)  # Its turn comes once it has been due for a while.

    def again(self, now: int = 100) -> DutyResult:
        view = view_of(self._r, self._cache, self.client, now)
        return Recording(view, self._talk).post(self._record, self._listed)


def test_a_round_is_posted_without_the_wallet_that_denies_its_signature(r: LargeRounds) -> None:
    """Each post of each judge failed, until the round was void."""
    with wallets(r, {WALLET: TAKES_NOTHING}):
        posting = Posting(r, [WALLET])
        with pytest.raises(Reverted, match="NotSigned"):
            posting.again()
        assert r.facts.round == 1
        posted = posting.again()
    assert posted.acted
    assert "posted for 2 judges" in posted.reason
    assert r.facts.round == 2


def test_a_wallet_that_denies_keeps_no_other_wallet_out_of_a_quorum(r: LargeRounds) -> None:
    """All of a post that failed were left out for good: where the others were too few, one wallet
    made each round void."""
    with wallets(r, {ANOTHER: TAKES_NOTHING, WALLET: TAKES_ANYTHING}):
        posting = Posting(r, [ANOTHER, WALLET])
        for _ in range(2):  # with both, and with the wrong one
            with pytest.raises(Reverted, match="NotSigned"):
                posting.again()
        posted = posting.again()
        assert posted.acted
    assert "posted for 2 judges" in posted.reason
    assert r.facts.round == 2


def test_wallets_that_deny_cost_a_judge_a_few_posts_at_most(r: LargeRounds) -> None:
    with wallets(r, {ANOTHER: TAKES_NOTHING, WALLET: TAKES_NOTHING}):
        posting = Posting(r, [ANOTHER, WALLET])
        for _ in range(MOST_FAILED):
            with pytest.raises(Reverted, match="NotSigned"):
                posting.again()
        waits = posting.again()
    assert not waits.acted
    assert waits.reason == "1 judges have signed the record, without 2 that may not stand by it"
    assert posting.client.sent == MOST_FAILED
    assert r.facts.round == 1
