"""Refusals as nodes and gateways send them, and what each means.

From the clients' sources and their public issue threads: (who, method, answer, kind, capability).
An answer is the `error` of JSON-RPC, or (HTTP status, headers, body).
"""

from typing import Any

from fedpact.chain.node_errors import BATCH, Capability, FaultKind

TRANSIENT, QUOTA, LACKS = FaultKind.TRANSIENT, FaultKind.QUOTA, FaultKind.CAPABILITY
PERMANENT, REVERT, KNOWN = FaultKind.PERMANENT, FaultKind.REVERT, FaultKind.KNOWN
NONCE, FEE, FUNDS, UNKNOWN = FaultKind.NONCE, FaultKind.FEE, FaultKind.FUNDS, FaultKind.UNKNOWN
RANGE, BATCHES, BY_HASH = Capability.RANGE, Capability.BATCH, Capability.BLOCK_HASH
TIP, STATE, HEADS = Capability.TIP, Capability.STATE, Capability.HEADS

SEND, CALL, LOGS = "eth_sendRawTransaction", "eth_call", "eth_getLogs"
ESTIMATE, BLOCK, TIPS = "eth_estimateGas", "eth_getBlockByNumber", "eth_maxPriorityFeePerGas"
SUBSCRIBE = "eth_subscribe"

Answer = tuple[str, str, Any, FaultKind, Capability | None]


def said(code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message} | ({} if data is None else {"data": data})


def http(status: int, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


ERROR_DATA = "0x08c379a0" + f"{32:064x}" + f"{2:064x}" + "6e6f".ljust(64, "0")

ANSWERS: list[Answer] = [
    # Geth
    ("geth", CALL, said(3, "execution reverted: no", ERROR_DATA), REVERT, None),
    ("geth", CALL, said(-32000, "execution reverted"), REVERT, None),
    ("geth", CALL, said(-32000, "header not found"), TRANSIENT, None),
    ("geth", CALL, said(-32000, "header for hash not found"), TRANSIENT, None),
    ("geth", CALL, said(-32000, "missing trie node 5f5d (path ) state 0x5f is not available"), LACKS, STATE),
    ("geth", SUBSCRIBE, said(-32001, "notifications not supported"), LACKS, HEADS),
    ("geth", ESTIMATE, said(-32000, "gas required exceeds allowance (0)"), FUNDS, None),
    ("geth", SEND, said(-32000, "already known"), KNOWN, None),
    ("geth", SEND, said(-32000, "nonce too low: next nonce 5, tx nonce 3"), NONCE, None),
    ("geth", SEND, said(-32000, "replacement transaction underpriced"), NONCE, None),
    ("geth", SEND, said(-32000, "transaction underpriced: tip needed 1000000, tip permitted 0"), FEE, None),
    ("geth", SEND, said(-32000, "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7"), FEE, None),
    ("geth", SEND, said(-32000, "insufficient funds for gas * price + value: balance 0, tx cost 5, overshot 5"), FUNDS, None),
    ("geth", SEND, said(-32000, "txpool is full"), TRANSIENT, None),
    ("geth", SEND, said(-32000, "exceeds block gas limit"), PERMANENT, None),
    ("geth", LOGS, said(-32000, "exceed maximum block range: 50000"), LACKS, RANGE),
    ("geth", LOGS, said(-32602, "block range extends beyond current head block"), TRANSIENT, None),
    ("geth", LOGS, said(-32002, "request timed out"), TRANSIENT, None),
    ("geth", BATCH, said(-32600, "batch too large"), LACKS, BATCHES),
    ("geth", TIPS, said(-32601, "the method eth_maxPriorityFeePerGas does not exist/is not available"), LACKS, TIP),
    ("geth", "eth_foo", said(-32601, "the method eth_foo does not exist/is not available"), PERMANENT, None),
    # Erigon
    ("erigon", BATCH, said(-32000, "batch limit 100 exceeded (can increase by --rpc.batch.limit). Requested batch of size: 200"), LACKS, BATCHES),
    ("erigon", CALL, said(-32000, "old data not available due to pruning"), LACKS, STATE),
    ("erigon", CALL, said(-32000, "block 0x5f not found"), TRANSIENT, None),
    ("erigon", LOGS, said(-32000, "query returned more than 20000 results"), LACKS, RANGE),
    ("erigon", SEND, said(-32000, "could not replace existing tx"), NONCE, None),
    ("erigon", SEND, said(-32000, "existing tx with same hash"), KNOWN, None),
    ("erigon", SEND, said(-32000, "fee too low"), FEE, None),
    # Reth
    ("reth", LOGS, said(-32602, "query exceeds max block range 100000"), LACKS, RANGE),
    ("reth", LOGS, said(-32602, "query exceeds max results 20000, retry with the range 1-2"), LACKS, RANGE),
    ("reth", BATCH, said(-32005, "Batched requests are not supported by this server"), LACKS, BATCHES),
    ("reth", BATCH, said(-32010, "The batch request was too large"), LACKS, BATCHES),
    ("reth", LOGS, said(-32008, "Response is too big"), LACKS, RANGE),
    ("reth", CALL, said(-32009, "Server is busy, try again later"), TRANSIENT, None),
    ("reth", CALL, said(-32001, "block not found: hash 0x5f"), TRANSIENT, None),
    ("reth", CALL, said(-32000, "state at block #12 is pruned"), LACKS, STATE),
    # Nethermind
    ("nethermind", SEND, said(-32010, "AlreadyKnown"), KNOWN, None),
    ("nethermind", SEND, said(-32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 3"), NONCE, None),
    ("nethermind", SEND, said(-32010, "FeeTooLow, MaxFeePerGas too low"), FEE, None),
    ("nethermind", SEND, said(-32010, "InsufficientFunds, Balance is 0 less than sending value"), FUNDS, None),
    ("nethermind", CALL, said(-32015, "VM execution error.", "Reverted " + ERROR_DATA), REVERT, None),
    ("nethermind", CALL, said(-32002, "No state available for block 0x5f"), LACKS, STATE),
    ("nethermind", LOGS, said(-32005, "Too many logs requested"), LACKS, RANGE),
    ("nethermind", CALL, said(-32001, "Block 0x5f could not be found"), TRANSIENT, None),
    ("nethermind", CALL, said(-32016, "Timeout while waiting for a module"), TRANSIENT, None),
    # Besu
    ("besu", LOGS, said(-32005, "Requested range exceeds maximum RPC range limit"), LACKS, RANGE),
    ("besu", BATCH, said(-32005, "Number of requests in batch exceeds limit"), LACKS, BATCHES),
    ("besu", CALL, said(-32000, "World state unavailable"), LACKS, STATE),
    ("besu", CALL, said(-32000, "Block not found"), TRANSIENT, None),
    ("besu", CALL, said(-32000, "Execution reverted", ERROR_DATA), REVERT, None),
    ("besu", SEND, said(-32000, "Known transaction"), KNOWN, None),
    ("besu", SEND, said(-32001, "Nonce too low"), NONCE, None),
    ("besu", SEND, said(-32004, "Upfront cost exceeds account balance"), FUNDS, None),
    ("besu", SEND, said(-32009, "Gas price below configured minimum gas price"), FEE, None),
    ("besu", CALL, said(-32000, "Timeout expired"), TRANSIENT, None),
    # Anvil
    ("anvil", CALL, said(3, "execution reverted: custom error 0x82b42900", "0x82b42900"), REVERT, None),
    ("anvil", CALL, said(-32602, "BlockOutOfRangeError: block height is 5 but requested was 9"), TRANSIENT, None),
    ("anvil", CALL, said(-32001, "Resource not found"), TRANSIENT, None),
    ("anvil", SEND, said(-32003, "transaction already imported"), KNOWN, None),
    ("anvil", SEND, said(-32003, "nonce too low"), NONCE, None),
    ("anvil", SEND, said(-32003, "Insufficient funds for gas * price + value"), FUNDS, None),
    ("anvil", SEND, said(-32003, "max fee per gas less than block base fee"), FEE, None),
    # Hardhat
    ("hardhat", SEND, said(-32000, "Nonce too low. Expected nonce to be 5 but got 3. Note that transactions can't be queued when automining."), NONCE, None),
    ("hardhat", SEND, said(-32000, "Nonce too high. Expected nonce to be 5 but got 7. Note that transactions can't be queued when automining."), NONCE, None),
    ("hardhat", SEND, said(-32000, "Transaction maxFeePerGas (1) is too low for the next block, which has a baseFeePerGas of 8"), FEE, None),
    ("hardhat", SEND, said(-32000, "Sender doesn't have enough funds to send tx. The max upfront cost is: 5 and the sender's balance is: 0."), FUNDS, None),
    ("hardhat", CALL, said(-32603, "Error: VM Exception while processing transaction: reverted with custom error 'X()'", {"message": "x", "data": "0x82b42900"}), REVERT, None),
    ("hardhat", CALL, said(-32000, "Received invalid block tag 100. Latest block number is 5"), TRANSIENT, None),
    # Ganache
    ("ganache", CALL, said(-32700, 'Cannot wrap a "object" as a json-rpc type'), LACKS, BY_HASH),
    ("ganache", CALL, said(-32000, "VM Exception while processing transaction: revert", "0x82b42900"), REVERT, None),
    ("ganache", SEND, said(-32000, "the tx doesn't have the correct nonce. account has nonce of: 1 tx has nonce of: 0"), NONCE, None),
    ("ganache", CALL, said(-32000, "header not found"), TRANSIENT, None),
    # EthereumJS
    ("ethereumjs", CALL, said(-32602, "invalid argument 1: argument must be a string"), LACKS, BY_HASH),
    ("ethereumjs", SEND, said(-32603, "no peer connection available"), TRANSIENT, None),
    ("ethereumjs", SUBSCRIBE, said(-32601, "Method not found"), LACKS, HEADS),
    ("ethereumjs", SEND, said(-32602, "0xf4dc472c: this transaction is already in the TxPool"), KNOWN, None),
    ("ethereumjs", SEND, said(-32602, "Tx cannot pay basefee of 8, have 1 (not within 50% range of current basefee)"), FEE, None),
    ("ethereumjs", SEND, said(-32602, "Tx does not pay the minimum gas price of 1000000000"), FEE, None),
    ("ethereumjs", SEND, said(-32602, "Cannot add tx: pool is full"), TRANSIENT, None),
    ("ethereumjs", SEND, said(-32602, "Cannot add tx for 0xf4dc: already have max amount of txs for this account"), TRANSIENT, None),
    ("ethereumjs", SEND, said(-32602, "0xf4dc tries to send a tx with nonce 0, but account has nonce 1 (tx nonce too low)"), NONCE, None),
    ("ethereumjs", TIPS, said(-32601, "Method not found"), LACKS, TIP),
    # Infura
    ("infura", BLOCK, http(429, {"error": said(-32005, "daily request count exceeded, request rate limited", {"rate": {"backoff_seconds": 30}})}), QUOTA, None),
    ("infura", LOGS, said(-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."), LACKS, RANGE),
    ("infura", CALL, said(-32002, "project ID does not have access to archive state"), LACKS, STATE),
    ("infura", BLOCK, http(401, {"error": said(-32002, "invalid project id")}), PERMANENT, None),
    # Alchemy
    ("alchemy", BLOCK, http(429, {"error": said(429, "Your app has exceeded its compute units per second capacity.")}), QUOTA, None),
    ("alchemy", LOGS, said(-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"), LACKS, RANGE),
    ("alchemy", LOGS, said(-32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."), LACKS, RANGE),
    ("alchemy", CALL, said(-32000, "Unable to complete request at this time."), TRANSIENT, None),
    ("alchemy", CALL, http(401, {"error": said(-32600, "Must be authenticated!")}), PERMANENT, None),
    # QuickNode
    ("quicknode", CALL, said(-32007, "50/second request limit reached - reduce calls per second or upgrade your account"), QUOTA, None),
    ("quicknode", CALL, said(-32003, "daily request limit reached - upgrade your account"), QUOTA, None),
    ("quicknode", LOGS, said(-32614, "eth_getLogs is limited to a 5 range"), LACKS, RANGE),
    # Other gateways
    ("drpc", LOGS, said(35, "ranges over 10000 blocks are not supported on freetier"), LACKS, RANGE),
    ("drpc", BATCH, said(31, "Batch of more than 3 requests are not allowed on free tier"), LACKS, BATCHES),
    ("llamarpc", LOGS, said(-32000, "block range is too wide"), LACKS, RANGE),
    ("proxy", BLOCK, http(429, None, Retry_After="7"), QUOTA, None),
    ("proxy", BLOCK, http(502, None), TRANSIENT, None),
    ("proxy", BLOCK, http(503, None, Retry_After="2"), TRANSIENT, None),
    ("proxy", BLOCK, http(403, None), PERMANENT, None),
    ("proxy", BATCH, http(413, None), LACKS, BATCHES),
    ("proxy", BLOCK, said(-32005, ""), QUOTA, None),
    ("proxy", BLOCK, said(-32603, ""), TRANSIENT, None),
    ("nobody", BLOCK, said(-31234, "the moon is full"), UNKNOWN, None),
]  # fmt: skip
