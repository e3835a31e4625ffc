"""Deploys the contracts at addresses that are known beforehand.

    order: registry, ledger, pool, rounds, market

The factory's address follows from its owner and a salt, the contracts' from the factory's address
and their number in the order. So the same owner, salt and order give the same addresses everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address
from web3.contract import Contract

from fedpact.chain.addresses import created_address
from tests.support.chainkit import Chain, events

DETERMINISTIC_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Arachnid's: takes a salt and creation code, creates by CREATE2; on most chains, and on Anvil."""

Arguments = Mapping[str, Callable[[Mapping[str, str]], tuple[Any, ...]]]
"""Of each contract, in order: its constructor's arguments, given all addresses."""


def factory_address(chain: Chain, owner: str, salt: bytes) -> str:
    """Where the owner's factory is or will be (EIP-1014)."""
    digest = keccak(_creation(chain, "DeploymentFactory", (owner,)))
    deployer = bytes.fromhex(DETERMINISTIC_DEPLOYER[2:])
    return to_checksum_address(keccak(b"\xff" + deployer + salt + digest)[12:])


def planned(chain: Chain, owner: str, salt: bytes, arguments: Arguments) -> dict[str, str]:
    """The address of each contract, before anything is deployed."""
    factory = factory_address(chain, owner, salt)
    return {name: created_address(factory, number) for number, name in enumerate(arguments, 1)}


def deploy_planned(
    chain: Chain, owner: LocalAccount, salt: bytes, arguments: Arguments
) -> dict[str, Contract]:
    """Creates the factory and all contracts; each is where it was planned."""
    code = _creation(chain, "DeploymentFactory", (owner.address,))
    chain.transfer(owner, DETERMINISTIC_DEPLOYER, 0, salt + code)
    factory = chain.at("DeploymentFactory", factory_address(chain, owner.address, salt))
    addresses = planned(chain, owner.address, salt, arguments)
    for name, chosen in arguments.items():
        creation = _creation(chain, name, chosen(addresses))
        receipt = chain.send(owner, factory.functions.create(creation))
        (created,) = events(factory, "Created", receipt)
        assert created["created"] == addresses[name]
    return {name: chain.at(name, address) for name, address in addresses.items()}


def _creation(chain: Chain, name: str, arguments: tuple[Any, ...]) -> bytes:
    item = chain.compiled[name]
    factory = chain.w3.eth.contract(abi=item.abi, bytecode=item.bytecode)
    return bytes.fromhex(factory.constructor(*arguments).data_in_transaction[2:])
