"""Participants for tests."""

from itertools import count

from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys

_organisations = count(1)


def admitted(anvil: Devnet, client: ChainClient, registrar: AccountKeys) -> AccountKeys:
    """A new registered account of an organisation of its own."""
    keys = anvil.new_account()
    key = bytes(keys.encryption_key().public_key)
    client.registry.admit(registrar, keys.address, next(_organisations), key, b"p" * 32, b"a" * 32)
    return keys
