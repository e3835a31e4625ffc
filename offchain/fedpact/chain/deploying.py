"""Deploys the contracts at addresses that are known beforehand and the same on every chain.

The contracts name each other in their constructors, so a DeploymentFactory creates them: its own
address follows from its owner and a salt (CREATE2, EIP-1014), the k-th contract's from the factory
and k. A deployment that was interrupted goes on where it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from eth_utils.crypto import keccak

from fedpact.chain.abi import (
    FACTORY,
    LEDGER,
    MARKET,
    POOL,
    REGISTRY,
    RESALE,
    ROUNDS,
    SECOND,
    contract_abi,
)
from fedpact.chain.addresses import checksum, created_address
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.chain.scanner import asked_for, indexed
from fedpact.errors import DeploymentError
from fedpact.types.deployment import PresentDeployment

DETERMINISTIC_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Arachnid's: takes a salt and creation code, creates by CREATE2. On most chains, and on Anvil."""
ORDER = (REGISTRY, LEDGER, POOL, ROUNDS, MARKET, RESALE)
LOCAL_CHAINS = (31337, 1337)
"""Chain ids of Anvil, Hardhat and Ganache."""
BLOCKS_PER_WINDOW = 5
"""The shortest window has this many blocks: a transaction may miss one or two."""
SHORTEST_WINDOW = 60
"""Seconds; on public chains."""
DELAY = 7 * 24 * 3600
"""Seconds from a registrar's announcement to its effect; on public chains."""
ETHER_UNIT = 10**15
"""Wei of pay that give an outcome weight 1."""
_SAMPLED_BLOCKS = 1_000


@dataclass(frozen=True)
class Parameters:
    """What a deployment fixes for good; roles can be passed on. Times in seconds."""

    registrar: str
    guardian: str
    min_window: int
    delay: int
    ether_unit: int = ETHER_UNIT


def parameters_for(
    connection: Connection,
    registrar: str,
    guardian: str,
    min_window: int | None = None,
    delay: int | None = None,
    ether_unit: int = ETHER_UNIT,
) -> Parameters:
    """The parameters that suit the chain, unless given: a second on a local chain; elsewhere
    windows of five blocks and at least a minute, and a delay of seven days."""
    local = connection.chain_id in LOCAL_CHAINS
    if min_window is None:
        min_window = 1 if local else max(SHORTEST_WINDOW, _blocks_time(connection))
    delay = delay or (1 if local else DELAY)
    return Parameters(registrar, guardian, min_window, delay, ether_unit)


def deploy_contracts(
    connection: Connection, keys: AccountKeys, parameters: Parameters, salt: int = 0
) -> PresentDeployment:
    """Create the factory and the six contracts, or those that an interrupted run left out.

    Raises DeploymentError if the chain lacks the deterministic deployer, or if the account's
    factory of this salt is complete already.
    """
    factory = factory_address(keys.sender, salt)
    at = {name: created_address(factory, place) for place, name in enumerate(ORDER, start=1)}
    done = _factory(connection, keys, factory, salt)
    if done >= len(ORDER):
        raise DeploymentError(
            f"{keys.sender} has deployed with salt {salt} already (market {at[MARKET]}): "
            "name another salt"
        )
    abi = contract_abi(FACTORY, SECOND)
    for name in ORDER[done:]:
        creation = contract_abi(name, SECOND).creation(*_arguments(name, at, parameters))
        data = abi.functions["create"].encode([creation])
        connection.send(keys, Call(factory, data, action=f"create {name}"))
    return PresentDeployment(
        chain_id=connection.chain_id,
        genesis_hash=connection.genesis_hash,
        registry=at[REGISTRY],
        market=at[MARKET],
        rounds=at[ROUNDS],
        ledger=at[LEDGER],
        pool=at[POOL],
        resale=at[RESALE],
        factory=factory,
        min_window=parameters.min_window,
        block=_first_block(connection, factory),
        versions={
            "fedpact": version("fedpact"),
            "solc": contract_abi(MARKET, SECOND).compiler,
        },
    )


def factory_address(owner: str, salt: int) -> str:
    """Where the owner's factory of this salt is or will be, on every chain."""
    digest = keccak(contract_abi(FACTORY, SECOND).creation(owner))
    deployer = bytes.fromhex(DETERMINISTIC_DEPLOYER[2:])
    return checksum(keccak(b"\xff" + deployer + salt.to_bytes(32, "big") + digest)[12:])


def _arguments(name: str, at: dict[str, str], parameters: Parameters) -> tuple[Any, ...]:
    """Of the constructors (contracts)."""
    chosen: dict[str, tuple[Any, ...]] = {
        REGISTRY: (parameters.registrar, parameters.delay),
        LEDGER: (parameters.registrar, parameters.delay, at[MARKET], parameters.ether_unit),
        POOL: (at[REGISTRY], at[LEDGER], at[MARKET], at[ROUNDS]),
        ROUNDS: (at[POOL], at[MARKET]),
        MARKET: (
            *(at[REGISTRY], at[POOL], at[ROUNDS], at[LEDGER]),
            *(parameters.guardian, parameters.min_window),
        ),
        RESALE: (at[REGISTRY], at[MARKET], at[POOL], at[ROUNDS]),
    }
    return chosen[name]


def _factory(connection: Connection, keys: AccountKeys, factory: str, salt: int) -> int:
    """Make sure that the factory is there; the number of contracts it has created."""
    abi = contract_abi(FACTORY, SECOND)
    if _has_code(connection, factory):
        [count] = connection.read([Call(factory, abi.functions["count"].encode([]))])
        return int.from_bytes(count, "big")
    if not _has_code(connection, DETERMINISTIC_DEPLOYER):
        raise DeploymentError(
            f"chain {connection.chain_id} lacks the deterministic deployer at"
            f" {DETERMINISTIC_DEPLOYER}: see github.com/Arachnid/deterministic-deployment-proxy"
        )
    data = salt.to_bytes(32, "big") + abi.creation(keys.sender)
    connection.send(keys, Call(DETERMINISTIC_DEPLOYER, data, action=f"create {FACTORY}"))
    return 0


def _has_code(connection: Connection, address: str) -> bool:
    return str(connection.rpc.call("eth_getCode", address, "latest")) not in ("0x", "0x0")


def _first_block(connection: Connection, factory: str) -> int:
    """Where the factory created its first contract: that of its first event."""
    topic = contract_abi(FACTORY, SECOND).event_topic("Created")
    topics = [topic, indexed(1)]
    query = {"fromBlock": "0x0", "address": factory, "topics": topics}
    [entry] = asked_for(connection.rpc.call("eth_getLogs", query), topics)
    return int(entry["blockNumber"], 16)


def _blocks_time(connection: Connection) -> int:
    """Seconds that five blocks take by the latest thousand."""
    last = connection.frame()
    first = connection.frame_at(max(0, last.block_number - _SAMPLED_BLOCKS))
    if first is None or first.block_number == last.block_number:
        return SHORTEST_WINDOW
    blocks = last.block_number - first.block_number
    return -(-BLOCKS_PER_WINDOW * (last.timestamp - first.timestamp) // blocks)
