"""Base class of the contract bindings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any, ClassVar

from fedpact.chain.abi import SECOND, contract_abi
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Call, Event, Receipt
from fedpact.chain.scanner import EventScanner


class Binding:
    """A contract at an address. Views take `block`: a Frame, a number, or None for the latest."""

    NAME: ClassVar[str]
    PROTOCOL: ClassVar[int] = SECOND

    def __init__(self, connection: Connection, address: str) -> None:
        self.address = address
        self._connection = connection
        self._abi = contract_abi(self.NAME, self.PROTOCOL)

    def function(self, name: str, *values: Any, value: int = 0) -> Call:
        """A function with its arguments, for Connection.send or Connection.read."""
        data = self._abi.functions[name].encode(values)
        return Call(self.address, data, value, f"{self.NAME}.{name}")

    def own_function(self, name: str, *values: Any, value: int = 0) -> Call:
        """One that looks at who calls it."""
        return replace(self.function(name, *values, value=value), own=True)

    def decoded(self, name: str, returned: bytes) -> Any:
        """The decoded result of a function: one value bare, several as a tuple."""
        values = self._abi.functions[name].outputs.decode(returned)
        return values[0] if len(values) == 1 else values

    def event_topic(self, name: str) -> str:
        """The first topic of an event, as 0x hex."""
        return self._abi.event_topic(name)

    def history(
        self, topics: Sequence[str | None] = (), since: int | None = None
    ) -> Iterator[Event]:
        """Events of this contract with these topics (None: any) from block `since` on (None: the
        deployment's)."""
        start = self._connection.deployment.block if since is None else since
        scanner = EventScanner(self._connection, start, addresses=[self.address], topics=topics)
        return scanner.scan()

    def _view(self, name: str, *values: Any, block: BlockReference = None) -> Any:
        [returned] = self._connection.read([self.function(name, *values)], block)
        return self.decoded(name, returned)

    def _send(self, keys: AccountKeys, name: str, *values: Any, value: int = 0) -> Receipt:
        return self._connection.send(keys, self.own_function(name, *values, value=value))


def snake(struct: Mapping[str, Any]) -> dict[str, Any]:
    """A decoded struct, by field names in snake case."""
    return {_snake(name): value for name, value in struct.items()}


def camel(record: Any) -> dict[str, Any]:
    """A dataclass as a struct, by field names in camel case."""
    return {_camel(field.name): getattr(record, field.name) for field in fields(record)}


@cache
def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


@cache
def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
