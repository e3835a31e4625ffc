"""Rounds by messages in which a contract wallet does not stand by what it signed, on a chain whose
gas has a price."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from eth_utils.crypto import keccak

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import Reverted
from fedpact.exchange.messages import Ballot, Forged, Kind, Message, RoundMessages
from fedpact.provider.context import Cache
from fedpact.provider.duties.agreeing import _report, _Round
from tests.support.chain_request import ChainRequest, People
from tests.support.twins import twins
from tests.support.wallets import DENIES_WHERE_GAS_COSTS, TAKES_ANYTHING, TAKES_NOTHING


@pytest.fixture
def request_2(client: ChainClient, people: People) -> Iterator[ChainRequest]:
    """In the second round; its members are no wallets afterwards."""
    found = ChainRequest.created(client, people).running()
    found.post()
    yield found
    for member in people.members:
        client.rpc.call("anvil_setCode", member.address, "0x")


class Member:
    """A member's view of the round, and what it holds; another seat's account becomes a wallet."""

    def __init__(self, request: ChainRequest, seat: int, wallet: int) -> None:
        self.request, self.seat, self.seats = request, seat, request.seats
        self.cache, self.wallet = Cache(), self.seats[wallet].address
        self.becomes(TAKES_ANYTHING)
        client, facts = request.client, request.client.rounds.round_facts(request.id)
        accounts = tuple(one.address for one in self.seats)
        self.ballot = Ballot(
            *(client.rounds.domain, request.id, facts.round, facts.history, accounts),
            *((), client.wallets),
        )
        self.board = RoundMessages(self.ballot)
        for number, keys in enumerate(self.seats):
            self.holds(number, None if number == wallet else keys, keccak(bytes([number])))

    def becomes(self, code: str) -> None:
        self.request.client.rpc.call("anvil_setCode", self.wallet, code)

    def holds(self, seat: int, keys: AccountKeys | None, digest: bytes) -> None:
        """A seat's model; the wallet's without `keys`."""
        message = Message(kind=Kind.MODEL, seat=seat, value=digest.hex())
        if keys is None:
            message = message.model_copy(update={"wallet": "00"})
        else:
            message = message.signed_with(keys.sign_typed(*self.ballot.typed(message)))
        self.ballot.look_up([message])
        assert self.board.take(message)

    @property
    def facts(self) -> Any:
        return self.request.client.rounds.round_facts(self.request.id)

    @property
    def view(self) -> Any:
        keys = self.seats[self.seat]
        return SimpleNamespace(
            ctx=SimpleNamespace(cache=self.cache, client=self.request.client, keys=keys),
            **{"id": self.request.id, "round": 2, "seat": self.seat, "own_seat": self.seat},
            account=keys.address,
            **{"facts": self.facts, "judged": 0, "share_passed": lambda: 0.85},
            cohort=SimpleNamespace(members=[SimpleNamespace(account=a) for a in self.accounts]),
            frame=self.request.client.frame(),
        )

    @property
    def accounts(self) -> tuple[str, ...]:
        return self.ballot.accounts

    @property
    def talk(self) -> Any:
        return SimpleNamespace(board=self.board, held=self.board.held)

    def sent(self) -> int:
        """Transactions of its account."""
        client, keys = self.request.client, self.seats[self.seat]
        return int(client.rpc.call("eth_getTransactionCount", keys.address, "latest"), 16)


def test_a_wallet_makes_a_post_fail_once_and_is_then_left_to_itself(
    request_2: ChainRequest,
) -> None:
    """It passed each estimate and made each batch of each member fail, which paid for it."""
    member = Member(request_2, seat=2, wallet=0)
    member.becomes(DENIES_WHERE_GAS_COSTS)
    before = member.sent()
    with pytest.raises(Reverted, match="NoReason"):
        _Round(member.view, member.talk)._batch("late")
    assert member.sent() == before + 1  # The estimate was good.
    done = _Round(member.view, member.talk)._batch("late")
    assert done is not None
    assert done.acted
    assert member.facts.submitted == 0b110
    waits = _Round(member.view, member.talk)._batch("late")
    assert waits is not None
    assert not waits.acted
    assert member.sent() == before + 2


def test_a_wallet_that_denies_openly_is_left_to_itself(request_2: ChainRequest) -> None:
    member = Member(request_2, seat=2, wallet=0)
    member.becomes(TAKES_NOTHING)
    before = member.sent()
    with pytest.raises(Reverted, match="NotSigned"):
        _Round(member.view, member.talk)._batch("late")
    _Round(member.view, member.talk)._batch("late")
    assert member.facts.submitted == 0b110
    assert member.sent() == before + 1


def test_a_call_for_which_another_was_faster_excludes_no_wallet(request_2: ChainRequest) -> None:
    member = Member(request_2, seat=2, wallet=0)
    stale = member.view
    request_2.submit(1)
    with pytest.raises(Reverted, match="TrainingRounds"):
        _Round(stale, member.talk)._batch("late")
    _Round(member.view, member.talk)._batch("late")
    assert member.facts.submitted == 0b111


def test_a_wallet_that_denies_a_contradiction_does_not_stop_the_exchange(
    request_2: ChainRequest,
) -> None:
    """Each member in turn was stuck in its report, in each cycle, and the round waited."""
    member = Member(request_2, seat=0, wallet=1)
    member.holds(1, None, keccak(b"another"))
    member.becomes(DENIES_WHERE_GAS_COSTS)
    before = member.sent()
    assert _report(member.view, member.talk) is None
    assert _report(member.view, member.talk) is None
    assert member.sent() == before + 1
    assert not member.facts.voided


def test_a_wallet_that_signed_two_models_is_reported(request_2: ChainRequest) -> None:
    member = Member(request_2, seat=0, wallet=1)
    member.holds(1, None, keccak(b"another"))
    reported = _report(member.view, member.talk)
    assert reported is not None
    assert member.facts.voided == 0b10


def test_a_batch_has_what_the_contract_takes_though_a_twin_came_first(
    request_2: ChainRequest,
) -> None:
    """A relay that turned a signature into its twin made each batch fail: the right copy, which
    says the same, was not taken any more."""
    member = Member(request_2, seat=2, wallet=0)
    right = member.board.messages.pop((Kind.MODEL, 1))
    for twin in twins(right.signed).values():
        with pytest.raises(Forged):
            member.board.take(right.signed_with(twin))
    assert member.board.take(right)
    _Round(member.view, member.talk)._batch("late")
    assert member.facts.submitted == 0b111
