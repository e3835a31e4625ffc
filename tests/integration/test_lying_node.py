"""A node that lies: what an auditor notices, and what nobody does who asks it alone.

An honest, finished request is audited through a node that falsifies one thing: an event, all of one
kind, or what a view returns. test_audit.py falsifies what only a transaction or the store says.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fedpact.audit import AuditReport, audit
from fedpact.chain.abi import LEDGER, MARKET, POOL, REGISTRY, RESALE, ROUNDS, contract_abi
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet, find_anvil
from fedpact.child_process import ChildProcess
from fedpact.errors import FedpactError
from fedpact.types.requests import Phase
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.node_proxy import (
    Message,
    Told,
    events_changed,
    events_hidden,
    honest,
    node_in_front,
    view_changed,
)
from tests.support.sold_request import deliver_and_sell, play_rounds
from tests.support.waiting import PATIENCE

EVENTS = {
    LEDGER: ("ProvidersRecorded", "RequesterRecorded", "UnitAnnounced"),
    MARKET: ("Delivered", "Paid", "RequestCreated", "Settled"),
    POOL: ("Joined",),
    ROUNDS: (
        *("Attested", "Credited", "ModelsSubmitted", "RoundFinalised", "RoundOpened"),
        *("RoundPosted", "RoundTallied", "RoundsEnded", "SliceOpened", "Started"),
        *("VotesCommitted", "VotesRevealed"),
    ),
    RESALE: ("KeySealed", "PointsTallied", "ResaleOffered", "ResultBought"),
}
"""All that the request has and an audit reads."""
UNREAD = {"OwnershipTransferred", "RecorderAnnounced", "Registered"}
"""Events of the deployment on which no item depends."""
VIEWS = {
    (LEDGER, "reputation"): 0,
    (LEDGER, "requesterReputation"): 0,
    (MARKET, "request"): 3,  # hash of the terms
    (POOL, "count"): 0,
    (POOL, "members"): -1,
    (RESALE, "claimable"): 0,
    (RESALE, "offered"): 0,  # price
    (RESALE, "purchase"): 0,  # status
    (ROUNDS, "outcome"): 8,  # hash of what was earned
    (ROUNDS, "roundFacts"): 20,  # history
}
"""Each view that an audit reads, with a word that it compares."""
BELIEVED_VIEWS = {(POOL, "facts")}
"""Read for the requester's organisation alone."""
BELIEVED_WORDS = {
    ("KeySealed", 1),  # an auditor with a seal opens the key
    ("ResultBought", 1),  # and has the buyer's key
    ("ResultBought", 2),
    ("UnitAnnounced", 0),  # one wei
    ("UnitAnnounced", 1),  # one second
}
"""Event and word of its data: nobody notices another last bit without a seal."""


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("lied-to"))


Audited = Callable[[Told], AuditReport]


@pytest.fixture(scope="module")
def memory() -> dict[str, Message]:
    """What the true node has answered."""
    return {}


@pytest.fixture(scope="module")
def audited(market: DigitsMarket, memory: dict[str, Message]) -> Iterator[Audited]:
    """`audited(told)`: what an audit finds through a node that tells these things."""
    committee = play_rounds(market)
    deliver_and_sell(committee)
    lie = honest

    def told(message: Message, result: Any) -> Any:
        return lie(message, result)

    with node_in_front(market.client.rpc.endpoint, told=told, memory=memory) as url:

        def found(told: Told) -> AuditReport:
            nonlocal lie
            lie = told
            with closing(ChainClient.connect(url, market.client.deployment)) as client:
                return audit(client, market.store, committee.id)

        assert found(honest).failed == []
        yield found


def is_noticed(audited: Audited, told: Told) -> bool:
    """An item fails, or the whole audit does, with an error that says why."""
    try:
        return bool(audited(told).failed)
    except FedpactError:
        return True


def topic_of(contract: str, name: str) -> str:
    return contract_abi(contract).event_topic(name)


def test_all_that_an_audit_reads_is_listed(
    audited: Audited, market: DigitsMarket, memory: dict[str, Message]
) -> None:
    contracts = (LEDGER, MARKET, POOL, REGISTRY, RESALE, ROUNDS)
    addresses = {market.client.deployment.contracts[one].lower(): one for one in contracts}
    events, views = set(), set()
    for asked, answer in memory.items():
        method, params = json.loads(asked)
        if method == "eth_getLogs":
            for log in answer["result"]:
                abi = contract_abi(addresses[log["address"].lower()])
                names = {one.name for one in abi.events.values()}
                events |= {name for name in names if abi.event_topic(name) == log["topics"][0]}
        if method == "eth_call" and params[0]["to"].lower() in addresses:
            contract = addresses[params[0]["to"].lower()]
            functions = contract_abi(contract).functions.items()
            selector = bytes.fromhex(params[0]["data"][2:10])
            views |= {(contract, name) for name, one in functions if one.selector == selector}
    assert events - UNREAD == {name for names in EVENTS.values() for name in names}
    assert views == VIEWS.keys() | BELIEVED_VIEWS


ALL_EVENTS = [(contract, name) for contract, names in EVENTS.items() for name in names]


@pytest.mark.parametrize(("contract", "name"), ALL_EVENTS)
def test_a_node_that_hides_all_events_of_a_kind_is_noticed(
    audited: Audited, contract: str, name: str
) -> None:
    """Events and views must agree, and the running hashes with both."""
    assert is_noticed(audited, events_hidden(topic_of(contract, name)))


@pytest.mark.parametrize(
    ("contract", "name"), [one for one in ALL_EVENTS if one[1] != "UnitAnnounced"]
)
def test_a_node_that_changes_the_end_of_an_event_is_noticed(
    audited: Audited, contract: str, name: str
) -> None:
    assert is_noticed(audited, events_changed(topic_of(contract, name)))


@pytest.mark.parametrize(("contract", "name"), VIEWS)
def test_a_node_that_changes_a_view_is_noticed(audited: Audited, contract: str, name: str) -> None:
    selector = contract_abi(contract).functions[name].selector
    assert is_noticed(audited, view_changed(selector, VIEWS[contract, name]))


@pytest.mark.slow
def test_each_word_of_each_event_but_those_listed_is_noticed(
    audited: Audited, memory: dict[str, Message]
) -> None:
    logs = [
        log
        for asked, answer in memory.items()
        if json.loads(asked)[0] == "eth_getLogs"
        for log in answer["result"]
    ]
    believed = set()
    for contract, name in ALL_EVENTS:
        topic = topic_of(contract, name)
        words = {(len(one["data"]) - 2) // 64 for one in logs if one["topics"][0] == topic}
        for word in range(min(words)):
            if not is_noticed(audited, events_changed(topic, word)):
                believed.add((name, word))
    assert believed == BELIEVED_WORDS


@contextmanager
def branch(market: DigitsMarket, folder: Path) -> Iterator[ChainClient]:
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
    market: DigitsMarket, tmp_path: Path
) -> None:
    """The stated limit: whoever asks one node alone sees what that node wants.

    Contracts, ids and the first block are the true ones and all that is computed holds; but a
    request was cancelled of which its requester knows nothing.
    """
    request = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    with branch(market, tmp_path) as invented:
        call = invented.market.cancel(request)
        transaction = {"to": call.to, "data": "0x" + call.data.hex(), "gas": hex(10**6)}
        requester = market.requester_keys.address
        invented.rpc.call("eth_sendTransaction", {"from": requester, **transaction})
        invented.rpc.call("anvil_mine", "0x1")

        report = audit(invented, market.store, request)
        assert report.failed == []
        assert invented.rounds.round_facts(request).phase is Phase.ENDED

        market.client.rpc.call("anvil_mine", "0x8")
        told = invented.frame()
        true = market.client.frame_at(told.block_number)
    assert true is not None
    assert true.block_hash != told.block_hash
    assert market.client.rounds.round_facts(request).phase is Phase.WAITING
