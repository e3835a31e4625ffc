"""A world (`tests.support.world`) whose contracts have large rounds: whole pools train, and a
committee judges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedpact.chain import deployment as deployments
from fedpact.chain.abi import LARGE, LEDGER, MARKET, POOL, REGISTRY, RESALE, contract_abi
from fedpact.chain.addresses import created_address
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.demo.data import prepare
from fedpact.demo.network import REPUTATION_UNIT_WEI, DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from fedpact.types.deployment import LARGE as LARGE_KIND
from tests.support.world import World

DRAW_DELAY = 2


@contextmanager
def large_world(folder: Path, **options: Any) -> Iterator[World]:
    """A fresh chain; no daemon runs yet. Everything is stopped at the end."""
    data = prepare(DemoOptions(**options), folder)
    with running_network(folder) as (network, registrar):
        _use_large_rounds(network, registrar)
        world = World(network, registrar, data)
        world.exchanging = True
        yield world


def _use_large_rounds(network: DemoNetwork, owner: AccountKeys) -> None:
    """Deploy all contracts anew, with large rounds in place of the usual ones."""
    names = (REGISTRY, LEDGER, POOL, LARGE, MARKET, RESALE)
    nonce = int(network.client.rpc.call("eth_getTransactionCount", owner.address, "latest"), 16)
    at = {name: created_address(owner.address, nonce + i) for i, name in enumerate(names)}
    given: dict[str, tuple[Any, ...]] = {
        REGISTRY: (owner.address, 1),
        LEDGER: (owner.address, 1, at[MARKET], REPUTATION_UNIT_WEI),
        POOL: (at[REGISTRY], at[LEDGER], at[MARKET], at[LARGE]),
        LARGE: (at[POOL], at[MARKET], DRAW_DELAY),
        MARKET: (at[REGISTRY], at[POOL], at[LARGE], at[LEDGER], owner.address, 1),
        RESALE: (at[REGISTRY], at[MARKET], at[POOL], at[LARGE]),
    }
    block = network.client.frame().block_number
    for name in names:
        creation = contract_abi(name).creation(*given[name])
        receipt = network.client.send(owner, Call(None, creation, action=f"create {name}"))
        assert str(receipt.created).lower() == at[name].lower()
    network.deployment = replace(
        network.deployment,
        registry=at[REGISTRY],
        ledger=at[LEDGER],
        pool=at[POOL],
        rounds=at[LARGE],
        market=at[MARKET],
        resale=at[RESALE],
        block=block,
        rounds_kind=LARGE_KIND,
    )
    path = network.folder / "deployment.json"
    path.unlink()
    deployments.save(network.deployment, path)
    network.client.close()
    network.client = ChainClient.connect(network.devnet.url, network.deployment)
