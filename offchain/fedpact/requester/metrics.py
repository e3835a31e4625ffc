"""What the requester's service tells Prometheus besides what every service does."""

from prometheus_client import Gauge

from fedpact.monitor.health import Pulse
from fedpact.monitor.metrics import Metrics


class RequesterMetrics(Metrics):
    """Of one service."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(pulse)
        self._failing = Gauge(
            "fedpact_requests_failing",
            "Requests, purchases and files of slice keys whose last attempt failed; one more each"
            " while transactions or content cannot be looked after",
            registry=self.registry,
        )

    def fail(self, requests: int) -> None:
        """So many, as of now."""
        self._failing.set(requests)
