"""ABIs of the contracts: encoding calls, decoding results, events and custom errors."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import abi_to_signature, collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from fedpact.chain.records import Event
from fedpact.errors import DeploymentError, FedpactError, Reverted

REGISTRY = "ParticipantRegistry"
MARKET = "SharingMarket"
ROUNDS = "TrainingRounds"
RESALE = "ResaleMarket"
CONTRACTS = (REGISTRY, MARKET, ROUNDS, RESALE)

_STANDARD_ERRORS: list[dict[str, Any]] = [
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
]

checksum = cache(to_checksum_address)
"""EIP-55 form of an address; cached, since it takes a hash and the same few addresses recur."""


class Fields:
    """Names and types of inputs or outputs; encodes and decodes them as one sequence."""

    def __init__(self, parameters: Sequence[Mapping[str, Any]]) -> None:
        self._parameters = parameters
        self.types = [collapse_if_tuple(dict(parameter)) for parameter in parameters]

    def encode(self, values: Sequence[Any]) -> bytes:
        given = [
            _positional(parameter, value)
            for parameter, value in zip(self._parameters, values, strict=True)
        ]
        return encode(self.types, given)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        decoded = decode(self.types, data)
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
    """One event of a contract."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name: str = entry["name"]
        self.topic = keccak(text=abi_to_signature(dict(entry)))  # type: ignore[arg-type]
        self._names = [parameter["name"] for parameter in entry["inputs"]]
        self._indexed = [p for p in entry["inputs"] if p["indexed"]]
        self._topics = [Fields([p]) for p in self._indexed]
        self._rest = [p for p in entry["inputs"] if not p["indexed"]]
        self._data = Fields(self._rest)

    def arguments(self, topics: Sequence[str], data: str) -> dict[str, Any]:
        """By name, in declaration order. All indexed arguments have a fixed size here."""
        found: dict[str, Any] = {}
        for parameter, fields, topic in zip(self._indexed, self._topics, topics[1:], strict=True):
            found[parameter["name"]] = fields.decode(bytes.fromhex(topic[2:]))[0]
        for parameter, value in zip(
            self._rest, self._data.decode(bytes.fromhex(data[2:])), strict=True
        ):
            found[parameter["name"]] = value
        return {name: found[name] for name in self._names}


class ContractAbi:
    """A compiled contract from the package."""

    def __init__(self, name: str, artifact: Mapping[str, Any]) -> None:
        self.name = name
        self._entries: list[dict[str, Any]] = artifact["abi"]
        self._bytecode: str = artifact["bytecode"]
        self.compiler: str = artifact["compiler"]

    def creation(self, *values: Any) -> bytes:
        """Data of the transaction that creates the contract with these constructor arguments."""
        [constructor] = self._of("constructor")
        return bytes.fromhex(self._bytecode[2:]) + Fields(constructor["inputs"]).encode(values)

    @cached_property
    def functions(self) -> dict[str, ContractFunction]:
        """By name; these contracts overload none."""
        return {entry["name"]: ContractFunction(entry) for entry in self._of("function")}

    @cached_property
    def events(self) -> dict[str, ContractEvent]:
        """By topic as 0x hex."""
        made = map(ContractEvent, self._of("event"))
        return {"0x" + event.topic.hex(): event for event in made}

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
        try:
            arguments = declared.arguments(topics, log["data"])
        except (DecodingError, ValueError) as error:
            raise FedpactError(
                f"the node returned a {declared.name} in transaction {log['transactionHash']} that"
                f" cannot be decoded ({error}); use another node"
            ) from error
        return Event(
            name=declared.name,
            contract=self.name,
            args=arguments,
            block=int(log["blockNumber"], 16),
            tx_hash=log["transactionHash"],
            log_index=int(log["logIndex"], 16),
            timestamp=int(log["blockTimestamp"], 16) if "blockTimestamp" in log else None,
        )

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry["type"] == kind]


@cache
def contract_abi(name: str) -> ContractAbi:
    """ABI and bytecode of one of CONTRACTS, from the package."""
    path = resources.files("fedpact.chain") / "artifacts" / f"{name}.json"
    try:
        artifact = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeploymentError(
            f"the package lacks the compiled {name}: in a checkout, run make contracts"
        ) from error
    return ContractAbi(name, artifact)


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
    for contract in CONTRACTS:
        known |= contract_abi(contract).errors
    return known


def _selector(entry: Mapping[str, Any]) -> bytes:
    return keccak(text=abi_to_signature(dict(entry)))[:4]  # type: ignore[arg-type]


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


def _positional(parameter: Mapping[str, Any], value: Any) -> Any:
    """A value for eth-abi: structs given as dicts become tuples in declared order."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        element = {**parameter, "type": kind[: kind.rindex("[")]}
        return [_positional(element, item) for item in value]
    if kind == "tuple":
        return tuple(_positional(part, value[part["name"]]) for part in parameter["components"])
    return value
