"""Connecting to the right chain, and consistent reads."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.connection import FrameGone
from fedpact.chain.devnet import Devnet, find_anvil
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.node_errors import FaultKind
from fedpact.child_process import ChildProcess
from fedpact.errors import DeploymentError, NodeUnreachable, Reverted, SettingsError
from fedpact.types.deployment import Deployment
from tests.support.node_proxy import serving
from tests.support.waiting import PATIENCE, wait_until


def test_an_unreachable_node_is_named_without_the_key_in_its_address() -> None:
    with pytest.raises(NodeUnreachable) as caught:
        ChainClient.connect("http://user:pass@127.0.0.1:9/v3/my-secret-key", None, timeout=1)
    assert "http://127.0.0.1:9 does not answer" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"[]"), (503, b"busy")])
def test_a_server_that_is_not_a_node_is_unreachable(status: int, body: bytes) -> None:
    with web_server(status, body) as url, pytest.raises(NodeUnreachable):
        ChainClient.connect(url, None, timeout=2)


@pytest.mark.parametrize("endpoint", ["", "localhost:8545", "ftp://127.0.0.1", "http://"])
def test_an_invalid_address_of_a_node_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="is not the address of a node"):
        ChainClient.connect(endpoint, None)


def test_a_node_is_reached_over_its_socket_and_over_websocket(tmp_path: Path) -> None:
    """web3.py's providers; batches and refusals pass through each of them alike."""
    socket = tmp_path / "anvil.ipc"
    command = [str(find_anvil()), "--port", "0", "--ipc", str(socket)]
    child = ChildProcess.start(command, tmp_path / "log")
    try:
        address = child.wait_for(re.compile(r"Listening on (\S+:\d+)"), PATIENCE)[1]
        wait_until(socket.exists)
        for endpoint in (f"http://{address}", f"ws://{address}", str(socket)):
            client = ChainClient.connect(endpoint, None)
            block, refused = client.rpc.batch(
                [("eth_getBlockByNumber", ["0x0", False]), ("eth_nonsense", [])]
            )
            assert block["hash"] == client.genesis_hash
            assert refused.fault.kind is FaultKind.PERMANENT
            client.close()
    finally:
        child.stop()


def test_chain_of_another_id_is_refused(anvil: Devnet, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="is on chain 31337, the deployment on 5"):
        ChainClient.connect(anvil.url, replace(deployment, chain_id=5))


def test_a_restarted_local_chain_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    with (
        Devnet.start(tmp_path) as another,
        pytest.raises(DeploymentError, match="another chain with the id 31337"),
    ):
        ChainClient.connect(another.url, deployment)


def test_addresses_without_contracts_are_refused(
    anvil: Devnet, deployment: Deployment, stranger: AccountKeys
) -> None:
    with pytest.raises(DeploymentError, match="no contract at"):
        ChainClient.connect(anvil.url, replace(deployment, market=stranger.address))


def test_client_without_deployment_has_no_contracts(anvil: Devnet) -> None:
    with pytest.raises(DeploymentError, match="no deployment"):
        _ = ChainClient.connect(anvil.url, None).market


def test_reads_at_a_frame_do_not_see_later_changes(
    client: ChainClient, participant: AccountKeys
) -> None:
    frame = client.frame()
    before = client.registry.participant(participant.address)
    client.registry.set_profile(participant, b"q" * 32, b"b" * 32)

    assert client.registry.participant(participant.address, frame) == before
    assert client.registry.participant(participant.address, frame.block_number) == before
    assert client.registry.participant(participant.address) != before


def test_confirmations_keep_the_frame_below_the_head(anvil: Devnet, client: ChainClient) -> None:
    anvil.mine(5)
    head = client.frame()
    frame = client.frame(3)
    assert head.block_number - 3 <= frame.block_number <= head.block_number
    assert client.frame(10**9).block_number == 0
    assert client.frame_at(frame.block_number) == frame
    assert client.frame_at(10**9) is None


def test_the_frame_of_a_reorganised_block_is_gone(tmp_path: Path, deployment: Deployment) -> None:
    with Devnet.start(tmp_path, block_time=3600) as net:
        client = ChainClient.connect(net.url, None)
        snapshot = client.rpc.call("evm_snapshot")
        net.mine()
        frame = client.frame()
        client.rpc.call("evm_revert", snapshot)
        other = ChainClient(client.rpc, client.chain_id, client.genesis_hash, deployment)
        with pytest.raises(FrameGone, match=f"block {frame.block_number} "):
            other.registry.registrar(frame)


def test_read_that_the_contract_refuses_says_why(client: ChainClient) -> None:
    suspension = client.registry.function("suspend", client.registry.address)
    with pytest.raises(Reverted) as caught:
        client.read([client.registry.function("registrar"), suspension])
    assert caught.value.name == "OwnableUnauthorizedAccount"


@contextmanager
def web_server(status: int, body: bytes) -> Iterator[str]:
    """Answers every POST in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address
