"""What a node's refusal means, against answers as clients and gateways send them."""

from typing import Any

import pytest

from fedpact.chain.node_errors import Capability, FaultKind, RpcError, http_refusal, refusal
from tests.offchain.chain.node_answers import ANSWERS, BLOCK, ERROR_DATA, http, said


def understood(method: str, answer: Any) -> RpcError:
    if isinstance(answer, tuple):
        return http_refusal(method, *answer)
    return refusal(method, answer)


@pytest.mark.parametrize(
    ("method", "answer", "kind", "capability"),
    [row[1:] for row in ANSWERS],
    ids=[f"{row[0]}-{row[1]}-{number}" for number, row in enumerate(ANSWERS)],
)
def test_a_refusal_is_understood(
    method: str, answer: Any, kind: FaultKind, capability: Capability | None
) -> None:
    fault = understood(method, answer).fault
    assert (fault.kind, fault.capability) == (kind, capability)


def test_the_table_covers_each_kind_and_each_client() -> None:
    assert {row[3] for row in ANSWERS} == set(FaultKind)
    named = "geth erigon reth nethermind besu anvil hardhat ganache ethereumjs"
    assert {*named.split(), "infura", "alchemy", "quicknode"} <= {row[0] for row in ANSWERS}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (http(429, None, Retry_After="7"), 7.0),
        (http(429, None, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (http(429, None, Retry_After="-1"), None),
        (http(429, {"error": said(-32005, "x", {"rate": {"backoff_seconds": 30}})}), 30.0),
        (said(-32005, "request rate limited", {"rate": {"backoff_seconds": 1.5}}), 1.5),
    ],
)
def test_the_time_to_wait_is_read_where_the_node_says_it(
    answer: Any, seconds: float | None
) -> None:
    assert understood(BLOCK, answer).fault.retry_after == seconds


@pytest.mark.parametrize(
    "data",
    [ERROR_DATA, {"data": ERROR_DATA}, {"data": {"data": ERROR_DATA}}, f"Reverted {ERROR_DATA}"],
)
def test_what_a_reverted_call_returned_is_found_however_it_is_wrapped(data: Any) -> None:
    returned = bytes.fromhex(ERROR_DATA[2:])
    assert refusal("eth_call", said(-32000, "execution reverted", data)).data == returned


@pytest.mark.parametrize("error", [{}, {"code": "x"}, {"message": None}, {"data": 5, "code": 1.5}])
def test_an_odd_refusal_is_a_refusal(error: dict[str, Any]) -> None:
    assert refusal("eth_call", error).fault.kind is FaultKind.UNKNOWN
