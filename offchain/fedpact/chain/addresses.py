"""Addresses of accounts and contracts, as text with a checksum (EIP-55)."""

from functools import cache

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

checksum = cache(to_checksum_address)
"""EIP-55 form of an address; cached, since it takes a hash and the same few addresses recur."""


def created_address(creator: str, nonce: int) -> str:
    """Address of the contract that `creator` creates with this nonce (Yellow Paper, eq. 88)."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    # RLP of [address, nonce]: bytes below 0x80 encode themselves, others have a length.
    tail = number if len(number) == 1 and nonce < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(creator[2:]) + tail
    return checksum(keccak(bytes([0xC0 + len(body)]) + body)[-20:])
