"""A registry of its own."""

import pytest
from eth_account.messages import encode_typed_data

from tests.contracts.registry.registry_values import DELAY, KEY, PROFILE, ROOT


@pytest.fixture(scope="session")
def registrar(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def alice(accounts):
    return accounts[1]


@pytest.fixture(scope="session")
def stranger(accounts):
    return accounts[2]


@pytest.fixture
def registry(chain, registrar):
    return chain.deploy("ParticipantRegistry", registrar, registrar.address, DELAY)


@pytest.fixture
def admitted(chain, registry, registrar, alice):
    """Alice, a participant of organisation 7."""
    chain.send(registrar, registry.functions.admit(alice.address, 7, KEY, PROFILE, ROOT))
    return alice


@pytest.fixture
def voucher(chain, alice):
    """A voucher for Alice: account, organisation, nonce, expiry (an hour from now)."""
    return (alice.address, 7, 1, chain.now + 3600)


@pytest.fixture
def sign(chain, registry):
    """Signs a voucher under EIP-712 for this registry, or for another domain."""

    def sign(signer, voucher, **domain):
        fields = ("account", "organisation", "nonce", "expiry")
        message = encode_typed_data(
            domain_data={
                "name": "fedpact",
                "version": "2",
                "chainId": chain.chain_id,
                "verifyingContract": registry.address,
                **domain,
            },
            message_types={
                "Voucher": [
                    {"name": "account", "type": "address"},
                    {"name": "organisation", "type": "uint32"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "expiry", "type": "uint256"},
                ]
            },
            message_data=dict(zip(fields, voucher, strict=True)),
        )
        return signer.sign_message(message).signature

    return sign


@pytest.fixture
def suspended(chain, registry, registrar, admitted):
    """Alice, suspended."""
    chain.send(registrar, registry.functions.suspend(admitted.address))
    chain.travel(DELAY)
    return admitted
