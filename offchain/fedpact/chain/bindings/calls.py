"""What transactions asked of a contract: calls and signatures, read back from calldata."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from eth_abi.exceptions import DecodingError

from fedpact.chain.abi import ContractAbi
from fedpact.errors import InvalidInput

SIGNATURE_BYTES = 64
_WORD = 32
_SELECTOR = 4


@dataclass(frozen=True)
class FoundCall:
    """A call of one of a contract's functions, decoded."""

    function: str
    args: Sequence[Any]


@dataclass(frozen=True)
class SeatSignature:
    """One signature of a string of them: of a key (65 bytes: r, s, v) or a contract wallet's."""

    content: bytes
    by_wallet: bool


def calls_in(abi: ContractAbi, calldata: bytes) -> Iterator[FoundCall]:
    """The calls in one that the contract has executed, those of a `multicall` in their order.
    Nothing where it is none of the contract's functions.

    Gas bounds the work for what was executed, to any depth, and nothing else does.
    """
    selectors = {one.selector: one for one in abi.functions.values()}
    waiting = [calldata]
    while waiting:
        data = waiting.pop()
        function = selectors.get(data[:_SELECTOR])
        if function is None:
            continue
        with suppress(DecodingError):
            args = function.inputs.decode(data[_SELECTOR:])
            if function.name == "multicall":
                waiting += map(bytes, reversed(args[0]))
            else:
                yield FoundCall(function.name, args)


def signature_at(packed: bytes, ordinal: int) -> SeatSignature:
    """The signature of this number in a string of them (contracts/libraries/SeatSignatures.sol).

    Raises InvalidInput where the string is too short.
    """
    start = SIGNATURE_BYTES * ordinal
    head = packed[start : start + SIGNATURE_BYTES]
    if len(head) < SIGNATURE_BYTES:
        raise InvalidInput(f"{len(packed)} bytes of signatures hold no number {ordinal}")
    r, vs = head[:_WORD], int.from_bytes(head[_WORD:])
    if any(r):
        s, parity = vs & (1 << 255) - 1, vs >> 255
        return SeatSignature(r + s.to_bytes(_WORD) + bytes([27 + parity]), by_wallet=False)
    length = int.from_bytes(packed[vs : vs + _WORD])
    tail = packed[vs + _WORD : vs + _WORD + length]
    if vs + _WORD > len(packed) or len(tail) < length:
        raise InvalidInput(f"{len(packed)} bytes of signatures end before that of number {ordinal}")
    return SeatSignature(tail, by_wallet=True)
