"""Deploying the contracts, and telling whether code on chain is this package's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fedpact.chain import deploy
from fedpact.chain.abi import (
    CONTRACTS,
    LARGE,
    LEDGER,
    MARKET,
    ROUNDS,
    SECOND,
    STEPS,
    contract_abi,
)
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import (
    LargeParameters,
    Parameters,
    announce_recorder,
    deploy_contracts,
    deploy_large,
    large_parameters_for,
    parameters_for,
    recorder_from,
)
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.verification import verify_artifacts
from fedpact.errors import DeploymentError, FedpactError, NodeUnreachable, Reverted
from fedpact.types.deployment import SecondDeployment
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
    assert made.factory == deploy.factory_address(keys.address, 5)
    assert {one.name for one in verify_artifacts(connection, made)} == set(CONTRACTS[2]) - {LARGE}


def test_a_deployment_whose_file_was_lost_is_described_again(
    anvil: Devnet,
    operator: AccountKeys,
    deployment: SecondDeployment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a full disk, all contracts were there and nobody could use them."""
    assert deployed_contracts(anvil, operator) == deployment
    assert "with salt 0 already: this is that deployment" in caplog.text
    connection = Connection.connect(anvil.url, None)
    for other, said in (
        (Parameters(operator.address, operator.address, 7, 1), "minWindow 1, not 7.*another salt"),
        (Parameters(operator.address, operator.address, 1, 7), "delay 1, not 7"),
    ):
        with pytest.raises(DeploymentError, match=said):
            deploy_contracts(connection, operator, other)
    assert deployed_contracts(anvil, operator, salt=1).market != deployment.market


def test_a_node_that_limits_ranges_of_logs_is_enough_to_deploy(
    anvil: Devnet, operator: AccountKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many public nodes do: all contracts were created, and then the run failed."""
    call = Nodes.call

    def limited(self: Nodes, asked: str, *arguments: Any) -> Any:
        if asked == "eth_getLogs":
            [query] = arguments
            last = int(query.get("toBlock", "0xffffffff"), 16)
            if last - int(query["fromBlock"], 16) >= 50:
                raise NodeUnreachable("query exceeds max block range 50")
        return call(self, asked, *arguments)

    anvil.mine(60)
    monkeypatch.setattr(Nodes, "call", limited)
    owner = anvil.new_account()
    usual = deployed_contracts(anvil, owner)
    anvil.mine(120)
    assert deployed_contracts(anvil, owner) == usual
    large = deployed_beside(anvil, owner, usual)
    assert recorder_from(Connection.connect(anvil.url, large), usual.ledger, large.market)


def test_parameters_by_chain(anvil: Devnet, operator: AccountKeys) -> None:
    connection, me = Connection.connect(anvil.url, None), operator.address
    assert parameters_for(connection, me, me) == Parameters(me, me, 1, 1)
    connection.chain_id = 8453
    for _ in range(20):  # the other tests' jumps in time are not among the latest thousand
        anvil.mine(50)  # an Anvil that has been through many tests takes long for a thousand
    found = parameters_for(connection, me, me)
    assert (found.min_window, found.delay) == (60, 7 * 24 * 3600)
    assert parameters_for(connection, me, me, min_window=90).min_window == 90


def test_what_was_deployed_is_verified(anvil: Devnet, deployment: SecondDeployment) -> None:
    connection = Connection.connect(anvil.url, deployment)
    found = {one.name: one for one in verify_artifacts(connection, deployment)}
    assert STEPS in found
    assert found[MARKET].parameters == (1, 31337)


def test_contracts_of_two_deployments_do_not_pass(
    anvil: Devnet, deployment: SecondDeployment
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


# -- large rounds ----------------------------------------------------------------------------------


def deployed_beside(
    anvil: Devnet, keys: AccountKeys, beside: SecondDeployment, salt: int = 0
) -> SecondDeployment:
    connection = Connection.connect(anvil.url, None)
    return deploy_large(connection, keys, LargeParameters(keys.address, 1, 3), beside, salt)


def test_large_rounds_share_participants_and_reputations(
    anvil: Devnet, operator: AccountKeys, deployment: SecondDeployment
) -> None:
    made = deployed_beside(anvil, operator, deployment)
    assert (made.registry, made.ledger) == (deployment.registry, deployment.ledger)
    own = {"market", "pool", "rounds", "resale", "factory"}
    assert not {getattr(made, one) for one in own} & {getattr(deployment, one) for one in own}
    assert (made.rounds_kind, made.block) == ("large", deployment.block)
    connection = Connection.connect(anvil.url, made)
    found = {one.name: one for one in verify_artifacts(connection, made)}
    assert set(found) == set(CONTRACTS[2]) - {ROUNDS, STEPS}
    assert found[LARGE].parameters == (3, 31337)
    anvil.mine(1, seconds_apart=2)
    assert Reputation(connection, made.ledger).is_recorder(made.market)
    assert deployed_beside(anvil, operator, deployment) == made
    other = LargeParameters(operator.address, 1, 4)
    with pytest.raises(DeploymentError, match="drawDelay 3, not 4"):
        deploy_large(connection, operator, other, deployment)


def test_a_deployment_for_large_rounds_goes_on(
    anvil: Devnet,
    operator: AccountKeys,
    deployment: SecondDeployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, sent = Connection.send, list[str]()

    def interrupted(self: Connection, keys: AccountKeys, call: Any) -> object:
        if len(sent) == 4:
            raise FedpactError("interrupted")
        sent.append(call.action)
        return send(self, keys, call)

    monkeypatch.setattr(Connection, "send", interrupted)
    with pytest.raises(FedpactError, match="interrupted"):
        deployed_beside(anvil, operator, deployment, salt=7)
    monkeypatch.setattr(Connection, "send", send)
    made = deployed_beside(anvil, operator, deployment, salt=7)
    assert sent[0].endswith("announceRecorder")
    assert sent[1:] == [f"create {name}" for name in ("DeploymentFactory", "TrainingPool", LARGE)]
    assert verify_artifacts(Connection.connect(anvil.url, made), made)


def announcements(connection: Connection, ledger: str) -> list[dict[str, Any]]:
    """The ledger's announcements of recorders."""
    topic = contract_abi(LEDGER, SECOND).event_topic("RecorderAnnounced")
    query = {"fromBlock": "0x0", "address": ledger, "topics": [topic]}
    found: list[dict[str, Any]] = connection.rpc.call("eth_getLogs", query)
    return found


def test_who_is_not_the_registrar_leaves_the_announcement(
    anvil: Devnet, operator: AccountKeys, deployment: SecondDeployment
) -> None:
    stranger = anvil.new_account()
    made = deployed_beside(anvil, stranger, deployment)
    connection = Connection.connect(anvil.url, made)
    assert recorder_from(connection, made.ledger, made.market) is None
    with pytest.raises(Reverted):
        announce_recorder(connection, stranger, made, made.market)
    announce_recorder(connection, operator, made, made.market)
    effective = recorder_from(connection, made.ledger, made.market)
    announced = announcements(connection, made.ledger)
    assert effective == int(announced[-1]["data"][66:], 16)
    assert recorder_from(connection, made.ledger, deployment.market) == 0
    announce_recorder(connection, operator, made, made.market)
    assert recorder_from(connection, made.ledger, made.market) == effective
    connection.send(
        operator, Reputation(connection, made.ledger).announce_recorder(made.market, False)
    )
    assert recorder_from(connection, made.ledger, made.market) is None


def test_large_rounds_are_beside_usual_ones_of_the_same_chain(
    anvil: Devnet, operator: AccountKeys, deployment: SecondDeployment
) -> None:
    for other, said in (
        (replace(deployment, rounds_kind="large"), "has large ones"),
        (replace(deployment, chain_id=8453), "is on chain 8453"),
        (replace(deployment, genesis_hash="0x" + "07" * 32), "genesis 0x0707"),
    ):
        with pytest.raises(DeploymentError, match=said):
            deployed_beside(anvil, operator, other, salt=8)


def changed(method: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """A node's calls, with other answers to one method."""
    call = Nodes.call

    def answer(self: Nodes, asked: str, *arguments: Any) -> Any:
        found = call(self, asked, *arguments)
        return change(found) if asked == method else found

    return answer


@pytest.mark.parametrize(
    ("method", "change", "said"),
    [
        ("eth_getBlockByNumber", lambda b: b | {"slot": "0x7", "nonce": None}, "do not have its"),
        ("eth_call", lambda a: f"0x{9_999:064x}" + a[66:], "see block 9999"),
        ("eth_call", lambda a: a[:66] + "07" * 32, "see other block hashes"),
    ],
)
def test_a_chain_that_draws_no_committee_gets_no_large_rounds(
    anvil: Devnet,
    operator: AccountKeys,
    deployment: SecondDeployment,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    change: Callable[[Any], Any],
    said: str,
) -> None:
    """As on a chain with other headers, or where contracts see another chain's blocks."""
    monkeypatch.setattr(Nodes, "call", changed(method, change))
    with pytest.raises(DeploymentError, match=f"can draw no committee .*{said}"):
        deployed_beside(anvil, operator, deployment, salt=9)


def test_a_chain_without_randomness_gets_no_large_rounds(
    anvil: Devnet,
    operator: AccountKeys,
    deployment: SecondDeployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = {"mixHash": "0x" + "00" * 31 + "01"}
    monkeypatch.setattr(Nodes, "call", changed("eth_getBlockByNumber", lambda b: b | one))
    monkeypatch.setattr(deploy, "encoded", lambda _: b"")
    with pytest.raises(DeploymentError, match=r"no randomness .PREVRANDAO 0x0+1."):
        deployed_beside(anvil, operator, deployment, salt=9)


def test_the_draw_is_later_where_randomness_is_known_earlier(
    anvil: Devnet, operator: AccountKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, me = Connection.connect(anvil.url, None), operator.address
    assert large_parameters_for(connection, me) == LargeParameters(me, 1, 1)
    assert large_parameters_for(connection, me, draw_delay=9).draw_delay == 9
    connection.chain_id = 1
    assert large_parameters_for(connection, me).draw_delay == 4
    connection.chain_id = 10
    monkeypatch.setattr(deploy, "_blocks_time", lambda _: 10)  # five blocks of two seconds
    assert large_parameters_for(connection, me).draw_delay == 150
