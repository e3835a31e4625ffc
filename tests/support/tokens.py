"""ERC-20 tokens on a real chain, for whoever pays or is paid in one."""

from __future__ import annotations

from web3 import Web3

from fedpact.chain.bindings.token import Token
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from tests.support.chainkit import compile_sources


def new_token(client: ChainClient, keys: AccountKeys, name: str, **holdings: int) -> Token:
    """Deploy one of tests/contracts/harness/Tokens.sol; `holdings`: amounts by address."""
    item = compile_sources()[name]
    contract = Web3().eth.contract(abi=item.abi, bytecode=item.bytecode)
    creation = bytes.fromhex(contract.constructor().data_in_transaction[2:])
    created = client.send(keys, Call(None, creation, action=f"create {name}")).created
    assert created is not None
    address = Web3.to_checksum_address(created)
    for holder, amount in holdings.items():
        data = bytes.fromhex(contract(address).encode_abi("mint", [holder, amount])[2:])
        client.send(keys, Call(address, data, action="mint"))
    return Token(client, address)
