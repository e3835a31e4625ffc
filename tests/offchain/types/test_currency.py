"""Amounts as text and back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import InvalidInput
from fedpact.types.currency import ETHER_CURRENCY, MAX_AMOUNT

LARGEST = "79228162514.264337593543950335 ether"


@given(amount=st.integers(1, MAX_AMOUNT - 1), decimals=st.integers(0, 255))
def test_an_amount_is_read_as_it_is_written(amount: int, decimals: int) -> None:
    currency = replace(ETHER_CURRENCY, decimals=decimals)
    assert currency.parse(currency.text(amount)) == amount


def test_an_amount_of_29_digits_is_exact() -> None:
    assert ETHER_CURRENCY.text(MAX_AMOUNT - 1) == LARGEST
    assert ETHER_CURRENCY.parse(LARGEST) == MAX_AMOUNT - 1


@pytest.mark.parametrize(
    "number",
    [
        "79228162514.264337593543950336",
        "10000000000.1234567890123456784",
        "1." + 300 * "3",
        "0." + 300 * "0" + "1",
        "1e300",
        "1e1000000",
        "0",
        "-1",
    ],
)
def test_an_amount_that_no_request_can_pay_is_refused(number: str) -> None:
    with pytest.raises(InvalidInput, match=r"not above 0 and below 2\^96"):
        ETHER_CURRENCY.parse(f"{number} ether")


@pytest.mark.parametrize("number", ["", "much", "NaN", "Infinity", "1,5"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(InvalidInput):
        ETHER_CURRENCY.parse(f"{number} ether")
