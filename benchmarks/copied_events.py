"""Copies the log of one request into the chain as requests of others, a hundred events a block."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.replayed import emit, log_entry, replaying
from fedpact.chain.client import ChainClient

FIRST_ID = 10**9
"""Number of the first request that does not exist."""
AT_ONCE, EMPTY_BLOCKS = 100, 9


def copy_events(client: ChainClient, request: int, count: int, accounts: Sequence[str]) -> int:
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
    for entry in logs:
        with replaying(client, entry["address"], len(entry["topics"])):
            for first in range(0, copies, AT_ONCE):
                numbers = range(FIRST_ID + first, FIRST_ID + min(first + AT_ONCE, copies))
                entries = [_copied(entry, number, others) for number in numbers]
                emit(client, entry["address"], entries)
                rpc.call("anvil_mine", hex(EMPTY_BLOCKS))
    found = rpc.call("eth_getLogs", {**query, "topics": [None, f"0x{FIRST_ID:064x}"]})
    if len(found) != len(logs):
        raise SystemExit(f"the events could not be copied: {len(found)} of {len(logs)} are there")
    return copies * len(logs)


def _copied(entry: Mapping[str, Any], request: int, others: Mapping[str, str]) -> bytes:
    """An entry of another request, with other accounts."""
    first, _, *rest = entry["topics"]
    words = [str(one).removeprefix("0x") for one in (*rest, entry["data"])]
    text = "0x".join(words)
    for account, other in others.items():
        text = text.replace(account.lower().removeprefix("0x"), other.removeprefix("0x"))
    *rest, data = text.split("0x")
    topics = [int(first, 16), request, *(int(one, 16) for one in rest)]
    return log_entry(topics, bytes.fromhex(data))
