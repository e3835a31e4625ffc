"""One connection to one deployment on one chain: reads, transactions and decoded log entries."""

from collections.abc import Sequence
from typing import Any, Self

from fedpact.chain.abi import MARKET, REGISTRY, RESALE, ROUNDS, contract_abi, reverted
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Call, Event, Frame, Receipt
from fedpact.chain.rpc import Request, Rpc, RpcError
from fedpact.chain.transactions import Sender
from fedpact.errors import DeploymentError, FedpactError, Retryable
from fedpact.types.deployment import Deployment


class FrameGone(Retryable):
    """A frame's block is no longer part of the chain (reorganised), or no longer known."""


class Connection:
    """Reads and writes; threads may share one. Made by `connect`."""

    def __init__(self, rpc: Rpc, chain_id: int, genesis_hash: str, deployment: Deployment | None):
        self.rpc = rpc
        self.chain_id = chain_id
        self.genesis_hash = genesis_hash
        self._deployment = deployment
        self._names: dict[str, str] = {}
        if deployment is not None:
            self._names = {
                deployment.registry.lower(): REGISTRY,
                deployment.market.lower(): MARKET,
                deployment.rounds.lower(): ROUNDS,
            }
            if deployment.resale is not None:
                self._names[deployment.resale.lower()] = RESALE
        self._sender = Sender(rpc, chain_id, self.decode)

    @classmethod
    def connect(cls, endpoint: str, deployment: Deployment | None, *, timeout: float = 10) -> Self:
        """Connect, and check that it is the chain of the deployment.

        `timeout` in seconds for each answer. Raises NodeUnreachable, DeploymentError.
        """
        rpc = Rpc(endpoint, timeout)
        requests: list[Request] = [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])]
        if deployment is not None:
            requests.append(("eth_getCode", [deployment.market, "latest"]))
        answers = rpc.batch(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        chain_id, genesis_hash = int(answers[0], 16), str(answers[1]["hash"])
        if deployment is not None:
            _check(rpc.shown, deployment, chain_id, genesis_hash, code=answers[2])
        return cls(rpc, chain_id, genesis_hash, deployment)

    @property
    def deployment(self) -> Deployment:
        """Raises DeploymentError if the client was connected without one."""
        if self._deployment is None:
            raise DeploymentError("no deployment: name its file, or deploy the contracts")
        return self._deployment

    def frame(self, confirmations: int = 0) -> Frame:
        """The block `confirmations` blocks below the latest (never below the first)."""
        block = self.rpc.call("eth_getBlockByNumber", "latest", False)
        if confirmations:
            number = max(0, int(block["number"], 16) - confirmations)
            block = self.rpc.call("eth_getBlockByNumber", hex(number), False)
        return _frame(block)

    def frame_at(self, number: int) -> Frame | None:
        """The block with this number; None if the chain is shorter."""
        block = self.rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if block is None else _frame(block)

    def read(self, calls: Sequence[Call], block: BlockReference = None) -> list[bytes]:
        """Results of view functions, in one round trip.

        Raises Reverted if one refuses, FrameGone if the frame's block is gone, DeploymentError if
        there is no contract at the address.
        """
        at = _block_parameter(block)
        requests = [
            ("eth_call", [{"to": call.to, "data": "0x" + call.data.hex()}, at]) for call in calls
        ]
        if len(requests) == 1:
            try:
                answers = [self.rpc.call(*_spread(requests[0]))]
            except RpcError as error:
                answers = [error]
        else:
            answers = self.rpc.batch(requests)
        return [_returned(call, answer, block) for call, answer in zip(calls, answers, strict=True)]

    def send(self, keys: AccountKeys, call: Call) -> Receipt:
        """Send a contract function and wait until it is mined; see Sender.send."""
        return self._sender.send(keys, call)

    def balance(self, address: str) -> int:
        """Wei."""
        return int(self.rpc.call("eth_getBalance", address, "latest"), 16)

    def gas_used(self, tx_hash: str) -> int:
        """Gas of a mined transaction; FedpactError if the node does not know the hash."""
        receipt = self.rpc.call("eth_getTransactionReceipt", tx_hash)
        if receipt is None:
            raise FedpactError(f"the node knows no mined transaction {tx_hash}")
        return int(receipt["gasUsed"], 16)

    def decode(self, log: dict[str, Any]) -> Event | None:
        """A log entry; None if it is of no contract of the deployment or an unknown event."""
        name = self._names.get(log["address"].lower())
        return contract_abi(name).event(log) if name else None

    def close(self) -> None:
        self.rpc.close()


def _check(
    shown: str, deployment: Deployment, chain_id: int, genesis_hash: str, *, code: str
) -> None:
    if chain_id != deployment.chain_id:
        raise DeploymentError(
            f"the node {shown} is on chain {chain_id}, the deployment on {deployment.chain_id}"
        )
    if genesis_hash.lower() != deployment.genesis_hash.lower():
        raise DeploymentError(
            f"the node {shown} is on another chain with the id {chain_id}: its first block is"
            f" {genesis_hash}, the deployment's {deployment.genesis_hash} (a restarted local chain"
            " needs a new deployment)"
        )
    if code in ("0x", "0x0"):
        raise DeploymentError(
            f"no contract at {deployment.market} on chain {chain_id}: the deployment file names"
            " contracts that do not exist"
        )


def _frame(block: dict[str, Any]) -> Frame:
    return Frame(int(block["number"], 16), block["hash"], int(block["timestamp"], 16))


def _block_parameter(block: BlockReference) -> str | dict[str, str]:
    if block is None:
        return "latest"
    if isinstance(block, int):
        return hex(block)
    return {"blockHash": block.block_hash}  # EIP-1898


def _spread(request: Request) -> tuple[Any, ...]:
    method, params = request
    return method, *params


def _returned(call: Call, answer: Any, block: BlockReference) -> bytes:
    if isinstance(answer, RpcError):
        if answer.data is not None or "revert" in answer.message.lower():
            raise reverted(answer.data, call.action) from answer
        if isinstance(block, Frame):
            raise FrameGone(
                f"{call.action}: block {block.block_number} ({block.block_hash}) cannot be read:"
                f" {answer.message}"
            ) from answer
        raise answer
    if answer == "0x":
        raise DeploymentError(f"{call.action}: no contract at {call.to}")
    return bytes.fromhex(answer[2:])
