"""A daemon before nodes that refuse, lag, reorganise and lack what others have (real Anvil)."""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.node_errors import Capability
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import ContentMissing, StorageUnavailable, TransactionTimeout
from fedpact.provider import daemon as daemons
from fedpact.provider import housekeeping
from fedpact.provider.context import idle
from fedpact.provider.daemon import Daemon, DaemonSettings
from fedpact.provider.data_sets import OwnData
from fedpact.provider.dispatch import Requests
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.training.trainer import InProcess
from fedpact.provider.training.work import LocalWork
from fedpact.types.requests import Join
from fedpact.types.schema import DataSchema, schema_file
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.node_proxy import Dropped, HttpAnswer, Message, honest, node_in_front
from tests.support.serving import declare

_numbers = itertools.count(1)
EVENTS = 10_000
"""Of others, long over."""
Habit = Callable[[Message], Message | None]
Told = Callable[[Message, Any], Any]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain that makes a block for each transaction and on request."""
    with Devnet.start(tmp_path_factory.mktemp("faulty"), block_time=3600) as devnet:
        yield devnet


@pytest.fixture(scope="module")
def market(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(net, tmp_path_factory.mktemp("market"), providers=2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = np.random.default_rng(1).integers(0, 16, (40, 3))
    path = tmp_path / "own.csv"
    lines = [f"{a},{b},{c},{a % 2}" for a, b, c in rows]
    path.write_text("\n".join(["x,y,z,label", *lines]) + "\n")
    declare(path)
    return path


@contextmanager
def daemon_before(
    market: DigitsMarket, data: Path, habit: Habit = lambda _: None, told: Told = honest
) -> Iterator[Daemon]:
    """A daemon that takes part in nothing, and whose node has these habits."""
    with node_in_front(market.client.rpc.endpoint, habit, told) as url:
        folder = data.parent / f"daemon-{next(_numbers)}"
        folder.mkdir()
        started = daemon_in(folder, market, data, url)
        try:
            yield started
        finally:
            started.close()


def daemon_in(folder: Path, market: DigitsMarket, data: Path, url: str) -> Daemon:
    policy = Policy(categories=("nothing",))
    return Daemon(
        ChainClient.connect(url, market.client.deployment),
        market.client.deployment,
        EmbeddedStore(market.folder / "content"),
        market.providers[0],
        policy,
        (
            OwnData(
                "",
                OwnRecords(
                    data,
                    DataSchema.read(schema_file(data)),
                    folder / "features",
                    folder / "snapshots",
                ),
                policy,
            ),
        ),
        DaemonSettings(folder / "state.sqlite", folder / "ledger.sqlite", 0.01),
        InProcess(LocalWork()),
    )


def created(market: DigitsMarket) -> int:
    return market.requester.create(
        market.draft(min_providers=2, max_providers=2, title=f"No {next(_numbers)}"),
        market.evaluation,
        PAYMENT,
    )


def enrol(market: DigitsMarket, request: int) -> None:
    """The other provider joins."""
    keys = market.providers[1]
    joins = [Join(keys.address, 10, bytes(32))]
    market.client.send(keys, market.client.pool.enrol(request, joins, []))


def known(daemon: Daemon) -> set[int]:
    return {request for request, _, _ in daemon._state.all_requests()}


def unexpected(daemon: Daemon) -> float:
    registry = daemon._context.metrics.registry
    return registry.get_sample_value("fedpact_unexpected_errors_total") or 0.0


def cycles(daemon: Daemon, count: int = 4) -> None:
    for _ in range(count):
        daemon.cycle()
        time.sleep(min(daemon._pace.wait(), 0.3))


def on_chain(market: DigitsMarket) -> set[int]:
    return set(market.client.market.numbers_of(None))


def test_no_event_is_lost_where_reading_breaks_off_in_the_middle(
    net: Devnet, market: DigitsMarket, data: Path
) -> None:
    """The range is halved; its first half arrives, and the connection breaks before the second."""
    struck: list[int] = []
    answered: list[int] = []

    def refuse(message: Message) -> Message | None:
        if not armed:
            return None
        if answered and len(answered) < 6:
            answered.append(0)
            raise Dropped
        if message["method"] == "eth_getLogs":
            query = message["params"][0]
            struck.append(int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1)
            if struck[-1] > 7:
                return {"code": -32005, "message": "too many blocks"}
        if struck and struck[-1] <= 7 and message["method"] != "eth_getBlockByNumber":
            answered.append(struck[-1])
        return None

    armed: list[bool] = []
    with daemon_before(market, data, refuse) as daemon:
        cycles(daemon, 1)
        request = created(market)
        net.mine(5)
        armed.append(True)
        cycles(daemon)
        assert request in known(daemon)
        assert len(struck) > 3


def test_no_event_of_a_dropped_branch_stays(net: Devnet, market: DigitsMarket, data: Path) -> None:
    """A reorganisation, and a refusal in the same look."""
    struck: list[str] = []

    def refuse(message: Message) -> Message | None:
        if armed:
            struck.append(message["method"])
            if message["method"] == "eth_getLogs" and struck.count("eth_getLogs") <= 5:
                raise Dropped
        return None

    armed: list[bool] = []
    with daemon_before(market, data, refuse) as daemon:
        cycles(daemon, 1)
        before = market.client.rpc.call("evm_snapshot")
        request = created(market)
        cycles(daemon, 1)
        assert request in known(daemon)
        market.client.rpc.call("evm_revert", before)
        net.mine(3)
        armed.append(True)
        cycles(daemon, 6)
        assert known(daemon) == on_chain(market)
        assert request not in known(daemon)


@pytest.mark.parametrize("depth", [1, 3, 140])
def test_a_reorganisation_of_any_depth_is_followed(
    net: Devnet, market: DigitsMarket, data: Path, depth: int
) -> None:
    """Also deeper than the block hashes that the daemon keeps, one for each cycle."""
    with daemon_before(market, data) as daemon:
        before = market.client.rpc.call("evm_snapshot")
        gone = created(market)
        for _ in range(depth):
            net.mine()
            daemon.cycle()
        assert gone in known(daemon)
        market.client.rpc.call("evm_revert", before)
        net.mine(depth + 2, 2)
        cycles(daemon, 2)
        assert known(daemon) == on_chain(market)


def test_a_daemon_whose_disk_failed_at_its_start_can_be_made_again(
    market: DigitsMarket, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept the lock that says which process serves, and met itself as another daemon."""

    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is read-only")

    url = market.client.rpc.endpoint
    with monkeypatch.context() as patched:
        patched.setattr(OwnRecords, "keep_only", fail)
        with pytest.raises(StorageUnavailable):
            daemon_in(tmp_path, market, data, url)
    daemon_in(tmp_path, market, data, url).close()


def test_a_head_that_is_orphaned_at_once_is_left(
    net: Devnet, market: DigitsMarket, data: Path
) -> None:
    """A block that is replaced right after an answer named it does not make reading endless."""
    asked: list[str] = []
    strike: list[str] = []

    def orphaned(message: Message, result: Any) -> Any:
        if strike and message["params"][:1] == ["latest"]:
            strike.pop()
            return {**result, "hash": "0x" + "ab" * 32, "parentHash": "0x" + "cd" * 32}
        return result

    def count(message: Message) -> None:
        asked.append(message["method"])

    with daemon_before(market, data, count, orphaned) as daemon:
        cycles(daemon, 1)
        request = created(market)
        strike.append("once")
        asked.clear()
        cycles(daemon, 3)
        assert request in known(daemon)
        assert len(asked) < 30


def test_entries_that_the_node_indexes_one_block_late_are_found(
    net: Devnet, market: DigitsMarket, data: Path
) -> None:
    def late(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        head = market.client.frame().block_number
        return [entry for entry in result if int(entry["blockNumber"], 16) < head]

    with daemon_before(market, data, told=late) as daemon:
        cycles(daemon, 1)
        request = created(market)
        cycles(daemon, 2)
        assert request not in known(daemon)
        net.mine()
        cycles(daemon, 2)
        assert request in known(daemon)


def test_entries_of_another_block_are_not_stored(market: DigitsMarket, data: Path) -> None:
    def other_branch(message: Message, result: Any) -> Any:
        if not armed or message["method"] != "eth_getLogs":
            return result
        return [{**entry, "blockHash": "0x" + "ef" * 32} for entry in result]

    armed: list[bool] = []
    with daemon_before(market, data, told=other_branch) as daemon:
        cycles(daemon, 1)
        armed.append(True)
        request = created(market)
        cycles(daemon, 2)
        assert request not in known(daemon)
        armed.clear()
        cycles(daemon, 2)
        assert request in known(daemon)


def refusing(code: int, message: str) -> Callable[[Message], Message]:
    return lambda _: {"code": code, "message": message}


def forbidden(_: Message) -> Message:
    raise HttpAnswer(403, b"<html>no</html>")


def dropped(_: Message) -> Message:
    raise Dropped


@pytest.mark.parametrize(
    "fault",
    [
        refusing(-32005, "limit exceeded"),
        refusing(-32603, "internal error"),
        refusing(-32000, "block range extends beyond current head block"),
        refusing(-31234, "the moon is full"),
        forbidden,
        dropped,
    ],
    ids=["limit", "internal", "beyond head", "unknown", "403", "dropped"],
)
def test_no_refusal_ends_a_daemon(market: DigitsMarket, data: Path, fault: Habit) -> None:
    def sometimes(message: Message) -> Message | None:
        return fault(message) if armed else None

    armed: list[bool] = []
    with daemon_before(market, data, sometimes) as daemon:
        cycles(daemon, 1)
        request = created(market)
        armed.append(True)
        for _ in range(3):
            assert not daemon.cycle()
        armed.clear()
        for node in daemon._context.client.rpc.nodes:
            node.health.quota_until = 0.0
        cycles(daemon, 2)
        assert request in known(daemon)


def test_a_missing_head_does_not_end_a_daemon(market: DigitsMarket, data: Path) -> None:
    def nothing(message: Message, result: Any) -> Any:
        return None if armed and message["method"] == "eth_getBlockByNumber" else result

    armed: list[bool] = []
    with daemon_before(market, data, told=nothing) as daemon:
        armed.append(True)
        assert not daemon.cycle()
        armed.clear()
        cycles(daemon, 2)
        assert known(daemon) == on_chain(market)


def test_what_fails_in_one_request_concerns_no_other(
    market: DigitsMarket,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = created(market), created(market)
    served: list[int] = []

    def duty(_: Any, view: Any) -> Any:
        if view.id == first:
            raise IndexError("list index out of range")
        served.append(view.id)
        return idle("nothing")

    monkeypatch.setattr(Requests, "perform", duty)
    with daemon_before(market, data) as daemon, caplog.at_level(logging.ERROR):
        cycles(daemon, 3)
        assert second in served
        assert unexpected(daemon)
    assert "IndexError" in caplog.text
    assert "Traceback" in caplog.text


def test_what_happens_in_a_request_ends_its_wait_after_a_failure(
    net: Devnet, market: DigitsMarket, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that others open may be over before a long wait is."""
    tried: list[int] = []

    def fails(_: Daemon, view: Any) -> None:
        tried.append(view.id)
        raise ContentMissing("its specification is not there")

    monkeypatch.setattr(Requests, "perform", fails)
    with daemon_before(market, data) as daemon:
        request = created(market)
        net.mine(5)
        daemon.cycle()
        assert request in tried
        for _ in range(12):
            daemon._backoffs.failed(request)
        tried.clear()
        net.mine()
        daemon.cycle()
        assert request not in tried
        enrol(market, request)
        daemon.cycle()
        assert request in tried


def test_a_transaction_under_way_is_looked_at_once_a_block(
    net: Devnet, market: DigitsMarket, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = created(market)
    looked: list[int] = []

    def duty(_: Any, view: Any) -> Any:
        looked.append(view.id)
        raise TransactionTimeout("not mined within 0.1 s")

    monkeypatch.setattr(Requests, "perform", duty)
    with daemon_before(market, data) as daemon:
        cycles(daemon, 3)
        assert looked.count(request) == 1
        net.mine()
        cycles(daemon, 2)
        assert looked.count(request) == 2


def test_what_is_done_from_time_to_time_ends_no_daemon(
    market: DigitsMarket, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(*_: object) -> None:
        raise TypeError("not a number")

    monkeypatch.setattr(housekeeping, "forget_ended", forget)
    with daemon_before(market, data) as daemon:
        cycles(daemon, 1)
        assert unexpected(daemon) == 1
        assert known(daemon) == on_chain(market)


def test_what_fails_in_the_shared_part_restarts_the_cycle(
    market: DigitsMarket, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    def resold(*_: object) -> set[int]:
        if broken:
            raise KeyError("buyer")
        return set()

    monkeypatch.setattr(daemons, "resold", resold)
    with daemon_before(market, data) as daemon:
        assert not daemon.cycle()
        assert unexpected(daemon) == 1
        broken.clear()
        cycles(daemon, 2)
        assert known(daemon) == on_chain(market)


def without_block_hashes(message: Message) -> Message | None:
    """As EthereumJS does."""
    if message["method"] == "eth_call" and isinstance(message["params"][1], dict):
        return {"code": -32602, "message": "invalid argument 1: argument must be a string"}
    return None


def test_a_node_without_reads_by_hash_is_read_by_number_and_checked(
    market: DigitsMarket, data: Path
) -> None:
    asked: list[Any] = []

    def habit(message: Message) -> Message | None:
        if message["method"] == "eth_call":
            asked.append(message["params"][1])
        return without_block_hashes(message)

    request = created(market)
    with daemon_before(market, data, habit) as daemon:
        cycles(daemon, 2)
        client = daemon._context.client
        [node] = client.rpc.nodes
        assert Capability.BLOCK_HASH in node.lacks
        asked.clear()
        frame = client.frame()
        assert client.market.request(request, frame).requester == market.requester_keys.address
        assert not any(isinstance(at, dict) for at in asked)


@pytest.mark.parametrize("most", [1, 3])
def test_a_node_that_takes_few_calls_in_a_batch_is_asked_in_parts(
    market: DigitsMarket, data: Path, most: int
) -> None:
    def habit(message: Message) -> Message | None:
        if message.get("batch", 1) > most:
            return {"code": 31, "message": f"Batch of more than {most} requests are not allowed"}
        return None

    request = created(market)
    with daemon_before(market, data, habit) as daemon:
        cycles(daemon, 2)
        assert request in known(daemon)
        [node] = daemon._context.client.rpc.nodes
        assert node.largest_batch <= most
        blocks = [("eth_getBlockByNumber", [hex(number), False]) for number in range(7)]
        found = daemon._context.client.rpc.batch(blocks)
        assert [int(block["number"], 16) for block in found] == list(range(7))


def test_stopping_is_heard_while_events_are_read(market: DigitsMarket, data: Path) -> None:
    with daemon_before(market, data) as daemon:
        daemon.stop()
        daemon.cycle()
        daemon.run()


def test_an_idle_hour_takes_at_most_a_thousand_calls(
    net: Devnet, market: DigitsMarket, data: Path
) -> None:
    """At defaults, on a chain with a block every 12 seconds: a look a block, three calls each."""
    asked: list[str] = []
    with daemon_before(market, data, lambda message: asked.append(message["method"])) as daemon:
        net.mine(3, 12)
        cycles(daemon, 1)
        net.mine(1, 12)
        daemon.cycle()
        waits = []
        asked.clear()
        for _ in range(20):
            net.mine(1, 12)
            assert not daemon.cycle()
            waits.append(daemon._pace.wait())
    assert min(waits) > 11
    assert len(asked) / 20 * 3600 / 12 <= 1_000


def test_an_idle_cycle_does_not_look_through_all_that_is_behind_it(
    net: Devnet, market: DigitsMarket, data: Path
) -> None:
    """Who had resold what was looked for among all events in each cycle: 22 % of a core with 10^5
    of them. What SQLite does in a cycle is counted, by a thousand instructions."""
    counted: list[int] = []

    def work(daemon: Daemon) -> int:
        counted.clear()
        for _ in range(5):
            net.mine()
            assert not daemon.cycle()
        return len(counted)

    def count() -> int:
        counted.append(1)
        return 0

    with daemon_before(market, data) as daemon:
        cycles(daemon, 2)
        daemon._state._file._db.set_progress_handler(count, 1000)
        before = work(daemon)
        frame = daemon._context.client.frame()
        other = {"maker": "0x" + "ab" * 20}
        events = [
            (frame.block_number, 10**5 + n, "ResaleClaimed", {"request": 10**6 + n, **other})
            for n in range(EVENTS)
        ]
        daemon._state.ingest(events, frame.block_number, frame.block_hash)
        work(daemon)  # what is known of the names that came is read once more
        assert work(daemon) < before + EVENTS / 1000
