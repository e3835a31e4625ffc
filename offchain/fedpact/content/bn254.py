"""The first group of BN254, with which the EVM computes (EIP-196): libraries/Bn254.sol.

fastecdsa multiplies by a ladder: the time depends on a scalar's length, not on its bits. Its makers
promise nothing for curves given by their parameters, so no secret should be used where others can
time it precisely.
"""

from dataclasses import dataclass

from fastecdsa.curve import Curve
from fastecdsa.point import Point as CurvePoint

from fedpact.content.envelope import derive
from fedpact.errors import InvalidInput

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Coordinates are below this prime."""
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Number of points, a prime; secrets are 1 to ORDER - 1."""
_CURVE = Curve("bn254", FIELD, 0, 3, ORDER, 1, 2)
_SCALAR_BYTES = 48  # 128 bits more than ORDER has: the remainder is uniform (RFC 9380, section 5.1)


@dataclass(frozen=True)
class Point:
    """A point of BN254's first group other than its zero; InvalidInput if it is not on it."""

    x: int
    y: int

    def __post_init__(self) -> None:
        on_field = 0 <= self.x < FIELD and 0 <= self.y < FIELD
        if not on_field or (self.y**2 - self.x**3 - 3) % FIELD:
            raise InvalidInput(f"({self.x}, {self.y}) is not a point of BN254")

    def encode(self) -> bytes:
        """Both coordinates, 32 bytes each."""
        return word(self.x) + word(self.y)

    @property
    def fields(self) -> tuple[int, int]:
        """As the contract takes it."""
        return self.x, self.y


def public_key(secret: int) -> Point:
    """secret * G; InvalidInput unless 1 <= secret < ORDER."""
    return multiply(Point(1, 2), secret)


def multiply(point: Point, scalar: int) -> Point:
    """scalar * point; InvalidInput unless 1 <= scalar < ORDER."""
    if not 0 < scalar < ORDER:
        raise InvalidInput(f"a scalar of BN254 is between 1 and {ORDER - 1}")
    product = (_on_curve(point) * scalar).normalize()
    return Point(product.x, product.y)


def difference(p: Point, m: int, q: Point, n: int) -> Point | None:
    """m p - n q; None: zero."""
    found = _on_curve(p) * (m % ORDER) - _on_curve(q) * (n % ORDER)
    if found.z == 0:
        return None
    found = found.normalize()
    return Point(found.x, found.y)


def derived_scalar(secret: bytes, purpose: bytes, context: bytes) -> int:
    """A secret of the curve, derived from 32 secret bytes (`envelope.derive`)."""
    wide = int.from_bytes(derive(secret, purpose, context, _SCALAR_BYTES))
    return wide % (ORDER - 1) + 1


def word(number: int) -> bytes:
    """32 bytes, big-endian."""
    return number.to_bytes(32)


def _on_curve(point: Point) -> CurvePoint:
    return CurvePoint(point.x, point.y, _CURVE)
