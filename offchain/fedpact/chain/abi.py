"""ABIs of the contracts, over web3.py: encoding calls, decoding results, events and errors.

The bindings know each function by its name, so calls are encoded with web3's codec directly: to
find a function by its arguments, as web3's contract objects do, takes ten times as long as the
encoding (docs/adr/0033-web3-underneath.md).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from typing import Any, cast

from eth_abi.exceptions import DecodingError
from eth_typing import ABIEvent
from eth_utils.abi import (
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    get_aligned_abi_inputs,
)
from hexbytes import HexBytes
from web3 import Web3

from fedpact.chain.addresses import checksum
from fedpact.chain.records import Event
from fedpact.errors import DeploymentError, FedpactError, Reverted

REGISTRY = "ParticipantRegistry"
MARKET = "SharingMarket"
ROUNDS = "TrainingRounds"
LARGE = "LargeRounds"
RESALE = "ResaleMarket"
FACTORY = "DeploymentFactory"
LEDGER = "ReputationLedger"
POOL = "TrainingPool"
STEPS = "TrainingRoundsSteps"
FIRST = 1
SECOND = 2
CONTRACTS = {
    FIRST: (REGISTRY, MARKET, ROUNDS, RESALE),
    SECOND: (FACTORY, REGISTRY, LEDGER, POOL, ROUNDS, STEPS, LARGE, MARKET, RESALE),
}
"""By protocol. Contracts of both have the same names. Of the first the package has ABIs alone."""

_FOLDERS = {FIRST: "first", SECOND: ""}
_HALVES = {(SECOND, ROUNDS): STEPS}
"""A contract that answers the functions of another as well, by code at two addresses."""

_STANDARD_ERRORS: list[dict[str, Any]] = [
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
]

_codec = Web3().codec


class Fields:
    """Names and types of inputs or outputs; encodes and decodes them as one sequence."""

    def __init__(self, parameters: Sequence[Mapping[str, Any]]) -> None:
        self._parameters = parameters
        self.types = [collapse_if_tuple(dict(parameter)) for parameter in parameters]

    def encode(self, values: Sequence[Any]) -> bytes:
        """Structs are given as dicts by the contract's names."""
        element: Any = {"type": "function", "inputs": self._parameters}
        _, given = get_aligned_abi_inputs(element, tuple(values))
        return bytes(_codec.encode(self.types, given))

    def decode(self, data: bytes) -> tuple[Any, ...]:
        decoded = _codec.decode(self.types, data)
        return tuple(
            _named(parameter, value)
            for parameter, value in zip(self._parameters, decoded, strict=True)
        )


class ContractFunction:
    """One function of a contract: its selector and codecs."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name: str = entry["name"]
        self.selector = _selector(entry)
        self.inputs = Fields(entry["inputs"])
        self.outputs = Fields(entry["outputs"])

    def encode(self, values: Sequence[Any]) -> bytes:
        return self.selector + self.inputs.encode(values)


class ContractEvent:
    """One event of a contract: its name and codecs.

    Decodes without web3's event objects, which take six times as long: a daemon that starts reads
    every event of the deployment.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name: str = entry["name"]
        self.names = [one["name"] for one in entry["inputs"]]
        self._indexed = Fields([one for one in entry["inputs"] if one["indexed"]])
        self._data = Fields([one for one in entry["inputs"] if not one["indexed"]])
        self._is_indexed = [one["indexed"] for one in entry["inputs"]]

    def decode(self, topics: Sequence[str], data: str) -> dict[str, Any]:
        """Arguments by name, in their order. `topics`: after the first; these contracts index
        values of one word alone. Raises DecodingError or ValueError for bytes that do not fit."""
        words = bytes.fromhex("".join(topic.removeprefix("0x") for topic in topics))
        if len(words) != 32 * len(self._indexed.types):
            raise ValueError(f"{len(topics)} indexed values, not {len(self._indexed.types)}")
        indexed = iter(self._indexed.decode(words))
        others = iter(self._data.decode(bytes.fromhex(data.removeprefix("0x"))))
        return {
            name: next(indexed if is_indexed else others)
            for name, is_indexed in zip(self.names, self._is_indexed, strict=True)
        }


class ContractAbi:
    """A contract of the package: its ABI and, for those that are deployed, its bytecode, which is
    read when it is asked for: daemons never ask."""

    def __init__(self, name: str, protocol: int, entries: list[dict[str, Any]]) -> None:
        self.name = name
        self._protocol, self._entries = protocol, entries

    @property
    def compiler(self) -> str:
        return str(self._artifact["compiler"])

    @property
    def deployed_code(self) -> bytes:
        """What stays on chain, with zeros for the immutables."""
        artifact = self._artifact
        start, end = artifact["deployed"]
        return bytes.fromhex(artifact["bytecode"].removeprefix("0x"))[start:end]

    def creation(self, *values: Any) -> bytes:
        """Data of the transaction that creates the contract with these constructor arguments."""
        contract = Web3().eth.contract(abi=self._entries, bytecode=self._artifact["bytecode"])
        return bytes(HexBytes(contract.constructor(*values).data_in_transaction))

    @property
    def _artifact(self) -> dict[str, Any]:
        return _artifact(self.name, self._protocol)

    @cached_property
    def functions(self) -> dict[str, ContractFunction]:
        """By name; these contracts overload none."""
        return {entry["name"]: ContractFunction(entry) for entry in self._of("function")}

    @cached_property
    def events(self) -> dict[str, ContractEvent]:
        """By topic as 0x hex."""
        return {
            "0x" + event_abi_to_log_topic(cast(ABIEvent, entry)).hex(): ContractEvent(entry)
            for entry in self._of("event")
        }

    @cached_property
    def errors(self) -> dict[bytes, tuple[str, Fields]]:
        """By selector."""
        return {_selector(e): (e["name"], Fields(e["inputs"])) for e in self._of("error")}

    def event_topic(self, name: str) -> str:
        [topic] = [topic for topic, event in self.events.items() if event.name == name]
        return topic

    def event(self, log: Mapping[str, Any]) -> Event | None:
        """Decode a log entry from the node; None for an event that the ABI does not have.

        Raises FedpactError if its bytes do not fit the event.
        """
        topics = log["topics"]
        declared = self.events.get(topics[0]) if topics else None
        if declared is None:
            return None
        name = declared.name
        try:
            args = declared.decode(topics[1:], log["data"])
        except (DecodingError, ValueError) as error:
            raise FedpactError(
                f"the node returned a {name} in transaction {log['transactionHash']} that"
                f" cannot be decoded ({error}); use another node"
            ) from error
        return Event(
            name=name,
            contract=self.name,
            args=args,
            block=int(log["blockNumber"], 16),
            tx_hash=log["transactionHash"],
            log_index=int(log["logIndex"], 16),
            timestamp=int(log["blockTimestamp"], 16) if "blockTimestamp" in log else None,
        )

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry["type"] == kind]


@cache
def contract_abi(name: str, protocol: int = SECOND) -> ContractAbi:
    """ABI and bytecode of one of CONTRACTS, from the package."""
    entries = _artifact(name, protocol)["abi"]
    other = _HALVES.get((protocol, name))
    if other is not None:
        both = [*entries, *_artifact(other, protocol)["abi"]]
        distinct = {json.dumps(entry, sort_keys=True): entry for entry in both}
        entries = [one for one in distinct.values() if one["type"] != "constructor"]
        entries += [one for one in both if one["type"] == "constructor"][:1]
    return ContractAbi(name, protocol, entries)


def _artifact(name: str, protocol: int) -> dict[str, Any]:
    folder = resources.files("fedpact.chain") / "artifacts" / _FOLDERS[protocol]
    try:
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text, object_pairs_hook=_spare)
    except FileNotFoundError as error:
        raise DeploymentError(
            f"the package lacks the compiled {name}: in a checkout, run make contracts"
        ) from error
    return found


def _spare(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Without Solidity's own names of types, and each short text once: a daemon keeps all ABIs."""
    return {
        name: sys.intern(value) if isinstance(value, str) and len(value) < 80 else value
        for name, value in pairs
        if name != "internalType"
    }


def reverted(data: bytes | None, action: str = "") -> Reverted:
    """The exception for the data of a reverted call.

    Contracts call each other, so the error may come from another contract than the one called.
    """
    if not data:
        return Reverted("NoReason", action=action)
    known = _known_errors().get(data[:4])
    if known is None:
        return Reverted("Unknown", ("0x" + data.hex(),), action=action)
    name, fields = known
    try:
        return Reverted(name, fields.decode(data[4:]), action=action)
    except DecodingError:
        return Reverted("Unknown", ("0x" + data.hex(),), action=action)


@cache
def _known_errors() -> dict[bytes, tuple[str, Fields]]:
    known = {_selector(e): (e["name"], Fields(e["inputs"])) for e in _STANDARD_ERRORS}
    for protocol, names in CONTRACTS.items():
        for name in names:
            known |= contract_abi(name, protocol).errors
    return known


def _selector(entry: Mapping[str, Any]) -> bytes:
    return bytes(function_abi_to_4byte_selector(dict(entry)))  # type: ignore[arg-type]


def _named(parameter: Mapping[str, Any], value: Any) -> Any:
    """A decoded value with structs as dicts and addresses checksummed."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        element = {**parameter, "type": kind[: kind.rindex("[")]}
        return tuple(_named(element, item) for item in value)
    if kind == "tuple":
        parts = zip(parameter["components"], value, strict=True)
        return {part["name"]: _named(part, item) for part, item in parts}
    return checksum(value) if kind == "address" else value
