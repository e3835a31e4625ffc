"""Amounts of money as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.cli.output import ether
from fedpact.errors import InvalidInput
from fedpact.requester.amount import parse_amount


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("1 ether", 10**18),
        ("0.5 ether", 5 * 10**17),
        ("20 gwei", 2 * 10**10),
        ("7 wei", 7),
        ("0.000000000000000001 ether", 1),
        (" 3  wei ", 3),
        ("1e3 wei", 1000),
    ],
)
def test_amounts_are_read_exactly(text: str, wei: int) -> None:
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "ether",
        "1ether",
        "x wei",
        "0 wei",
        "-1 wei",
        "0.5 wei",
        "inf ether",
        "nan wei",
        "1e999999 ether",
        f"{2**96} wei",
    ],
)
def test_text_that_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_amount(text)


@given(st.integers(min_value=1, max_value=2**96 - 1))
def test_what_is_printed_can_be_read_again(wei: int) -> None:
    assert parse_amount(f"{ether(wei)} ether") == wei
