"""A registry of its own, whose market and rounds are plain accounts that tests can send from."""

import pytest
from eth_account.messages import encode_typed_data

from tests.contracts.unit.registry.registry_values import KEY, PROFILE, ROOT, UNIT


@pytest.fixture(scope="session")
def registrar(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def alice(accounts):
    return accounts[1]


@pytest.fixture(scope="session")
def stranger(accounts):
    return accounts[2]


@pytest.fixture(scope="session")
def market(accounts):
    return accounts[3]


@pytest.fixture(scope="session")
def rounds(accounts):
    return accounts[4]


@pytest.fixture
def registry(chain, registrar, market, rounds):
    return chain.deploy(
        "ParticipantRegistry", registrar, registrar.address, market.address, rounds.address, UNIT
    )


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
                "version": "1",
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
