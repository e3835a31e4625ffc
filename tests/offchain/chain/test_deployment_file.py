"""Where the contracts are, and the file that says so."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from fedpact.chain.addresses import created_address
from fedpact.chain.client import ChainClient
from fedpact.chain.deployment import deploy, deploy_to_file, load, save
from fedpact.chain.devnet import Devnet
from fedpact.errors import DeploymentError, UnfundedAccount
from fedpact.types.deployment import Deployment


def test_contracts_know_one_another(client: ChainClient, deployment: Deployment) -> None:
    registry = client.registry
    named = client.read([registry.function(name) for name in ("market", "rounds", "registrar")])
    market, rounds, _ = ("0x" + word[-20:].hex() for word in named)
    assert market == deployment.market.lower()
    assert rounds == deployment.rounds.lower()


def test_deployment_names_chain_block_and_versions(
    client: ChainClient, deployment: Deployment
) -> None:
    first = client.frame_at(0)
    assert first is not None
    assert (deployment.chain_id, deployment.genesis_hash) == (31337, first.block_hash)
    for address in (deployment.registry, deployment.market, deployment.rounds):
        code = client.rpc.call("eth_getCode", address, hex(deployment.block - 1))
        assert code == "0x"
        assert len(client.rpc.call("eth_getCode", address, "latest")) > 1000
    assert deployment.versions["solc"] == "0.8.37"


def test_account_without_money_cannot_deploy(anvil: Devnet) -> None:
    client = ChainClient.connect(anvil.url, None)
    with pytest.raises(UnfundedAccount, match="create ParticipantRegistry"):
        deploy(client, anvil.new_account(wei=0))


def test_saved_deployment_is_loaded_as_it_was(tmp_path: Path, deployment: Deployment) -> None:
    path = tmp_path / "new" / "deployment.json"
    save(deployment, path)
    assert load(path) == deployment
    save(deployment, path)
    assert list(path.parent.iterdir()) == [path]


def test_file_from_before_the_resale_market_serves_all_else(
    anvil: Devnet, tmp_path: Path, deployment: Deployment
) -> None:
    path = tmp_path / "deployment.json"
    facts = {name: value for name, value in vars(deployment).items() if name != "resale"}
    path.write_text(json.dumps(facts))
    older = load(path)
    assert older.fingerprint == deployment.fingerprint
    client = ChainClient.connect(anvil.url, older)
    assert client.market.request_count() >= 0
    with pytest.raises(DeploymentError, match="has no ResaleMarket"):
        _ = client.resale


def test_file_of_another_deployment_is_not_overwritten(
    tmp_path: Path, deployment: Deployment
) -> None:
    path = tmp_path / "deployment.json"
    save(deployment, path)
    other = replace(deployment, genesis_hash="0x" + "ab" * 32)
    with pytest.raises(DeploymentError, match="describes another deployment"):
        save(other, path)
    assert load(path) == deployment
    assert list(tmp_path.iterdir()) == [path]


def test_deploying_over_a_file_is_refused_before_it_costs_anything(
    anvil: Devnet, tmp_path: Path, deployment: Deployment
) -> None:
    client, keys = ChainClient.connect(anvil.url, None), anvil.new_account()
    path = tmp_path / "deployment.json"
    save(deployment, path)
    before = client.balance(keys.address)
    with pytest.raises(DeploymentError, match="name another file or remove it"):
        deploy_to_file(client, keys, path)
    assert client.balance(keys.address) == before
    path.unlink()
    made = deploy_to_file(client, keys, path)
    assert load(path) == made != deployment


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: json.dumps({**json.loads(text), "chain_id": "31337"}),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
    ],
)
def test_a_file_that_is_not_a_deployment_is_refused(
    tmp_path: Path, deployment: Deployment, damage: object
) -> None:
    path = tmp_path / "deployment.json"
    save(deployment, path)
    assert callable(damage)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DeploymentError, match="is not a deployment file"):
        load(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"no deployment file .*/none\.json: No such file"):
        load(tmp_path / "none.json")


def test_a_folder_that_cannot_be_created_is_reported(
    tmp_path: Path, deployment: Deployment
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeploymentError, match="cannot write"):
        save(deployment, tmp_path / "file" / "deployment.json")


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_created_address_is_the_hash_of_creator_and_nonce(creator: bytes, nonce: int) -> None:
    expected = keccak(rlp.encode([creator, nonce]))[-20:]
    assert created_address("0x" + creator.hex(), nonce).lower() == "0x" + expected.hex()
