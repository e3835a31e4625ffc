"""The endpoint's server, in its own thread, so that the daemon's cycle never waits for a client."""

import logging
import socket
import threading
import time

import uvicorn

from fedpact.errors import SettingsError
from fedpact.provider.endpoint.application import Endpoint
from fedpact.provider.endpoint.limits import EndpointLimits

log = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 5.0
LONGEST_HEADERS = 1 << 14
"""Bytes."""


class EndpointServer:
    """Serves one endpoint on host:port until it is stopped; port 0 means any free port."""

    def __init__(
        self, endpoint: Endpoint, listen: str, limits: EndpointLimits | None = None
    ) -> None:
        """Raises SettingsError if the address cannot be bound."""
        limits = limits or EndpointLimits()
        host, _, port = listen.rpartition(":")
        self._socket = _bound(host, int(port))
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self._endpoint = endpoint
        config = uvicorn.Config(
            endpoint.app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=LONGEST_HEADERS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="endpoint",
            daemon=True,
        )

    def start(self) -> None:
        """Returns once the server accepts requests."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise SettingsError(f"endpoint {self.address}: the server did not start")
            time.sleep(0.005)
        log.info("listening at http://%s", self.address)

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._endpoint.close()
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # IPPROTO_TCP: only then does asyncio turn off Nagle's algorithm (40 ms per answer).
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        raise SettingsError(f"listen {host}:{port}: {error.strerror or error}") from error
    return found
