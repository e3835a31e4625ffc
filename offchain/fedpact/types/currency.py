"""What requests pay in: ether, or an ERC-20 token. Amounts are integers in its smallest unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext

from fedpact.errors import InvalidInput
from fedpact.types.requests import ETHER

MAX_AMOUNT = 2**96
"""Pay fits 96 bits in the market."""
_DIGITS = 200
"""Of an amount as written: 2^96 has 29, more than Decimal keeps by default."""


@dataclass(frozen=True)
class Currency:
    """A token's own symbol proves nothing: its address is what counts."""

    token: str
    """Checksummed address; ETHER for ether."""
    symbol: str
    decimals: int

    def text(self, amount: int) -> str:
        """An amount with its symbol, exact, without trailing zeros."""
        whole, part = divmod(amount, 10**self.decimals)
        fraction = f"{part:0{self.decimals}d}".rstrip("0") if part else ""
        return f"{whole}{'.' if fraction else ''}{fraction} {self.symbol}"

    def parse(self, text: str) -> int:
        """The amount in "12.5 USDC"; the symbol is required. Raises InvalidInput."""
        number, _, unit = text.strip().partition(" ")
        if unit.strip() != self.symbol:
            raise InvalidInput(
                f"{text!r} is not an amount of the token {self.token}: write a number and"
                f" {self.symbol}, as in '1 {self.symbol}'"
            )
        try:
            with localcontext(prec=_DIGITS) as context:
                context.traps[Inexact] = True
                scaled = Decimal(number).scaleb(self.decimals)
            amount = int(scaled)
            exact = amount == scaled
        except Inexact:
            amount, exact = 0, False
        except (ArithmeticError, ValueError):
            raise InvalidInput(f"{text!r} does not begin with a number") from None
        if not exact or not 0 < amount < MAX_AMOUNT:
            raise InvalidInput(
                f"{text!r} is not above 0 and below 2^96 of the token's smallest units, of which"
                f" {self.symbol} has {self.decimals} decimals"
            )
        return amount


ETHER_CURRENCY = Currency(ETHER, "ether", 18)
