"""What contract tests build on: the compiled sources, an Anvil process, and a thin client for it.

scripts/compile.py keeps the compiled sources. Reverts are read from
the trace of the mined transaction, so that a test sees exactly what the chain saw, at the block
time that it asked for.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from eth_abi import decode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address
from eth_utils.abi import abi_to_signature, collapse_if_tuple
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import ContractLogicError
from web3.types import RPCEndpoint, RPCResponse

from fedpact.chain.devnet import find_anvil
from fedpact.child_process import ChildProcess
from scripts.compile import DEPLOYED, HARNESSES, current_contracts
from tests.support.direct_contract import direct_contract
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

GAS_LIMIT = 12_000_000
DEPLOY_GAS = 30_000_000
FUNDS = 10**24
LISTENING = re.compile(r"Listening on (\S+:\d+)")

Address = str | LocalAccount


@dataclass(frozen=True)
class Compiled:
    """One contract: its ABI and creation bytecode."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str


class Reverted(Exception):
    """A mined transaction reverted; `data` is what it returned (selector and arguments)."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data.hex())
        self.data = data


def compile_sources() -> dict[str, Compiled]:
    """All contracts and the test harnesses by name, compiled where they have changed."""
    return _contracts(current_contracts(DEPLOYED)) | _contracts(current_contracts(HARNESSES))


def _contracts(items: dict[str, dict[str, Any]]) -> dict[str, Compiled]:
    return {name: Compiled(name, item["abi"], item["bytecode"]) for name, item in items.items()}


def local_accounts(number: int) -> list[LocalAccount]:
    """Accounts with fixed keys, the same in every run."""
    return [Account.from_key(keccak(text=f"fedpact test account {i}")) for i in range(number)]


@contextmanager
def anvil_process(*options: str) -> Iterator[str]:
    """A fresh Anvil on a free port without gas prices; gives its URL and ends it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(str(find_anvil()), "--port", "0", "--accounts", "1", "--auto-impersonate"),
            *("--gas-price", "0", "--block-base-fee-per-gas", "0"),
            *("--cache-path", str(Path(folder) / "states"), *options),
        ]
        child = ChildProcess.start(command, Path(folder) / "anvil.log")
        try:
            yield f"http://{child.wait_for(LISTENING, PATIENCE)[1]}"
        finally:
            child.stop()


class _CountingProvider(HTTPProvider):
    """Counts the requests that may change what a view returns."""

    version = 0

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self.version += not method.startswith("eth_") or method.startswith("eth_send")
        return super().make_request(method, params)


class Chain:
    """A local chain: sends transactions, moves its clock, takes and restores snapshots."""

    def __init__(self, url: str, compiled: dict[str, Compiled]) -> None:
        session = requests.Session()
        session.trust_env = False  # It would read the environment for proxies at every request.
        # Without web3's middlewares, which ask the node for its chain id before every request.
        self.provider = _CountingProvider(url, session=session)
        self.w3 = Web3(self.provider, middleware=[])
        self.chain_id = self.w3.eth.chain_id
        self.compiled = compiled
        # An error that several ABIs declare has one selector and one shape: any of them will do.
        self.errors = {
            keccak(text=abi_to_signature(item))[:4]: item  # type: ignore[arg-type]
            for contract in compiled.values()
            for item in contract.abi
            if item["type"] == "error"
        }

    @property
    def version(self) -> int:
        """Increases with everything that may change what a view returns."""
        return self.provider.version

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self.provider.make_request(RPCEndpoint(method), list(params))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    # -- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time of the last block (seconds)."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def next_at(self, timestamp: int) -> None:
        """The next block, and so the next transaction, has exactly this time."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def mine_at(self, timestamp: int) -> None:
        """Mines an empty block of exactly this time."""
        self.next_at(timestamp)
        self.rpc("evm_mine")

    def travel(self, seconds: int) -> None:
        """Mines an empty block this many seconds after the last one."""
        self.mine_at(self.now + seconds)

    def mine(self) -> None:
        self.rpc("evm_mine")

    # -- state -----------------------------------------------------------------------------------

    def snapshot(self) -> str:
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        assert self.rpc("evm_revert", snapshot)

    def balance(self, account: Address) -> int:
        return int(self.w3.eth.get_balance(address_of(account)))

    def fund(self, account: Address, wei: int = FUNDS) -> None:
        self.rpc("anvil_setBalance", address_of(account), hex(wei))

    # -- transactions ----------------------------------------------------------------------------

    def send(self, sender: Address, call: Any, value: int = 0) -> Any:
        """Mines one contract call (`contract.functions.f(...)`) and returns its receipt.

        Raises `Reverted` with the data of the revert.
        """
        return self._mined(
            call.transact(
                {
                    "from": address_of(sender),
                    "value": value,
                    "gas": GAS_LIMIT,
                    "gasPrice": 0,
                    "chainId": self.chain_id,
                }
            )
        )

    def transfer(self, sender: Address, to: Address, value: int, data: bytes = b"") -> Any:
        """Mines a plain transfer of `value` wei, or a call of bytes."""
        return self._mined(
            self.w3.eth.send_transaction(
                {
                    "from": address_of(sender),
                    "to": address_of(to),
                    "value": value,
                    "gas": GAS_LIMIT,
                    "data": HexBytes(data),
                }
            )
        )

    def deploy(self, name: str, sender: Address, *args: Any, value: int = 0) -> Contract:
        item = self.compiled[name]
        factory = self.w3.eth.contract(abi=item.abi, bytecode=item.bytecode)
        receipt = self._mined(
            factory.constructor(*args).transact(
                {"from": address_of(sender), "value": value, "gas": DEPLOY_GAS}
            )
        )
        return self.at(name, receipt["contractAddress"])

    def at(self, name: str, address: str) -> Contract:
        return direct_contract(self.w3, address, self.compiled[name].abi)

    def _mined(self, transaction: HexBytes) -> Any:
        receipt = self.w3.eth.wait_for_transaction_receipt(transaction, poll_latency=0.005)
        if receipt["status"] == 0:
            trace = self.rpc(
                "debug_traceTransaction", transaction.to_0x_hex(), {"tracer": "callTracer"}
            )
            raise Reverted(bytes(HexBytes(trace.get("output", "0x"))))
        return receipt

    # -- reverts ---------------------------------------------------------------------------------

    def decode_error(self, data: bytes) -> tuple[str, tuple[Any, ...]]:
        """Name and arguments of a custom error, or of Solidity's Error(string), Panic(uint256)."""
        builtin = {
            b"\x08\xc3\x79\xa0": ("Error", "string"),
            b"\x4e\x48\x7b\x71": ("Panic", "uint256"),
        }
        if data[:4] in builtin:
            name, kind = builtin[data[:4]]
            return name, decode([kind], data[4:])
        item = self.errors.get(data[:4])
        if item is None:
            return f"unknown:{data[:4].hex()}", ()
        kinds = [collapse_if_tuple(dict(argument)) for argument in item["inputs"]]
        return item["name"], tuple(
            to_checksum_address(value) if kind == "address" else value
            for kind, value in zip(kinds, decode(kinds, data[4:]), strict=True)
        )

    @contextmanager
    def expect_revert(self, name: str, *args: Any) -> Iterator[None]:
        """The block reverts with this custom error; its values are compared where any are given.

        `unittest.mock.ANY` stands for any value.
        """
        try:
            yield
        except Reverted as error:
            data = error.data
        except ContractLogicError as error:
            data = bytes(HexBytes(error.data)) if isinstance(error.data, str) else b""
        else:
            raise AssertionError(f"no revert, expected {name}")
        found, values = self.decode_error(data)
        assert found == name, f"reverted with {found}{values}, expected {name}{args}"
        if args:
            assert list(values) == [_plain(arg) for arg in args], f"{found}{values}"


def events(contract: Contract, name: str, receipt: Any) -> list[dict[str, Any]]:
    """The arguments of the events of one name that a transaction left."""
    found: Callable[[Any], Sequence[Any]] = contract.events[name]().process_receipt
    own = [log for log in receipt["logs"] if log["address"] == contract.address]
    topic = HexBytes(keccak(text=abi_to_signature(contract.events[name]().abi)))
    wanted = {**receipt, "logs": [log for log in own if log["topics"][0] == topic]}
    return [dict(event["args"]) for event in found(wanted)]


def address_of(account: Address) -> str:
    return account if isinstance(account, str) else account.address


def _plain(value: Any) -> Any:
    if isinstance(value, LocalAccount):
        return value.address
    return bytes(value) if isinstance(value, HexBytes) else value
