"""A judge's daemon posts a round though a wallet denies on chain what it signed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import LargeRecord, pack_signatures
from fedpact.consensus.large_rounds import SubmissionTree
from fedpact.errors import Reverted
from fedpact.exchange.messages import Kind, LargeBallot, Message
from fedpact.provider.context import Cache
from fedpact.provider.duties.large_rounds.recording import Recording
from fedpact.types.requests import ApprovalRule, Phase
from tests.contracts.large.kit import LargeRounds
from tests.support import chainkit

OWN, WALLET = 0, 2
TAKES_NOTHING = "0x00"
NOT_SIGNED = keccak(text="SeatSignatures_NotSigned(address,uint256)")[:4]


class Client:
    """Sends a judge's posts to the contract."""

    def __init__(self, r: LargeRounds) -> None:
        self._r, self.large = r, self

    def post(
        self, _: int, record: LargeRecord, forced: Any, mask: int, signed: Any, header: bytes
    ) -> tuple[Any, ...]:
        return record.fields, list(record.points), forced, mask, pack_signatures(signed), header

    def send(self, _: Any, call: tuple[Any, ...]) -> Any:
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


def view_of(r: LargeRounds, cache: Cache, now: int) -> Any:
    seats, facts = r.seats, r.facts
    return SimpleNamespace(
        **{"id": r.id, "round": facts.round, "start": "", "seat": OWN, "own_seat": OWN},
        account=seats[OWN].address,
        ctx=SimpleNamespace(cache=cache, client=Client(r), keys=SimpleNamespace(wallet=None)),
        cohort=SimpleNamespace(members=seats),
        terms=SimpleNamespace(approval_rule=ApprovalRule.TWO_THIRDS),
        facts=SimpleNamespace(draw_block=facts.drawBlock, phase=Phase.ATTEST),
        drawing_block=r.block(facts.drawBlock),
        frame=SimpleNamespace(timestamp=now),
        events=lambda *_: [],
    )


def talk_of(r: LargeRounds, record: LargeRecord) -> Any:
    """All judges have signed the record; one of them is a wallet."""
    seats, facts = r.seats, r.facts
    accounts = tuple(one.address for one in seats)
    ballot = LargeBallot(r.domain, r.id, facts.round, bytes(facts.history), accounts, ())
    signed = {}
    for seat, keys in enumerate(seats):
        message = Message(kind=Kind.ROUND, seat=seat, value=record.hash.hex())
        if seat == WALLET:
            message = message.model_copy(update={"wallet": "00"})
        else:
            signature = bytes(keys.sign_message(ballot.signable(message)).signature)
            message = message.model_copy(update={"signature": signature.hex()})
        signed[seat] = message
    board = SimpleNamespace(ballot=ballot)
    return SimpleNamespace(board=board, held=lambda kind: signed if kind is Kind.ROUND else {})


def test_a_round_is_posted_without_the_wallet_that_denies_its_signature(r: LargeRounds) -> None:
    """Each post of each judge failed, until the round was void."""
    record, cache = r.large_record(), Cache()
    r.chain.mine_at(r.facts.deadline + 1)
    r.chain.rpc("anvil_setCode", r.seats[WALLET].address, TAKES_NOTHING)
    try:
        listed: Any = SimpleNamespace(tree=SubmissionTree(r.models()), models=r.models())
        talk = talk_of(r, record)
        # Its turn comes once it has been due for a while.
        Recording(view_of(r, cache, 0), talk).post(record, listed)
        with pytest.raises(Reverted, match="NotSigned"):
            Recording(view_of(r, cache, 100), talk).post(record, listed)
        assert r.facts.round == 1
        posted = Recording(view_of(r, cache, 100), talk).post(record, listed)
    finally:
        r.chain.rpc("anvil_setCode", r.seats[WALLET].address, "0x")
    assert posted.acted
    assert "posted for 2 judges" in posted.reason
    assert r.facts.round == 2
