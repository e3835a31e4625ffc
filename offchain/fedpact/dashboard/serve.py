"""Starts the dashboard of a deployment."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import uvicorn

from fedpact.chain import deployment_file as deployments
from fedpact.chain.client import ChainClient
from fedpact.content.store_address import open_store
from fedpact.dashboard.index.follow import Follower
from fedpact.dashboard.index.tables import IndexFile, index_file
from fedpact.dashboard.links import Links
from fedpact.dashboard.web.app import Served, create_app
from fedpact.dashboard.web.connections import bounded, most_connections
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.login import Login, token_file, token_of
from fedpact.dashboard.web.provider import OwnFiles, OwnProvider
from fedpact.dashboard.web.site import Site
from fedpact.dashboard.web.staying_out import StayingOut
from fedpact.errors import DeploymentError, SettingsError
from fedpact.settings import Settings
from fedpact.types.deployment import Deployment, SecondDeployment

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
    beside: Path | None = None,
) -> None:
    """Serve until stopped; `listen`: host:port. `ask_private`: whether providers with private
    addresses, too, are asked why they stay out of requests; None: nobody is asked. `beside`: file
    of the deployment with the other kind of rounds, which is shown too.

    Raises DeploymentError for a deployment of the first protocol, and for one `beside` that is not
    beside this one, NodeUnreachable, SettingsError, StorageUnavailable.
    """
    if not isinstance(deployment, SecondDeployment):
        raise DeploymentError(
            f"{settings.deployment} describes contracts of the first protocol: the dashboard reads"
            " those of the second; `fedpact audit` reads the first"
        )
    other = None if beside is None else _other(deployment, beside)
    links = Links(settings.explorer, settings.gateway)
    root = "" if other is None else f"/{other.rounds_kind}"
    with suppress(OSError):
        os.nice(NICENESS)
    with ExitStack() as stack:
        asking = rebuild, ask_private
        served = _open(
            stack, settings, deployment, replace(links, others=root and f"{root}/"), *asking
        )
        aside = None
        if other is not None:
            aside = _open(stack, settings, other, replace(links, root=root, others="/"), *asking)
        login, provider = None, None
        folder = settings.state / "dashboard"
        if own is not None:
            login, provider = Login(token_of(folder)), OwnProvider(served.site, own)
        app = create_app(served, provider, login, aside)
        with _listening(listen) as socket_:
            address = f"http://{listen.rpartition(':')[0]}:{socket_.getsockname()[1]}"
            log.info("dashboard at %s", address)
            if other is not None:
                log.info("%s rounds at %s%s/", other.rounds_kind, address, root)
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


def _other(deployment: SecondDeployment, file: Path) -> SecondDeployment:
    """The deployment of the other kind of rounds. Raises DeploymentError for any other."""
    found = deployments.load_second(file)
    if found.rounds_kind == deployment.rounds_kind:
        raise DeploymentError(
            f"{file} has {found.rounds_kind} rounds, as the deployment has that it is shown beside:"
            " name one with the other kind"
        )
    if (found.registry, found.genesis_hash) != (deployment.registry, deployment.genesis_hash):
        raise DeploymentError(
            f"{file} has other participants: its registry is {found.registry}, that of the"
            f" deployment beside it {deployment.registry}"
        )
    return found


def _open(
    stack: ExitStack,
    settings: Settings,
    deployment: SecondDeployment,
    links: Links,
    rebuild: bool,
    ask_private: bool | None,
) -> Served:
    """A deployment's site, with what keeps its index up."""
    # Without an outbox: this program sends nothing.
    client = ChainClient.connect(
        settings.endpoint, deployment, calls_per_minute=settings.calls_per_minute
    )
    stack.callback(client.close)
    stores = [
        open_store(*settings.store, timeout=STORE_SECONDS, credentials=settings.store_credentials)
        for _ in range(3)
    ]
    for store in stores:
        stack.callback(store.close)
    path = index_file(settings.state, deployment)
    file = stack.enter_context(IndexFile(path, writes=True, rebuild=rebuild))
    follower = stack.enter_context(Follower(client, stores[0], file, settings.confirmations))
    both = stores[1], stores[2]
    asking = None
    if ask_private is not None:
        asking = StayingOut(client, stores[2], private=ask_private)
    confirmations, distrust = settings.confirmations, follower.distrust
    site = Site(client, both, path, Hub(), links, confirmations, distrust, asking)
    return Served(site, (follower, max(SHORTEST_POLL, settings.poll_interval)))


def _listening(listen: str) -> socket.socket:
    """A socket at host:port; port 0: any free one. Raises SettingsError."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        raise SettingsError(f"--listen {listen}: {error.strerror or error}") from error
