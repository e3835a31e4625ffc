"""Amounts of money as people write them."""

from decimal import Decimal, InvalidOperation, Overflow, localcontext

from fedpact.errors import InvalidInput

WEI_PER_UNIT = {"wei": 1, "gwei": 10**9, "ether": 10**18}

MAX_PAYMENT = 2**96
"""Wei; payments fit 96 bits in the market."""
PRECISION = 100
"""Digits; Decimal's usual 28 would round large amounts."""


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
        with localcontext(prec=PRECISION):
            wei = Decimal(number) * WEI_PER_UNIT[unit.strip()]
            whole = wei.is_finite() and wei == wei.to_integral_value()
    except (InvalidOperation, Overflow):
        raise refusal from None
    if not whole or not 0 < wei < MAX_PAYMENT:
        raise InvalidInput(f"{text!r} is not a whole number of wei from 1 to 2^96 - 1")
    return int(wei)
