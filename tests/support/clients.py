"""Ethereum clients other than Anvil, each as a chain of its own: Hardhat, EthereumJS.

They serve `running_network` in place of a Devnet. Hardhat mines a block for each transaction and
one each second; EthereumJS is a real execution client, for which `Consensus` does what a consensus
client would.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount

from fedpact.chain.devnet import PLENTY
from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.child_process import ChildProcess
from fedpact.closing import Closing
from fedpact.content.ipfs_node import node_executable
from fedpact.demo.network import free_port
from tests.support.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
ON_DEMAND = ROOT / "tests/clients/node_modules"
"""What `make clients` installs."""
HARDHAT = ON_DEMAND / "hardhat/internal/cli/bootstrap.js"
ETHEREUMJS = ON_DEMAND / "@ethereumjs/client/dist/esm/bin/cli.js"
SLOT_SECONDS = 1.0
CHAIN_ID = 4242
NOTHING = "0x" + "00" * 32
NOBODY = "0x" + "00" * 20
DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployer, which public networks and Anvil have; its code follows
(github.com/Arachnid/deterministic-deployment-proxy)."""
DEPLOYER_CODE = (
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)


class Client(Closing):
    """What a test's network needs of a chain."""

    def __init__(self, child: ChildProcess, url: str) -> None:
        self.child, self.url = child, url
        self.rpc = Nodes(url)

    @classmethod
    @abstractmethod
    def start(cls, folder: Path) -> Client:
        """With its files in a folder."""

    @abstractmethod
    def fund(self, address: str, wei: int = PLENTY) -> None:
        """See that an account has this much."""

    def new_account(self) -> AccountKeys:
        keys = AccountKeys(Account.create())
        self.fund(keys.address)
        return keys

    def close(self) -> None:
        self.rpc.close()
        self.child.stop()


class Hardhat(Client):
    @classmethod
    def start(cls, folder: Path) -> Hardhat:
        # It runs where it is installed, with the configuration of that folder.
        child = _started(folder, HARDHAT, ["node", "--port", str(free_port())], ON_DEMAND.parent)
        address = child.wait_for(re.compile(r"server at (http://\S+?:\d+)"), PATIENCE)[1]
        client = cls(child, address)
        client.rpc.call("hardhat_setCode", DEPLOYER, DEPLOYER_CODE)
        return client

    def fund(self, address: str, wei: int = PLENTY) -> None:
        self.rpc.call("hardhat_setBalance", address, hex(wei))


class EthereumJS(Client):
    """Knows no EIP-1898 and no `eth_maxPriorityFeePerGas`."""

    def __init__(
        self, child: ChildProcess, url: str, consensus: Consensus, rich: LocalAccount
    ) -> None:
        super().__init__(child, url)
        self._consensus, self._rich = consensus, rich
        self._funded = 0

    @classmethod
    def start(cls, folder: Path) -> EthereumJS:
        folder.mkdir(parents=True, exist_ok=True)
        rich: LocalAccount = Account.create()
        genesis = folder / "genesis.json"
        genesis.write_text(json.dumps(_genesis({rich.address: 10**30})))
        port, engine = free_port(), free_port()
        options = ["--gethGenesis", str(genesis), "--dataDir", str(folder / "chain")]
        options += ["--isSingleNode", "--port", str(free_port())]
        options += ["--rpc", "--rpcPort", str(port)]
        options += ["--rpcEngine", "--rpcEnginePort", str(engine), "--rpcEngineAuth=false"]
        child, url = _started(folder, ETHEREUMJS, options), f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), lambda: child.output[-3000:])
        return cls(child, url, Consensus(url, f"http://127.0.0.1:{engine}"), rich)

    def fund(self, address: str, wei: int = PLENTY) -> None:
        """By a transaction that is mined when this returns."""
        payment = {
            "to": address,
            "value": wei,
            "gas": 21_000,
            "maxFeePerGas": 10**12,
            "maxPriorityFeePerGas": 10**9,
            "nonce": self._funded,
            "chainId": CHAIN_ID,
        }
        self._funded += 1
        raw = self._rich.sign_transaction(payment).raw_transaction.hex()
        self.rpc.call("eth_sendRawTransaction", f"0x{raw.removeprefix('0x')}")
        wait_until(
            lambda: int(self.rpc.call("eth_getBalance", address, "latest"), 16) >= wei,
            lambda: self.child.output[-3000:],
        )

    def close(self) -> None:
        self._consensus.close()
        super().close()


class Consensus(Closing):
    """Asks an execution client for a block each slot, and has it take the block as its head (Engine
    API at Cancun), in a thread."""

    def __init__(self, node: str, engine: str) -> None:
        self._node, self._engine = node, engine
        self._over = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        head = _asked(self._node, "eth_getBlockByNumber", "latest", False)
        parent, stamp = head["hash"], int(head["timestamp"], 16)
        while not self._over.is_set():
            stamp = max(int(time.time()), stamp + 1)
            parent = self._slot(parent, stamp)

    def _slot(self, parent: str, stamp: int) -> str:
        """The hash of the block that is built on another one."""
        state = {"headBlockHash": parent, "safeBlockHash": parent, "finalizedBlockHash": NOTHING}
        wanted = {
            "timestamp": hex(stamp),
            "prevRandao": f"0x{secrets.token_hex(32)}",
            "suggestedFeeRecipient": NOBODY,
            "withdrawals": [],
            "parentBeaconBlockRoot": NOTHING,
        }
        begun = self._call("engine_forkchoiceUpdatedV3", state, wanted)
        self._over.wait(SLOT_SECONDS)
        block = self._call("engine_getPayloadV3", begun["payloadId"])["executionPayload"]
        self._call("engine_newPayloadV3", block, [], NOTHING)
        head = str(block["blockHash"])
        self._call(
            "engine_forkchoiceUpdatedV3", {**state, "headBlockHash": head, "safeBlockHash": head}
        )
        return head

    def _call(self, method: str, *params: Any) -> Any:
        return _asked(self._engine, method, *params)


def _started(folder: Path, program: Path, options: list[str], run_in: Path = ROOT) -> ChildProcess:
    command = ["env", "-C", str(run_in), node_executable(), str(program), *options]
    return ChildProcess.start(command, folder / "client.log")


def _asked(url: str, method: str, *params: Any) -> Any:
    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx.post(url, json=asked, timeout=30, trust_env=False).json()
    assert "error" not in answer, f"{method}: {answer['error']}"
    return answer["result"]


def _answers(url: str) -> bool:
    try:
        return bool(_asked(url, "eth_chainId"))
    except httpx.TransportError:
        return False


def _genesis(funded: Mapping[str, int]) -> dict[str, Any]:
    """As geth writes it, with Cancun from the first block on."""
    forks = "homestead eip150 eip155 eip158 byzantium constantinople petersburg istanbul berlin"
    config: dict[str, Any] = {f"{name}Block": 0 for name in f"{forks} london".split()}
    config |= {"chainId": CHAIN_ID, "mergeNetsplitBlock": 0, "shanghaiTime": 0, "cancunTime": 0}
    balances = {account[2:].lower(): {"balance": hex(wei)} for account, wei in funded.items()}
    config |= {"terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": True}
    return {
        "config": config,
        "nonce": "0x0",
        "timestamp": "0x0",
        "extraData": f"0x{secrets.token_hex(8)}",
        "gasLimit": hex(30_000_000),
        "difficulty": "0x0",
        "mixHash": NOTHING,
        "coinbase": NOBODY,
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": NOTHING,
        "baseFeePerGas": "0x7",
        "alloc": {DEPLOYER[2:].lower(): {"balance": "0x0", "code": DEPLOYER_CODE}, **balances},
    }
