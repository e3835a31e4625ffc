"""Calls read back from calldata, which anybody may have written."""

from typing import Any

import pytest
from eth_abi import encode

from fedpact.chain.abi import SECOND, contract_abi
from fedpact.chain.bindings import rounds
from fedpact.chain.bindings.calls import calls_in

ROUNDS = contract_abi("TrainingRounds", SECOND)


def multicall(*inner: bytes) -> bytes:
    return ROUNDS.functions["multicall"].selector + encode(["bytes[]"], [inner])


def test_calls_are_found_in_order_and_to_any_depth() -> None:
    deep = multicall(*(ROUNDS.functions["outcome"].encode([number]) for number in (1, 2)))
    for _ in range(1_200):
        deep = multicall(deep)
    found = calls_in(ROUNDS, multicall(deep, ROUNDS.functions["outcome"].encode([3])))
    assert [(one.function, one.args[0]) for one in found] == [("outcome", n) for n in (1, 2, 3)]


class Answers:
    """A node that knows one transaction, of another contract."""

    @property
    def rpc(self) -> "Answers":
        return self

    def call(self, method: str, *_: Any) -> Any:
        if method == "eth_getTransactionByHash":
            return {"to": "0x" + "22" * 20, "input": "0x" + multicall().hex()}
        return {"logs": []}


def test_calldata_of_another_contract_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets that all name the same bytes made kilobytes into gigabytes, for every reader."""

    def bomb(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(rounds, "calls_in", bomb)
    connection: Any = Answers()
    reader = rounds.Rounds(connection, "0x" + "11" * 20)
    assert reader.posted_record("0x" + "33" * 32, bytes(32)) is None
