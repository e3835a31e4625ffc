"""A remote signer as Web3Signer's `eth1` mode speaks it, small and real: it signs with eth-account.

https://docs.web3signer.consensys.io/reference/api/json-rpc
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.signers.local import LocalAccount

from tests.support.node_proxy import serving

QUANTITIES = ("nonce", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value")


class SigningServer:
    """Signs for one account. `before` may change what is signed."""

    def __init__(self, account: LocalAccount, chain_id: int, *, as_clef: bool = False) -> None:
        self.account, self.chain_id, self.as_clef = account, chain_id, as_clef
        self.asked: list[str] = []
        self.before: Callable[[dict[str, Any]], dict[str, Any]] = lambda transaction: transaction
        self.refuses = False

    def answer(self, method: str, params: list[Any]) -> Any:
        self.asked.append(method)
        if self.refuses:
            raise ValueError("signing key is not available")
        if method == "eth_signTransaction":
            signed = self.account.sign_transaction(self._transaction(params[0]))
            raw = signed.raw_transaction.to_0x_hex()
            return {"raw": raw, "tx": {}} if self.as_clef else raw
        assert params[0].lower() == self.account.address.lower()
        if method == "eth_sign":
            message = encode_defunct(hexstr=params[1])
        else:
            assert method == "eth_signTypedData"
            message = encode_typed_data(full_message=params[1])
        return "0x" + bytes(self.account.sign_message(message).signature).hex()

    def _transaction(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = {name: int(asked[name], 16) for name in QUANTITIES if name in asked}
        made |= {"data": asked["data"], "chainId": self.chain_id}
        if "to" in asked:
            made["to"] = asked["to"]
        return self.before(made)


@contextmanager
def signing(server: SigningServer) -> Iterator[str]:
    """The server's URL, as long as it runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
            try:
                answer["result"] = server.answer(asked["method"], asked["params"])
            except ValueError as error:
                answer["error"] = {"code": -32000, "message": str(error)}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address


def new_server(chain_id: int, **options: bool) -> SigningServer:
    return SigningServer(Account.create(), chain_id, **options)
