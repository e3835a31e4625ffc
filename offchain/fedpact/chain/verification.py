"""Whether the code at a deployment's addresses is what this package was built with.

Code on chain differs from the artifact in the immutables alone. These must be known: addresses of
the deployment, what EIP-712 derives from chain and address, and small numbers such as windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.chain.abi import FACTORY, SECOND, STEPS, contract_abi
from fedpact.chain.addresses import created_address
from fedpact.chain.connection import Connection
from fedpact.chain.records import Call
from fedpact.errors import DeploymentError
from fedpact.types.deployment import Deployment, SecondDeployment

LARGEST_NUMBER = 2**64 - 1
"""An immutable up to this is a parameter: a window, a delay, a unit in wei."""

_PUSH32 = b"\x7f" + bytes(32)
_WORD = 32
_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


@dataclass(frozen=True)
class Verified:
    """A contract whose code is the artifact's."""

    name: str
    address: str
    parameters: tuple[int, ...]
    """Its immutables that are numbers."""


def verify_artifacts(connection: Connection, deployment: Deployment) -> list[Verified]:
    """Compare the code of every contract; DeploymentError names the first that differs."""
    parts = dict(_parts(deployment))
    known = {int(address, 16) for address in parts.values()} | {deployment.chain_id}
    return [
        _verified(connection, deployment, name, address, known) for name, address in parts.items()
    ]


def immutables(artifact: bytes, code: bytes) -> list[int] | None:
    """What the immutables of deployed code hold, in their order; None if the code differs."""
    if len(artifact) != len(code):
        return None
    found: list[int] = []
    rest, at = bytearray(code), artifact.find(_PUSH32)
    while at >= 0:
        place = slice(at + 1, at + 1 + _WORD)
        found.append(int.from_bytes(code[place], "big"))
        rest[place] = bytes(_WORD)
        at = artifact.find(_PUSH32, at + 1 + _WORD)
    return found if bytes(rest) == artifact else None


def _parts(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """All contracts, those that others created included."""
    yield from deployment.contracts.items()
    if isinstance(deployment, SecondDeployment):
        yield FACTORY, deployment.factory
        if not deployment.is_large:
            # The rounds' constructor creates it.
            yield STEPS, created_address(deployment.rounds, 1)


def _verified(
    connection: Connection, deployment: Deployment, name: str, address: str, known: set[int]
) -> Verified:
    answer = str(connection.rpc.call("eth_getCode", address, "latest"))
    code = bytes.fromhex(answer.removeprefix("0x"))
    held = immutables(contract_abi(name, deployment.protocol).deployed_code, code)
    if held is None:
        raise DeploymentError(
            f"the code of {name} at {address} ({len(code)} bytes) is not this package's: it was"
            f" deployed by another version than {deployment.versions.get('fedpact')}, or changed"
        )
    allowed = known | _eip712(deployment, address)
    owner = _owner(connection, name, address)
    unknown = [word for word in held if word > LARGEST_NUMBER and word not in allowed | owner]
    if unknown:
        raise DeploymentError(
            f"{name} at {address} has the immutable 0x{unknown[0]:064x}, which is not an address of"
            " this deployment: its contracts do not belong together"
        )
    numbers = tuple(dict.fromkeys(word for word in held if word <= LARGEST_NUMBER))
    return Verified(name, address, numbers)


def _owner(connection: Connection, name: str, address: str) -> set[int]:
    """The factory's owner, the only account among the immutables: part of its own address."""
    if name != FACTORY:
        return set()
    function = contract_abi(FACTORY, SECOND).functions["OWNER"]
    [owner] = connection.read([Call(address, function.encode([]))])
    return {int.from_bytes(owner, "big")}


def _eip712(deployment: Deployment, address: str) -> set[int]:
    """What OpenZeppelin's EIP712 keeps: hashes of name and version, both as short strings, and
    the domain's separator."""
    name, version = "fedpact", str(deployment.protocol)
    hashes = [keccak(text=_DOMAIN), keccak(text=name), keccak(text=version)]
    kinds = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    separator = keccak(encode(kinds, [*hashes, deployment.chain_id, address]))
    short = [one.encode().ljust(31, b"\0") + bytes([len(one)]) for one in (name, version)]
    return {int.from_bytes(one, "big") for one in (*hashes, separator, *short)}
