"""Contract wallets: whether one signed (ERC-1271), and calls that it makes for its owner
(ERC-7821).

https://eips.ethereum.org/EIPS/eip-1271
https://eips.ethereum.org/EIPS/eip-7821
"""

import logging
from collections import OrderedDict
from dataclasses import replace
from threading import Lock

from eth_abi.abi import encode

from fedpact.chain.failover import Nodes
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.node_errors import FaultKind, RpcError
from fedpact.chain.records import Call
from fedpact.errors import NodeUnreachable

log = logging.getLogger(__name__)

MOST_GAS = 121_000
"""Of a look at a signature in a message, 21,000 of them for any call: whoever posts the message
pays for the look on chain."""
MOST_SIGNATURE = 260
"""Bytes of a wallet's signature in a message: those of four owners."""
REMEMBERED = 4_096
PATIENCE_SECONDS = 0.2
"""Seconds for which a look waits for the one under way."""
_IS_VALID_SIGNATURE = bytes.fromhex("1626ba7e")
"""Selector of isValidSignature(bytes32,bytes), and what it answers for a right signature."""
_EXECUTE = bytes.fromhex("e9ae5c53")
"""Selector of execute(bytes32,bytes)."""
_BATCH = b"\1".ljust(32, b"\0")
"""The mode: calls that succeed all or none."""


def accepts(
    rpc: Nodes,
    wallet: str,
    digest: bytes,
    signature: bytes,
    block: str = "latest",
    gas: int | None = None,
) -> bool:
    """Whether an account is a contract that takes this for its signature of a digest (ERC-1271).

    Args:
        digest: 32 bytes.
        block: a number in hex, or a name as JSON-RPC knows it.
        gas: most that the look may use, 21,000 of them for any call; None: what the node allows.

    Raises RpcError or NodeUnreachable if the node does not say.
    """
    data = _IS_VALID_SIGNATURE + encode(["bytes32", "bytes"], [digest, signature])
    asked = {"to": wallet, "data": "0x" + data.hex()}
    if gas is not None:
        asked["gas"] = hex(gas)
    try:
        answer = str(rpc.call("eth_call", asked, block))
    except RpcError as error:
        if error.fault.kind is FaultKind.REVERT:
            return False
        raise
    # Without code the answer is empty; the contracts look at the whole first word.
    return answer[2:66] == _IS_VALID_SIGNATURE.ljust(32, b"\0").hex()


def may_act(rpc: Nodes, keys: AccountKeys) -> bool:
    """Whether the wallet of `keys` takes calls from their sender: it is asked with none."""
    asked = {"from": keys.sender, "to": keys.address, "data": "0x" + _execute([]).hex()}
    try:
        rpc.call("eth_call", asked, "latest")
    except RpcError as error:
        if error.fault.kind is FaultKind.REVERT:
            return False
        raise
    return True


class WalletSignatures:
    """Which contract wallets have signed what, asked once of the node. Thread-safe.

    One look at a time at what others send, since they may be strangers.
    """

    def __init__(self, rpc: Nodes) -> None:
        self._rpc = rpc
        self._found: OrderedDict[tuple[str, bytes, bytes], bool] = OrderedDict()
        self._lock, self._looking = Lock(), Lock()

    def known(self, wallet: str, digest: bytes, signature: bytes) -> bool | None:
        """What an earlier look found; None: there was none."""
        with self._lock:
            return self._found.get((wallet, digest, signature))

    def look(
        self, wallet: str, digest: bytes, signature: bytes, *, own: bool = False
    ) -> bool | None:
        """Whether the wallet signed; None where the node does not say now, or other looks are
        under way for too long. What is `own` waits for none."""
        found = self.known(wallet, digest, signature)
        if found is not None:
            return found
        if own:
            return self._ask(wallet, digest, signature)
        if not self._looking.acquire(timeout=PATIENCE_SECONDS):
            return None
        try:
            return self._ask(wallet, digest, signature)
        finally:
            self._looking.release()

    def _ask(self, wallet: str, digest: bytes, signature: bytes) -> bool | None:
        try:
            found = accepts(self._rpc, wallet, digest, signature, gas=MOST_GAS)
        except NodeUnreachable as error:
            log.debug("cannot check the signature of wallet %s: %s", wallet, error)
            return None
        with self._lock:
            self._found[(wallet, digest, signature)] = found
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        return found


def sent_for(keys: AccountKeys, call: Call) -> Call:
    """What `keys.sender` sends: the call, or where its wallet must make it, the wallet's `execute`.

    Ether that goes with the call is the wallet's.
    """
    if keys.wallet is None or not call.own:
        return call
    data = _execute([(call.to, call.value, call.data)])
    return replace(call, to=keys.wallet, data=data, value=0)


def _execute(calls: list[tuple[str | None, int, bytes]]) -> bytes:
    batch = encode(["(address,uint256,bytes)[]"], [calls])
    return _EXECUTE + encode(["bytes32", "bytes"], [_BATCH, batch])
