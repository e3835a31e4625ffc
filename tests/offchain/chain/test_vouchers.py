"""The registrar's vouchers: valid once, for one account, one chain and one registry."""

from dataclasses import replace

import pytest

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.vouchers import decode_voucher, encode_voucher, sign_voucher
from fedpact.errors import InvalidInput, Reverted
from fedpact.types.deployment import Deployment
from fedpact.types.participants import SignedVoucher

FOREVER = 2**60


@pytest.fixture
def voucher(operator: AccountKeys, stranger: AccountKeys, deployment: Deployment) -> SignedVoucher:
    return sign_voucher(
        operator, deployment, stranger.address, 9, int(stranger.address, 16), FOREVER
    )


def redeem(client: ChainClient, keys: AccountKeys, voucher: SignedVoucher) -> None:
    key = bytes(keys.encryption_key().public_key)
    client.registry.register(keys, voucher, key, b"p" * 32, b"a" * 32)


def refusal(client: ChainClient, keys: AccountKeys, voucher: SignedVoucher) -> str:
    with pytest.raises(Reverted) as caught:
        redeem(client, keys, voucher)
    return caught.value.name.removeprefix("ParticipantRegistry_")


def test_voucher_admits_its_account_with_its_key(
    client: ChainClient, stranger: AccountKeys, voucher: SignedVoucher
) -> None:
    redeem(client, stranger, decode_voucher(encode_voucher(voucher)))
    found = client.registry.participant(stranger.address)
    assert (found.active, found.organisation) == (True, 9)
    assert found.encryption_key == bytes(stranger.encryption_key(1).public_key)
    assert refusal(client, stranger, voucher) == "AlreadyRegistered"


def test_a_voucher_that_was_changed_is_refused(
    client: ChainClient, stranger: AccountKeys, voucher: SignedVoucher
) -> None:
    forged = replace(voucher, voucher=replace(voucher.voucher, organisation=10))
    assert refusal(client, stranger, forged) == "VoucherNotSigned"


def test_voucher_of_another_is_refused(
    client: ChainClient, participant: AccountKeys, operator: AccountKeys, voucher: SignedVoucher
) -> None:
    assert refusal(client, operator, voucher) == "VoucherOfAnother"


def test_revoked_voucher_is_refused(
    client: ChainClient, operator: AccountKeys, stranger: AccountKeys, voucher: SignedVoucher
) -> None:
    nonce = voucher.voucher.nonce
    assert not client.registry.voucher_revoked(nonce)
    client.registry.revoke_voucher(operator, nonce)
    assert client.registry.voucher_revoked(nonce)
    assert refusal(client, stranger, voucher) == "VoucherRevoked"


def test_expired_voucher_is_refused(
    client: ChainClient, operator: AccountKeys, stranger: AccountKeys, deployment: Deployment
) -> None:
    voucher = sign_voucher(operator, deployment, stranger.address, 9, 1, 1_000_000)
    assert refusal(client, stranger, voucher) == "VoucherExpired"


@pytest.mark.parametrize("change", [{"chain_id": 1}, {"registry": "0x" + "11" * 20}])
def test_voucher_for_another_chain_or_registry_is_refused(
    client: ChainClient,
    operator: AccountKeys,
    stranger: AccountKeys,
    deployment: Deployment,
    change: dict[str, object],
) -> None:
    elsewhere = replace(deployment, **change)
    voucher = sign_voucher(operator, elsewhere, stranger.address, 9, 1, FOREVER)
    assert refusal(client, stranger, voucher) == "VoucherNotSigned"


def test_voucher_of_a_stranger_is_refused(
    client: ChainClient, stranger: AccountKeys, deployment: Deployment
) -> None:
    voucher = sign_voucher(stranger, deployment, stranger.address, 9, 1, FOREVER)
    assert refusal(client, stranger, voucher) == "VoucherNotSigned"


@pytest.mark.parametrize(
    ("account", "organisation"),
    [("0x" + "ab" * 20, 1), ("nobody", 1), (None, 0), (None, 2**16)],
)
def test_a_voucher_that_the_contract_would_refuse_is_not_signed(
    operator: AccountKeys, deployment: Deployment, account: str | None, organisation: int
) -> None:
    with pytest.raises(InvalidInput):
        sign_voucher(operator, deployment, account or operator.address, organisation, 1, FOREVER)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "fedpact-voucher-2"}', '{"format": "fedpact-voucher-1"}']
)
def test_a_file_that_is_not_a_voucher_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_voucher(text)
