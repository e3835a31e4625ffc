"""What a transaction costs: base fee and tip (EIP-1559), else gas price; data fee of rollups."""

import time
from dataclasses import dataclass

from fedpact.chain.abi import Fields
from fedpact.chain.failover import Nodes
from fedpact.chain.node_errors import Capability, RpcError
from fedpact.chain.records import Call
from fedpact.errors import FeeTooHigh, NodeUnreachable

GOOD_FOR = 5.0
"""Seconds. The fee cap is twice the base fee, which rises by at most 1/8 a block."""
USUAL_TIP = 10**9
"""Wei; where a node suggests none. What the others suggest when idle."""
GWEI = 10**9

L1_FEE_ORACLE = "0x420000000000000000000000000000000000000F"
"""GasPriceOracle of OP Stack rollups (specs.optimism.io, predeploys). Other rollups, such as
Arbitrum, count the data fee in the gas estimate."""
_GET_L1_FEE = bytes.fromhex("49948e0e")
_ENVELOPE = bytes(range(1, 121))
"""About what a signed transaction has besides its data; without zeros, which cost less."""


@dataclass(frozen=True)
class Fees:
    """Wei per gas; `legacy`: the chain has no base fee, and `base` is the gas price."""

    base: int
    tip: int
    legacy: bool
    known_at: float

    def cap(self, ceiling: int | None) -> int:
        """The most to offer for a gas; FeeTooHigh if the ceiling is below today's price."""
        if ceiling is not None and self.base + self.tip > ceiling:
            raise FeeTooHigh(
                f"gas costs {(self.base + self.tip) / GWEI:g} gwei, more than max_fee_gwei"
                f" ({ceiling / GWEI:g}): waiting for a lower price"
            )
        wanted = self.base if self.legacy else 2 * self.base + self.tip
        return wanted if ceiling is None else min(wanted, ceiling)


class FeeMarket:
    """The prices of one chain."""

    def __init__(self, rpc: Nodes, ceiling: int | None = None) -> None:
        """`ceiling`: most wei for a gas."""
        self._rpc = rpc
        self.ceiling = ceiling
        self._known: Fees | None = None
        self._oracle: bool | None = None

    def fees(self, *, fresh: bool = False) -> Fees:
        """Today's prices, at most GOOD_FOR seconds old."""
        known = self._known
        if known is None or fresh or time.monotonic() - known.known_at > GOOD_FOR:
            known = self._known = self._ask()
        return known

    def data_fee(self, call: Call) -> int:
        """Wei that a rollup charges for publishing the call on its first layer; 0 elsewhere."""
        if self._oracle is None:
            code = self._rpc.call("eth_getCode", L1_FEE_ORACLE, "latest")
            self._oracle = code not in ("0x", "0x0", None)
        if not self._oracle:
            return 0
        data = _GET_L1_FEE + Fields([{"type": "bytes", "name": "data"}]).encode(
            [_ENVELOPE + call.data]
        )
        asked = {"to": L1_FEE_ORACLE, "data": "0x" + data.hex()}
        return int(self._rpc.call("eth_call", asked, "latest"), 16)

    def _ask(self) -> Fees:
        block, tip = self._rpc.batch(
            [("eth_getBlockByNumber", ["latest", False]), ("eth_maxPriorityFeePerGas", [])]
        )
        if isinstance(block, RpcError):
            raise block
        if not isinstance(block, dict):
            raise NodeUnreachable(f"{self._rpc.shown} reports no latest block")
        if block.get("baseFeePerGas") is None:
            price = int(self._rpc.call("eth_gasPrice"), 16)
            return Fees(price, 0, True, time.monotonic())
        if isinstance(tip, RpcError) and tip.fault.capability is not Capability.TIP:
            raise tip
        suggested = USUAL_TIP if isinstance(tip, RpcError) else int(tip, 16)
        return Fees(int(block["baseFeePerGas"], 16), suggested, False, time.monotonic())
