"""Contract wallets of one owner, and accounts that delegated to a contract, on a real chain."""

from __future__ import annotations

from dataclasses import replace

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from tests.support.chainkit import compile_sources
from tests.support.waiting import wait_until

TAKES_ANYTHING = "0x631626ba7e60e01b5f5260205ff3"
"""Code of a wallet that returns ERC-1271's magic value whatever it is asked."""
TAKES_NOTHING = "0x00"
DENIES_WHERE_GAS_COSTS = f"0x3a601257{TAKES_ANYTHING[2:]}5b5f5ffd"
"""Takes anything while tx.gasprice is 0, as in eth_call and eth_estimateGas; else it reverts."""


def owned_wallet(client: ChainClient, owner: AccountKeys) -> AccountKeys:
    """The owner acting for a new wallet (tests/contracts/harness/OwnerWallet.sol)."""
    item = compile_sources()["OwnerWallet"]
    contract = Web3().eth.contract(abi=item.abi, bytecode=item.bytecode)
    creation = bytes.fromhex(contract.constructor(owner.address).data_in_transaction[2:])
    created = client.send(owner, Call(None, creation, action="create a wallet")).created
    assert created is not None
    return replace(owner, wallet=Web3.to_checksum_address(created))


def delegate(client: ChainClient, keys: AccountKeys, contract: str) -> None:
    """Give an account the code of a contract (EIP-7702)."""
    signer = keys.signer
    assert isinstance(signer, LocalAccount)
    nonce = int(client.rpc.call("eth_getTransactionCount", keys.address, "latest"), 16)
    authorization = Account.sign_authorization(
        {"chainId": client.chain_id, "address": contract, "nonce": nonce + 1}, signer.key
    )
    signed = signer.sign_transaction(
        {
            "chainId": client.chain_id,
            "nonce": nonce,
            "gas": 200_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 0,
            "to": keys.address,
            "value": 0,
            "data": b"",
            "authorizationList": [authorization],
        }
    )
    client.rpc.call("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
    wait_until(lambda: _code_at(client, keys.address) == "0xef0100" + contract[2:].lower())


def _code_at(client: ChainClient, address: str) -> str:
    return str(client.rpc.call("eth_getCode", address, "latest")).lower()
