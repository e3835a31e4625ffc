"""Emits log entries in a contract's name: events of more requests than anyone could play.

A program of 60 bytes takes the place of the contract's code for a moment (`anvil_setCode`). Nothing
may read the contract meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fedpact.chain.client import ChainClient

GAS = 29_000_000


def log_entry(topics: Sequence[int], data: bytes) -> bytes:
    """A log entry as the program takes it: topics, length, data."""
    return b"".join(one.to_bytes(32, "big") for one in (*topics, len(data))) + data


@contextmanager
def replaying(client: ChainClient, at: str, topics: int) -> Iterator[None]:
    """The program is at the contract's address, for entries of so many topics, until all that was
    sent to it is mined."""
    code = client.rpc.call("eth_getCode", at, "latest")
    client.rpc.call("anvil_setCode", at, _program(topics))
    try:
        yield
        [sender] = client.rpc.call("eth_accounts")
        counts = [("eth_getTransactionCount", [sender, when]) for when in ("latest", "pending")]
        while len(set(client.rpc.batch(counts))) > 1:
            time.sleep(0.02)
    finally:
        client.rpc.call("anvil_setCode", at, code)


def emit(client: ChainClient, at: str, entries: Sequence[bytes]) -> str:
    """One transaction, from Anvil's own account; its hash."""
    [sender] = client.rpc.call("eth_accounts")
    data = "0x" + b"".join(entries).hex()
    sent = {"from": sender, "to": at, "data": data, "gas": hex(GAS)}
    return str(client.rpc.call("eth_sendTransaction", sent))


def _program(topics: int) -> str:
    """EVM code that emits the entries in its calldata, with this number of topics."""
    length, data = 32 * topics, 32 * topics + 32
    code = [0x5F, 0x5B, 0x36, 0x81, 0x10, 0x15, 0x60, 0, 0x57]  # while i < calldatasize
    code += [0x80, 0x60, length, 0x01, 0x35]  # i, length
    code += [0x80, 0x82, 0x60, data, 0x01, 0x5F, 0x37]  # copy the data to memory
    for pushed, topic in enumerate(reversed(range(topics))):
        code += [0x81 + pushed, 0x60, 32 * topic, 0x01, 0x35]
    code += [0x80 + topics, 0x5F, 0xA0 + topics]
    code += [0x01, 0x60, data, 0x01, 0x60, 0x01, 0x56]  # i += length + data's offset
    code[7] = len(code)
    return "0x" + bytes([*code, 0x5B, 0x00]).hex()
