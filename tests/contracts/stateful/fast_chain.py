"""A thin client of the node, for tests that send thousands of transactions.

One HTTP connection kept open, accounts impersonated, gas fixed and free, calldata encoded here.
"""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlparse

from eth_abi.abi import encode
from eth_utils import keccak
from eth_utils.abi import collapse_if_tuple
from web3.contract import Contract

from tests.support.chainkit import Chain, Deployed
from tests.support.waiting import PATIENCE, wait_until

GAS = hex(12_000_000)
WORD = 32
SEATS = 16
ACCOUNTS = 12
"""The number of accounts that StateLens.sol reads."""

FACTS = """
    phase start deadline round seats members expected barred ever submitted committed revealed
    attested lastLeader paidRounds finalRounds sliceOpened reached finalDigest history
"""
PARAMS = 10
REQUEST = """
    status requester payment requesterOrganisation joinDeadline closedAt startWindow
    deliverWindow maxRounds minProviders maxProviders claimed settled refunded
"""


class FastChain:
    """The session's chain and contracts, called without a client library."""

    def __init__(self, chain: Chain, deployed: Deployed, lens: Contract) -> None:
        url = urlparse(str(chain.w3.provider.endpoint_uri))  # type: ignore[attr-defined]
        self._socket = socket.create_connection((str(url.hostname), url.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.chain_id = chain.chain_id
        self.registry, self.market, self.rounds = (
            deployed.registry.address,
            deployed.market.address,
            deployed.rounds.address,
        )
        self.lens = lens.address
        self._functions: dict[str, tuple[str, bytes, list[str]]] = {}
        for contract in (deployed.registry, deployed.market, deployed.rounds, lens):
            for item in contract.abi:
                if item["type"] == "function":
                    kinds = [collapse_if_tuple(dict(part)) for part in item["inputs"]]
                    selector = keccak(text=f"{item['name']}({','.join(kinds)})")[:4]
                    self._functions[item["name"]] = (contract.address, selector, kinds)

    def rpc(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        head = (
            "POST / HTTP/1.1\r\nHost: anvil\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall((head + body).encode())
        answer = json.loads(self._answer())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _answer(self) -> bytes:
        """The body of one response; the node always sends its length."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(2**17)
        if not data:
            raise RuntimeError("the node hung up")
        return data

    def a_second_a_block(self, on: bool) -> None:
        """Whether to mine each transaction's block one second after the last one."""
        if on:
            self.rpc("anvil_setBlockTimestampInterval", 1)
        else:
            self.rpc("anvil_removeBlockTimestampInterval")
            self._socket.close()

    def send(self, sender: str, name: str, *args: Any, value: int = 0) -> bool:
        """Mines one call in the next second. Returns whether it succeeded."""
        to, data = self._call(name, args)
        transaction = self.rpc(
            "eth_sendTransaction",
            {
                **{"from": sender, "to": to, "data": data, "value": hex(value)},
                **{"gas": GAS, "gasPrice": "0x0"},
            },
        )
        receipt = self._receipt(transaction)
        assert int(receipt["gasUsed"], 16) < int(GAS, 16), (
            "out of gas: a refusal that means nothing"
        )
        return bool(int(receipt["status"], 16))

    def _receipt(self, transaction: str) -> Any:
        """A transaction's receipt; the node mines at once, or a little later on a busy machine."""
        found: list[Any] = []

        def mined() -> bool:
            found.append(self.rpc("eth_getTransactionReceipt", transaction))
            return found[-1] is not None

        wait_until(mined, f"{transaction} was not mined")
        return found[-1]

    def mine_at(self, at: int) -> None:
        self.rpc("evm_setNextBlockTimestamp", at)
        self.rpc("evm_mine")

    def look(self, accounts: list[str], requests: list[int]) -> Words:
        """See StateLens.sol."""
        args = (self.registry, self.market, self.rounds, accounts, requests)
        to, data = self._call("look", args)
        found = bytes.fromhex(self.rpc("eth_call", {"to": to, "data": data}, "latest")[2:])
        return Words(found[2 * WORD :])

    def _call(self, name: str, args: tuple[Any, ...]) -> tuple[str, str]:
        to, selector, kinds = self._functions[name]
        return to, "0x" + (selector + encode(kinds, args)).hex()


class Words:
    """Reads a sequence of 32-byte words from its start."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def one(self) -> int:
        self._place += WORD
        return int.from_bytes(self._data[self._place - WORD : self._place], "big")

    def some(self, number: int) -> list[int]:
        return [self.one() for _ in range(number)]

    def named(self, names: str) -> dict[str, int]:
        return {name: self.one() for name in names.split()}

    def sight(self) -> dict[str, Any]:
        """One request as the views show it; lists have an entry for each of sixteen seats,
        `committee` one for each account: seat, samples, reputation, lanes."""
        seen: dict[str, Any] = self.named(FACTS)
        self.some(PARAMS)
        seen |= self.named(REQUEST)
        seen["points"], seen["faults"] = self.some(SEATS), self.some(SEATS)
        leaders = self.one()
        seen["order"] = self.some(SEATS)[:leaders]
        seen["committee"] = [tuple(self.some(4)) for _ in range(ACCOUNTS)]
        seen["claimable"], seen["refundable"] = self.some(SEATS), self.one()
        return seen
