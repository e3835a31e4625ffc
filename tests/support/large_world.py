"""A world (`tests.support.world`) whose contracts have large rounds: whole pools train, and a
committee judges."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedpact.chain import deployment_file as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.deploy import LargeParameters, deploy_large
from fedpact.chain.keystore import AccountKeys
from fedpact.demo.data import prepare
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from tests.support.world import World

DRAW_DELAY = 2


@contextmanager
def large_world(folder: Path, wallets: Collection[str] = (), **options: Any) -> Iterator[World]:
    """A fresh chain; no daemon runs yet. Everything is stopped at the end. `wallets`: as `World`
    takes them."""
    data = prepare(DemoOptions(**options), folder)
    with running_network(folder) as (network, registrar):
        _use_large_rounds(network, registrar)
        world = World(network, registrar, data, wallets)
        world.exchanging = True
        yield world


def _use_large_rounds(network: DemoNetwork, owner: AccountKeys) -> None:
    """Deploy large rounds beside the usual ones, and use them from here on."""
    parameters = LargeParameters(owner.address, min_window=1, draw_delay=DRAW_DELAY)
    network.deployment = deploy_large(network.client, owner, parameters, network.deployment)
    path = network.folder / "deployment.json"
    path.unlink()
    deployments.save(network.deployment, path)
    network.client.close()
    network.client = ChainClient.connect(network.devnet.url, network.deployment)
