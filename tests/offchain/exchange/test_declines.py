"""What a provider says in public when it stays out of a request: signed, and asked for at its
endpoint."""

import json
from typing import Any

import httpx
import pytest
from eth_account import Account

from fedpact.chain.client import ChainClient
from fedpact.chain.contract_wallets import WalletSignatures
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import Domain
from fedpact.errors import RetrievalError
from fedpact.exchange import declines, gossip
from fedpact.exchange.declines import LONGEST_DECLINE, Decline, declined
from fedpact.types.decline_reason import Reason
from tests.offchain.exchange.test_gossip import FINGERPRINT, exchanging
from tests.support.twins import twins
from tests.support.wallets import owned_wallet

DOMAIN = Domain(31337, "0x" + "12" * 20)
KEYS = AccountKeys(Account.from_key(b"\1" * 32))
SAID = declined(KEYS, DOMAIN, 7, Reason.PAY)


def checked(
    content: bytes,
    domain: Domain = DOMAIN,
    request: int = 7,
    account: str = KEYS.address,
    node: str = "http://127.0.0.1:1",
) -> Decline:
    """By a node that does not answer, unless it is given."""
    return declines.checked(content, domain, request, account, WalletSignatures(Nodes(node)))


def test_a_decline_is_of_its_account_and_request() -> None:
    assert checked(SAID.encode()) == SAID
    assert SAID.account == KEYS.address
    other = AccountKeys(Account.from_key(b"\2" * 32)).address
    for content, domain, request in (
        (SAID.encode(), DOMAIN, 8),
        (SAID.encode(), Domain(1, DOMAIN.contract), 7),
        (changed(account=other), DOMAIN, 7),
        (changed(reason="schema"), DOMAIN, 7),
        (changed(signature="00" * 65), DOMAIN, 7),
    ):
        with pytest.raises(RetrievalError, match="decline"):
            checked(content, domain, request)
    for twin in twins(bytes.fromhex(SAID.signature)).values():
        with pytest.raises(RetrievalError, match="decline"):
            checked(changed(signature=twin.hex()))
    with pytest.raises(RetrievalError, match=f"where {other} was asked"):
        checked(SAID.encode(), account=other)


def test_a_wallet_declines_by_its_owners_key(anvil: Devnet, client: ChainClient) -> None:
    wallet = owned_wallet(client, anvil.new_account())
    said = declined(wallet, DOMAIN, 7, Reason.PAY)
    assert said.account == wallet.address
    asked = {"account": wallet.address, "node": anvil.url}
    assert checked(said.encode(), **asked) == said
    with pytest.raises(RetrievalError, match="has not signed"):
        checked(said.encode(), request=8, **asked)
    with pytest.raises(RetrievalError, match="has not signed"):
        checked(changed(account=wallet.address), **asked)
    with pytest.raises(RetrievalError, match="node does not say"):
        checked(said.encode(), account=wallet.address)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"{" + b" " * LONGEST_DECLINE],
    ids=["empty", "a list", "no text", "long"],
)
def test_a_malformed_decline_counts_for_nothing(content: bytes) -> None:
    with pytest.raises(RetrievalError, match="decline"):
        checked(content)
    with pytest.raises(RetrievalError, match="reason"):
        checked(changed(reason="the record of M. Meier"))
    with pytest.raises(RetrievalError, match="signature"):
        checked(changed(signature="00" * 261))


def test_an_endpoint_says_why_its_daemon_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "MOST_DECLINES", 2)
    with exchanging() as exchange, httpx.Client(base_url=exchange.own, trust_env=False) as client:
        for request in (5, 6, 7):
            exchange.decline(request, SAID.encode())

        def asked(request: int, deployment: str = FINGERPRINT.hex()) -> httpx.Response:
            return client.get(f"/exchange/{deployment}/{request}/decline")

        assert checked(asked(7).content) == SAID
        assert asked(6).status_code == 200
        for unknown in (asked(5), asked(8), asked(7, "00" * 32)):
            assert unknown.status_code == 404
            assert unknown.json()["reason"] == "not-declined"


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(SAID.encode()), **fields}).encode()
