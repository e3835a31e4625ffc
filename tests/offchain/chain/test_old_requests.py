"""What is asked about a request that ended long ago takes as many queries as it had blocks, not as
the chain has got since, also at a node that answers for ten blocks at once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedpact.chain.bindings.events import Joined, Paid, RequestCreated, RoundsEnded
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.provider.ledger.submissions import submissions
from fedpact.requester.request_view import RequestLog, look
from tests.support.chain_request import ChainRequest, People, deployed_contracts
from tests.support.node_proxy import Message, node_in_front

BEFORE, SINCE, AT_ONCE = 100, 300, 10
"""Blocks before and after the request, and in one query."""


@dataclass
class Old:
    """A request that too few had joined."""

    client: ChainClient
    """At a node that answers for few blocks."""
    asked: Counter[str]
    """The calls that it got."""
    request: int
    member: str


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    asked: Counter[str] = Counter()

    def limited(message: Message) -> Message | None:
        asked[message["method"]] += 1
        if message["method"] == "eth_getLogs":
            query = message["params"][0]
            if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= AT_ONCE:
                return {"code": -32005, "message": f"block range is limited to {AT_ONCE}"}
        return None

    with Devnet.start(tmp_path) as net:
        operator = net.new_account()
        maker = ChainClient.connect(net.url, deployed_contracts(net, operator))
        people = People.admitted(net, maker, operator, members=1)
        net.mine(BEFORE, 12)
        request = ChainRequest.created(maker, people, join_window=60, max_pool=2, min_pool=2)
        request.enrol()
        net.mine(2, 60)
        [member] = people.members
        request.send(member, maker.rounds.expire(request.id))
        for _ in range(SINCE // BEFORE):
            net.mine(BEFORE, 12)
        with node_in_front(net.url, limited) as url:
            client = ChainClient.connect(url, maker.deployment)
            asked.clear()
            yield Old(client, asked, request.id, member.address)
            client.close()
        maker.close()


def test_what_came_after_its_end_is_not_read(old: Old) -> None:
    """All blocks since its creation were read, ten a query, by whoever asked about a round."""
    old.client.market.created(old.request)
    old.asked.clear()
    events = old.client.request_events(old.request, until=RoundsEnded)
    assert [type(one) for one in events] == [RequestCreated, Joined, RoundsEnded]
    log = RequestLog(old.client, old.request)
    for _ in range(2):
        [joined] = look(old.client, old.request, log).events(Joined)
        assert joined.provider == old.member
    assert old.asked["eth_getLogs"] < 24
    assert look(old.client, old.request, log).events(Paid) == []
    assert old.asked["eth_getLogs"] > SINCE // AT_ONCE  # these may come at any time


def test_what_an_account_submitted_is_found_without_the_deployments_logs(old: Old) -> None:
    """At each start of a daemon that has served another deployment, all of its blocks were read,
    and those since each request's creation once more."""
    client = old.client
    assert client.pool.joined_by(old.member, client.market.numbers_of(None)) == [old.request]
    assert client.pool.joined_by(client.market.address, [old.request]) == []
    assert not old.asked["eth_getLogs"]
    assert submissions(client, old.member) == []
    assert old.asked["eth_getLogs"] < 36
