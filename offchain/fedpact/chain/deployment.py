"""Deploys the contracts, and reads and writes the file of their addresses."""

import json
import os
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedpact.chain.abi import MARKET, REGISTRY, RESALE, ROUNDS, contract_abi
from fedpact.chain.addresses import checksum, created_address
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call, Receipt
from fedpact.errors import DeploymentError
from fedpact.types.deployment import Deployment, DeploymentV2

DEFAULT_REPUTATION_UNIT = 10**15
"""Wei of payment that give an outcome weight 1: a thousandth of an ether."""
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("chain_id", "block", "protocol", "min_window"), int),
    "versions": dict,
    "resale": str | None,
}


def deploy(
    connection: Connection, keys: AccountKeys, reputation_unit: int = DEFAULT_REPUTATION_UNIT
) -> Deployment:
    """Create the four contracts; the account becomes the registrar.

    The first three name one another in their constructors, so their addresses are computed
    beforehand from the account's nonce; another transaction of the account in between raises
    DeploymentError.
    """
    nonce = int(connection.rpc.call("eth_getTransactionCount", keys.address, "pending"), 16)
    registry, market, rounds, resale = (created_address(keys.address, nonce + i) for i in range(4))
    receipts = [
        _create(
            connection,
            keys,
            REGISTRY,
            registry,
            keys.address,
            market,
            rounds,
            reputation_unit,
        ),
        _create(connection, keys, MARKET, market, registry, rounds),
        _create(connection, keys, ROUNDS, rounds, registry, market),
        _create(connection, keys, RESALE, resale, registry, market, rounds),
    ]
    return Deployment(
        chain_id=connection.chain_id,
        genesis_hash=connection.genesis_hash,
        registry=registry,
        market=market,
        rounds=rounds,
        block=receipts[0].block,
        versions={"fedpact": version("fedpact"), "solc": contract_abi(MARKET).compiler},
        resale=resale,
    )


def deploy_to_file(
    connection: Connection,
    keys: AccountKeys,
    path: Path,
    reputation_unit: int = DEFAULT_REPUTATION_UNIT,
) -> Deployment:
    """Deploy and save; refuses, before it spends anything, if the file exists."""
    refuse_if_present(path)
    deployment = deploy(connection, keys, reputation_unit)
    save(deployment, path)
    return deployment


def refuse_if_present(path: Path) -> None:
    """Raise DeploymentError if the file exists, so that a deployment could not be saved."""
    if path.exists():
        raise DeploymentError(
            f"{path} already describes a deployment: name another file or remove it"
        )


def save(deployment: Deployment, path: Path) -> None:
    """Write the deployment file; DeploymentError if it describes another deployment."""
    content = json.dumps(asdict(deployment), indent=2) + "\n"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(content, encoding="utf-8")
        try:
            os.link(fresh, path)  # fails if the file exists, even if only since a moment ago
        except FileExistsError:
            if load(path).fingerprint != deployment.fingerprint:
                raise DeploymentError(
                    f"{path} describes another deployment (market {load(path).market}):"
                    " name another file or remove it"
                ) from None
        finally:
            fresh.unlink()
    except OSError as error:
        raise DeploymentError(f"cannot write {path}: {error.strerror}") from error


def load(path: Path) -> Deployment:
    """Read a deployment file; DeploymentError if it is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DeploymentError(f"no deployment file {path}: {error.strerror}") from error
    except ValueError as error:
        raise DeploymentError(f"{path} is not a deployment file: {error}") from error
    return read(text, str(path))


def read(text: str, name: str) -> Deployment:
    """The deployment that a file's text describes; DeploymentError, with the file's name, if it
    describes none."""
    try:
        facts: Any = json.loads(text)
        second = isinstance(facts, dict) and facts.get("protocol") == DeploymentV2.protocol
        deployment = DeploymentV2(**facts) if second else Deployment(**facts)
    except (ValueError, TypeError) as error:
        raise DeploymentError(f"{name} is not a deployment file: {error}") from error
    for field in fields(deployment):
        value = getattr(deployment, field.name)
        if not isinstance(value, _TYPES.get(field.name, str)):
            raise DeploymentError(f"{name} is not a deployment file: {field.name} is {value!r}")
    if deployment.protocol not in (Deployment.protocol, DeploymentV2.protocol):
        raise DeploymentError(
            f"{name} describes protocol {deployment.protocol}: this version knows 1 and 2"
        )
    return deployment


def _create(
    connection: Connection, keys: AccountKeys, name: str, expected: str, *values: object
) -> Receipt:
    data = contract_abi(name).creation(*values)
    receipt = connection.send(keys, Call(None, data, action=f"create {name}"))
    if receipt.created is None or checksum(receipt.created) != expected:
        raise DeploymentError(
            f"{name} was created at {receipt.created} instead of {expected}: another transaction"
            f" of {keys.address} came in between; deploy again"
        )
    return receipt
