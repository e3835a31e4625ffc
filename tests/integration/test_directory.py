"""The directory of profiles against a real registry."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import Parameters, deploy_contracts
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import NotReady
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider import profile
from fedpact.provider.policy import Policy
from fedpact.provider.profile import ProfileData
from fedpact.requester.provider_search import entry_points
from fedpact.retrieval.directory import ProfileDirectory
from fedpact.retrieval.messages import Record
from fedpact.retrieval.profiles.document import Profile
from tests.support.chain_request import admit, deployed_contracts

PLAIN = Policy(profile_without_privacy=True)


@dataclass
class World:
    client: ChainClient
    store: EmbeddedStore
    registrar: AccountKeys
    people: list[AccountKeys]
    folder: Path

    def publish(self, keys: AccountKeys, word: str, endpoint: str = "") -> Profile:
        data = ProfileData("text", "classification", (word,), ("a",), (word.encode(),), (), (), 1)
        with Ledger(self.folder / "ledger", b"k" * 32) as ledger:
            built = profile.build(data, ("words",), PLAIN, ledger)
        one = profile.published(built, keys, endpoint, 0)
        profile.publish(self.client, self.store, keys, one)
        return one


@pytest.fixture
def world(anvil: Devnet, tmp_path: Path) -> World:
    registrar = anvil.new_account()
    client = ChainClient.connect(anvil.url, deployed_contracts(anvil, registrar))
    people = [anvil.new_account() for _ in range(3)]
    for number, keys in enumerate(people, start=1):
        admit(client, registrar, keys, number)
    return World(client, EmbeddedStore(tmp_path / "content"), registrar, people, tmp_path)


def test_only_the_present_profile_of_an_active_participant_holds(world: World) -> None:
    now = [0.0]
    directory = ProfileDirectory(world.client, clock=lambda: now[0])
    directory.refresh()
    assert directory.nodes == 0
    first = world.publish(world.people[0], "hockey")
    assert not directory.verify(first.record)  # looked a moment ago
    now[0] += 2
    assert directory.verify(first.record)
    assert directory.nodes == 1
    assert not directory.verify(copied_by(first, world.people[1]))
    second = world.publish(world.people[0], "cipher")
    directory.refresh()
    assert directory.verify(second.record)
    assert not directory.verify(first.record)
    world.client.registry.suspend(world.registrar, world.people[0].address)
    world.client.rpc.call("anvil_mine", "0x2", "0x2")  # it takes effect a second later
    now[0] += 2
    directory.refresh()
    assert not directory.verify(second.record)
    assert not directory.active(world.people[0].address)
    assert directory.nodes == 0
    world.client.registry.restore(world.registrar, world.people[0].address)
    now[0] += 2
    directory.refresh()
    assert directory.verify(second.record)


def copied_by(one: Profile, keys: AccountKeys) -> Record:
    node = bytes.fromhex(keys.address.removeprefix("0x"))
    return Record(node, one.record.signature, one.record.details)


def test_publishing_an_unchanged_profile_sends_nothing(world: World) -> None:
    one = world.publish(world.people[0], "hockey")
    again = profile.publish(world.client, world.store, world.people[0], one)
    assert again.gas is None
    participant = world.client.registry.participant(world.people[0].address)
    assert participant.profile_hash == one.profile_hash


def test_the_contract_proves_each_shown_attribute(world: World) -> None:
    one = world.publish(world.people[0], "hockey")
    registry, tree = world.client.registry, one.details.tree
    address = world.people[0].address
    registry.attest_attributes(world.registrar, address, one.profile_hash)
    for index, attribute in enumerate(one.details.attributes):
        found = registry.verify_attribute(
            address, one.record.digest, tree.root, tree.proof(index),
            attribute.name, attribute.value, attribute.salt,
        )  # fmt: skip
        assert found == (True, True)


def test_searches_enter_at_the_newest_profiles_that_name_an_address(world: World) -> None:
    directory = ProfileDirectory(world.client)
    with pytest.raises(NotReady, match="--at"):
        entry_points(directory, world.store)
    for keys, port in zip(world.people, (1, 2, None), strict=True):
        world.publish(keys, "hockey", f"http://127.0.0.1:{port}" if port else "")
    directory.refresh()
    assert entry_points(directory, world.store) == ["http://127.0.0.1:2", "http://127.0.0.1:1"]


def test_a_suspension_counts_once_it_takes_effect(anvil: Devnet, tmp_path: Path) -> None:
    registrar, keys = anvil.new_account(), anvil.new_account()
    parameters = Parameters(registrar.address, registrar.address, min_window=1, delay=600)
    deployment = deploy_contracts(Connection.connect(anvil.url, None), registrar, parameters)
    client = ChainClient.connect(anvil.url, deployment)
    admit(client, registrar, keys, 1)
    world = World(client, EmbeddedStore(tmp_path / "content"), registrar, [keys], tmp_path)
    record = world.publish(keys, "hockey").record
    now = [0.0]
    directory = ProfileDirectory(client, clock=lambda: now[0])
    assert directory.verify(record)
    client.registry.suspend(registrar, keys.address)
    now[0] += 2
    directory.refresh()
    assert directory.verify(record)
    anvil.mine(2, 601)
    now[0] += 2
    directory.refresh()
    assert not directory.verify(record)
    assert directory.nodes == 0
    client.registry.restore(registrar, keys.address)
    now[0] += 2
    assert directory.verify(record)
