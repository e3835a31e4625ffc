"""What the bindings have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from fedpact.chain.abi import contract_abi
from fedpact.chain.records import BlockReference, Call, Receipt

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.keystore import AccountKeys


class Binding:
    """A contract at an address. Views take `block`: a Frame, a number, or None for the latest."""

    NAME: ClassVar[str]

    def __init__(self, client: ChainClient, address: str) -> None:
        self.address = address
        self._client = client
        self._abi = contract_abi(self.NAME)

    def function(self, name: str, *values: Any, value: int = 0) -> Call:
        """A function with its arguments, for ChainClient.send or ChainClient.read."""
        data = self._abi.functions[name].encode(values)
        return Call(self.address, data, value, f"{self.NAME}.{name}")

    def decoded(self, name: str, returned: bytes) -> Any:
        """What a function returned: one value as it is, several as a tuple."""
        values = self._abi.functions[name].outputs.decode(returned)
        return values[0] if len(values) == 1 else values

    def _view(self, name: str, *values: Any, block: BlockReference = None) -> Any:
        [returned] = self._client.read([self.function(name, *values)], block)
        return self.decoded(name, returned)

    def _send(self, keys: AccountKeys, name: str, *values: Any, value: int = 0) -> Receipt:
        return self._client.send(keys, self.function(name, *values, value=value))


def snake(struct: Mapping[str, Any]) -> dict[str, Any]:
    """A decoded struct by the names that Python gives its fields."""
    return {_snake(name): value for name, value in struct.items()}


def camel(record: Any) -> dict[str, Any]:
    """A dataclass as the struct of the same fields."""
    return {_camel(field.name): getattr(record, field.name) for field in fields(record)}


@cache
def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


@cache
def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
