"""The only place that sends transactions.

Fees follow EIP-1559. The nonce is the node's pending count, so that transactions from other
processes on the same account are counted; our own count may be ahead for a moment. A call that was
sent but not yet mined is never sent twice: a repeated call, after a timeout or from another thread,
waits for the pending transaction.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from eth_utils.crypto import keccak

from fedpact.chain.abi import reverted
from fedpact.chain.addresses import checksum
from fedpact.chain.faults import RpcError
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.nodes import Nodes
from fedpact.chain.records import Call, Event, Receipt
from fedpact.errors import (
    FedpactError,
    NodeUnreachable,
    Reverted,
    TransactionTimeout,
    UnfundedAccount,
)

log = logging.getLogger(__name__)

GAS_MARGIN_PERCENT = 25
"""On top of the estimate: meanwhile another member's transaction may have made this one the last
of its phase, which then does a little more."""
GAS_MARGIN = 25_000
FIRST_POLL = 0.003
"""Seconds; a node that mines at once (Anvil) has the receipt within milliseconds."""
POLL_GROWTH = 1.6
LAST_POLL = 1.0
THOROUGH_FROM = 0.2
"""From this delay on, polls also check whether another transaction took the nonce."""
OVERTAKEN_LOOKS = 3
"""Polls in a row; a node may count a transaction shortly before it returns the receipt."""
FEES_GOOD_FOR = 5.0
"""Seconds. The fee cap is twice the base fee, which rises by at most 1/8 per block."""
BUMP_AFTER = 30.0
"""Seconds without a receipt until the transaction is replaced by one with higher fees."""
BUMP_PERCENT = 25
"""Nodes refuse a replacement whose fees are less than 10 % higher."""
ATTEMPTS = 5
"""How often a transaction is rebuilt if its nonce was taken or fees rose."""

_ALREADY_THERE = ("already known", "already imported", "known transaction", "alreadyknown")
_NONCE_TAKEN = ("nonce too low", "nonce is too low", "replacement transaction", "invalid nonce")
_FEE_TOO_LOW = ("less than block base fee", "fee cap less than", "underpriced", "gas price too low")


@dataclass
class _Pending:
    """A pending transaction and its replacements; all have the same nonce."""

    nonce: int
    gas: int
    max_fee: int
    tip: int
    raw: bytes = b""
    overtaken: int = 0
    """Polls in a row that found the nonce used and no receipt of ours."""
    hashes: list[str] = field(default_factory=list)


class _Account:
    """Pending transactions of one address. The lock is held while one is built."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.pending: dict[Call, _Pending] = {}


@dataclass(frozen=True)
class _Fees:
    base: int
    tip: int
    known_at: float


class Sender:
    """Sends calls and waits for their receipts; threads may share one.

    `decode` turns a log entry into an Event or None.
    """

    def __init__(
        self,
        rpc: Nodes,
        chain_id: int,
        decode: Callable[[dict[str, Any]], Event | None],
        *,
        timeout: float = 180.0,
        bump_after: float = BUMP_AFTER,
    ) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._decode = decode
        self._timeout = timeout
        self._bump_after = bump_after
        self._lock = RLock()
        self._accounts: dict[str, _Account] = {}
        self._fees: _Fees | None = None

    def send(self, keys: AccountKeys, call: Call) -> Receipt:
        """Send `call` from the account and wait until it is mined.

        Raises Reverted (the contract refuses, before or after mining), UnfundedAccount,
        TransactionTimeout (not mined in time; repeating the call continues the wait),
        NodeUnreachable.
        """
        with self._lock:
            account = self._accounts.setdefault(keys.address, _Account())
        for _ in range(ATTEMPTS):
            with account.lock:
                pending = account.pending.get(call)
                if pending is None:
                    pending = self._submit(keys, call, account)
                else:
                    self._broadcast_again(pending)
            mined = self._wait(keys, call, account, pending)
            with account.lock:
                if account.pending.get(call) is pending:
                    del account.pending[call]
            if mined is not None:
                return self._receipt(keys, call, pending, mined)
            log.info("%s: nonce %d was taken by another program", call.action, pending.nonce)
        raise TransactionTimeout(
            f"{call.action}: other transactions of {keys.address} took the nonce {ATTEMPTS} times:"
            " does another program use the account?"
        )

    # Making and broadcasting

    def _submit(self, keys: AccountKeys, call: Call, account: _Account) -> _Pending:
        for attempt in range(ATTEMPTS):
            pending = self._prepare(keys, call, account)
            self._sign(keys, call, pending)
            # Record it first: if the connection breaks now, it may still have arrived.
            account.pending[call] = pending
            try:
                self._rpc.call("eth_sendRawTransaction", "0x" + pending.raw.hex())
                return pending
            except RpcError as error:
                if _says(error, _ALREADY_THERE):
                    return pending
                del account.pending[call]
                self._fees = None
                if not _says(error, _NONCE_TAKEN + _FEE_TOO_LOW):
                    self._explain_refusal(keys, call, pending, error)
                log.info("%s: %s; rebuilding the transaction", call.action, error.message)
                time.sleep(0.01 * 2**attempt)
                last = error
        raise TransactionTimeout(f"{call.action}: refused {ATTEMPTS} times: {last.message}")

    def _prepare(self, keys: AccountKeys, call: Call, account: _Account) -> _Pending:
        """Estimate, nonce and fees in one round trip."""
        requests: list[tuple[str, list[Any]]] = [
            ("eth_estimateGas", [_parameters(keys, call)]),
            ("eth_getTransactionCount", [keys.address, "pending"]),
        ]
        fees = self._fees
        if fees is None or time.monotonic() - fees.known_at > FEES_GOOD_FOR:
            requests += [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_maxPriorityFeePerGas", []),
            ]
        estimate, count, *news = self._rpc.batch(requests)
        if isinstance(estimate, RpcError):
            self._explain_estimate(keys, call, estimate)
        if isinstance(count, RpcError):
            raise count
        if news:
            fees = self._fees = _fees(*news)
        assert fees is not None
        ours = [pending.nonce + 1 for pending in account.pending.values()]
        return _Pending(
            nonce=max([int(count, 16), *ours]),
            gas=int(estimate, 16) * (100 + GAS_MARGIN_PERCENT) // 100 + GAS_MARGIN,
            max_fee=2 * fees.base + fees.tip,
            tip=fees.tip,
        )

    def _sign(self, keys: AccountKeys, call: Call, pending: _Pending) -> None:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": pending.nonce,
            "gas": pending.gas,
            "maxFeePerGas": pending.max_fee,
            "maxPriorityFeePerGas": pending.tip,
            "value": call.value,
            "data": call.data,
        }
        if call.to is not None:
            transaction["to"] = checksum(call.to)
        pending.raw = bytes(keys.signer.sign_transaction(transaction).raw_transaction)
        pending.hashes.append("0x" + keccak(pending.raw).hex())

    def _broadcast_again(self, pending: _Pending) -> None:
        try:
            self._rpc.call("eth_sendRawTransaction", "0x" + pending.raw.hex())
        except RpcError as error:
            # Known, mined meanwhile, or dropped: waiting for the receipt will show which.
            log.debug("broadcast again: %s", error.message)

    # Waiting

    def _wait(
        self, keys: AccountKeys, call: Call, account: _Account, pending: _Pending
    ) -> dict[str, Any] | None:
        """The receipt; None if another transaction took the nonce, so there will be none."""
        deadline = time.monotonic() + self._timeout
        bump_at = time.monotonic() + self._bump_after
        delay = FIRST_POLL
        while True:
            try:
                mined = self._look(keys, pending, thorough=delay >= THOROUGH_FROM)
                if mined is not None or pending.overtaken >= OVERTAKEN_LOOKS:
                    return mined
                if time.monotonic() > bump_at:
                    self._bump(keys, call, account, pending)
                    bump_at = time.monotonic() + self._bump_after
            except NodeUnreachable as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("%s: waiting for the receipt: %s", call.action, error)
            if time.monotonic() > deadline:
                raise TransactionTimeout(
                    f"{call.action}: transaction {pending.hashes[-1]} (nonce {pending.nonce}) was"
                    f" not mined within {self._timeout:g} s"
                )
            time.sleep(delay)
            delay = min(delay * POLL_GROWTH, LAST_POLL)

    def _look(
        self, keys: AccountKeys, pending: _Pending, *, thorough: bool
    ) -> dict[str, Any] | None:
        """The receipt, if any; `thorough` also checks whether there can still be one."""
        if not thorough and len(pending.hashes) == 1:
            found = self._rpc.call("eth_getTransactionReceipt", pending.hashes[0])
            return found if found is None else dict(found)
        used = int(self._rpc.call("eth_getTransactionCount", keys.address, "latest"), 16)
        # Receipts after the count: in this order, a missing receipt is not merely late.
        for answer in self._rpc.batch([("eth_getTransactionReceipt", [h]) for h in pending.hashes]):
            if isinstance(answer, dict):
                return answer
        pending.overtaken = pending.overtaken + 1 if used > pending.nonce else 0
        return None

    def _bump(self, keys: AccountKeys, call: Call, account: _Account, pending: _Pending) -> None:
        """Replace the transaction by one with higher fees."""
        with account.lock:
            fees = _fees(
                *self._rpc.batch(
                    [
                        ("eth_getBlockByNumber", ["latest", False]),
                        ("eth_maxPriorityFeePerGas", []),
                    ]
                )
            )
            raised = (100 + BUMP_PERCENT) * pending.tip // 100 + 1
            pending.tip = max(raised, fees.tip)
            raised = (100 + BUMP_PERCENT) * pending.max_fee // 100 + 1
            pending.max_fee = max(raised, 2 * fees.base + pending.tip)
            self._sign(keys, call, pending)
            log.info("%s: not mined yet, raising the fee to %d", call.action, pending.max_fee)
            self._broadcast_again(pending)

    # Outcomes

    def _receipt(
        self, keys: AccountKeys, call: Call, pending: _Pending, mined: dict[str, Any]
    ) -> Receipt:
        block = int(mined["blockNumber"], 16)
        gas_used = int(mined["gasUsed"], 16)
        if int(mined["status"], 16) == 0:
            raise self._why_reverted(keys, call, pending, block, gas_used)
        decoded = (self._decode(entry) for entry in mined["logs"])
        return Receipt(
            tx_hash=mined["transactionHash"],
            block=block,
            gas_used=gas_used,
            status=1,
            events=tuple(event for event in decoded if event is not None),
            created=mined.get("contractAddress"),
        )

    def _why_reverted(
        self, keys: AccountKeys, call: Call, pending: _Pending, block: int, gas_used: int
    ) -> Reverted:
        """Receipts give no reason: repeat the call on the state after the block."""
        try:
            self._rpc.call("eth_call", _parameters(keys, call), hex(block))
        except RpcError as error:
            if error.data is not None:
                return reverted(error.data, call.action)
        # The caller of a call that runs out of gas keeps 1/64 (EIP-150).
        out_of_gas = gas_used >= pending.gas * 63 // 64
        return Reverted("OutOfGas" if out_of_gas else "NoReason", action=call.action)

    def _explain_estimate(self, keys: AccountKeys, call: Call, error: RpcError) -> None:
        if error.data is not None or "revert" in error.message.lower():
            raise reverted(error.data, call.action) from error
        self._explain_refusal(keys, call, None, error)

    def _explain_refusal(
        self, keys: AccountKeys, call: Call, pending: _Pending | None, error: RpcError
    ) -> None:
        """Raise UnfundedAccount if the balance is the reason, else what the node said."""
        needed = call.value + (pending.gas * pending.max_fee if pending else 0)
        balance = int(self._rpc.call("eth_getBalance", keys.address, "latest"), 16)
        if balance < needed or (pending is None and balance == 0):
            raise UnfundedAccount(
                f"{call.action}: account {keys.address} holds {balance} wei and may have to pay"
                f" {needed} wei: fund it"
            ) from error
        raise error


def _parameters(keys: AccountKeys, call: Call) -> dict[str, str]:
    parameters = {
        "from": keys.address,
        "data": "0x" + call.data.hex(),
        "value": hex(call.value),
    }
    return parameters if call.to is None else {**parameters, "to": call.to}


def _fees(block: Any, tip: Any) -> _Fees:
    if isinstance(block, RpcError):
        raise block
    if block is None or "baseFeePerGas" not in block:
        raise FedpactError("the node's blocks have no base fee: a chain with EIP-1559 is needed")
    # Not all nodes suggest a tip; 1 gwei is what the others suggest when idle.
    suggested = 10**9 if isinstance(tip, RpcError) else int(tip, 16)
    return _Fees(int(block["baseFeePerGas"], 16), suggested, time.monotonic())


def _says(error: RpcError, phrases: tuple[str, ...]) -> bool:
    message = error.message.lower()
    return any(phrase in message for phrase in phrases)
