"""A node whose chain has ended: it answers reads from a recording of what a real node held."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from eth_account import Account

from fedpact.chain.keystore import AccountKeys
from tests.support.node_proxy import serving

FIRST_PROTOCOL = Path(__file__).parents[1] / "vectors" / "first_protocol" / "deployment.json.gz"


@dataclass(frozen=True)
class Recording:
    """A chain's blocks, transactions and log entries, and its contracts' answers at its last block.

    `state` is keyed by method and parameters without the block.
    """

    facts: dict[str, Any]

    @classmethod
    def read(cls, path: Path = FIRST_PROTOCOL) -> "Recording":
        return cls(json.loads(gzip.decompress(path.read_bytes())))

    @property
    def deployment(self) -> str:
        """The deployment file's text."""
        return json.dumps(self.facts["deployment"])

    def keys(self, role: str) -> AccountKeys:
        """Of a role in the recording; these accounts own nothing anywhere."""
        return AccountKeys(Account.from_key(self.facts["keys"][role]))

    def contents(self) -> list[bytes]:
        """Everything that the content store held."""
        return [base64.b64decode(one) for one in self.facts["content"]]

    # -- JSON-RPC -------------------------------------------------------------------------------

    def answer(self, method: str, params: list[Any]) -> Any:
        """Raises KeyError for what was not recorded."""
        by_method: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(self.facts["chain_id"]),
            "eth_getBlockByNumber": self._block,
            "eth_getTransactionByHash": self._transaction,
            "eth_getLogs": self._logs,
        }
        if method in by_method:
            return by_method[method](*params)
        return self.facts["state"][json.dumps([method, *params[:-1]])]

    def _block(self, number: str, _: bool) -> Any:
        blocks = self.facts["blocks"]
        at = len(blocks) - 1 if number == "latest" else int(number, 16)
        return blocks[at] if at < len(blocks) else None

    def _transaction(self, wanted: str) -> Any:
        return next((one for one in self.facts["transactions"] if one["hash"] == wanted), None)

    def _logs(self, query: dict[str, Any]) -> list[Any]:
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        addresses = {one.lower() for one in query["address"]}
        topics = query.get("topics", [])
        return [
            one
            for one in self.facts["logs"]
            if first <= int(one["blockNumber"], 16) <= last
            and one["address"].lower() in addresses
            and all(
                wanted in (None, found)
                for wanted, found in zip(topics, one["topics"], strict=False)
            )
        ]


@contextmanager
def frozen_node(recording: Recording) -> Iterator[str]:
    """Address of a node that answers from a recording."""

    def answered(message: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            return {**answer, "result": recording.answer(message["method"], message["params"])}
        except KeyError as missing:
            return {**answer, "error": {"code": -32601, "message": f"not recorded: {missing}"}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = [answered(one) for one in asked] if isinstance(asked, list) else answered(asked)
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address
