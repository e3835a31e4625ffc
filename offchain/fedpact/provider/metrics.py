"""What a provider's daemon tells Prometheus besides what every service does."""

from dataclasses import dataclass

from prometheus_client import Gauge

from fedpact.monitor.health import Pulse
from fedpact.monitor.metrics import Metrics


@dataclass(frozen=True)
class BudgetGauge:
    """Privacy of one data set, at the policy's delta."""

    spent: float
    """Epsilon. Of the only data set: of it or of its most charged unit."""
    left: float
    """Epsilon that one full-batch release may still cost, after what is held for running
    requests."""


@dataclass(frozen=True)
class Holdings:
    """What a daemon has left, measured from time to time."""

    balance: int
    """Wei."""
    budgets: dict[str, BudgetGauge]
    """By the name of the data set; empty for the only one."""
    disk_free: dict[str, int]
    """Bytes, by folder."""


class ProviderMetrics(Metrics):
    """Of one daemon."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(pulse)
        self._held = Gauge(
            "fedpact_held",
            "1 while nothing is joined or submitted (another daemon?)",
            registry=self.registry,
        )
        self._epsilon = Gauge(
            "fedpact_epsilon",
            "At the policy's delta, by kind (spent, left) and data set; of the only data set: of it"
            " or of its most charged unit",
            ["kind", "data"],
            registry=self.registry,
        )
        self._store = Gauge(
            "fedpact_store_bytes", "Held by the content store", registry=self.registry
        )

    def cycle_succeeded(self, pending: int, held: str | None = None) -> None:
        """`held`: why nothing is joined or submitted now."""
        super().cycle_succeeded(pending, held)
        self._held.set(held is not None)

    def holds(self, holdings: Holdings) -> None:
        self.has(holdings.balance, holdings.disk_free)
        for data, budget in holdings.budgets.items():
            self._epsilon.labels("spent", data).set(budget.spent)
            self._epsilon.labels("left", data).set(budget.left)

    def store_holds(self, size: int) -> None:
        """Bytes."""
        self._store.set(size)
