"""The only place that sends transactions.

A call is signed once and kept in the outbox, on disk, before it is broadcast. Made again - after a
timeout, a crash, from another thread - it is the same transaction, so it is never sent twice.
Several may be under way at once: `tend` looks after them. It broadcasts again what a node has
dropped, raises fees that no block takes, fills a nonce that is missing below ours (with an empty
transaction), and replaces by an empty one what the contract would refuse by now.

Fees follow EIP-1559, or the gas price on chains without it. The nonce is the node's pending count,
so that other programs on the same account are counted, or our own if it is ahead.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from eth_utils.crypto import keccak

from fedpact.chain.abi import reverted
from fedpact.chain.addresses import checksum
from fedpact.chain.failover import Nodes
from fedpact.chain.fees import FeeMarket
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.node_errors import FaultKind, RpcError
from fedpact.chain.outbox import Outbox, Pending
from fedpact.chain.records import Call, Event, Receipt, TransactionCost
from fedpact.errors import (
    FeeTooHigh,
    NodeUnreachable,
    Reverted,
    StorageUnavailable,
    TransactionTimeout,
    UnfundedAccount,
)
from fedpact.types.currency import ETHER_CURRENCY

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
"""From this delay on, polls also look after all other transactions of the account."""
OVERTAKEN_LOOKS = 3
"""Polls in a row; a node may count a transaction shortly before it returns the receipt."""
AGAIN_AFTER = 10.0
"""Seconds after which a transaction is broadcast again: its node may have dropped it."""
GAP_PATIENCE = 5.0
"""Seconds for which a nonce below ours may be missing: another program's may be on its way."""
BUMP_AFTER = 30.0
"""Seconds without a receipt until the transaction is replaced by one with higher fees."""
BUMP_PERCENT = 25
REPLACED_FROM_PERCENT = 10
"""Nodes refuse a replacement whose fees are not this much higher."""
TRANSFER_GAS = 21_000
ATTEMPTS = 5
"""How often a transaction is rebuilt if its nonce was taken or fees rose."""
REMEMBERED = 256
"""Outcomes kept of calls that the caller may make again before it sees them on chain."""

_MAY_HAVE_ARRIVED = (FaultKind.KNOWN, FaultKind.TRANSIENT, FaultKind.QUOTA, FaultKind.UNKNOWN)


class _Account:
    """Transactions under way of one address. The lock is held while one is built."""

    def __init__(self, pending: list[Pending]) -> None:
        self.lock = RLock()
        self.pending = {one.call: one for one in pending}
        self.done: dict[Call, Pending] = {}
        self.gap_since: float | None = None

    def waiting(self) -> list[Pending]:
        """Those that may still be mined, lowest nonce first."""
        unmined = [p for p in self.pending.values() if p.mined is None and not p.overtaken]
        return sorted(unmined, key=lambda one: one.nonce)


class Sender:
    """Sends calls and waits for their receipts; threads may share one.

    `decode` turns a log entry into an Event or None; `max_fee` is the most wei for a gas.
    """

    def __init__(
        self,
        rpc: Nodes,
        chain_id: int,
        decode: Callable[[dict[str, Any]], Event | None],
        *,
        timeout: float = 180.0,
        bump_after: float = BUMP_AFTER,
        outbox: Outbox | None = None,
        max_fee: int | None = None,
    ) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._decode = decode
        self.timeout = timeout
        """Seconds that `send` waits for the receipt."""
        self._bump_after = bump_after
        self._outbox = outbox or Outbox("", None)
        self._market = FeeMarket(rpc, max_fee)
        self._lock = RLock()
        self._accounts: dict[str, _Account] = {}
        self.seen_block: int | None = None
        """The block from which the caller decides, if it decides again each time: a call whose
        transaction was mined above it is not sent again. None: every call is meant."""
        self.mined_block = 0
        """The highest block of a receipt that was seen."""
        self.must_record = True
        """Whether nothing is sent that the outbox cannot keep. Not where contracts refuse what is
        sent again, as it would be after a crash."""
        self._said = ""
        """Why the outbox could not be used last."""
        self.purpose = 0
        """The request for which calls are made; 0: none."""
        self.allow: Callable[[Call, int], None] = lambda _call, _wei: None
        """Called with a call and its likely cost before it is signed; raises if it is too much."""
        self.paid: Callable[[TransactionCost], None] = lambda _: None
        """Called for each mined transaction."""

    def send(self, keys: AccountKeys, call: Call) -> Receipt:
        """Send `call` from the account and wait until it is mined.

        Raises Reverted (the contract refuses, before or after mining), UnfundedAccount, FeeTooHigh,
        TransactionTimeout (not mined in time; repeating the call continues the wait),
        NodeUnreachable.
        """
        account = self._account(keys)
        for _ in range(ATTEMPTS):
            with account.lock:
                done = self._done(account, call)
                if done is not None:
                    return self._receipt(keys, done)
                pending = account.pending.get(call)
                if pending is None:
                    pending = self._submit(keys, call, account)
                elif pending.mined is None:
                    self._broadcast(pending)
            self._wait(keys, account, pending)
            with account.lock:
                self._close(keys, account, pending)
            if pending.mined is None:
                log.info("%s: nonce %d was taken by another program", call.action, pending.nonce)
            elif not _was_cancelled(pending):
                return self._receipt(keys, pending)
        raise TransactionTimeout(
            f"{call.action}: other transactions of {keys.sender} took the nonce {ATTEMPTS} times:"
            " does another program use the account?"
        )

    def tend(self, keys: AccountKeys) -> int:
        """Look after the account's transactions that nobody waits for; the number left."""
        account = self._account(keys)
        with account.lock:
            if account.pending:
                self._tend(keys, account)
            for pending in list(account.pending.values()):
                if pending.mined is not None or pending.overtaken >= OVERTAKEN_LOOKS:
                    self._close(keys, account, pending)
            return len(account.pending)

    def close(self) -> None:
        self._outbox.close()

    def _account(self, keys: AccountKeys) -> _Account:
        with self._lock:
            if keys.sender not in self._accounts:
                known = list[Pending]()
                with self._recording():
                    known = self._outbox.load(keys.sender)
                self._accounts[keys.sender] = _Account(known)
            return self._accounts[keys.sender]

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """A use of the outbox; where nothing must be recorded, its trouble is told alone."""
        try:
            yield
        except StorageUnavailable as error:
            if self.must_record:
                raise
            if str(error) != self._said:
                log.warning("%s: sent transactions are not recorded", error)
            self._said = str(error)
        else:
            self._said = ""

    def _done(self, account: _Account, call: Call) -> Pending | None:
        """The mined transaction of a call, if the caller cannot have seen it on chain yet."""
        done = account.done.get(call)
        if done is None:
            return None
        mined = self._rpc.call("eth_getTransactionReceipt", done.hashes[-1])
        if mined is None or self.seen_block is None or _block(mined) <= self.seen_block:
            del account.done[call]  # taken back by a reorganisation, or seen by now
            return None
        return done

    def _close(self, keys: AccountKeys, account: _Account, pending: Pending) -> None:
        """Forget a transaction whose outcome is known."""
        if account.pending.get(pending.call) is not pending:
            return  # another thread did
        with self._recording():
            self._outbox.drop(keys.sender, pending.nonce)
        del account.pending[pending.call]
        if pending.mined is None:
            return
        self.mined_block = max(self.mined_block, _block(pending.mined))
        self.paid(_paid(pending, pending.mined))
        if self.seen_block is not None and not _was_cancelled(pending):
            pending.hashes = [str(pending.mined["transactionHash"])]
            account.done[pending.call] = pending
            while len(account.done) > REMEMBERED:
                del account.done[next(iter(account.done))]

    # Making and broadcasting

    def _submit(self, keys: AccountKeys, call: Call, account: _Account) -> Pending:
        for attempt in range(ATTEMPTS):
            pending = self._prepare(keys, call, account, fresh=attempt > 0)
            self._sign(keys, pending)
            # Keep it first: if the connection breaks now, it may still have arrived.
            with self._recording():
                self._outbox.save(keys.sender, pending)
            account.pending[call] = pending
            try:
                self._post(pending)
                return pending
            except RpcError as error:
                last = error
                kind = error.fault.kind
                if kind in _MAY_HAVE_ARRIVED or (
                    kind is FaultKind.NONCE and self._arrived(pending)
                ):
                    log.info("%s: %s", call.action, error.message)
                    return pending
                del account.pending[call]
                with self._recording():
                    self._outbox.drop(keys.sender, pending.nonce)
                if kind not in (FaultKind.NONCE, FaultKind.FEE):
                    self._explain_refusal(keys, call, pending, error)
                log.info("%s: %s; rebuilding the transaction", call.action, error.message)
                time.sleep(0.01 * 2**attempt)
            except NodeUnreachable as error:
                log.warning("%s: %s", call.action, error)
                return pending
        raise TransactionTimeout(f"{call.action}: refused {ATTEMPTS} times: {last.message}")

    def _prepare(self, keys: AccountKeys, call: Call, account: _Account, *, fresh: bool) -> Pending:
        """Estimate, nonce and fees."""
        estimate, count = self._rpc.batch(
            [
                ("eth_estimateGas", [_parameters(keys, call)]),
                ("eth_getTransactionCount", [keys.sender, "pending"]),
            ]
        )
        if isinstance(estimate, RpcError):
            self._explain_estimate(keys, call, estimate)
        if isinstance(count, RpcError):
            raise count
        fees = self._market.fees(fresh=fresh)
        gas = int(estimate, 16)
        self.allow(call, gas * (fees.base + fees.tip) + self._market.data_fee(call))
        ours = [pending.nonce + 1 for pending in account.pending.values()]
        return Pending(
            call=call,
            nonce=max([int(count, 16), *ours]),
            gas=gas * (100 + GAS_MARGIN_PERCENT) // 100 + GAS_MARGIN,
            max_fee=fees.cap(self._market.ceiling),
            tip=fees.tip,
            legacy=fees.legacy,
            signed_at=time.time(),
            purpose=self.purpose,
        )

    def _sign(self, keys: AccountKeys, pending: Pending) -> None:
        call = pending.call
        transaction: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": pending.nonce,
            "gas": pending.gas,
            "value": call.value,
            "data": call.data,
        }
        if call.to is not None:
            transaction["to"] = checksum(call.to)
        if pending.cancelled:
            transaction |= {"to": keys.sender, "value": 0, "data": b"", "gas": TRANSFER_GAS}
        transaction |= _offer(pending.max_fee, pending.tip, pending.legacy)
        pending.raw = bytes(keys.signer.sign_transaction(transaction).raw_transaction)
        pending.hashes.append("0x" + keccak(pending.raw).hex())

    def _post(self, pending: Pending) -> None:
        pending.sent_at = time.monotonic()
        self._rpc.call("eth_sendRawTransaction", "0x" + pending.raw.hex())

    def _broadcast(self, pending: Pending) -> None:
        """Again; the receipt will show what a refusal means."""
        try:
            self._post(pending)
        except NodeUnreachable as error:
            log.debug("broadcast again: %s", error)

    def _arrived(self, pending: Pending) -> bool:
        """Whether the node knows the transaction, although it refused it just now."""
        return self._rpc.call("eth_getTransactionByHash", pending.hashes[-1]) is not None

    # Waiting

    def _wait(self, keys: AccountKeys, account: _Account, pending: Pending) -> None:
        """Until it is mined, or another transaction took the nonce."""
        deadline = time.monotonic() + self.timeout
        action, delay = pending.call.action, FIRST_POLL
        while pending.mined is None and pending.overtaken < OVERTAKEN_LOOKS:
            try:
                if delay < THOROUGH_FROM and len(pending.hashes) == 1:
                    found = self._rpc.call("eth_getTransactionReceipt", pending.hashes[0])
                    pending.mined = found if found is None else dict(found)
                else:
                    with account.lock:
                        self._tend(keys, account)
                if pending.mined is not None:
                    return
            except NodeUnreachable as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("%s: waiting for the receipt: %s", action, error)
            if time.monotonic() > deadline:
                raise TransactionTimeout(
                    f"{action}: transaction {pending.hashes[-1]} (nonce {pending.nonce}) was"
                    f" not mined within {self.timeout:g} s"
                )
            time.sleep(delay)
            delay = min(delay * POLL_GROWTH, LAST_POLL)

    def _tend(self, keys: AccountKeys, account: _Account) -> None:
        """One look at all transactions under way; broadcast, raise, cancel and fill as needed."""
        open_ones = [one for one in account.pending.values() if one.mined is None]
        used = int(self._rpc.call("eth_getTransactionCount", keys.sender, "latest"), 16)
        # Receipts after the count: in this order, a missing receipt is not merely late.
        asked = [(one, tx_hash) for one in open_ones for tx_hash in one.hashes]
        answers = self._rpc.batch([("eth_getTransactionReceipt", [one]) for _, one in asked])
        for (pending, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, dict):
                pending.mined = answer
        for pending in open_ones:
            gone = pending.mined is None and used > pending.nonce
            pending.overtaken = pending.overtaken + 1 if gone else 0
        waiting = account.waiting()
        for pending in waiting:
            if time.time() - pending.signed_at > self._bump_after:
                self._raise(keys, pending, lowest=pending is waiting[0])
            elif time.monotonic() - pending.sent_at > AGAIN_AFTER:
                self._broadcast(pending)
        self._fill(keys, account, used, waiting)

    def _raise(self, keys: AccountKeys, pending: Pending, *, lowest: bool) -> None:
        """Replace the transaction by one with higher fees, or by an empty one."""
        call = pending.call
        if lowest and not pending.cancelled and self._refused_by_now(keys, call):
            pending.cancelled = True
        fees, ceiling = self._market.fees(fresh=True), self._market.ceiling
        try:
            wanted = max(_raised(pending.max_fee), fees.cap(ceiling))
        except FeeTooHigh as error:
            log.warning("%s: %s", call.action, error)
            wanted = pending.max_fee
        offered = wanted if ceiling is None else min(wanted, ceiling)
        if offered * 100 < pending.max_fee * (100 + REPLACED_FROM_PERCENT):
            self._broadcast(pending)
            return
        pending.tip = min(max(_raised(pending.tip), fees.tip), offered)
        pending.max_fee = offered
        pending.signed_at = time.time()
        self._sign(keys, pending)
        with self._recording():
            self._outbox.save(keys.sender, pending)
        what = "the contract would refuse it now: cancelling" if pending.cancelled else "not mined"
        log.info("%s: %s; raising the fee to %d wei", call.action, what, pending.max_fee)
        self._broadcast(pending)

    def _refused_by_now(self, keys: AccountKeys, call: Call) -> bool:
        try:
            self._rpc.call("eth_estimateGas", _parameters(keys, call))
        except RpcError as error:
            return error.fault.kind is FaultKind.REVERT
        return False

    def _fill(
        self, keys: AccountKeys, account: _Account, used: int, waiting: list[Pending]
    ) -> None:
        """Fill the nonces that are missing below ours, or nothing of ours would ever be mined."""
        if not waiting or waiting[0].nonce <= used:
            account.gap_since = None
            return
        now = time.monotonic()
        if account.gap_since is None:
            account.gap_since = now
        if now - account.gap_since < GAP_PATIENCE:
            return
        account.gap_since = now
        fees = self._market.fees()
        for nonce in range(used, waiting[0].nonce):
            log.warning("nonce %d of %s is missing: filling it", nonce, keys.sender)
            transaction: dict[str, Any] = {
                "chainId": self._chain_id,
                "nonce": nonce,
                "gas": TRANSFER_GAS,
                "value": 0,
                "to": keys.sender,
                **_offer(fees.cap(self._market.ceiling), fees.tip, fees.legacy),
            }
            raw = bytes(keys.signer.sign_transaction(transaction).raw_transaction)
            try:
                self._rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
            except NodeUnreachable as error:  # there is one of another program, or next time
                log.info("filling nonce %d: %s", nonce, error)

    # Outcomes

    def _receipt(self, keys: AccountKeys, pending: Pending) -> Receipt:
        mined = pending.mined
        assert mined is not None
        block, gas_used = _block(mined), int(mined["gasUsed"], 16)
        if int(mined["status"], 16) == 0:
            raise self._why_reverted(keys, pending.call, pending, block, gas_used)
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
        self, keys: AccountKeys, call: Call, pending: Pending, block: int, gas_used: int
    ) -> Reverted:
        """Receipts give no reason: repeat the call on the state after the block."""
        try:
            self._rpc.call("eth_call", _parameters(keys, call), hex(block))
        except RpcError as error:
            if error.fault.kind is FaultKind.REVERT and error.data is not None:
                return reverted(error.data, call.action)
        # The caller of a call that runs out of gas keeps 1/64 (EIP-150).
        out_of_gas = gas_used >= pending.gas * 63 // 64
        return Reverted("OutOfGas" if out_of_gas else "NoReason", action=call.action)

    def _explain_estimate(self, keys: AccountKeys, call: Call, error: RpcError) -> None:
        if error.fault.kind is FaultKind.REVERT:
            raise reverted(error.data, call.action) from error
        if error.fault.kind in (FaultKind.TRANSIENT, FaultKind.QUOTA):
            raise error
        self._explain_refusal(keys, call, None, error)

    def _explain_refusal(
        self, keys: AccountKeys, call: Call, pending: Pending | None, error: RpcError
    ) -> None:
        """Raise UnfundedAccount if the balance is the reason, else what the node said."""
        needed = call.value + (pending.gas * pending.max_fee if pending else 0)
        balance = int(self._rpc.call("eth_getBalance", keys.sender, "latest"), 16)
        if balance < needed or (pending is None and balance == 0):
            held, due = ETHER_CURRENCY.text(balance), ETHER_CURRENCY.text(needed)
            raise UnfundedAccount(
                f"{call.action}: account {keys.sender} holds {held} and may have to pay {due}:"
                " fund it"
            ) from error
        raise error


def _parameters(keys: AccountKeys, call: Call) -> dict[str, str]:
    parameters = {
        "from": keys.sender,
        "data": "0x" + call.data.hex(),
        "value": hex(call.value),
    }
    return parameters if call.to is None else {**parameters, "to": call.to}


def _offer(max_fee: int, tip: int, legacy: bool) -> dict[str, int]:
    """The fields of a transaction that pay for gas."""
    if legacy:
        return {"gasPrice": max_fee}
    return {"type": 2, "maxFeePerGas": max_fee, "maxPriorityFeePerGas": min(tip, max_fee)}


def _raised(fee: int) -> int:
    return (100 + BUMP_PERCENT) * fee // 100 + 1


def _block(mined: dict[str, Any]) -> int:
    return int(mined["blockNumber"], 16)


def _cost(mined: dict[str, Any]) -> int:
    """Wei; rollups of the OP Stack name their data fee in the receipt."""
    price = int(mined.get("effectiveGasPrice", "0x0"), 16)
    return int(mined["gasUsed"], 16) * price + int(mined.get("l1Fee") or "0x0", 16)


def _paid(pending: Pending, mined: dict[str, Any]) -> TransactionCost:
    reverted = int(mined["status"], 16) == 0
    gas = int(mined["gasUsed"], 16)
    return TransactionCost(pending.purpose, pending.call.action, _cost(mined), gas, reverted)


def _was_cancelled(pending: Pending) -> bool:
    """Whether the empty transaction was mined in place of the call."""
    mined = pending.mined
    return (
        pending.cancelled
        and mined is not None
        and mined["to"] == mined["from"]
        and not mined["logs"]
    )
