"""Who sent transactions, what they called and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fedpact.chain.abi import contract_abi
from fedpact.chain.addresses import checksum
from fedpact.chain.client import ChainClient
from fedpact.chain.node_errors import RpcError
from fedpact.dashboard.index.reading import Transaction


class SentReader:
    """Reads transactions from a node; for one thread."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._functions = _selectors(client)

    def read(self, hashes: Iterable[str]) -> list[Transaction]:
        """Those that the node has, in the order asked for. Raises Retryable."""
        listed = list(hashes)
        receipts = batch(self._client, [("eth_getTransactionReceipt", [one]) for one in listed])
        sent = batch(self._client, [("eth_getTransactionByHash", [one]) for one in listed])
        return [
            self._transaction(receipt, transaction)
            for receipt, transaction in zip(receipts, sent, strict=True)
            if receipt is not None and transaction is not None
        ]

    def _transaction(self, receipt: dict[str, str], sent: dict[str, str]) -> Transaction:
        gas = int(receipt["gasUsed"], 16)
        price = int(receipt.get("effectiveGasPrice") or sent["gasPrice"], 16)
        to, data = (sent.get("to") or "").lower(), sent["input"]
        return Transaction(
            str(receipt["transactionHash"]),
            int(receipt["blockNumber"], 16),
            checksum(receipt["from"]),
            self._functions.get((to, data[2:10].lower()), ""),
            gas,
            gas * price,
        )


def block_times(client: ChainClient, blocks: Iterable[int]) -> dict[int, int]:
    """Unix times, seconds, by block. Raises Retryable."""
    calls = [("eth_getBlockByNumber", [hex(number), False]) for number in sorted(set(blocks))]
    frames = [client.frame_of(one) for one in batch(client, calls)]
    return {one.block_number: one.timestamp for one in frames}


def batch(
    client: ChainClient, calls: Sequence[tuple[str, list[object]]]
) -> list[dict[str, str] | None]:
    """Answers in order; raises the first error."""
    answers = client.rpc.batch(calls) if calls else []
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return list(answers)


def _selectors(client: ChainClient) -> dict[tuple[str, str], str]:
    """Names of functions by contract's address and selector."""
    return {
        (address.lower(), function.selector.hex()): function.name
        for name, address in client.deployment.contracts.items()
        for function in contract_abi(name, client.deployment.protocol).functions.values()
    }
