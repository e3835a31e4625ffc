"""Signatures from which a careless library recovers the same account, and which the contracts
refuse."""

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""


def twins(signature: bytes) -> dict[str, bytes]:
    """Of r, s, v: with the larger s, and with other ways to write v."""
    rs, v = signature[:64], signature[64]
    larger = ORDER - int.from_bytes(signature[32:64])
    return {
        "larger s": signature[:32] + larger.to_bytes(32) + bytes([55 - v]),
        "v of 0 or 1": rs + bytes([v - 27]),
        "v of EIP-155": rs + bytes([v + 10]),
    }
