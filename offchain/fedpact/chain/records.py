"""What the chain returns: frames, events, receipts."""

from dataclasses import dataclass, field
from typing import Any

from fedpact.errors import FedpactError


@dataclass(frozen=True)
class Frame:
    """A block to which all reads of one cycle refer, so that they are consistent."""

    block_number: int
    block_hash: str
    timestamp: int
    """Seconds; the contracts derive phases from it."""
    parent_hash: str = field(default="", compare=False)


BlockReference = Frame | int | None
"""A frame, a block number, or None for the latest block."""


@dataclass(frozen=True)
class Event:
    """A log entry of one of the contracts, decoded."""

    name: str
    contract: str
    """Its name, one of fedpact.chain.abi.CONTRACTS."""
    args: dict[str, Any]
    """By the contract's names; digests as bytes, addresses checksummed, structs as dicts."""
    block: int
    tx_hash: str
    log_index: int
    timestamp: int | None = None
    """Of the block, in seconds, if the node says it."""


@dataclass(frozen=True)
class Receipt:
    """A mined transaction that succeeded (one that did not raises Reverted)."""

    tx_hash: str
    block: int
    gas_used: int
    status: int
    events: tuple[Event, ...]
    created: str | None = None
    """Address of the contract that it created."""

    def event(self, name: str) -> Event:
        """The first event of this name; FedpactError if there is none."""
        for event in self.events:
            if event.name == name:
                return event
        raise FedpactError(f"transaction {self.tx_hash} emitted no {name}")


@dataclass(frozen=True)
class TransactionCost:
    """What a mined transaction cost."""

    purpose: int
    """The request for which it was sent; 0: none."""
    action: str
    wei: int
    gas: int
    reverted: bool


@dataclass(frozen=True)
class Call:
    """A contract function with its arguments, ready to send; `to` None creates a contract."""

    to: str | None
    data: bytes
    value: int = 0
    """Wei."""
    action: str = ""
    """For messages: which function this is."""
    own: bool = field(default=False, compare=False)
    """Whether the contract looks at who makes it; all else anyone may send for an account."""
