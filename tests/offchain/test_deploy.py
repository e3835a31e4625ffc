"""The files in deploy/: rules, board and units fit the services that they are for."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from typer.main import get_command

from fedpact.chain.node import Node
from fedpact.chain.records import TransactionCost
from fedpact.cli.main import app
from fedpact.monitor.health import Pulse
from fedpact.monitor.metrics import Metrics
from fedpact.provider.metrics import BudgetGauge, Holdings, ProviderMetrics
from fedpact.provider.policy import Policy
from fedpact.requester.metrics import RequesterMetrics
from fedpact.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
BOARD = json.loads((DEPLOY / "grafana/provider.json").read_text())
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in ALERTS} | {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in BOARD["panels"]
    for target in panel["targets"]
}
BYTES_OF_SLICES, MOST_SLICES = 6.2, 1.2e9
"""What a requester's service takes for each byte of slices, and how many it is planned for."""
ADDED = {"instance", "job"}
"""Labels that Prometheus adds to what it scrapes."""


@pytest.fixture(scope="module")
def families() -> list[Metric]:
    """All metrics of a daemon and of a requester's service that have performed every kind of
    duty."""
    provider, requester = ProviderMetrics(Pulse()), RequesterMetrics(Pulse())
    for one in (provider, requester):
        tells(one)
    provider.holds(Holdings(1, {"": BudgetGauge(0.0, 8.0)}, {"/": 1}))
    return [*provider.registry.collect(), *requester.registry.collect()]


def tells(metrics: Metrics) -> None:
    node = Node("http://127.0.0.1:1")
    node.calls["eth_call"] += 1
    metrics.watch([node])
    metrics.cycle_succeeded(0)
    metrics.saw(["open"])
    with metrics.duty("submit_model"):
        metrics.done("submit_model")
    metrics.paid(TransactionCost(1, "SharingMarket.join", 1, 1, False))
    metrics.has(1, {"/": 1})
    metrics.pulse.part("content", "")


def labels_of(families: list[Metric]) -> dict[str, set[str]]:
    """The labels of each sample, by its name."""
    return {one.name: set(one.labels) for family in families for one in family.samples}


def selectors(node: Any) -> Iterator[Any]:
    """The vector selectors of an expression."""
    match node:
        case promql_parser.VectorSelector():
            yield node
        case promql_parser.MatrixSelector():
            yield node.vector_selector
        case promql_parser.BinaryExpr():
            yield from selectors(node.lhs)
            yield from selectors(node.rhs)
        case promql_parser.Call():
            for argument in node.args:
                yield from selectors(argument)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from selectors(node.expr)
        case promql_parser.NumberLiteral():
            pass
        case _:
            raise AssertionError(f"{type(node).__name__} is not looked into")


def groupings(node: Any) -> Iterator[tuple[set[str], Any]]:
    """The labels by which an expression groups, with what it groups."""
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        yield set(node.modifier.labels), node.expr
    for part in ("lhs", "rhs", "expr"):
        if hasattr(node, part):
            yield from groupings(getattr(node, part))


@pytest.mark.parametrize("name", EXPRESSIONS, ids=str)
def test_every_expression_asks_for_what_the_daemon_tells(name: str, families: list[Metric]) -> None:
    known = labels_of(families) | {"up": set()}
    parsed = promql_parser.parse(EXPRESSIONS[name])
    found = list(selectors(parsed))
    assert found
    for one in found:
        assert one.name in known
        asked = {matcher.name for matcher in one.matchers.matchers}
        assert asked <= known[one.name] | ADDED
    for grouped, inner in groupings(parsed):
        for one in selectors(inner):
            assert grouped <= known[one.name] | ADDED


def test_every_alert_is_explained() -> None:
    text = (ROOT / "docs/operating.md").read_text()
    explained = re.findall(r"^\| `(Fedpact\w+)`", text, re.MULTILINE)
    assert sorted(explained) == sorted(rule["alert"] for rule in ALERTS)
    assert all({"expr", "labels", "annotations"} <= set(rule) for rule in ALERTS)


def test_every_metric_is_documented(families: list[Metric]) -> None:
    text = (ROOT / "docs/operating.md").read_text()
    named = [name.split("{")[0] for name in re.findall(r"`(fedpact_[\w{},]+)`", text)]
    documented = {re.sub("_(total|info)$", "", name) for name in named}
    told = {family.name for family in families if family.name.startswith("fedpact_")}
    assert documented == told


def test_the_board_can_be_imported() -> None:
    assert BOARD["uid"] == "fedpact-provider"
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {one["name"] for one in BOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)\}?", json.dumps(BOARD))) <= variables


def options_of(role: str) -> set[str]:
    """The options that `fedpact` and a role's `serve` know."""
    root: Any = get_command(app)
    serve = root.commands[role].commands["serve"]
    return {option for one in (*root.params, *serve.params) for option in one.opts}


@pytest.mark.parametrize(
    ("file", "role", "given"),
    [
        ("systemd/fedpact-provider@.service", "provider", {"--data", "--policy", "--config"}),
        ("systemd/fedpact-requester@.service", "requester", {"--config", "--log-json"}),
        ("compose.yaml", "provider", {"--data", "--policy", "--config"}),
    ],
)
def test_a_service_is_started_with_options_that_it_has(
    file: str, role: str, given: set[str]
) -> None:
    text = (DEPLOY / file).read_text()
    named = set(re.findall(r"(--[a-z]+(?:-[a-z]+)*)[= ]", text.replace("\n", " ")))
    assert named - {"--profile"} <= options_of(role)
    assert given <= named
    for variable in re.findall(r"FEDPACT_(\w+)", text):
        assert variable.lower() in Settings.model_fields


def memory_limit(role: str) -> int:
    """Bytes."""
    text = (DEPLOY / f"systemd/fedpact-{role}@.service").read_text()
    [gib] = re.findall(r"^MemoryMax=(\d+)G$", text, re.MULTILINE)
    return int(gib) << 30


def test_a_provider_may_take_what_its_policys_processes_may() -> None:
    """Its container was killed at half of that."""
    policy = Policy()
    processes = 2 * policy.max_parallel_training
    planned = (processes * policy.max_training_memory_mb << 20) + (1 << 30)
    assert memory_limit("provider") == planned
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose["services"]["provider"]["mem_limit"] == f"{planned >> 30}g"


def test_a_requesters_service_may_take_what_was_measured() -> None:
    found = json.loads((ROOT / "docs/results/requester-memory.json").read_text())["families"]
    usual = {name: one for name, one in found.items() if "3 columns" not in name}
    assert len(usual) == len(found) - 1
    for one in usual.values():
        assert one["per_mb_of_slices"] <= BYTES_OF_SLICES
        needs = one["small_mb"] * 1e6 + BYTES_OF_SLICES * MOST_SLICES
        assert needs <= memory_limit("requester")
    told = (ROOT / "docs/operating.md").read_text().replace("\n", " ")
    assert f"{BYTES_OF_SLICES:g} bytes" in told
    assert f"{MOST_SLICES / 1e9:g} GB of slices" in told


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("role", ["provider", "requester"])
def test_the_units_are_valid_and_confined(tmp_path: Path, role: str) -> None:
    unit = tmp_path / f"fedpact-{role}@alice.service"
    text = (DEPLOY / f"systemd/fedpact-{role}@.service").read_text()
    unit.write_text(text.replace("/opt/fedpact/bin/fedpact", "/bin/true"))
    analyze = ["systemd-analyze", "--man=no"]
    verified = subprocess.run([*analyze, "verify", unit], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    # In tenths of systemd's exposure level: 0 is none, 100 is all.
    confined = [*analyze, "security", "--offline=yes", "--threshold=20", unit]
    done = subprocess.run(confined, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
