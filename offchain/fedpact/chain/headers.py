"""A block's header as its hash takes it: what large rounds want as proof of a block's randomness.

Nodes tell a block's fields (`eth_getBlockByNumber`) and not the bytes (`debug_getRawHeader` is open
at few). So the bytes are put together here, and count only if they have the block's hash: a chain
whose headers have other fields is found out, not guessed at.
"""

from collections.abc import Mapping
from typing import Any

import rlp
from eth_utils.crypto import keccak

from fedpact.errors import NodeUnreachable

_BYTES = ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot")
_FIELDS: tuple[tuple[str, bool], ...] = (
    *((name, False) for name in (*_BYTES, "logsBloom")),
    *((name, True) for name in ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")),
    *((name, False) for name in ("extraData", "mixHash", "nonce")),
)
"""In a header's order, each with whether it is a number (Yellow Paper, 4.4.3)."""
_LATER: tuple[tuple[str, bool], ...] = (
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)
"""What forks have added since (EIP-1559, 4895, 4844, 4788, 7685)."""


def encoded(block: Mapping[str, Any]) -> bytes:
    """The header (RLP) of a block as `eth_getBlockByNumber` gives it.

    Raises NodeUnreachable if what the node tells does not have the hash that it names.
    """
    known = [field for field in (*_FIELDS, *_LATER) if block.get(field[0]) is not None]
    try:
        header: bytes = rlp.encode([_field(block[name], number) for name, number in known])
    except (AttributeError, TypeError, ValueError) as error:
        raise NodeUnreachable(
            f"the node gives a block whose header cannot be read: {error}"
        ) from error
    if f"0x{keccak(header).hex()}" != block.get("hash"):
        raise NodeUnreachable(
            f"the fields of block {block.get('number')} do not have its hash: this chain's headers"
            " have fields that this version of fedpact does not know"
        )
    return header


def _field(value: str, number: bool) -> bytes | int:
    return int(value, 16) if number else bytes.fromhex(value.removeprefix("0x"))
