"""Arithmetic on the curve of deliveries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.content.bn254 import FIELD, ORDER, Point, difference, multiply, public_key
from fedpact.errors import InvalidInput

SCALARS = st.integers(1, ORDER - 1)
G = Point(1, 2)


def test_multiples_of_the_generator_are_known_ones() -> None:
    """2 G as in the tests of EIP-196's precompile; the other by py_ecc 8."""
    assert public_key(2) == Point(
        1368015179489954701390400359078579693043519447331113978918064868415326638035,
        9918110051302171585080402603319702774565515993150576347155970296011118125764,
    )
    assert public_key(0x1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF1234567890ABCD) == Point(
        1271073328951922646914010381925682452087134375202910826715716336853405608121,
        3819662901554541395740505237203758703541727085757510739986746364649098746607,
    )


@given(base=SCALARS, m=SCALARS, n=SCALARS)
def test_multiples_add_up(base: int, m: int, n: int) -> None:
    point = multiply(G, base)
    rest = (m - n) % ORDER
    assert difference(point, m, point, n) == (multiply(point, rest) if rest else None)
    assert multiply(point, m) == multiply(G, base * m % ORDER)


def test_a_difference_of_equals_is_no_point() -> None:
    assert difference(G, 5, public_key(5), 1) is None
    assert difference(G, ORDER, public_key(5), ORDER) is None


@pytest.mark.parametrize("scalar", [0, ORDER, -1])
def test_other_scalars_are_refused(scalar: int) -> None:
    with pytest.raises(InvalidInput, match="a scalar of BN254"):
        multiply(G, scalar)


@pytest.mark.parametrize(
    ("x", "y"), [(0, 0), (1, 3), (1, FIELD + 2), (FIELD + 1, 2), (-1, 2), (2**256, 2)]
)
def test_malformed_points_are_refused(x: int, y: int) -> None:
    with pytest.raises(InvalidInput, match="not a point"):
        Point(x, y)
