"""Each event once and in order, under any limit of the node and any reorganisation."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fedpact.chain import log_ranges
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.node_errors import RpcError
from fedpact.chain.records import Event
from fedpact.chain.scanner import EventScanner
from tests.support.chain_request import deployed_contracts
from tests.support.node_proxy import Message, node_in_front

PROFILES = 12


@pytest.fixture(scope="module")
def chain(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Devnet, ChainClient, AccountKeys]]:
    """Twelve changes of a profile, each some blocks after the one before."""
    with Devnet.start(tmp_path_factory.mktemp("scanned"), block_time=3600) as net:
        registrar = net.new_account()
        client = ChainClient.connect(net.url, deployed_contracts(net, registrar))
        client.registry.admit(registrar, registrar.address, 1, b"k" * 32, b"p" * 32, b"a" * 32)
        for number in range(PROFILES):
            change(client, registrar, number)
            net.mine(1 + number % 5)
        yield net, client, registrar


@pytest.fixture
def client(chain: tuple[Devnet, ChainClient, AccountKeys]) -> Iterator[ChainClient]:
    """The chain for one test; its changes are undone."""
    _, client, _ = chain
    snapshot = client.rpc.call("evm_snapshot")
    yield client
    client.rpc.call("evm_revert", snapshot)


@pytest.fixture
def net(chain: tuple[Devnet, ChainClient, AccountKeys]) -> Devnet:
    return chain[0]


@pytest.fixture
def keys(chain: tuple[Devnet, ChainClient, AccountKeys]) -> AccountKeys:
    return chain[2]


def change(client: ChainClient, keys: AccountKeys, number: int) -> None:
    client.registry.set_profile(keys, number.to_bytes(32, "big"), b"a" * 32)


def profiles(events: Iterator[Event]) -> list[int]:
    return [int.from_bytes(e.args["profile"], "big") for e in events if e.name == "ProfileChanged"]


@pytest.mark.parametrize("first_range", [1, 2, 7, 1000])
def test_each_event_is_delivered_once_and_in_order(
    client: ChainClient, monkeypatch: pytest.MonkeyPatch, first_range: int
) -> None:
    monkeypatch.setattr(log_ranges, "FIRST_RANGE", first_range)
    scanner = EventScanner(client, client.deployment.block)
    assert profiles(scanner.scan()) == list(range(PROFILES))
    assert profiles(scanner.scan()) == []
    assert scanner.next_block == client.frame().block_number + 1


def test_ranges_become_shorter_where_events_are_dense(
    client: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first scan took memory for all events of 64,000 blocks at once."""
    monkeypatch.setattr(log_ranges, "FIRST_RANGE", 16)
    monkeypatch.setattr(log_ranges, "MOST_EVENTS", 1)
    chunks = list(EventScanner(client, client.deployment.block).chunks())
    assert profiles(event for chunk in chunks for event in chunk.events) == list(range(PROFILES))
    blocks = [chunk.end.block_number - chunk.first + 1 for chunk in chunks if chunk.end is not None]
    assert blocks[:2] == [16, 8]


def test_what_a_node_refuses_is_not_forgotten_by_queries_of_other_lengths() -> None:
    """A query of one new block counted as one of any length, and a refusal of a longer range as
    leave for all shorter ones: the range that the node had refused was asked for again."""
    reach = log_ranges.Reach()
    short, long = log_ranges.QuerySpan(reach), log_ranges.QuerySpan(reach)
    long.answered(long.blocks, 0)
    short.refused(10)
    long.refused(long.blocks)
    assert reach.refused == 10
    following = log_ranges.QuerySpan(reach)
    for _ in range(2 * log_ranges.ANSWERS):
        following.answered(1, 0)
    assert (following.blocks, reach.refused) == (9, 10)
    for _ in range(log_ranges.ANSWERS):
        following.answered(following.blocks, 0)
    assert reach.refused == 20


def test_events_carry_the_time_of_their_block(client: ChainClient) -> None:
    for event in EventScanner(client, client.deployment.block).scan():
        frame = client.frame_at(event.block)
        assert frame is not None
        assert event.timestamp == frame.timestamp


def test_new_events_are_found_by_the_next_scan(client: ChainClient, keys: AccountKeys) -> None:
    scanner = EventScanner(client, client.deployment.block)
    list(scanner.scan())
    change(client, keys, 100)
    change(client, keys, 101)
    assert profiles(scanner.scan(client.frame())) == [100, 101]


def test_unconfirmed_blocks_are_left_for_later(
    client: ChainClient, net: Devnet, keys: AccountKeys
) -> None:
    net.mine(3)
    scanner = EventScanner(client, client.deployment.block, confirmations=3)
    list(scanner.scan())
    change(client, keys, 100)
    assert profiles(scanner.scan()) == []
    net.mine(3)
    assert profiles(scanner.scan()) == [100]


def test_scan_stops_at_the_block_that_is_named(client: ChainClient) -> None:
    everything = list(EventScanner(client, client.deployment.block).scan())
    middle = everything[len(everything) // 2].block
    scanner = EventScanner(client, client.deployment.block)
    assert list(scanner.scan(middle)) == [e for e in everything if e.block <= middle]
    assert list(scanner.scan()) == [e for e in everything if e.block > middle]
    assert list(scanner.scan(10**9)) == []


def test_unprocessed_events_are_delivered_again(client: ChainClient) -> None:
    scanner = EventScanner(client, client.deployment.block)
    next(scanner.scan())
    assert profiles(scanner.scan()) == list(range(PROFILES))


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_range_is_halved_for_a_node_that_allows_few_blocks_at_once(
    client: ChainClient, net: Devnet, limit: int
) -> None:
    with limited_node(net.url, limit) as (url, asked):
        narrow = ChainClient.connect(url, client.deployment)
        scanner = EventScanner(narrow, client.deployment.block)
        assert profiles(scanner.scan()) == list(range(PROFILES))
        allowed = [length for length in asked if length <= limit]
        assert max(allowed) > limit // 2
        assert len(asked) - len(allowed) < len(allowed) + 12


def test_a_node_that_refuses_even_one_block_is_reported(client: ChainClient, net: Devnet) -> None:
    with limited_node(net.url, 0) as (url, _):
        narrow = ChainClient.connect(url, client.deployment)
        scanner = EventScanner(narrow, client.deployment.block)
        with pytest.raises(RpcError, match="too many blocks"):
            list(scanner.scan())


def test_reorganised_blocks_are_read_again_with_their_new_events(
    client: ChainClient, net: Devnet, keys: AccountKeys, caplog: pytest.LogCaptureFixture
) -> None:
    scanner = EventScanner(client, client.deployment.block)
    list(scanner.scan())
    fork = client.rpc.call("evm_snapshot")
    kept = client.frame().block_number
    change(client, keys, 100)
    assert profiles(scanner.scan()) == [100]

    client.rpc.call("evm_revert", fork)
    change(client, keys, 200)
    change(client, keys, 201)
    undone, again = scanner.chunks()
    assert (undone.first, undone.events) == (kept + 1, ())
    assert undone.end is not None
    assert undone.end.block_number == kept
    assert profiles(iter(again.events)) == [200, 201]
    assert "reorganised" in caplog.text
    assert profiles(scanner.scan()) == []


def test_a_reorganisation_of_the_same_length_is_detected(
    client: ChainClient, keys: AccountKeys
) -> None:
    scanner = EventScanner(client, client.deployment.block)
    list(scanner.scan())
    fork = client.rpc.call("evm_snapshot")
    change(client, keys, 100)
    assert profiles(scanner.scan(client.frame())) == [100]
    client.rpc.call("evm_revert", fork)
    change(client, keys, 200)
    assert profiles(scanner.scan(client.frame())) == [200]


def test_chain_that_became_shorter_is_read_again_once_it_grows(
    client: ChainClient, net: Devnet, keys: AccountKeys
) -> None:
    scanner = EventScanner(client, client.deployment.block)
    list(scanner.scan())
    fork = client.rpc.call("evm_snapshot")
    net.mine(5)
    change(client, keys, 100)
    assert profiles(scanner.scan()) == [100]
    client.rpc.call("evm_revert", fork)
    assert profiles(scanner.scan()) == []
    change(client, keys, 200)
    assert profiles(scanner.scan()) == [200]


def test_fork_below_all_that_was_scanned_reads_from_the_start(
    client: ChainClient, net: Devnet, keys: AccountKeys
) -> None:
    fork = client.rpc.call("evm_snapshot")
    start = client.frame().block_number + 1
    change(client, keys, 100)
    scanner = EventScanner(client, start)
    assert profiles(scanner.scan()) == [100]
    client.rpc.call("evm_revert", fork)
    change(client, keys, 200)
    undone, again = scanner.chunks()
    assert (undone.first, undone.end) == (start, None)
    assert profiles(iter(again.events)) == [200]


@contextmanager
def limited_node(url: str, limit: int) -> Iterator[tuple[str, list[int]]]:
    """The node at `url`, refusing event queries over more than `limit` blocks.

    Also hands out the list of the lengths that were asked for.
    """
    asked: list[int] = []

    def refuse(message: Message) -> Message | None:
        if message["method"] != "eth_getLogs":
            return None
        query = message["params"][0]
        asked.append(int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1)
        if asked[-1] <= limit:
            return None
        return {"code": -32005, "message": f"too many blocks, {limit} at most"}

    with node_in_front(url, refuse) as address:
        yield address, asked


def test_a_filter_that_the_node_ignores_is_applied_here(
    net: Devnet, client: ChainClient, keys: AccountKeys
) -> None:
    """EthereumJS 0.10 looks at the first topic alone."""

    def forgetful(message: Message) -> None:
        if message["method"] == "eth_getLogs":
            del message["params"][0]["topics"][1:]

    changed = client.registry.event_topic("ProfileChanged")
    with node_in_front(net.url, forgetful) as address:
        behind = ChainClient.connect(address, client.deployment)

        def found(account: int) -> int:
            topics = [changed, f"0x{account:064x}"]
            scanner = EventScanner(behind, client.deployment.block, topics=topics)
            return len(list(scanner.scan()))

        assert found(int(keys.address, 16)) == PROFILES
        assert found(1) == 0
