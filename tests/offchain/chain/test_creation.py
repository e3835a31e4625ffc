"""A request's creation is found in a few calls on a long chain, also at a node that answers for ten
blocks at once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from fedpact.chain.bindings.events import RequestCreated
from fedpact.chain.bindings.market import Market
from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.devnet import Devnet
from fedpact.chain.node_errors import Capability
from fedpact.chain.recent_logs import NEAR, not_before
from fedpact.chain.records import BlockReference, Call, Frame
from fedpact.chain.scanner import SETTLED
from fedpact.errors import NodeUnreachable, UnknownRequest
from fedpact.requester.request_view import RequestLog, look
from fedpact.requester.requester import requests
from fedpact.types.requests import Status
from tests.support.chain_request import ChainRequest, People, deployed_contracts
from tests.support.node_proxy import Message, node_in_front

BLOCKS, APART = 150, 12
"""Blocks between two requests, and seconds between two of them."""
JOIN_BLOCKS = 10
AT_ONCE = 10
"""Blocks for which the node answers."""


@dataclass
class Chain:
    net: Devnet
    client: ChainClient
    people: People
    requests: list[ChainRequest]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Three requests far apart, of two accounts; blocks come more slowly in the end."""
    with Devnet.start(tmp_path_factory.mktemp("long")) as net:
        operator = net.new_account()
        client = ChainClient.connect(net.url, deployed_contracts(net, operator))
        people = People.admitted(net, client, operator, members=1)
        other = People(operator, people.members[0], people.members)
        made = []
        for by, apart in ((people, APART), (other, APART), (people, 3 * APART)):
            net.mine(BLOCKS, apart)
            terms = {"join_window": JOIN_BLOCKS * APART, "max_pool": 2}
            made.append(ChainRequest.created(client, by, **terms))
            net.mine(SETTLED, apart)
        yield Chain(net, client, people, made)
        client.close()


@pytest.fixture
def narrow(chain: Chain) -> Iterator[tuple[ChainClient, Counter[str]]]:
    """A client at a node that answers for few blocks, and the calls that it got."""
    asked: Counter[str] = Counter()

    def limited(message: Message) -> Message | None:
        asked[message["method"]] += 1
        if message["method"] == "eth_getLogs":
            query = message["params"][0]
            if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= AT_ONCE:
                return {"code": -32005, "message": f"block range is limited to {AT_ONCE}"}
        return None

    with node_in_front(chain.net.url, limited) as url:
        client = ChainClient.connect(url, chain.client.deployment)
        asked.clear()
        yield client, asked
        client.close()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_creation_of_a_request_is_found_in_few_calls_and_once(
    chain: Chain, narrow: tuple[ChainClient, Counter[str]], number: int
) -> None:
    """Each read scanned the chain from the deployment on."""
    (client, asked), request = narrow, chain.requests[number]
    created = client.market.created(request.id)
    assert created.terms == request.terms
    assert asked["eth_getLogs"] < 12
    assert asked["eth_getBlockByNumber"] < 12
    asked.clear()
    assert RequestLog(client, request.id).terms == request.terms
    assert client.market.terms(request.id) == request.terms
    assert dict(asked) == {"eth_call": 2}


def test_events_of_a_request_are_read_since_its_creation(
    chain: Chain, narrow: tuple[ChainClient, Counter[str]]
) -> None:
    """They were read from the deployment on."""
    (client, asked), request = narrow, chain.requests[-1]
    client.market.created(request.id)
    asked.clear()
    first = next(client.request_events(request.id))
    assert isinstance(first, RequestCreated)
    assert asked["eth_getLogs"] < 12


def test_where_a_request_is_now_takes_no_log(
    chain: Chain, narrow: tuple[ChainClient, Counter[str]]
) -> None:
    """Each look searched for the creation first."""
    client, asked = narrow
    assert look(client, chain.requests[0].id).progress().status is Status.OPEN
    assert asked["eth_getLogs"] == 0


def test_a_creation_newer_than_the_known_head_is_not_searched_for(
    chain: Chain, narrow: tuple[ChainClient, Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node behind a gateway, or a pushed head, may be older than the block of the state that was
    read before: the whole chain was searched, and the node said to lack logs."""
    (client, asked), request = narrow, chain.requests[-1]
    before = client.frame_at(chain.client.market.created(request.id).at.block - 1)
    monkeypatch.setattr(client, "frame", lambda *_: before)
    with pytest.raises(NodeUnreachable, match="is older than request"):
        client.market.created(request.id)
    assert asked["eth_getLogs"] == 0


def test_the_state_of_all_requests_is_read_in_few_round_trips(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of requests read each by itself. Their terms are in events."""
    client, reads, read = chain.client, list[int](), chain.client.read
    created = {one.id: client.market.created(one.id) for one in chain.requests}

    def counted(calls: Sequence[Call], block: BlockReference = None) -> list[bytes]:
        reads.append(len(calls))
        return read(calls, block)

    monkeypatch.setattr(client.market, "created", created.__getitem__)
    monkeypatch.setattr(client, "read", counted)
    found = [(one.request_id, one.status) for one in requests(client)]
    assert found == [(one.id, Status.OPEN) for one in chain.requests]
    assert reads == [1, 3, 3]


def test_no_calls_have_no_results(chain: Chain, narrow: tuple[ChainClient, Counter[str]]) -> None:
    client, asked = narrow
    frame = chain.client.frame()
    client.rpc.nodes[0].lacks.add(Capability.BLOCK_HASH)  # It then checks the block's number.
    assert client.read([]) == client.read([], frame) == client.market.all_stored([], frame) == []
    assert not asked


class Blocks:
    """A million blocks, of which a tenth come at a tenth of the others' pace, and every seventh has
    the time of the one before."""

    deployment = SimpleNamespace(block=1_000)

    def __init__(self) -> None:
        self.asked = 0

    def frame_at(self, number: int) -> Frame:
        self.asked += 1
        slow = min(max(0, number - 300_000), 100_000)
        return Frame(number, hex(number), 10**9 + 12 * (number - number % 7 // 6 + 9 * slow))


@pytest.mark.parametrize("share", [0.0, 0.002, 0.29, 0.31, 0.399, 0.41, 0.77, 0.999999, 1.0])
def test_the_block_of_a_time_is_found_among_a_million(share: float) -> None:
    chain = Blocks()
    head = chain.frame_at(1_000_000)
    number = 1_000 + round(share * 999_000)
    at = chain.frame_at(number).timestamp
    chain.asked = 0
    found = not_before(cast(Connection, chain), at, head)
    assert number <= found <= number + 2 * NEAR
    assert found == 1_000_000 or chain.frame_at(found + 1).timestamp > at
    assert chain.asked < 35


def test_requests_of_an_account_are_listed_without_logs(
    chain: Chain, narrow: tuple[ChainClient, Counter[str]]
) -> None:
    client, asked = narrow
    first, _, last = [one.id for one in chain.requests]
    assert client.market.numbers_of(chain.people.requester.address) == [first, last]
    assert client.market.numbers_of(None) == [one.id for one in chain.requests]
    assert set(asked) == {"eth_call"}
    with pytest.raises(UnknownRequest):
        client.market.created(99)


def test_terms_that_a_node_invents_are_not_taken(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Market, "terms_hash", lambda *_: bytes(32))
    client = ChainClient.connect(chain.net.url, chain.client.deployment)
    assert client.market.request(chain.requests[0].id).status is Status.OPEN
    with pytest.raises(NodeUnreachable, match="no event of the creation of request 1"):
        client.market.created(chain.requests[0].id)
    client.close()
