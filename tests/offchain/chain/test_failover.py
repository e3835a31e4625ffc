"""Several nodes as one: the best answers, another takes over, and none is asked too often."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fedpact.chain import failover, health
from fedpact.chain.client import ChainClient
from fedpact.chain.connection import NodesDisagree
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.health import CallBudget
from fedpact.chain.node_errors import FaultKind, RpcError
from fedpact.errors import DeploymentError, NodeUnreachable, SettingsError
from fedpact.types.deployment import Deployment
from tests.support.node_proxy import Dropped, HttpAnswer, Message, node_in_front


class Proxied:
    """A node behind a proxy that counts calls and may change answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: Exception | None = None
        self.times = -1
        """How often it refuses; -1: always."""
        self.head = self.behind = 0

    def habit(self, message: Message) -> None:
        self.asked.append(message["method"])
        if self.refuses is not None and self.times:
            self.times -= 1
            raise self.refuses
        if self.behind and message["params"][:1] == ["latest"]:
            message["params"][0] = hex(self.head - self.behind)


@contextmanager
def proxied(anvil: Devnet, count: int) -> Iterator[tuple[list[Proxied], list[str]]]:
    with ExitStack() as stack:
        each = [Proxied() for _ in range(count)]
        urls = [stack.enter_context(node_in_front(anvil.url, one.habit)) for one in each]
        yield each, urls


@pytest.mark.parametrize("refusal", [HttpAnswer(502), HttpAnswer(429), HttpAnswer(403), Dropped()])
def test_another_node_takes_over_within_one_call(anvil: Devnet, refusal: Exception) -> None:
    with proxied(anvil, 2) as ([first, second], urls):
        client = ChainClient.connect(urls, None)
        client.frame()
        assert second.asked == []
        first.refuses = refusal
        assert client.frame().block_number >= 0
        assert second.asked
        first.asked.clear()
        client.frame()
        assert first.asked == []
        assert client.rpc.endpoint == urls[1]


def test_without_any_node_the_call_fails(anvil: Devnet) -> None:
    with proxied(anvil, 2) as (each, urls):
        client = ChainClient.connect(urls, None)
        for one in each:
            one.refuses = Dropped()
        with pytest.raises(NodeUnreachable):
            client.frame()
        for one in each:
            one.refuses = None
        assert client.frame()


def test_a_node_that_lags_is_not_asked_for_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PROBE_EVERY", 0.0)
    with Devnet.start(tmp_path, block_time=3600) as net, proxied(net, 2) as ([first, _], urls):
        net.mine(20)
        client = ChainClient.connect(urls, None)
        first.head, first.behind = 20, 10
        client.frame()
        assert client.frame().block_number == 20
        assert client.rpc.endpoint == urls[1]


def test_a_node_is_left_alone_for_as_long_as_it_asks(anvil: Devnet) -> None:
    with proxied(anvil, 1) as ([only], urls):
        client = ChainClient.connect(urls[0], None)
        only.refuses = HttpAnswer(429, Retry_After="30")
        with pytest.raises(RpcError):
            client.frame()
        only.asked.clear()
        with pytest.raises(RpcError) as caught:
            client.frame()
        assert only.asked == []
        assert caught.value.fault.kind is FaultKind.QUOTA
        assert caught.value.fault.retry_after == pytest.approx(30, abs=10)


def test_a_short_limit_is_waited_out(anvil: Devnet) -> None:
    """429 or 502 on a part of the calls, as gateways answer under load, is not seen outside."""
    with proxied(anvil, 1) as ([only], urls):
        client = ChainClient.connect(urls[0], None)
        for number in range(10):
            only.refuses = HttpAnswer(502) if number % 3 else HttpAnswer(429, Retry_After="0")
            only.times = 1
            assert client.frame()


def test_a_budget_bounds_the_calls_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])
    budget = CallBudget(60)
    for _ in range(15):
        budget.take(1)
    with pytest.raises(RpcError, match="budget of 60 calls a minute") as caught:
        budget.take(3)
    assert caught.value.fault.retry_after == pytest.approx(3.0)
    now[0] += 3.0
    budget.take(3)
    taken = 0
    for _ in range(600):
        now[0] += 0.1
        try:
            budget.take(1)
            taken += 1
        except RpcError:
            continue
    assert taken == pytest.approx(60, abs=1)


def test_a_node_of_another_chain_is_left_out(
    anvil: Devnet, tmp_path: Path, deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    with Devnet.start(tmp_path) as other:
        client = ChainClient.connect([other.url, anvil.url], deployment)
        assert client.rpc.endpoint == anvil.url
        assert "is not used" in caplog.text
        with pytest.raises(DeploymentError, match="another chain with the id"):
            ChainClient.connect([other.url], deployment)


def test_nodes_that_name_different_blocks_are_noticed(
    anvil: Devnet, deployment: Deployment
) -> None:
    """A lying node is believed alone, but not beside a second node."""

    def invented(message: Message, result: Any) -> Any:
        if lies and message["method"] == "eth_getBlockByNumber" and message["params"][0] != "0x0":
            return {**result, "hash": "0x" + "ab" * 32}
        return result

    lies: list[bool] = []
    with node_in_front(anvil.url, told=invented) as liar:
        both = ChainClient.connect([liar, anvil.url], deployment, quorum=2)
        both.agree(both.frame())
        lies.append(True)
        alone = ChainClient.connect(liar, deployment)
        told = alone.frame()
        assert told.block_hash == "0x" + "ab" * 32
        with pytest.raises(NodesDisagree, match="one of them lags behind a fork, or lies"):
            both.agree(told)
        alone.agree(told)


def test_a_quorum_waits_for_a_node_that_does_not_answer(
    anvil: Devnet, deployment: Deployment
) -> None:
    with proxied(anvil, 2) as ([_, second], urls):
        client = ChainClient.connect(urls, deployment, quorum=2)
        second.refuses = Dropped()
        with pytest.raises(NodesDisagree, match="only 1 of 2 nodes"):
            client.agree(client.frame())


def test_a_quorum_of_more_nodes_than_given_is_refused(anvil: Devnet) -> None:
    with pytest.raises(SettingsError, match="a quorum of 2 needs as many nodes, not 1"):
        ChainClient.connect(anvil.url, None, quorum=2)


def test_an_answer_comes_from_the_faster_node_of_two_good_ones() -> None:
    both = Nodes(["http://127.0.0.1:9", "http://127.0.0.1:10"])
    both.nodes[0].health.latency, both.nodes[1].health.latency = 1.0, 0.1
    assert both._ranked()[0] is both.nodes[1]
    both.nodes[1].health.failed()
    assert both._ranked()[0] is both.nodes[0]
    assert time.monotonic() < both.nodes[1].health.paused_until
