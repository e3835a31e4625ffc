"""What an Ethereum node's refusal means: the only place that reads error messages of nodes.

JSON-RPC fixes no error codes for what matters here (EIP-1474 gives -32005 to limits of every kind),
so clients and gateways differ in code and text. Each rule below names the texts that are known for
one meaning; tests/offchain/chain/node_answers.py holds the answers that they were written for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fedpact.errors import NodeUnreachable


class FaultKind(StrEnum):
    """What to do about a refusal."""

    TRANSIENT = "transient"
    """Try again, here or at another node: busy, timed out, behind the head."""
    QUOTA = "quota"
    """Too many calls: wait as long as the node says."""
    CAPABILITY = "capability"
    """This node cannot do it in this form; `Fault.capability` says which."""
    REVERT = "revert"
    """The contract refuses."""
    KNOWN = "known"
    """The node has this transaction already."""
    NONCE = "nonce"
    """The nonce is used, or taken by a waiting transaction that pays as much."""
    FEE = "fee"
    """The fees are too low for the next block or for this node."""
    FUNDS = "funds"
    """The account cannot pay."""
    PERMANENT = "permanent"
    """The same call will be refused again: a wrong key, an unknown method, invalid parameters."""
    UNKNOWN = "unknown"
    """Not in the table: another node is asked, then it is retried with back-off. Logged with its
    trace and counted."""


class Capability(StrEnum):
    """What some nodes lack; found out once for each node, by its first refusal."""

    RANGE = "as many blocks for one eth_getLogs"
    BATCH = "batches of this size"
    BLOCK_HASH = "reads at a block's hash (EIP-1898)"
    TIP = "eth_maxPriorityFeePerGas"
    BASE_FEE = "base fees (EIP-1559)"
    STATE = "the state of this old block"
    HEADS = "pushed heads (eth_subscribe)"


@dataclass(frozen=True)
class Fault:
    """The meaning of a refusal."""

    kind: FaultKind
    capability: Capability | None = None
    retry_after: float | None = None
    """Seconds that the node asks to wait, if it says so."""


class RpcError(NodeUnreachable):
    """A node refused a call; `data` is what a reverted call returned."""

    def __init__(
        self, method: str, code: int, message: str, data: bytes | None, fault: Fault
    ) -> None:
        self.method = method
        self.code = code
        self.message = message
        self.data = data
        self.fault = fault
        super().__init__(f"{method}: the node refused: {message} (code {code})")


@dataclass(frozen=True)
class _Rule:
    kind: FaultKind
    text: re.Pattern[str]
    capability: Capability | None = None
    methods: frozenset[str] = frozenset()
    """Empty: any method."""


def _rule(
    kind: FaultKind, *texts: str, capability: Capability | None = None, methods: str = ""
) -> _Rule:
    return _Rule(kind, re.compile("|".join(texts)), capability, frozenset(methods.split()))


BATCH = "batch"
"""In place of a method, where a batch was refused as a whole."""
_SEND = "eth_sendRawTransaction"
_STATE_READS = "eth_call eth_getBalance eth_getCode eth_getTransactionCount eth_estimateGas"

# The first rule that fits counts. Texts are in lower case.
_RULES = (
    # Transactions
    _rule(
        FaultKind.KNOWN,
        "already known",
        "already imported",
        "known transaction",
        "alreadyknown",
        "existing tx with same hash",
        "already in the txpool",
        methods=_SEND,
    ),
    _rule(
        FaultKind.FEE,
        "less than block base fee",
        "fee cap less than",
        "^transaction underpriced",
        "^underpriced",
        "gas price too low",
        "gas price below configured minimum",
        "fee too low",
        "feetoolow",
        "too low for the next block",
        "tip needed",
        "cannot pay basefee",
        "does not pay the minimum gas price",
        methods=_SEND,
    ),
    _rule(
        FaultKind.NONCE,
        "nonce (is )?too low",
        "oldnonce",
        "nonce too high",
        "nonce too distant",
        "nonce is too distant",
        "noncegap",
        "invalid nonce",
        "correct nonce",
        "replacement",
        "could not replace existing tx",
        methods=_SEND,
    ),
    _rule(
        FaultKind.FUNDS,
        "insufficient funds",
        "insufficientfunds",
        "insufficient balance",
        "upfront cost exceeds",
        "enough funds",
        "out of funds",
        "gas required exceeds allowance",  # Geth: what the balance allows
        methods=f"{_SEND} eth_estimateGas eth_call",
    ),
    _rule(
        FaultKind.REVERT,
        "revert",
        "vm exception",
        "vm execution error",
        "always failing transaction",
        "out ?of ?gas",
        "invalid opcode",
        methods="eth_call eth_estimateGas",
    ),
    # What a node cannot do
    _rule(
        FaultKind.TRANSIENT,
        "beyond (the )?(current )?(head|block)",
        methods="eth_getLogs",
    ),
    _rule(
        FaultKind.CAPABILITY,
        "block range",
        "range limit",
        "ranges over",
        "is limited to .*range",
        "exceeds limit of",
        "exceeds? max(imum)? (block range|results)",
        "query returned more than",
        "log response size exceeded",
        "too many (blocks|logs|results)",
        "response (is too big|too large|size)",
        "range (is )?too (wide|large)",
        "limit exceeded: .*range",
        capability=Capability.RANGE,
        methods="eth_getLogs",
    ),
    _rule(
        FaultKind.CAPABILITY,
        "batch",
        "array of requests",
        capability=Capability.BATCH,
    ),
    _rule(
        FaultKind.CAPABILITY,
        'cannot wrap a "?object"? as a json-rpc type',
        "argument must be a string",
        "cannot unmarshal object",
        "invalid type: map",
        "hex string expected",
        capability=Capability.BLOCK_HASH,
        methods=_STATE_READS,
    ),
    _rule(
        FaultKind.CAPABILITY,
        "missing trie node",
        "state (is )?(not available|unavailable)",
        "state at block .* is pruned",
        "world state unavailable",
        "no state available",
        "pruned",
        "pruning",
        "archive",
        capability=Capability.STATE,
        methods=f"{_STATE_READS} eth_getLogs",
    ),
    # Limits
    _rule(
        FaultKind.QUOTA,
        "rate limit",
        "request limit",
        "limit reached",
        "too many requests",
        "request count exceeded",
        "capacity limit",
        "compute units",
        "exceeded its",
        "quota",
    ),
    # Behind the head, or busy
    _rule(
        FaultKind.TRANSIENT,
        "(header|block)( \\S+){0,2} not found",
        "could not be found",
        "unknown block",
        "beyond (the )?(current )?head",
        "beyond current",
        "block ?out ?of ?range",
        "received invalid block tag",
        "resource not found",
        "timed? ?out",
        "timeout",
        "busy",
        "try again",
        "overloaded",
        "unable to complete request",
        "temporarily",
        "unavailable",
        "syncing",
        "no peer connection",
        "internal error",
        "request failed",
        "pool is full",
        "max amount of txs",
        "connection refused",
        "upstream",
        "backend",
    ),
    _rule(
        FaultKind.CAPABILITY,
        "",
        capability=Capability.TIP,
        methods="eth_maxPriorityFeePerGas",
    ),
    _rule(
        FaultKind.CAPABILITY,
        "",
        capability=Capability.HEADS,
        methods="eth_subscribe",
    ),
    _rule(
        FaultKind.PERMANENT,
        "method .*not (found|supported|available|exist)",
        "not (supported|available)",
        "method not found",
        "does not exist",
        "project id",
        "api key",
        "authenticat",
        "unauthorized",
        "forbidden",
        "invalid (param|argument|request)",
        "missing value for required argument",
        "parse error",
        "exceeds block gas limit",
        "intrinsic gas too low",
        "invalid sender",
        "chain ?id",
    ),
)

_BY_CODE = {
    3: FaultKind.REVERT,  # Geth, for a call that reverts
    429: FaultKind.QUOTA,
    -32005: FaultKind.QUOTA,  # EIP-1474: limit exceeded
    -32601: FaultKind.PERMANENT,  # JSON-RPC 2.0: method not found
    -32602: FaultKind.PERMANENT,  # JSON-RPC 2.0: invalid params
    -32603: FaultKind.TRANSIENT,  # JSON-RPC 2.0: internal error
}
"""Where no text fits."""


def refusal(method: str, error: Mapping[str, Any]) -> RpcError:
    """The exception for the `error` member of an answer to `method` (JSON-RPC 2.0, section 5.1)."""
    code = error.get("code", 0)
    code = code if isinstance(code, int) else 0
    message = str(error.get("message", ""))
    data = _returned(error.get("data"))
    return RpcError(method, code, message, data, _fault(method, code, message, data, error))


def http_refusal(method: str, status: int, headers: Mapping[str, str], body: Any) -> RpcError:
    """The exception for an answer with an HTTP status of 400 or more.

    `body`: the decoded JSON, or None. Gateways put a JSON-RPC error beside the status; its text
    says more than the status.
    """
    error = body.get("error") if isinstance(body, dict) else None
    wait = _seconds(headers.get("Retry-After"))
    if isinstance(error, dict):
        found = refusal(method, error)
        if found.fault.kind is not FaultKind.UNKNOWN and status != 429:
            return found
        message = f"{found.message} (HTTP status {status})"
        wait = wait if wait is not None else found.fault.retry_after
    else:
        message = f"HTTP status {status}"
    return RpcError(method, status, message, None, _by_status(status, wait))


def _by_status(status: int, wait: float | None) -> Fault:
    if status == 429:
        return Fault(FaultKind.QUOTA, retry_after=wait)
    if status == 413:
        return Fault(FaultKind.CAPABILITY, Capability.BATCH)
    if status in (401, 402, 403, 404, 405, 410):
        return Fault(FaultKind.PERMANENT)
    if status >= 500 or status in (408, 425):
        return Fault(FaultKind.TRANSIENT, retry_after=wait)
    return Fault(FaultKind.UNKNOWN)


def _fault(
    method: str, code: int, message: str, data: bytes | None, error: Mapping[str, Any]
) -> Fault:
    if data is not None and method in ("eth_call", "eth_estimateGas"):
        return Fault(FaultKind.REVERT)
    text = message.lower()
    for rule in _RULES:
        if rule.methods and method not in rule.methods:
            continue
        if rule.text.search(text):
            return Fault(rule.kind, rule.capability, _backoff(error))
    return Fault(_BY_CODE.get(code, FaultKind.UNKNOWN), retry_after=_backoff(error))


def _backoff(error: Mapping[str, Any]) -> float | None:
    """Infura says in the error's data how long to wait."""
    data = error.get("data")
    rate = data.get("rate") if isinstance(data, dict) else None
    return _seconds(rate.get("backoff_seconds")) if isinstance(rate, dict) else None


def _seconds(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 <= found < 86_400 else None


def _returned(data: Any) -> bytes | None:
    """The bytes that a reverted call returned; some clients wrap them once more."""
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str):
        return None
    _, _, digits = data.rpartition("0x")
    try:
        return bytes.fromhex(digits) if "0x" in data else None
    except ValueError:
        return None
