"""Copies the log of one request into the chain as requests of others, a hundred events a block.

A program of 60 bytes takes the place of each contract's code for a moment (`anvil_setCode`), and
logs in its name. Nothing may read the contracts meanwhile.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from fedpact.chain.client import ClientV2

FIRST_ID = 10**9
"""Number of the first request that does not exist."""
AT_ONCE, EMPTY_BLOCKS = 100, 9
GAS = 29_000_000


def copy_events(client: ClientV2, request: int, count: int, accounts: Sequence[str]) -> int:
    """About `count` events, in the order of the original's, without its creation: a request that
    was created would be open for ever. `accounts` become others, so that nobody is meant.

    Returns how many there are.
    """
    here, rpc = client.deployment, client.rpc
    created = client.market.event_topic("RequestCreated")
    query: dict[str, Any] = {"fromBlock": hex(here.block), "topics": [None, f"0x{request:064x}"]}
    query["address"] = [here.market, here.pool, here.rounds]
    logs = [one for one in rpc.call("eth_getLogs", query) if one["topics"][0] != created]
    others = {account: f"0x{secrets.token_hex(20)}" for account in accounts}
    copies = max(1, count // len(logs))
    codes = {one["address"]: rpc.call("eth_getCode", one["address"], "latest") for one in logs}
    [sender, *_] = rpc.call("eth_accounts")
    try:
        for entry in logs:
            rpc.call("anvil_setCode", entry["address"], "0x" + program(len(entry["topics"])).hex())
            for first in range(0, copies, AT_ONCE):
                number = min(AT_ONCE, copies - first)
                data = _calldata(entry, number, FIRST_ID + first, others)
                _send(rpc, {"from": sender, "to": entry["address"], "data": data})
                rpc.call("anvil_mine", hex(EMPTY_BLOCKS))
    finally:
        for address, code in codes.items():
            rpc.call("anvil_setCode", address, code)
    return copies * len(logs)


def program(topics: int) -> bytes:
    """EVM code that logs the tail of its calldata several times, with 2 to 4 topics.

    Calldata, in words: how often; the second topic, less one; the first, third and fourth; then
    the data.
    """
    log = [
        *([0x60, 0x80, 0x35] if topics > 3 else []),  # the fourth topic
        *([0x60, 0x60, 0x35] if topics > 2 else []),  # the third
        *(0x80 + topics - 2, 0x60, 0x20, 0x35, 0x01),  # the second, plus what is left to log
        *(0x60, 0x40, 0x35),  # the first
        *(0x7F + topics + 2, 0x60, 0x00, 0xA0 + topics),  # all data from memory; LOGn
    ]
    head = [0x60, 0xA0, 0x36, 0x03, 0x80, 0x60, 0xA0, 0x60, 0x00, 0x37, 0x60, 0x00, 0x35]
    loop = [0x5B, 0x80, 0x15, 0x60, 0, 0x57, 0x60, 0x01, 0x90, 0x03, *log, 0x60, len(head), 0x56]
    loop[4] = len(head) + len(loop)
    return bytes([*head, *loop, 0x5B, 0x00])


def _calldata(entry: dict[str, Any], number: int, base: int, others: dict[str, str]) -> str:
    topics = [str(topic).removeprefix("0x") for topic in entry["topics"]]
    topics += [f"{0:064x}"] * (4 - len(topics))
    words = [f"{number:064x}", f"{base:064x}", topics[0], topics[2], topics[3]]
    text: str = "".join(words) + entry["data"].removeprefix("0x")
    for account, other in others.items():
        text = text.replace(account.lower().removeprefix("0x"), other.removeprefix("0x"))
    return "0x" + text


def _send(rpc: Any, transaction: dict[str, str]) -> None:
    digest = rpc.call("eth_sendTransaction", {**transaction, "gas": hex(GAS)})
    while (receipt := rpc.call("eth_getTransactionReceipt", digest)) is None:
        time.sleep(0.01)
    if receipt["status"] != "0x1":
        raise SystemExit(f"the events could not be copied: {receipt}")
