"""Answers /health, /ready and /metrics over HTTP, in threads of its own.

The standard library's server, as Prometheus' own client uses it: it takes a megabyte, and answers
where the cycle hangs.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from fedpact.errors import SettingsError
from fedpact.monitor.metrics import Metrics

log = logging.getLogger(__name__)

CLIENT_SECONDS = 10.0
"""Time for a client to send its request."""
STOP_SECONDS = 5.0

Start = Callable[[str, list[tuple[str, str]]], Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, *_: object) -> None:
        """Whoever scrapes every few seconds need not fill the log."""


class MonitorServer:
    """Serves until it is stopped; port 0 means any free port."""

    def __init__(self, metrics: Metrics, listen: str) -> None:
        """`listen`: host:port. Raises SettingsError if the address cannot be bound."""
        self._metrics = metrics
        self._exposition = make_wsgi_app(metrics.registry)
        host, _, port = listen.rpartition(":")
        kind = _Server6 if host.startswith("[") else _Server
        try:
            self._server = make_server(host.strip("[]"), int(port), self._answer, kind, _Handler)
        except OSError as error:
            raise SettingsError(f"monitor {listen}: {error.strerror or error}") from error
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="monitor", daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        log.info("health and metrics at http://%s", self.address)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_SECONDS)

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path, pulse = environ["PATH_INFO"], self._metrics.pulse
        if path == "/metrics":
            exposed: list[bytes] = self._exposition(environ, start)
            return exposed
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _json(start, "405 Method Not Allowed", {"problems": ["only GET is answered"]})
        if path not in ("/health", "/ready"):
            problem = "there is /health, /ready and /metrics"
            return _json(start, "404 Not Found", {"problems": [problem]})
        problems = pulse.ill() if path == "/health" else pulse.not_ready()
        status = "503 Service Unavailable" if problems else "200 OK"
        return _json(start, status, {"problems": problems, "cycle_age": round(pulse.age, 1)})


def _json(start: Start, status: str, content: dict[str, Any]) -> list[bytes]:
    body = json.dumps(content).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def telling(metrics: Metrics, listen: str) -> Iterator[None]:
    """Tells health and metrics at an address, if one is given, until the block ends. Raises as
    MonitorServer."""
    if not listen:
        yield
        return
    server = MonitorServer(metrics, listen)
    server.start()
    try:
        yield
    finally:
        server.stop()
