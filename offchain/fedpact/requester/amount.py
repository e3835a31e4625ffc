"""Amounts of money as people write them."""

from decimal import Decimal, InvalidOperation

from fedpact.errors import InvalidInput

WEI_PER_UNIT = {"wei": 1, "gwei": 10**9, "ether": 10**18}


def parse_amount(text: str) -> int:
    """Wei in "0.5 ether", "20 gwei" or "1000 wei"; raises InvalidInput for anything else.

    A unit must be named: a number alone could be meant either way.
    """
    number, _, unit = text.strip().partition(" ")
    refusal = InvalidInput(
        f"{text!r} is no amount: write a number and its unit (wei, gwei or ether), as in '1 ether'"
    )
    if unit.strip() not in WEI_PER_UNIT:
        raise refusal
    try:
        wei = Decimal(number) * WEI_PER_UNIT[unit.strip()]
    except InvalidOperation:
        raise refusal from None
    if not wei.is_finite() or wei != wei.to_integral_value() or wei <= 0:
        raise InvalidInput(f"{text!r} is not a whole, positive number of wei")
    return int(wei)
