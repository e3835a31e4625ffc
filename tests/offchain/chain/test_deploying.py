"""Deploying the contracts, and telling whether code on chain is this package's."""

from dataclasses import replace

import pytest

from fedpact.chain import deploying
from fedpact.chain.abi import CONTRACTS, MARKET, STEPS
from fedpact.chain.connection import Connection
from fedpact.chain.deploying import Parameters, deploy_contracts, parameters_for
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.verification import verify_artifacts
from fedpact.errors import DeploymentError, FedpactError
from fedpact.types.deployment import PresentDeployment
from tests.support.chain_request import deployed_contracts


def test_an_interrupted_deployment_goes_on(anvil: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, connection = anvil.new_account(), Connection.connect(anvil.url, None)
    parameters = Parameters(keys.address, keys.address, 1, 1)
    send, sent = Connection.send, list[str]()

    def interrupted(self: Connection, keys: AccountKeys, call: object) -> object:
        if len(sent) == 3:
            raise FedpactError("interrupted")
        sent.append(call.action)  # type: ignore[attr-defined]
        return send(self, keys, call)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "send", interrupted)
    with pytest.raises(FedpactError, match="interrupted"):
        deploy_contracts(connection, keys, parameters, salt=5)
    monkeypatch.setattr(Connection, "send", send)
    made = deploy_contracts(connection, keys, parameters, salt=5)
    assert sent == [
        "create DeploymentFactory",
        f"create {CONTRACTS[2][1]}",
        "create ReputationLedger",
    ]
    assert made.factory == deploying.factory_address(keys.address, 5)
    assert {one.name for one in verify_artifacts(connection, made)} == set(CONTRACTS[2])


def test_the_same_salt_is_refused(
    anvil: Devnet, operator: AccountKeys, deployment: PresentDeployment
) -> None:
    with pytest.raises(DeploymentError, match=f"market {deployment.market}.*another salt"):
        deployed_contracts(anvil, operator)
    assert deployed_contracts(anvil, operator, salt=1).market != deployment.market


def test_parameters_by_chain(anvil: Devnet, operator: AccountKeys) -> None:
    connection, me = Connection.connect(anvil.url, None), operator.address
    assert parameters_for(connection, me, me) == Parameters(me, me, 1, 1)
    connection.chain_id = 8453
    anvil.mine(1_000)  # the other tests' jumps in time are not among the latest thousand
    found = parameters_for(connection, me, me)
    assert (found.min_window, found.delay) == (60, 7 * 24 * 3600)
    assert parameters_for(connection, me, me, min_window=90).min_window == 90


def test_what_was_deployed_is_verified(anvil: Devnet, deployment: PresentDeployment) -> None:
    connection = Connection.connect(anvil.url, deployment)
    found = {one.name: one for one in verify_artifacts(connection, deployment)}
    assert STEPS in found
    assert found[MARKET].parameters == (1, 31337)


def test_contracts_of_two_deployments_do_not_pass(
    anvil: Devnet, deployment: PresentDeployment
) -> None:
    other = deployed_contracts(anvil, anvil.new_account())
    mixed = replace(deployment, ledger=other.ledger, factory=other.factory)
    connection = Connection.connect(anvil.url, mixed)
    with pytest.raises(DeploymentError, match="its contracts do not belong together"):
        verify_artifacts(connection, mixed)


def test_changed_code_does_not_pass(anvil: Devnet) -> None:
    made = deployed_contracts(anvil, anvil.new_account())
    connection = Connection.connect(anvil.url, made)
    code = bytearray.fromhex(connection.rpc.call("eth_getCode", made.pool, "latest")[2:])
    code[100] ^= 1
    connection.rpc.call("anvil_setCode", made.pool, "0x" + code.hex())
    with pytest.raises(DeploymentError, match=f"TrainingPool at {made.pool} .* is not this"):
        verify_artifacts(connection, made)
