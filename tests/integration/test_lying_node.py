"""A node that lies: what an auditor and a member notice, and what nobody can who asks one node."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fedpact.audit import audit
from fedpact.chain.abi import contract_abi
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import find_anvil
from fedpact.child import ChildProcess
from fedpact.consensus.votes import Ballot, pack_scores, vote_commitment
from fedpact.errors import AuditFailed, FedpactError, Reverted
from fedpact.types.cid import Cid
from fedpact.types.rounds import RequestStatus, Stage
from tests.support.committee import PAYMENT, Committee, Market
from tests.support.node_proxy import Message, node_in_front
from tests.support.waiting import PATIENCE

ROUNDS, MARKET, REGISTRY = "TrainingRounds", "SharingMarket", "ParticipantRegistry"
Told = Callable[[Message, Any], Any]


def nudged(data: str) -> str:
    """The same 32-byte words with the last bit flipped."""
    return data[:-1] + f"{int(data[-1], 16) ^ 1:x}"


def events_changed(contract: str, name: str) -> Told:
    """Add a little to the last field of every event of this name."""
    topic = contract_abi(contract).event_topic(name)

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        return [
            {**log, "data": nudged(log["data"])} if log["topics"][0] == topic else log
            for log in result
        ]

    return told


def events_hidden(contract: str, name: str) -> Told:
    """Hide all events of this name."""
    topic = contract_abi(contract).event_topic(name)

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        return [log for log in result if log["topics"][0] != topic]

    return told


def view_changed(contract: str, name: str) -> Told:
    """Add a little to the last word that this view returns."""
    selector = "0x" + contract_abi(contract).functions[name].selector.hex()

    def told(message: Message, result: Any) -> Any:
        asked = message["method"] == "eth_call" and message["params"][0]["data"]
        return nudged(result) if asked and asked.startswith(selector) else result

    return told


LIES: list[tuple[str, Told, set[str]]] = [
    ("a submission", events_changed(ROUNDS, "ModelSubmitted"), {"history"}),
    ("a vote", events_changed(ROUNDS, "VoteRevealed"), {"commitments", "history"}),
    ("a fault", events_changed(ROUNDS, "RoundTallied"), {"faults"}),
    ("a proposal", events_changed(ROUNDS, "RoundFinalised"), {"leader_order"}),
    ("a payment", events_changed(MARKET, "Claimed"), {"payments", "conservation"}),
    ("hidden votes", events_hidden(ROUNDS, "VoteRevealed"), {"medians", "history"}),
    ("hidden attestations", events_hidden(ROUNDS, "Attested"), {"attestations"}),
    ("hidden payments", events_hidden(MARKET, "Claimed"), {"payments", "conservation"}),
    ("a hidden delivery", events_hidden(MARKET, "Delivered"), {"outcome"}),
    ("a hidden sharing", events_hidden(MARKET, "ModelShared"), {"outcome"}),
    ("points in a view", view_changed(ROUNDS, "points"), {"faults"}),
    ("a name in a view", view_changed(REGISTRY, "reputation"), {"reputation"}),
    ("a refund in a view", view_changed(MARKET, "refundable"), {"refund"}),
]


@contextmanager
def asked_through(
    market: Market, told: Told, habit: Callable[[Message], None] = lambda _: None
) -> Iterator[ChainClient]:
    """A client of a node that lies in this way; `habit` sees each call."""
    with node_in_front(market.client.rpc.endpoint, habit, told) as url:
        client = ChainClient.connect(url, market.client.deployment)
        try:
            yield client
        finally:
            client.close()


@pytest.mark.parametrize(
    ("told", "noticed"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES]
)
def test_an_auditor_notices_a_node_that_changes_or_hides_one_thing(
    market: Market, finished: Committee, told: Told, noticed: set[str]
) -> None:
    """Events and views must agree, and the running hash of the rounds with both."""
    with asked_through(market, told) as client:
        report = audit(client, market.store, finished.request_id)

    assert noticed <= {item.name for item in report.failed}, report.failed


@pytest.mark.parametrize(
    ("contract", "name", "missing"),
    [
        (MARKET, "Joined", "nobody joined in a seat"),
        (ROUNDS, "RoundOpened", "its round was not opened"),
        (ROUNDS, "ModelSubmitted", "a model was not submitted"),
        (ROUNDS, "RoundTallied", "its round was not tallied"),
    ],
)
def test_an_auditor_says_which_hidden_event_it_lacks(
    market: Market, finished: Committee, contract: str, name: str, missing: str
) -> None:
    with (
        asked_through(market, events_hidden(contract, name)) as client,
        pytest.raises(AuditFailed, match=missing),
    ):
        audit(client, market.store, finished.request_id)


def test_an_event_that_cannot_be_decoded_is_reported(market: Market, finished: Committee) -> None:
    with (
        asked_through(market, events_changed(MARKET, "Delivered")) as client,
        pytest.raises(FedpactError, match=r"returned a Delivered in .* cannot be decoded"),
    ):
        audit(client, market.store, finished.request_id)


@contextmanager
def branch(market: Market, folder: Path) -> Iterator[ChainClient]:
    """A node that goes on by itself from the chain as it is, and signs for whom it likes."""
    command = [str(find_anvil()), "--fork-url", market.client.rpc.endpoint, "--port", "0"]
    child = ChildProcess.start([*command, "--auto-impersonate"], folder / "branch.log")
    try:
        url = "http://" + child.wait_for(re.compile(r"Listening on (\S+:\d+)"), PATIENCE)[1]
        client = ChainClient.connect(url, market.client.deployment)
        yield client
        client.close()
    finally:
        child.stop()


def test_a_whole_invented_branch_is_noticed_only_beside_another_node(
    market: Market, tmp_path: Path
) -> None:
    """The stated limit: whoever asks one node alone sees what that node wants.

    Contracts, ids and the first block are the true ones and all that is computed holds; but a
    request was cancelled of which its requester knows nothing.
    """
    request_id = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    with branch(market, tmp_path) as invented:
        call = invented.market.function("cancel", request_id)
        transaction = {"to": call.to, "data": "0x" + call.data.hex(), "gas": hex(10**6)}
        requester = market.requester_keys.address
        invented.rpc.call("eth_sendTransaction", {"from": requester, **transaction})
        invented.rpc.call("anvil_mine", "0x1")

        report = audit(invented, market.store, request_id)
        assert report.failed == []
        assert invented.market.request(request_id).status is RequestStatus.CANCELLED

        market.client.rpc.call("anvil_mine", "0x8")
        told = invented.frame()
        true = market.client.frame_at(told.block_number)
    assert true is not None
    assert true.block_hash != told.block_hash
    assert market.client.market.request(request_id).status is RequestStatus.OPEN
    market.requester.cancel(request_id)


def test_a_node_that_invents_the_close_of_commits_reads_a_vote_and_changes_none(
    market: Market,
) -> None:
    """The stated limit: a member that trusts it reveals while others may still commit.

    The chain refuses that vote before its time, and takes it in its time.
    """
    rounds, members = market.client.rounds, market.providers
    request_id = market.requester.create(market.draft(rounds=1), market.evaluation, PAYMENT)
    Committee(market, request_id).join_and_start()
    for seat, keys in enumerate(members):
        rounds.submit(keys, request_id, seat, Cid.of(b"model %d" % seat).digest)
    word, salt = pack_scores({1: 1_234, 2: 4_321}), bytes(range(32))
    deployment = market.client.deployment
    ballot = Ballot(deployment.chain_id, deployment.rounds, request_id, 1, members[0].address)
    rounds.commit_vote(members[0], request_id, 0, vote_commitment(ballot, word, salt))
    heard: list[Message] = []

    def closed(message: Message, result: Any) -> Any:
        views = contract_abi(ROUNDS).functions
        asked = message["method"] == "eth_call" and message["params"][0]["data"]
        if asked and asked.startswith("0x" + views["roundState"].selector.hex()):
            return f"0x{Stage.REVEAL:064x}{result[66:]}"
        return result

    with asked_through(market, closed, heard.append) as client:
        assert client.rounds.round_state(request_id).stage is Stage.REVEAL
        with pytest.raises(Reverted, match="WrongPhase"):
            client.rounds.reveal_vote(members[0], request_id, 0, word, salt)
    assert any(f"{word:064x}{salt.hex()}" in str(message) for message in heard)
    state = rounds.round_state(request_id)
    assert (state.stage, state.committed, state.revealed) == (Stage.COMMIT, 0b001, 0)

    for seat, keys in list(enumerate(members))[1:]:
        rounds.commit_vote(keys, request_id, seat, b"\1" * 32)
    rounds.reveal_vote(members[0], request_id, 0, word, salt)
    assert rounds.round_state(request_id).revealed == 0b001
