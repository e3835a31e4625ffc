"""A request from deployment to audit on clients that lack what Anvil, which serves all other tests,
has: Hardhat and EthereumJS, which `make clients` installs."""

from pathlib import Path

import pytest

from fedpact.chain.node_errors import Capability
from tests.support.clients import ON_DEMAND, Client, EthereumJS, Hardhat
from tests.support.world import faults_of, running_world

PROVIDERS, ROUNDS = 3, 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client", "lacks"), [(Hardhat, set()), (EthereumJS, {Capability.BLOCK_HASH})]
)
def test_daemons_serve_a_request_to_its_audited_end(
    client: type[Client], lacks: set[Capability], tmp_path: Path
) -> None:
    if not ON_DEMAND.is_dir():
        pytest.skip("`make clients` installs Hardhat and EthereumJS")
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS, start=client.start) as world:
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create()
        world.follow(request, world.settled(request))
        outcome = world.client.rounds.outcome(request)
        assert (outcome.final_rounds, outcome.paid_rounds) == (ROUNDS, ROUNDS)
        assert not any(faults_of(entry) for entry in world.entries(request))
        assert world.paid_as_mirrored(request)
        world.wait_until_all_say("paid ")
        world.audited(request, world.auditor)
        [node] = world.client.rpc.nodes
        assert node.lacks >= lacks
