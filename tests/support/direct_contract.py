"""web3's contracts, with functions that encode and decode in one step.

A contract has one function of each name in these tests. web3 looks for it by its arguments at each
call, and walks through all values several times: that took half of the contract tests' time.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from typing import Any

from eth_utils.abi import (
    collapse_if_tuple,
    function_abi_to_4byte_selector,
    get_aligned_abi_inputs,
)
from eth_utils.address import to_checksum_address
from web3 import Web3
from web3.contract import Contract
from web3.contract.base_contract import BaseContractFunctions
from web3.contract.contract import ContractFunction

Parameter = Mapping[str, Any]


def direct_contract(w3: Web3, address: str, abi: Sequence[Any]) -> Contract:
    """The contract at an address; structs are given as dicts or sequences, and returned as named
    tuples."""
    contract = w3.eth.contract(address=address, abi=abi, decode_tuples=True)
    contract.functions = BaseContractFunctions(abi, w3, DirectFunction, address, True)
    return contract


class DirectFunction(ContractFunction):
    """One function; called, the same with arguments."""

    def __init__(self, abi: Any = None) -> None:
        super().__init__(abi)
        self.head = function_abi_to_4byte_selector(self.abi)
        self.types = [collapse_if_tuple(one) for one in self.abi["inputs"]]
        self.returned = [collapse_if_tuple(one) for one in self.abi["outputs"]]

    def __call__(self, *args: Any) -> DirectFunction:
        called = copy(self)
        called.args = args
        return called

    def call(self, transaction: Any = None, block_identifier: Any = None) -> Any:
        data = self.w3.eth.call(self._transaction(transaction), block_identifier)
        values = self.w3.codec.decode(self.returned, data)
        outputs = self.abi["outputs"]
        named = _struct(outputs, values) if all(one["name"] for one in outputs) else None
        found = named or [_value(*pair) for pair in zip(outputs, values, strict=True)]
        return found[0] if len(found) == 1 else found

    def transact(self, transaction: Any = None) -> Any:
        return self.w3.eth.send_transaction(self._transaction(transaction))

    def _transaction(self, given: Any) -> Any:
        _, aligned = get_aligned_abi_inputs(self.abi, self.args)
        data = self.head + self.w3.codec.encode(self.types, aligned)
        return {**(given or {}), "to": self.address, "data": "0x" + data.hex()}


def _value(parameter: Parameter, value: Any) -> Any:
    kind = parameter["type"]
    if kind.endswith("]"):
        element = {**parameter, "type": kind[: kind.rindex("[")]}
        return [_value(element, item) for item in value]
    if kind == "tuple":
        return _struct(parameter["components"], value)
    return to_checksum_address(value) if kind == "address" else value


def _struct(parameters: Sequence[Parameter], values: Sequence[Any]) -> Any:
    names = tuple(one["name"] for one in parameters)
    pairs = zip(parameters, values, strict=True)
    return _named_tuple(names)(*(_value(*pair) for pair in pairs))


@cache
def _named_tuple(names: tuple[str, ...]) -> Any:
    return namedtuple("Struct", names, rename=True)
