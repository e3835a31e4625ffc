"""BN254 by the textbook, for the vectors of sealed deliveries: affine points, None is zero."""

from collections.abc import Sequence

from eth_utils import keccak

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
GENERATOR = (1, 2)

Affine = tuple[int, int] | None


def add(p: Affine, q: Affine) -> Affine:
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % FIELD == 0:
            return None
        slope = 3 * p[0] ** 2 * pow(2 * p[1], -1, FIELD)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, FIELD)
    x = (slope**2 - p[0] - q[0]) % FIELD
    return x, (slope * (p[0] - x) - p[1]) % FIELD


def times(p: Affine, scalar: int) -> Affine:
    total: Affine = None
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, p)
    return total


def hashed(*words: int | bytes | tuple[int, int] | None) -> bytes:
    """Keccak-256 of 32-byte words; a point is two."""
    flat: list[int | bytes] = []
    for word in words:
        assert word is not None
        flat += list(word) if isinstance(word, tuple) else [word]
    return keccak(b"".join(w if isinstance(w, bytes) else w.to_bytes(32) for w in flat))


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Pairs hashed in ascending order; the last of an odd number moves up as it is."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [sorted(level[i : i + 2]) for i in range(0, len(level), 2)]
        level = [hashed(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def proof_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings of a leaf, from below."""
    if len(leaves) == 1:
        return []
    pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
    above = [root_of(pair) for pair in pairs]
    own = pairs[index // 2]
    sibling = [own[1 - index % 2]] if len(own) == 2 else []
    return sibling + proof_of(above, index // 2)
