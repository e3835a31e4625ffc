"""Deploys the contracts at addresses that are known beforehand and the same on every chain.

The contracts name each other in their constructors, so a DeploymentFactory creates them: its own
address follows from its owner and a salt (CREATE2, EIP-1014), the k-th contract's from the factory
and k. A deployment that was interrupted goes on where it ended.

Large rounds have a deployment of their own, with the participants and reputations of another one
(docs/adr/0066-a-committee-judges-a-whole-pool.md).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.chain.abi import (
    FACTORY,
    LARGE,
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
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.connection import Connection
from fedpact.chain.headers import encoded
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.recent_logs import logs_backwards
from fedpact.chain.records import Call
from fedpact.chain.scanner import indexed
from fedpact.chain.verification import verify_artifacts
from fedpact.errors import DeploymentError, NodeUnreachable
from fedpact.types import deployment as kinds
from fedpact.types.deployment import SecondDeployment

log = logging.getLogger(__name__)

DETERMINISTIC_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Arachnid's: takes a salt and creation code, creates by CREATE2. On most chains, and on Anvil."""
ORDER = (REGISTRY, LEDGER, POOL, ROUNDS, MARKET, RESALE)
LARGE_ORDER = (POOL, LARGE, MARKET, RESALE)
LARGE_SALTS = 2**255
"""Added to the salt of a deployment for large rounds."""
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
ETHEREUM = (1, 11155111, 560048, 17000)
"""Chain ids of Ethereum and its public test networks: Sepolia, Hoodi, Holesky."""
DRAW_DELAY = 4
"""Blocks from the opening of a large round to the block that draws its committee; on Ethereum."""
DRAW_DELAY_SECONDS = 300
"""On other chains, whose randomness may be Ethereum's of some minutes ago."""
_CHOSEN = {MARKET: "minWindow", LEDGER: "delay", LARGE: "drawDelay"}
"""The contracts' functions for what a deployment chooses."""
_SAMPLED_BLOCKS = 1_000
_DRAWN_BLOCKS = 100
"""After so many, every chain with randomness has other."""
_RECORDERS = 2
"""Storage slot of the ledger's recorders: no function tells what was announced and does not hold
yet, and many nodes answer for no logs of seven days."""
_SEEN = bytes.fromhex("435f52" + "6001430340602052" + "60405ff3")
"""Code that answers NUMBER and BLOCKHASH(NUMBER - 1) to a call that would create it."""


@dataclass(frozen=True)
class Parameters:
    """What a deployment fixes for good; roles can be passed on. Times in seconds."""

    registrar: str
    guardian: str
    min_window: int
    delay: int
    ether_unit: int = ETHER_UNIT


@dataclass(frozen=True)
class LargeParameters:
    """What a deployment for large rounds fixes for good, besides what it shares."""

    guardian: str
    min_window: int
    """Seconds."""
    draw_delay: int
    """Blocks from the opening of a round to the one that draws its committee."""


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


def large_parameters_for(
    connection: Connection,
    guardian: str,
    min_window: int | None = None,
    draw_delay: int | None = None,
) -> LargeParameters:
    """The parameters that suit the chain, unless given: as in `parameters_for`; a draw by the next
    block on a local chain, by the fourth on Ethereum, and on others after five minutes."""
    usual = parameters_for(connection, guardian, guardian, min_window, delay=1)
    if draw_delay is None and connection.chain_id in LOCAL_CHAINS:
        draw_delay = 1
    elif draw_delay is None and connection.chain_id in ETHEREUM:
        draw_delay = DRAW_DELAY
    elif draw_delay is None:
        seconds = max(1, _blocks_time(connection))
        draw_delay = -(-DRAW_DELAY_SECONDS * BLOCKS_PER_WINDOW // seconds)
    return LargeParameters(guardian, usual.min_window, draw_delay)


def deploy_contracts(
    connection: Connection, keys: AccountKeys, parameters: Parameters, salt: int = 0
) -> SecondDeployment:
    """Create the factory and the six contracts, or those that an interrupted run left out; if it
    left out none, describe them.

    Raises DeploymentError if the chain lacks the deterministic deployer, or if contracts that are
    there have other code or other times than these parameters. Their roles are not compared.
    """
    factory = factory_address(keys.sender, salt)
    at = _planned(factory, ORDER)
    arguments: dict[str, tuple[Any, ...]] = {
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
    done, block = _create(connection, keys, salt, at, arguments)
    first = _first_block(connection, factory) if done else block
    made = _described(connection, factory, at, at[ROUNDS], parameters.min_window, first)
    if done:
        _require_asked(connection, made, {MARKET: made.min_window, LEDGER: parameters.delay})
    return made


def deploy_large(
    connection: Connection,
    keys: AccountKeys,
    parameters: LargeParameters,
    beside: SecondDeployment,
    salt: int = 0,
) -> SecondDeployment:
    """Create the contracts of large rounds, with the registry and the ledger of another deployment.

    If the account is the ledger's registrar, the new market is announced as one that records
    reputations, before anything is created; else `announce_recorder` is left to the registrar.
    Raises DeploymentError as `deploy_contracts` does, and if the chain can draw no committee.
    """
    _require_large_fit(connection, beside)
    ledger, numbered = Reputation(connection, beside.ledger), salt + LARGE_SALTS
    factory = factory_address(keys.sender, numbered)
    at = {REGISTRY: beside.registry, LEDGER: beside.ledger, **_planned(factory, LARGE_ORDER)}
    arguments: dict[str, tuple[Any, ...]] = {
        POOL: (at[REGISTRY], at[LEDGER], at[MARKET], at[LARGE]),
        LARGE: (at[POOL], at[MARKET], parameters.draw_delay),
        MARKET: (
            *(at[REGISTRY], at[POOL], at[LARGE], at[LEDGER]),
            *(parameters.guardian, parameters.min_window),
        ),
        RESALE: (at[REGISTRY], at[MARKET], at[POOL], at[LARGE]),
    }
    if ledger.registrar() == keys.address:
        announce_recorder(connection, keys, beside, at[MARKET])
    done, _ = _create(connection, keys, numbered, at, arguments)
    made = replace(
        _described(connection, factory, at, at[LARGE], parameters.min_window, beside.block),
        rounds_kind=kinds.LARGE,
    )
    if done:
        _require_asked(connection, made, {MARKET: made.min_window, LARGE: parameters.draw_delay})
    return made


def announce_recorder(
    connection: Connection, keys: AccountKeys, deployment: SecondDeployment, market: str
) -> None:
    """Let a market record in the deployment's ledger, after the ledger's delay; nothing if that was
    announced before. Raises Reverted if the account is not the ledger's registrar."""
    if recorder_from(connection, deployment.ledger, market) is None:
        call = Reputation(connection, deployment.ledger).announce_recorder(market, True)
        connection.send(keys, call)


def recorder_from(connection: Connection, ledger: str, market: str) -> int | None:
    """From which second on a market may record in a ledger; 0: from its beginning; None: it was not
    announced, or taken back."""
    slot = "0x" + keccak(encode(["address", "uint256"], [market, _RECORDERS])).hex()
    word = int(connection.rpc.call("eth_getStorageAt", ledger, slot, "latest"), 16)
    present, announced, effective = word & 0xFF, word >> 8 & 0xFF, word >> 16
    return effective if (announced if effective else present) else None


def factory_address(owner: str, salt: int) -> str:
    """Where the owner's factory of this salt is or will be, on every chain."""
    digest = keccak(contract_abi(FACTORY, SECOND).creation(owner))
    deployer = bytes.fromhex(DETERMINISTIC_DEPLOYER[2:])
    return checksum(keccak(b"\xff" + deployer + salt.to_bytes(32, "big") + digest)[12:])


def _planned(factory: str, order: Sequence[str]) -> dict[str, str]:
    """Where the contracts are or will be, in the order in which the factory creates them."""
    return {name: created_address(factory, place) for place, name in enumerate(order, start=1)}


def _create(
    connection: Connection,
    keys: AccountKeys,
    salt: int,
    at: dict[str, str],
    arguments: dict[str, tuple[Any, ...]],
) -> tuple[int, int]:
    """Create the contracts that have constructor arguments here, but for those that are there: how
    many were, and the block of the first one that was not (0: none)."""
    factory, order = factory_address(keys.sender, salt), list(arguments)
    done = _factory(connection, keys, factory, salt)
    if done >= len(order):
        log.warning(
            "%s has deployed with salt %d already: this is that deployment. For another one, name"
            " another salt",
            keys.sender,
            salt % LARGE_SALTS,
        )
    abi, blocks = contract_abi(FACTORY, SECOND), list[int]()
    for name in order[done:]:
        creation = contract_abi(name, SECOND).creation(*arguments[name])
        data = abi.functions["create"].encode([creation])
        blocks.append(connection.send(keys, Call(factory, data, action=f"create {name}")).block)
    return done, min(blocks, default=0)


def _require_asked(connection: Connection, made: SecondDeployment, asked: dict[str, int]) -> None:
    """Raise DeploymentError unless contracts that an earlier run made have this package's code, and
    the numbers (`_CHOSEN`) that are asked for now."""
    verify_artifacts(connection, made)
    for name, wanted in asked.items():
        function = contract_abi(name, SECOND).functions[_CHOSEN[name]]
        call = Call(made.contracts[name], function.encode([]))
        held = int.from_bytes(connection.read([call])[0], "big")
        if held != wanted:
            raise DeploymentError(
                f"the {name} at {call.to}, which an earlier run made, has the {_CHOSEN[name]}"
                f" {held}, not {wanted}: ask for {held}, or name another salt"
            )


def _require_large_fit(connection: Connection, beside: SecondDeployment) -> None:
    """Raise DeploymentError unless large rounds can be beside this deployment, on this chain."""
    here, there = ((one.chain_id, one.genesis_hash) for one in (connection, beside))
    if here != there:
        raise DeploymentError(
            f"the deployment beside which this one is to be is on chain {there[0]} (genesis"
            f" {there[1]}), the node on {here[0]} (genesis {here[1]})"
        )
    if beside.is_large:
        raise DeploymentError(
            "large rounds share participants and reputations with a deployment of usual rounds:"
            f" the one with market {beside.market} has large ones"
        )
    reason = _no_draw(connection)
    if reason:
        raise DeploymentError(
            f"chain {connection.chain_id} can draw no committee of a large round: {reason}"
        )


def _no_draw(connection: Connection) -> str:
    """Why contracts on this chain cannot read a block's randomness from its header; empty: they
    can."""
    last = _block(connection, "latest")
    try:
        encoded(last)
    except NodeUnreachable as error:
        return str(error)
    answer = connection.rpc.call("eth_call", {"data": "0x" + _SEEN.hex()}, last["number"])
    number, before = answer[2:66], "0x" + answer[66:130]
    behind = int(number, 16) - int(last["number"], 16)
    if behind not in (0, 1):  # Some nodes run calls in the block after.
        return f"its contracts see block {int(number, 16)} where its node has {last['number']}"
    if _block(connection, hex(int(number, 16) - 1))["hash"] != before:
        return "its contracts see other block hashes than its node"
    earlier = _block(connection, hex(max(0, int(last["number"], 16) - _DRAWN_BLOCKS)))
    if earlier["mixHash"] == last["mixHash"]:
        return f"its blocks have no randomness (PREVRANDAO {last['mixHash']})"
    return ""


def _block(connection: Connection, number: str) -> dict[str, Any]:
    found: dict[str, Any] = connection.rpc.call("eth_getBlockByNumber", number, False)
    return found


def _described(
    connection: Connection,
    factory: str,
    at: dict[str, str],
    rounds: str,
    min_window: int,
    block: int,
) -> SecondDeployment:
    """The deployment of contracts whose addresses are `at` their names."""
    return SecondDeployment(
        chain_id=connection.chain_id,
        genesis_hash=connection.genesis_hash,
        registry=at[REGISTRY],
        market=at[MARKET],
        rounds=rounds,
        ledger=at[LEDGER],
        pool=at[POOL],
        resale=at[RESALE],
        factory=factory,
        min_window=min_window,
        block=block,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    return {"fedpact": version("fedpact"), "solc": contract_abi(MARKET, SECOND).compiler}


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
    """Where the factory created its first contract: that of its first event. It is sought from the
    chain's head back, since an interrupted run was hardly long ago."""
    topic = contract_abi(FACTORY, SECOND).event_topic("Created")
    topics = [topic, indexed(1)]
    head = connection.frame().block_number
    for logs in logs_backwards(connection, head, 0, address=factory, topics=topics):
        for entry in logs:
            return int(entry["blockNumber"], 16)
    raise DeploymentError(
        f"the node knows no event of the factory at {factory}: ask one that keeps all logs"
    )


def _blocks_time(connection: Connection) -> int:
    """Seconds that five blocks take by the latest thousand."""
    last = connection.frame()
    first = connection.frame_at(max(0, last.block_number - _SAMPLED_BLOCKS))
    if first is None or first.block_number == last.block_number:
        return SHORTEST_WINDOW
    blocks = last.block_number - first.block_number
    return -(-BLOCKS_PER_WINDOW * (last.timestamp - first.timestamp) // blocks)
