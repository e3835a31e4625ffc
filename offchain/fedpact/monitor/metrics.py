"""What every service tells Prometheus. docs/operating.md lists all metrics."""

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, Summary
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from fedpact.chain.node import Node
from fedpact.chain.records import TransactionCost
from fedpact.monitor.health import Pulse

WEI_PER_ETHER = 10**18


class Metrics:
    """Metrics of one service. Written by its cycle, read by the server's threads."""

    def __init__(self, pulse: Pulse) -> None:
        self.pulse = pulse
        self.registry = to = CollectorRegistry()
        ProcessCollector(registry=to)
        Info("fedpact_build", "The running version", registry=to).info(
            {"version": version("fedpact")}
        )
        Gauge(
            "fedpact_cycle_age_seconds", "Since the last cycle that succeeded", registry=to
        ).set_function(lambda: pulse.age)
        self._cycles = Counter(
            "fedpact_cycles", "Passes over all requests, by outcome", ["outcome"], registry=to
        )
        self.unexpected = Counter(
            "fedpact_unexpected_errors",
            "Exceptions that nobody foresaw; each is in the log with its trace",
            registry=to,
        )
        self._duties = Counter("fedpact_duties", "Duties that did something", ["duty"], registry=to)
        self._duty_seconds = Summary(
            "fedpact_duty_seconds", "Time in duties, without trainings", ["duty"], registry=to
        )
        self._requests = Gauge(
            "fedpact_requests", "Requests with a duty to come, by stage", ["stage"], registry=to
        )
        self._stages: set[str] = set()
        self._transactions = Counter(
            "fedpact_transactions",
            "Mined, by action and outcome",
            ["action", "outcome"],
            registry=to,
        )
        self._gas = Counter("fedpact_gas_used", "Gas of mined transactions", registry=to)
        self._fees = Counter("fedpact_fees_ether", "Paid for mined transactions", registry=to)
        self._pending = Gauge("fedpact_pending_transactions", "Sent and not mined yet", registry=to)
        self._balance = Gauge("fedpact_balance_ether", "Left in the account", registry=to)
        self._disk = Gauge(
            "fedpact_disk_free_bytes", "Free where the service writes", ["folder"], registry=to
        )
        for outcome in ("succeeded", "failed"):
            self._cycles.labels(outcome)
        to.register(_Parts(pulse))

    def watch(self, nodes: Sequence[Node]) -> None:
        """Show what is known of these nodes."""
        self.registry.register(_Nodes(nodes))

    # ----------------------------------------------------------------- what the service tells

    def cycle_succeeded(self, pending: int, held: str | None = None) -> None:
        """The shared part is done; `pending`: transactions under way; `held`: why the service does
        not do all that it is there for now."""
        self._cycles.labels("succeeded").inc()
        self.pulse.succeeded(held)
        self._pending.set(pending)

    def saw(self, stages: Iterable[str]) -> None:
        """The stages of all requests with a duty to come."""
        counted = Counts(stages)  # a scrape may come at any moment
        for stage in self._stages - counted.keys():
            self._requests.remove(stage)
        for stage, count in counted.items():
            self._requests.labels(stage).set(count)
        self._stages = set(counted)

    def cycle_failed(self) -> None:
        self._cycles.labels("failed").inc()

    @contextmanager
    def duty(self, name: str) -> Iterator[None]:
        """Measure a duty."""
        with self._duty_seconds.labels(name).time():
            yield

    def done(self, duty: str) -> None:
        """A duty did something."""
        self._duties.labels(duty).inc()

    def paid(self, paid: TransactionCost) -> None:
        outcome = "reverted" if paid.reverted else "succeeded"
        self._transactions.labels(paid.action, outcome).inc()
        self._gas.inc(paid.gas)
        self._fees.inc(paid.wei / WEI_PER_ETHER)

    def has(self, balance: int, disk_free: dict[str, int]) -> None:
        """`balance` in wei; bytes by folder."""
        self._balance.set(balance / WEI_PER_ETHER)
        for folder, free in disk_free.items():
            self._disk.labels(folder).set(free)


class _Parts(Collector):
    """What is done beside the cycles, as far as the service has told of it."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def collect(self) -> Iterable[Metric]:
        failing = GaugeMetricFamily(
            "fedpact_part_failing_seconds",
            "Since the first of the failures in a row of a part of the service; 0 if it goes well",
            labels=["part"],
        )
        for part, (seconds, _) in self._pulse.troubles.items():
            failing.add_metric([part], seconds)
        return [failing]


class _Nodes(Collector):
    """Reads what each node counts, when it is asked."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    def collect(self) -> Iterable[Metric]:
        calls = CounterMetricFamily(
            "fedpact_rpc_calls", "JSON-RPC calls", labels=["node", "method"]
        )
        errors = CounterMetricFamily(
            "fedpact_rpc_errors",
            "JSON-RPC calls that were refused or not answered",
            labels=["node", "kind"],
        )
        latency = GaugeMetricFamily(
            "fedpact_node_latency_seconds", "Smoothed time of an answer", labels=["node"]
        )
        head = GaugeMetricFamily(
            "fedpact_node_head_block", "Latest block that the node reported", labels=["node"]
        )
        # Two accounts at one provider of nodes are shown alike.
        for shown in {node.shown for node in self._nodes}:
            nodes = [node for node in self._nodes if node.shown == shown]
            asked: Counts[str] = Counts()
            refused: Counts[str] = Counts()
            for node in nodes:
                asked.update(dict(node.calls))
                refused.update({kind.value: n for kind, n in dict(node.health.refusals).items()})
                refused["unanswered"] += node.health.unanswered
            for method, count in asked.items():
                calls.add_metric([shown, method], count)
            for kind, count in refused.items():
                errors.add_metric([shown, kind], count)
            latency.add_metric([shown], max(node.health.latency for node in nodes))
            head.add_metric([shown], max(node.health.head for node in nodes))
        return calls, errors, latency, head
