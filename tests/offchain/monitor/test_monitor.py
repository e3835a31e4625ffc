"""What a service reports over HTTP and to systemd."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fedpact.chain.node import Node
from fedpact.chain.node_errors import FaultKind
from fedpact.chain.records import TransactionCost
from fedpact.errors import NodeUnreachable, SettingsError
from fedpact.monitor import health, systemd
from fedpact.monitor.health import LONGEST_TROUBLE, Pulse
from fedpact.monitor.server import MonitorServer
from fedpact.monitor.systemd import notify
from fedpact.provider.metrics import BudgetGauge, Holdings, ProviderMetrics
from tests.support.waiting import PATIENCE


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, "time", clock)
    return clock


@pytest.fixture
def metrics(clock: Clock) -> ProviderMetrics:
    return ProviderMetrics(Pulse(60.0))


@pytest.fixture
def server(metrics: ProviderMetrics) -> Iterator[MonitorServer]:
    started = MonitorServer(metrics, "127.0.0.1:0")
    started.start()
    yield started
    started.stop()


def ask(server: MonitorServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://{server.address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(server: MonitorServer, name: str, **labels: str) -> float | None:
    families = text_string_to_metric_families(ask(server, "/metrics")[1])
    found = [
        one.value
        for family in families
        for one in family.samples
        if one.name == name and one.labels == labels
    ]
    return found[0] if found else None


def test_a_starting_daemon_is_well_but_not_ready(server: MonitorServer) -> None:
    assert ask(server, "/health")[0] == 200
    status, said = ask(server, "/ready")
    assert status == 503
    assert json.loads(said)["problems"] == ["starting: it has not begun yet"]


def test_a_daemon_is_ready_from_its_first_cycle_on(
    server: MonitorServer, metrics: ProviderMetrics
) -> None:
    metrics.pulse.serving()
    assert ask(server, "/ready")[0] == 503
    metrics.cycle_succeeded(0)
    assert ask(server, "/ready") == (200, '{"problems": [], "cycle_age": 0.0}')


def test_a_daemon_that_holds_back_is_well_but_not_ready(
    server: MonitorServer, metrics: ProviderMetrics
) -> None:
    metrics.pulse.serving()
    metrics.cycle_succeeded(0, "another daemon of this account may be running")
    assert ask(server, "/health")[0] == 200
    status, said = ask(server, "/ready")
    assert (status, "another daemon" in said) == (503, True)
    assert sample(server, "fedpact_held") == 1
    metrics.cycle_succeeded(0)
    assert ask(server, "/ready")[0] == 200
    assert sample(server, "fedpact_held") == 0


def test_a_part_that_fails_for_long_makes_a_service_not_ready(
    server: MonitorServer, metrics: ProviderMetrics, clock: Clock
) -> None:
    """Its cycles went on meanwhile, so that nobody looked."""
    metrics.pulse.serving()
    metrics.pulse.part("content", "")
    for trouble in ("the store answers 500", "the store is full"):
        metrics.pulse.part("content", trouble)
        clock.now += LONGEST_TROUBLE / 2
        metrics.cycle_succeeded(0)
        assert ask(server, "/ready")[0] == 200
    clock.now += 1
    metrics.cycle_succeeded(0)
    status, said = ask(server, "/ready")
    assert status == 503
    assert "content has failed for 301 s: the store is full" in said
    assert ask(server, "/health")[0] == 200
    assert sample(server, "fedpact_part_failing_seconds", part="content") == 301
    metrics.pulse.part("content", "")
    assert ask(server, "/ready")[0] == 200
    assert sample(server, "fedpact_part_failing_seconds", part="content") == 0


def test_a_part_that_went_well_until_now_has_failed_for_no_time(
    server: MonitorServer, metrics: ProviderMetrics, clock: Clock
) -> None:
    """What is measured every five minutes failed "for 301 s" as soon as one answer was slow."""
    metrics.pulse.serving()
    metrics.pulse.part("size", "")
    clock.now += LONGEST_TROUBLE + 1
    metrics.cycle_succeeded(0)
    metrics.pulse.part("size", "the store has not answered yet")
    assert ask(server, "/ready")[0] == 200
    assert sample(server, "fedpact_part_failing_seconds", part="size") == 0


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_without_a_successful_cycle_for_too_long_both_fail(
    server: MonitorServer, metrics: ProviderMetrics, clock: Clock, path: str
) -> None:
    metrics.pulse.serving()
    metrics.cycle_succeeded(0)
    clock.now += 61
    metrics.cycle_failed()
    metrics.pulse.turned()
    status, said = ask(server, path)
    assert status == 503
    assert "no cycle has succeeded for 61 s" in said
    assert sample(server, "fedpact_cycle_age_seconds") == 61
    metrics.cycle_succeeded(0)
    assert ask(server, path)[0] == 200


def test_only_three_paths_are_answered(server: MonitorServer) -> None:
    assert ask(server, "/")[0] == 404
    assert ask(server, "/health", "POST")[0] == 405
    assert ask(server, "/metrics", "POST")[0] == 405


def test_a_port_in_use_is_named(server: MonitorServer, metrics: ProviderMetrics) -> None:
    with pytest.raises(SettingsError, match=r"monitor 127\.0\.0\.1:\d+: Address already in use"):
        MonitorServer(metrics, server.address)


def test_money_and_work_are_counted(server: MonitorServer, metrics: ProviderMetrics) -> None:
    metrics.paid(TransactionCost(3, "SharingMarket.join", 2 * 10**15, 90_000, False))
    metrics.paid(TransactionCost(3, "SharingMarket.join", 10**15, 30_000, True))
    metrics.holds(
        Holdings(
            5 * 10**17,
            {"": BudgetGauge(1.5, 6.0), "pumps": BudgetGauge(0.0, 8.0)},
            {"/state": 10**9},
        )
    )
    metrics.store_holds(4096)
    metrics.saw(["submit", "submit", "open"])
    metrics.saw(["submit"])
    with metrics.duty("submit_model"):
        pass
    metrics.done("submit_model")
    join = {"action": "SharingMarket.join"}
    assert sample(server, "fedpact_transactions_total", **join, outcome="reverted") == 1
    assert sample(server, "fedpact_gas_used_total") == 120_000
    assert sample(server, "fedpact_fees_ether_total") == pytest.approx(0.003)
    assert sample(server, "fedpact_balance_ether") == 0.5
    assert sample(server, "fedpact_epsilon", kind="left", data="") == 6.0
    assert sample(server, "fedpact_epsilon", kind="left", data="pumps") == 8.0
    assert sample(server, "fedpact_store_bytes") == 4096
    assert sample(server, "fedpact_disk_free_bytes", folder="/state") == 10**9
    assert sample(server, "fedpact_requests", stage="submit") == 1
    assert sample(server, "fedpact_requests", stage="open") is None
    assert sample(server, "fedpact_duties_total", duty="submit_model") == 1
    assert sample(server, "fedpact_duty_seconds_count", duty="submit_model") == 1


def test_nodes_of_one_provider_are_shown_together_and_without_their_keys(
    server: MonitorServer, metrics: ProviderMetrics
) -> None:
    nodes = [Node(f"http://127.0.0.1:1/{key}") for key in ("first-key", "second-key")]
    metrics.watch(nodes)
    for node in nodes:
        with pytest.raises(NodeUnreachable):
            node.call("eth_chainId", [])
    nodes[0].health.refusals[FaultKind.QUOTA] += 1
    shown = {"node": "http://127.0.0.1:1"}
    assert sample(server, "fedpact_rpc_calls_total", **shown, method="eth_chainId") == 2
    assert sample(server, "fedpact_rpc_errors_total", **shown, kind="unanswered") == 2
    assert sample(server, "fedpact_rpc_errors_total", **shown, kind="quota") == 1
    assert "key" not in ask(server, "/metrics")[1].replace("kind", "")


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_systemd_is_notified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        notify("READY=1")
        assert manager.recv(64) == b"READY=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for address in ("", "relative", str(tmp_path / "nobody")):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_a_manager_that_does_not_read_holds_no_service_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop hung in the message that says that it goes on."""
    name = f"{tmp_path}/notify"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setattr(systemd, "PATIENCE", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        for _ in range(64):  # more than wait to be read
            telling = Thread(target=notify, args=("WATCHDOG=1",), daemon=True)
            telling.start()
            telling.join(PATIENCE)
            assert not telling.is_alive()
