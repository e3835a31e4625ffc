"""A request from deployment to audit on clients that lack what Anvil, which serves all other tests,
has: Ganache, Hardhat and EthereumJS.

Ganache's hardforks end with Shanghai, and contracts of the second protocol need Cancun (transient
storage): it plays the first protocol. The other two are installed by `make clients`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.audit import audit
from fedpact.chain.faults import Capability
from fedpact.types.rounds import RequestStatus
from tests.support.clients import ON_DEMAND, Client, EthereumJS, Ganache, Hardhat
from tests.support.committee import PAYMENT, Committee, Following, open_market
from tests.support.second_world import faults_of, second_world

PROVIDERS, ROUNDS = 3, 2


@pytest.fixture
def ganache(tmp_path: Path) -> Iterator[Ganache]:
    with Ganache.start(tmp_path / "ganache") as client:
        yield client


def test_a_request_is_delivered_paid_and_audited_on_ganache(
    ganache: Ganache, tmp_path: Path
) -> None:
    market = open_market(ganache, tmp_path, providers=3)  # type: ignore[arg-type]
    request_id = market.requester.create(market.draft(), market.evaluation, PAYMENT)
    committee = Committee(market, request_id)
    with Following(market, request_id):
        committee.join_and_start()
        committee.play_round()
        committee.play_round()
        committee.deliver()
    committee.claim_all()

    assert market.client.market.request(request_id).status is RequestStatus.DELIVERED
    report = audit(market.client, market.store, request_id, market.auditor)
    assert report.failed == []
    assert report.unavailable == []
    [node] = market.client.rpc.nodes
    assert Capability.BLOCK_HASH in node.lacks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client", "lacks"), [(Hardhat, set()), (EthereumJS, {Capability.BLOCK_HASH})]
)
def test_daemons_serve_a_request_of_the_second_protocol_to_its_audited_end(
    client: type[Client], lacks: set[Capability], tmp_path: Path
) -> None:
    if not ON_DEMAND.is_dir():
        pytest.skip("`make clients` installs Hardhat and EthereumJS")
    with second_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS, start=client.start) as world:
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
