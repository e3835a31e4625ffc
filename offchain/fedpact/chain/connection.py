"""One connection to one deployment on one chain: reads, transactions and decoded log entries."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from fedpact.chain.abi import contract_abi, reverted
from fedpact.chain.contract_wallets import WalletSignatures, sent_for
from fedpact.chain.failover import Nodes, WrongChain
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.log_ranges import Reach
from fedpact.chain.node import Node, Request
from fedpact.chain.node_errors import FaultKind, RpcError
from fedpact.chain.outbox import Outbox
from fedpact.chain.records import BlockReference, Call, Event, Frame, Receipt
from fedpact.chain.sender import Sender
from fedpact.errors import (
    DeploymentError,
    FedpactError,
    NodeUnreachable,
    Retryable,
    SettingsError,
)
from fedpact.types.deployment import Deployment


class FrameGone(Retryable):
    """A frame's block is no longer part of the chain (reorganised), or no longer known."""


class NodesDisagree(Retryable):
    """The nodes do not name the same block, or too few of them answer."""


class Connection:
    """Reads and writes; threads may share one. Made by `connect`."""

    def __init__(
        self,
        rpc: Nodes,
        chain_id: int,
        genesis_hash: str,
        deployment: Deployment | None,
        *,
        outbox: Path | None = None,
        max_fee: int | None = None,
        quorum: int = 1,
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self.genesis_hash = genesis_hash
        self._quorum = quorum
        self._deployment = deployment
        self.reach = Reach()
        self.wallets = WalletSignatures(rpc)
        self._below: tuple[str, Frame | None] = ("", None)
        """The hash of a head, and the confirmed block below it that was asked for last."""
        self._names: dict[str, str] = {}
        if deployment is not None:
            self._names = {at.lower(): name for name, at in deployment.contracts.items()}
        self.sender = Sender(
            rpc, chain_id, self.decode, outbox=Outbox(genesis_hash, outbox), max_fee=max_fee
        )

    @classmethod
    def connect(
        cls,
        endpoint: str | Sequence[str],
        deployment: Deployment | None,
        *,
        timeout: float = 10,
        calls_per_minute: int = 0,
        outbox: Path | None = None,
        max_fee: int | None = None,
        quorum: int = 1,
    ) -> Self:
        """Connect to one or several nodes of the deployment's chain.

        Every node is checked before it is used, and left out if it is on another chain.
        `timeout` in seconds for each answer; `calls_per_minute` at each node, 0: any number;
        `outbox`: the file that keeps transactions under way (None: only this process knows them);
        `max_fee`: the most wei for a gas; `quorum`: see `agree`.
        Raises NodeUnreachable, DeploymentError; SettingsError for a quorum of too many nodes.
        """
        given = 1 if isinstance(endpoint, str) else len(endpoint)
        if quorum > given:
            raise SettingsError(f"a quorum of {quorum} needs as many nodes, not {given}")
        rpc = Nodes(endpoint, timeout, calls_per_minute)
        chain = _Chain(deployment)
        rpc.require(chain.check)
        return cls(
            rpc,
            chain.chain_id,
            chain.genesis_hash,
            deployment,
            outbox=outbox,
            max_fee=max_fee,
            quorum=quorum,
        )

    @property
    def deployment(self) -> Deployment:
        """Raises DeploymentError if the client was connected without one."""
        if self._deployment is None:
            raise DeploymentError("no deployment: name its file, or deploy the contracts")
        return self._deployment

    def frame(self, confirmations: int = 0) -> Frame:
        """The block `confirmations` blocks below the latest (never below the first)."""
        latest = self.frame_of(self.rpc.head(self.sender.mined_block))
        if not confirmations:
            return latest
        above, frame = self._below
        number = max(0, latest.block_number - confirmations)
        if frame is None or above != latest.block_hash or frame.block_number != number:
            frame = self.frame_at(number)
            if frame is None:
                raise FrameGone(f"the node knows no block {number}, below its own head")
            self._below = latest.block_hash, frame
        return frame

    def follow_heads(self, on_head: Callable[[], None] = lambda: None) -> None:
        """From now on, have nodes that are reached over WebSocket push new heads, for which `frame`
        then need not ask; `on_head` is called for each, in other threads."""
        self.rpc.follow_heads(on_head)

    def frame_at(self, number: int) -> Frame | None:
        """The block with this number; None if the chain is shorter."""
        try:
            block = self.rpc.call("eth_getBlockByNumber", hex(number), False)
        except RpcError as error:
            if error.fault.kind is FaultKind.TRANSIENT and "block" in error.message.lower():
                return None  # Some nodes refuse what others answer with null.
            raise
        return None if block is None else self.frame_of(block)

    def frame_of(self, block: Any) -> Frame:
        """A node's block as a frame; NodeUnreachable if it is none."""
        try:
            return Frame(
                int(block["number"], 16),
                str(block["hash"]),
                int(block["timestamp"], 16),
                str(block["parentHash"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NodeUnreachable(
                f"{self.rpc.shown} returned something that is not a block"
            ) from error

    def agree(self, frame: Frame) -> None:
        """Require that as many nodes as the quorum know this block, and that none names another.

        A single node can invent a branch or hold one back; two that are run by different people
        hardly invent the same. Raises NodesDisagree.
        """
        if self._quorum <= 1:
            return
        named = self.rpc.hashes_of(frame.block_number)
        others = {one for one in named.values() if one is not None} - {frame.block_hash}
        agreeing = sum(one == frame.block_hash for one in named.values())
        if others:
            raise NodesDisagree(
                f"block {frame.block_number} is {frame.block_hash} at {agreeing} nodes, and"
                f" {', '.join(sorted(others))} at others: one of them lags behind a fork, or lies"
            )
        if agreeing < self._quorum:
            raise NodesDisagree(
                f"only {agreeing} of {self._quorum} nodes know block {frame.block_number} by now"
            )

    def read(self, calls: Sequence[Call], block: BlockReference = None) -> list[bytes]:
        """Results of view functions, in one round trip; none for no calls.

        Raises Reverted if one refuses, FrameGone if the frame's block is gone, DeploymentError if
        there is no contract at the address.
        """
        if not calls:
            return []
        asked = [{"to": str(call.to), "data": "0x" + call.data.hex()} for call in calls]
        if isinstance(block, Frame):
            try:
                answers = self.rpc.read_at([("eth_call", [one]) for one in asked], block)
            except RpcError as error:
                raise _gone(calls[0], block, error) from error
        else:
            at = "latest" if block is None else hex(block)
            answers = self.rpc.batch([("eth_call", [one, at]) for one in asked])
        return [_returned(call, answer, block) for call, answer in zip(calls, answers, strict=True)]

    def send(self, keys: AccountKeys, call: Call) -> Receipt:
        """Send a contract function and wait until it is mined; see Sender.send."""
        return self.sender.send(keys, sent_for(keys, call))

    def balance(self, address: str, frame: Frame | None = None) -> int:
        """Wei; at the latest block by default."""
        if frame is None:
            return int(self.rpc.call("eth_getBalance", address, "latest"), 16)
        [balance] = self.rpc.read_at([("eth_getBalance", [address])], frame)
        if isinstance(balance, RpcError):
            raise balance
        return int(balance, 16)

    def gas_used(self, tx_hash: str) -> int:
        """Gas of a mined transaction; FedpactError if the node does not know the hash."""
        receipt = self.rpc.call("eth_getTransactionReceipt", tx_hash)
        if receipt is None:
            raise FedpactError(f"the node knows no mined transaction {tx_hash}")
        return int(receipt["gasUsed"], 16)

    def decode(self, log: dict[str, Any]) -> Event | None:
        """A log entry; None if it is of no contract of the deployment or an unknown event."""
        name = self._names.get(log["address"].lower())
        return contract_abi(name, self.deployment.protocol).event(log) if name else None

    def close(self) -> None:
        self.sender.close()
        self.rpc.close()


class _Chain:
    """The chain that all nodes must be on: the deployment's, else the first node's."""

    def __init__(self, deployment: Deployment | None) -> None:
        self._deployment = deployment
        self.chain_id = 0
        self.genesis_hash = ""

    def check(self, node: Node) -> None:
        """Raises WrongChain."""
        requests: list[Request] = [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])]
        if self._deployment is not None:
            requests.append(("eth_getCode", [self._deployment.market, "latest"]))
        answers = node.batch(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        if not isinstance(answers[0], str) or not isinstance(answers[1], dict):
            raise NodeUnreachable(f"{node.shown} does not report its chain")
        chain_id, genesis_hash = int(answers[0], 16), str(answers[1]["hash"])
        if self._deployment is not None:
            _check(node.shown, self._deployment, chain_id, genesis_hash, code=answers[2])
        elif self.genesis_hash and (chain_id, genesis_hash) != (self.chain_id, self.genesis_hash):
            raise WrongChain(f"the node {node.shown} is on another chain than the first one")
        self.chain_id, self.genesis_hash = chain_id, genesis_hash


def _check(
    shown: str, deployment: Deployment, chain_id: int, genesis_hash: str, *, code: str
) -> None:
    if chain_id != deployment.chain_id:
        raise WrongChain(
            f"the node {shown} is on chain {chain_id}, the deployment on {deployment.chain_id}"
        )
    if genesis_hash.lower() != deployment.genesis_hash.lower():
        raise WrongChain(
            f"the node {shown} is on another chain with the id {chain_id}: its first block is"
            f" {genesis_hash}, the deployment's {deployment.genesis_hash} (a restarted local chain"
            " needs a new deployment)"
        )
    if code in ("0x", "0x0"):
        raise WrongChain(
            f"no contract at {deployment.market} on chain {chain_id}: the deployment file names"
            " contracts that do not exist"
        )


def _returned(call: Call, answer: Any, block: BlockReference) -> bytes:
    if isinstance(answer, RpcError):
        if answer.fault.kind is FaultKind.REVERT:
            raise reverted(answer.data, call.action) from answer
        if isinstance(block, Frame):
            raise _gone(call, block, answer) from answer
        raise answer
    if answer == "0x":
        raise DeploymentError(f"{call.action}: no contract at {call.to}")
    return bytes.fromhex(answer[2:])


def _gone(call: Call, block: Frame, error: RpcError) -> Retryable:
    """What a refusal at a frame means; one for too many calls says nothing about the block."""
    if error.fault.kind in (FaultKind.QUOTA, FaultKind.PERMANENT):
        return error
    return FrameGone(
        f"{call.action}: block {block.block_number} ({block.block_hash}) cannot be read:"
        f" {error.message}"
    )
