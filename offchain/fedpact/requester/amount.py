"""Parse amounts of money such as "0.5 ether"."""

from decimal import Decimal

from eth_utils.currency import from_wei, to_wei

from fedpact.errors import InvalidInput
from fedpact.types.currency import ETHER_CURRENCY, Currency

UNITS = ("wei", "gwei", "ether")
MAX_PAYMENT = 2**96
"""Wei; payments fit 96 bits in the market."""


def parse_amount(text: str) -> int:
    """Wei in "0.5 ether", "20 gwei" or "1000 wei"; raises InvalidInput for anything else.

    The unit is required: a bare number would be ambiguous.
    """
    number, _, unit = text.strip().partition(" ")
    unit = unit.strip()
    refusal = InvalidInput(
        f"{text!r} is not an amount: write a number and its unit (wei, gwei or ether), "
        "as in '1 ether'"
    )
    if unit not in UNITS:
        raise refusal
    try:
        amount = Decimal(number)
        wei = to_wei(amount, unit)
        exact = from_wei(wei, unit) == amount  # to_wei cuts off fractions of a wei
    except (ArithmeticError, ValueError):
        raise refusal from None
    if not exact or not 0 < wei < MAX_PAYMENT:
        raise InvalidInput(f"{text!r} is not a whole number of wei from 1 to 2^96 - 1")
    return wei


def amount_in(currency: Currency, text: str) -> int:
    """An amount such as "0.5 ether", or "12.5 USDC" of a token, in its smallest unit. Raises
    InvalidInput, also for what is no text, such as a bare number."""
    if not isinstance(text, str):
        raise InvalidInput(
            f"{text!r} is not an amount: write a text with a number and its unit, as in"
            f" '1 {currency.symbol}'"
        )
    return parse_amount(text) if currency == ETHER_CURRENCY else currency.parse(text)
