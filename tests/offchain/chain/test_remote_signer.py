"""An account whose key is in another program, before a real chain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from fedpact.chain import keystore
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.chain.remote_signer import RemoteSigner
from fedpact.chain.vouchers import sign_voucher
from fedpact.errors import KeyStoreError, SignerUnreachable
from tests.support.signing_server import SigningServer, new_server, signing
from tests.support.twins import twins

CHEAP = 2**12
OTHER = Account.from_key(b"o" * 32).address


@pytest.fixture(params=[False, True], ids=["web3signer", "clef"])
def server(request: pytest.FixtureRequest, anvil: Devnet, client: ChainClient) -> SigningServer:
    made = new_server(client.chain_id, as_clef=request.param)
    anvil.fund(made.account.address)
    return made


@pytest.fixture
def remote(server: SigningServer, tmp_path: Path) -> Iterator[AccountKeys]:
    with signing(server) as url:
        address = server.account.address
        keystore.remote_account(tmp_path, url, address, "password", "alice", scrypt_cost=CHEAP)
        yield keystore.unlock(tmp_path, "alice", "password")


def test_a_remote_account_registers_as_any_other(
    client: ChainClient, operator: AccountKeys, remote: AccountKeys, server: SigningServer
) -> None:
    voucher = sign_voucher(operator, client.deployment, remote.address, 77, 4711, 2**40)
    public = bytes(remote.encryption_key().public_key)
    client.registry.register(remote, voucher, public, bytes(32), bytes(32))
    assert client.registry.participant(remote.address).encryption_key == public
    assert server.asked == ["eth_sign", "eth_signTransaction"]


def test_typed_data_and_texts_are_signed(
    client: ChainClient, remote: AccountKeys, server: SigningServer
) -> None:
    own, here = AccountKeys(server.account), client.deployment
    given, expected = (sign_voucher(one, here, own.address, 7, 1, 2**40) for one in (remote, own))
    assert given == expected
    assert remote.sign_text(b"declaration") == own.sign_text(b"declaration")


def test_other_secrets_come_from_the_key_store_and_are_the_same_every_time(
    remote: AccountKeys, server: SigningServer, tmp_path: Path
) -> None:
    again = keystore.unlock(tmp_path, remote.address, "password")
    assert again.derive("seal") == remote.derive("seal")
    assert again.derive("seal") != AccountKeys(server.account).derive("seal")
    text = (tmp_path / "alice.json").read_text()
    assert remote.secret is not None
    assert remote.secret.hex() not in text
    assert remote.secret.hex() not in repr(remote)


@pytest.mark.parametrize(
    "change",
    [{"value": 10**18}, {"to": OTHER}, {"data": "0x"}, {"chainId": 1}, {"nonce": 9}],
    ids=lambda change: next(iter(change)),
)
def test_a_signer_that_signs_something_else_is_found_out(
    client: ChainClient, remote: AccountKeys, server: SigningServer, change: dict[str, Any]
) -> None:
    server.before = lambda transaction: {**transaction, **change}
    before = client.balance(remote.address)
    with pytest.raises(KeyStoreError, match="signed another transaction"):
        client.send(remote, Call(remote.address, b"\x01", 1, "transfer"))
    assert client.balance(remote.address) == before


def signed(signer: Any, **fees: int) -> Any:
    call = {"to": OTHER, "value": 5, "data": b"\x01\x00", "nonce": 0, "gas": 30_000}
    return signer.sign_transaction({**call, "chainId": 31337, **fees})


@pytest.mark.parametrize(
    "fees",
    [{"gasPrice": 7}, {"type": 2, "maxFeePerGas": 9, "maxPriorityFeePerGas": 0}],
    ids=["legacy", "dynamic"],
)
def test_both_kinds_of_transaction_are_those_that_the_key_itself_signs(
    fees: dict[str, int],
) -> None:
    server = new_server(31337)
    with signing(server) as url:
        remote = signed(RemoteSigner(url, server.account.address), **fees)
    own = signed(server.account, **fees)
    assert (remote.raw_transaction, remote.hash) == (own.raw_transaction, own.hash)
    assert (remote.v, remote.r, remote.s) == (own.v, own.r, own.s)


def test_a_signer_with_another_key_is_refused_at_once(tmp_path: Path) -> None:
    server = new_server(31337)
    other = Account.create().address
    with signing(server) as url:
        server.account, asked = Account.create(), server.account.address
        with pytest.raises((KeyStoreError, SignerUnreachable)):
            keystore.remote_account(tmp_path, url, asked, "password", scrypt_cost=CHEAP)
        with pytest.raises((KeyStoreError, SignerUnreachable)):
            keystore.remote_account(tmp_path, url, other, "password", scrypt_cost=CHEAP)
    assert keystore.list_accounts(tmp_path) == []


def test_a_signer_that_refuses_or_is_gone_may_come_back(
    client: ChainClient, remote: AccountKeys, server: SigningServer
) -> None:
    server.refuses = True
    with pytest.raises(SignerUnreachable, match="signing key is not available"):
        remote.sign_text(b"x")
    gone = AccountKeys(RemoteSigner("http://127.0.0.1:1/secret", remote.address), bytes(32))
    with pytest.raises(SignerUnreachable, match=r"http://127\.0\.0\.1:1 ") as caught:
        gone.sign_text(b"x")
    assert "secret" not in str(caught.value)


def test_a_signature_that_the_contracts_refuse_is_not_used(
    remote: AccountKeys, server: SigningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device may give the larger s: the own messages would have counted nowhere."""
    right = server.answer

    def larger(method: str, params: list[Any]) -> str:
        return "0x" + twins(bytes.fromhex(right(method, params)[2:]))["larger s"].hex()

    monkeypatch.setattr(server, "answer", larger)
    with pytest.raises(KeyStoreError, match="over half of the curve's order"):
        remote.sign_text(b"declaration")
