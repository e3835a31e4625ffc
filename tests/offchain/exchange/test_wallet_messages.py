"""Messages of contract wallets: what the wallet takes counts, as of the block when it was asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from fedpact.chain.client import ChainClient
from fedpact.chain.contract_wallets import MOST_GAS, WalletSignatures, may_act, sent_for
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.chain.signed_messages import Domain, WalletSignature
from fedpact.errors import NodeUnreachable
from fedpact.exchange.gossip import Exchange
from fedpact.exchange.messages import Ballot, Forged, Kind, Message, RoundMessages
from fedpact.exchange.sending import AT_ONCE, Sending
from fedpact.provider.startup_checks import check_account
from fedpact.retrieval.http import OwnAddress
from tests.support.wallets import TAKES_ANYTHING, owned_wallet

DIGEST = keccak(text="digest")


class CountingNodes:
    """Nodes that count the calls, and may be down."""

    def __init__(self, client: ChainClient) -> None:
        self._rpc = client.rpc
        self.calls, self.down = 0, False

    def call(self, method: str, *params: object) -> object:
        self.calls += 1
        if self.down:
            raise NodeUnreachable("down")
        return self._rpc.call(method, *params)


@pytest.fixture
def wallet(anvil: Devnet, client: ChainClient) -> AccountKeys:
    return owned_wallet(client, anvil.new_account())


@pytest.fixture
def nodes(client: ChainClient) -> CountingNodes:
    return CountingNodes(client)


@pytest.fixture
def ballot(wallet: AccountKeys, nodes: CountingNodes) -> Ballot:
    """Of one seat, which is the wallet's."""
    domain = Domain(31337, "0x" + "12" * 20)
    wallets = WalletSignatures(nodes)  # type: ignore[arg-type]
    return Ballot(domain, 7, 2, bytes(32), (wallet.address,), (), wallets)


def said(ballot: Ballot, keys: AccountKeys, value: bytes = DIGEST) -> Message:
    unsigned = Message(kind=Kind.MODEL, seat=0, value=value.hex())
    return unsigned.signed_with(keys.sign_typed(*ballot.typed(unsigned)))


@pytest.fixture
def exchange(ballot: Ballot) -> Exchange:
    """Of the ballot's round."""
    found = Exchange(bytes(32), OwnAddress(""), 1.0)
    found.open(ballot, [], lambda: ())
    return found


def sent(exchange: Exchange, messages: list[Message]) -> list[Message]:
    """What is held after a peer sent these."""
    exchange.answer(bytes(32).hex(), 7, 2, Sending(messages=tuple(messages)).encode())
    return exchange.board((7, 2)).all()


def flood(begin: int) -> list[Message]:
    """As many messages of the wallet's seat as can be sent at once."""
    values = (keccak(begin.to_bytes(4) + n.to_bytes(4)).hex() for n in range(AT_ONCE))
    return [Message(kind=Kind.MODEL, seat=0, value=one, wallet="00") for one in values]


def test_what_the_wallet_takes_counts_and_is_asked_once(
    ballot: Ballot, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    content = Sending.of((), [said(ballot, wallet)]).encode()
    board, [message] = RoundMessages(ballot), Sending.decode(content).messages
    assert isinstance(message.signed, WalletSignature)
    assert not board.take(message)  # nobody has asked the wallet
    ballot.look_up([message])
    assert board.take(message)
    ballot.look_up([message])
    assert nodes.calls == 1


def test_the_owners_key_alone_does_not_speak_for_the_wallet(
    ballot: Ballot, wallet: AccountKeys
) -> None:
    message = said(ballot, replace(wallet, wallet=None))
    ballot.look_up([message])
    with pytest.raises(Forged, match="is signed by"):
        RoundMessages(ballot).take(message)


def test_what_the_wallet_refuses_is_forged_and_ends_the_look(
    anvil: Devnet, ballot: Ballot, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    """A stranger's list costs one call of the node, however long it is."""
    thief = replace(anvil.new_account(), wallet=wallet.address)
    forged = [said(ballot, thief, keccak(bytes([n]))) for n in range(5)]
    ballot.look_up(forged)
    assert nodes.calls == 1
    with pytest.raises(Forged, match="has not signed"):
        RoundMessages(ballot).take(forged[0])
    assert not RoundMessages(ballot).take(forged[1])


def test_a_wallet_that_goes_back_on_its_word_hides_nobody_elses(
    anvil: Devnet, client: ChainClient, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    """Other judges, which held what it had signed, sent it before what they said themselves."""
    other = owned_wallet(client, anvil.new_account())
    wallets = WalletSignatures(nodes)  # type: ignore[arg-type]
    seats = (wallet.address, other.address)
    both = Ballot(Domain(31337, "0x" + "12" * 20), 7, 2, bytes(32), seats, (), wallets)
    honest = said(both, other).model_copy(update={"seat": 1})
    exchange, sent_again = Exchange(bytes(32), OwnAddress(""), 1.0), [said(both, wallet), honest]
    exchange.open(both, [], lambda: ())
    client.rpc.call("anvil_setCode", wallet.address, "0x5f5ffd")  # it reverts
    many = [
        Message(kind=Kind.MODEL, seat=0, value=keccak(bytes([n])).hex(), wallet="00")
        for n in range(9)
    ]
    assert sent(exchange, [*many, *sent_again]) == [honest]
    assert nodes.calls == 2


def test_an_account_without_code_takes_nothing(
    anvil: Devnet, ballot: Ballot, nodes: CountingNodes
) -> None:
    keys = anvil.new_account()
    plain = replace(ballot, accounts=(keys.address,))
    message = said(plain, replace(keys, wallet=keys.address))
    plain.look_up([message])
    with pytest.raises(Forged, match="has not signed"):
        RoundMessages(plain).take(message)


def test_a_wallet_counts_only_if_the_contracts_take_its_answer(
    client: ChainClient, ballot: Ballot, wallet: AccountKeys
) -> None:
    """They look at a whole word: an answer of four bytes made each post with it fail."""
    message = said(ballot, wallet)
    for code in (TAKES_ANYTHING.replace("6020", "6004"), TAKES_ANYTHING.replace("60e0", "60df")):
        client.rpc.call("anvil_setCode", wallet.address, code)
        asked = replace(ballot, wallets=WalletSignatures(client.rpc))
        asked.look_up([message])
        with pytest.raises(Forged, match="has not signed"):
            RoundMessages(asked).take(message)


def test_a_wallet_whose_look_costs_too_much_takes_nothing(
    client: ChainClient, ballot: Ballot, wallet: AccountKeys
) -> None:
    """Whoever posts would pay for it."""
    # jumpdest push0 jump: an endless loop
    client.rpc.call("anvil_setCode", wallet.address, "0x5b5f56")
    message = said(ballot, wallet)
    ballot.look_up([message])
    with pytest.raises(Forged, match="has not signed"):
        RoundMessages(ballot).take(message)
    assert MOST_GAS < 200_000


def test_a_node_that_is_down_is_asked_again(
    ballot: Ballot, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    board, message = RoundMessages(ballot), said(ballot, wallet)
    nodes.down = True
    ballot.look_up([message])
    assert not board.take(message)
    nodes.down = False
    ballot.look_up([message])
    assert board.take(message)


def test_strangers_do_not_keep_a_node_busy(
    ballot: Ballot, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    """There is one look at a time; what has to wait too long is looked at another time."""
    message = said(ballot, wallet)
    assert ballot.wallets is not None
    with ballot.wallets._looking:
        ballot.look_up([message])
    assert nodes.calls == 0
    ballot.look_up([message])
    assert nodes.calls == 1


def test_a_reveal_in_a_wallets_name_is_not_looked_up(
    exchange: Exchange, nodes: CountingNodes
) -> None:
    """It needs no signature. A stranger's made the endpoint fail."""
    assert sent(exchange, [Message(kind=Kind.REVEAL, seat=0, value="11" * 32, wallet="00")]) == []
    assert nodes.calls == 0


def test_a_wallet_that_takes_anything_is_asked_no_more_than_is_kept(
    client: ChainClient, exchange: Exchange, wallet: AccountKeys, nodes: CountingNodes
) -> None:
    client.rpc.call("anvil_setCode", wallet.address, TAKES_ANYTHING)
    assert len(sent(exchange, flood(0))) == 2
    assert nodes.calls == 2
    assert len(sent(exchange, flood(1))) == 2
    assert nodes.calls == 2


def test_a_list_ends_where_the_node_does_not_say(exchange: Exchange, nodes: CountingNodes) -> None:
    """Each look that waits, or asks a node that is down, takes its time."""
    nodes.down = True
    assert sent(exchange, flood(0)) == []
    assert nodes.calls == 1


def test_the_own_word_waits_for_no_strangers(
    exchange: Exchange, ballot: Ballot, wallet: AccountKeys
) -> None:
    assert ballot.wallets is not None
    with ballot.wallets._looking:  # as while a stranger's message is looked at
        exchange.say((7, 2), said(ballot, wallet))
    assert exchange.board((7, 2)).held(Kind.MODEL).keys() == {0}


def test_what_was_kept_from_before_waits_for_no_strangers(
    ballot: Ballot, wallet: AccountKeys
) -> None:
    again = Exchange(bytes(32), OwnAddress(""), 1.0)
    assert ballot.wallets is not None
    with ballot.wallets._looking:
        again.open(ballot, [], lambda: [said(ballot, wallet)])
    assert again.board((7, 2)).held(Kind.MODEL).keys() == {0}


def test_a_wallet_makes_own_calls_and_its_owner_sends_all_others(
    anvil: Devnet, client: ChainClient, wallet: AccountKeys
) -> None:
    stranger = anvil.new_account()
    assert may_act(client.rpc, wallet)
    assert not may_act(client.rpc, replace(stranger, wallet=wallet.address))
    call = Call("0x" + "12" * 20, b"\1", 5, "x", own=True)
    assert sent_for(wallet, replace(call, own=False)) == replace(call, own=False)
    assert sent_for(stranger, call) == call
    through = sent_for(wallet, call)
    assert (through.to, through.value, through.action) == (wallet.address, 0, "x")
    anvil.fund(wallet.address, 7)
    client.send(wallet, call)
    assert client.balance("0x" + "12" * 20) == 5
    assert client.balance(wallet.address) == 2


def test_each_wallet_of_a_key_has_secrets_of_its_own(wallet: AccountKeys) -> None:
    alone, other = replace(wallet, wallet=None), replace(wallet, wallet="0x" + "34" * 20)
    assert len({one.derive("salt") for one in (wallet, alone, other)}) == 3


def test_a_daemon_says_what_its_wallet_lacks(
    anvil: Devnet, client: ChainClient, wallet: AccountKeys
) -> None:
    def said_of(keys: AccountKeys) -> list[str]:
        return [one.said for one in check_account(client, keys) if one.name == "wallet"]

    assert said_of(wallet) == []
    stranger = anvil.new_account()
    signs, acts = said_of(replace(stranger, wallet=wallet.address))
    assert "(ERC-1271)" in signs
    assert "(ERC-7821" in acts
    [signs] = said_of(replace(stranger, wallet=stranger.address))
    assert "is not a contract" in signs
