"""Starts the dashboard of a deployment."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, suppress

import uvicorn

from fedpact.chain.client import ChainClient
from fedpact.content.opening import open_store
from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.index.tables import IndexFile, index_file
from fedpact.dashboard.links import Links
from fedpact.dashboard.looking import require_usual_rounds
from fedpact.dashboard.web.app import create_app
from fedpact.dashboard.web.connections import bounded, most_connections
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.login import Login, token_file, token_of
from fedpact.dashboard.web.provider import OwnFiles, OwnProvider
from fedpact.dashboard.web.site import Site
from fedpact.dashboard.web.staying_out import StayingOut
from fedpact.errors import DeploymentError, SettingsError
from fedpact.settings import Settings
from fedpact.types.deployment import Deployment, PresentDeployment

log = logging.getLogger(__name__)

NICENESS = 5
"""A daemon on the same machine goes first."""
SHORTEST_POLL = 0.25
STORE_SECONDS = 5.0
STOP_SECONDS = 3


def serve(
    settings: Settings,
    deployment: Deployment,
    listen: str,
    *,
    rebuild: bool = False,
    own: OwnFiles | None = None,
    ask_private: bool | None = None,
) -> None:
    """Serve until stopped; `listen`: host:port. `ask_private`: whether providers with private
    addresses, too, are asked why they stay out of requests; None: nobody is asked.

    Raises DeploymentError for a deployment of the first protocol, or with large rounds,
    NodeUnreachable, SettingsError, StorageUnavailable.
    """
    if not isinstance(deployment, PresentDeployment):
        raise DeploymentError(
            f"{settings.deployment} describes contracts of the first protocol: the dashboard reads"
            " those of the second; `fedpact request list` and `fedpact audit` read the first"
        )
    require_usual_rounds(deployment)
    with suppress(OSError):
        os.nice(NICENESS)
    with ExitStack() as stack:
        # Without an outbox: this program sends nothing.
        client = ChainClient.connect(
            settings.endpoint, deployment, calls_per_minute=settings.calls_per_minute
        )
        stack.callback(client.close)
        stores = [
            open_store(
                *settings.store, timeout=STORE_SECONDS, credentials=settings.store_credentials
            )
            for _ in range(3)
        ]
        for store in stores:
            stack.callback(store.close)
        path = index_file(settings.state, deployment)
        file = stack.enter_context(IndexFile(path, writes=True, rebuild=rebuild))
        follower = stack.enter_context(Follower(client, stores[0], file, settings.confirmations))
        hub = Hub()
        links = Links(settings.explorer, settings.gateway)
        both = stores[1], stores[2]
        asking = None
        if ask_private is not None:
            asking = StayingOut(client, stores[2], private=ask_private)
        site = Site(
            client, both, path, hub, links, settings.confirmations, follower.distrust, asking
        )
        login, provider = None, None
        folder = settings.state / "dashboard"
        if own is not None:
            login, provider = Login(token_of(folder)), OwnProvider(site, own)
        app = create_app(
            site, (follower, max(SHORTEST_POLL, settings.poll_interval)), provider, login
        )
        with _listening(listen) as socket_:
            address = f"http://{listen.rpartition(':')[0]}:{socket_.getsockname()[1]}"
            log.info("dashboard at %s", address)
            if own is not None:
                log.info("my provider at %s/provider, its token in %s", address, token_file(folder))
            config = uvicorn.Config(
                app,
                http=bounded(most_connections()),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
            uvicorn.Server(config).run(sockets=[socket_])


def _listening(listen: str) -> socket.socket:
    """A socket at host:port; port 0: any free one. Raises SettingsError."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        raise SettingsError(f"--listen {listen}: {error.strerror or error}") from error
