"""A request whose result is on offer, and what its buyers and makers do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fedpact.content.bn254 import Point, public_key
from fedpact.content.delivery import Deliveries, Delivery
from fedpact.content.wrong_key_proof import prove, sale_context
from tests.contracts.market.kit import REQUEST_KEY, WINDOW, Request, as_argument, entry, folded
from tests.support.chainkit import Address, address_of, events

PRICE = 10**16
SECRET = 0xB01E5
KEY = public_key(SECRET)
ROUND = entry([5_000, 3_000, 2_000, 0])


class Sale:
    """A request whose result is on offer; its members have 5,000, 3,000, 2,000 and 0 points."""

    def __init__(self, market: Any, request: Request, buyers: list[Address]) -> None:
        self.market, self.r, self.chain = market, request, request.chain
        self.buyer, self.other = buyers

    @property
    def id(self) -> int:
        return self.r.id

    def send(self, sender: Address, name: str, *args: Any, value: int = 0) -> Any:
        return self.chain.send(sender, self.market.functions[name](*args), value)

    def offer(self, price: int = PRICE, sender: Address | None = None) -> Any:
        return self.send(sender or self.r.requester, "offer", self.id, self.r.terms, price)

    def buy(self, sender: Address | None = None, value: int | None = None, key: Point = KEY) -> Any:
        token = self.r.terms["token"] != "0x" + 40 * "0"
        value = (0 if token else PRICE) if value is None else value
        return self.send(sender or self.buyer, "buy", self.id, key.fields, value=value)

    def tally(self, first: int = 0, last: int | None = None) -> Any:
        entries = self.r.entries[first:last]
        return self.send(self.r.stranger, "tally", self.id, folded(self.r.entries[:first]), entries)

    def sealed(self, key: Point = KEY) -> Delivery:
        """What honest members seal."""
        sealed = Deliveries.seal(REQUEST_KEY, key, bytes(32), self.id, 4)
        return replace(self.r.delivery(), cipher=sealed.after(1).cipher)

    def seal(
        self, index: int = 0, buyer: Address | None = None, cipher: bytes | None = None
    ) -> Any:
        to = address_of(buyer or self.buyer)
        cipher = self.sealed().cipher if cipher is None else cipher
        return self.send(self.r.members[index], "seal", self.id, index, to, cipher)

    def sell(self, index: int = 0, buyer: Address | None = None) -> None:
        """Buy, seal, and wait until the sale can be final."""
        self.buy(buyer)
        self.seal(index, buyer)
        self.chain.travel(WINDOW + 1)

    def proof(self, cipher: bytes, secret: int = SECRET, **changes: Any) -> Any:
        facts = {"request": self.id, "buyer": address_of(self.buyer), **changes}
        context = sale_context(self.chain.chain_id, self.market.address, *facts.values())
        return prove(secret, replace(self.r.delivery(), cipher=cipher), 1, context)

    def dispute(
        self,
        cipher: bytes,
        proof: Any = None,
        key: Point = KEY,
        delivery: Delivery | None = None,
    ) -> Any:
        shown = (proof or self.proof(cipher)).fields
        given = as_argument(delivery or self.r.delivery())
        args = (self.id, address_of(self.buyer), key.fields, cipher, given, shown)
        return self.send(self.r.stranger, "dispute", *args)

    def claim(
        self, index: int = 0, *buyers: Address, to: Address | None = None, sender: Any = None
    ) -> Any:
        member = sender or self.r.members[index]
        accounts = [address_of(one) for one in buyers]
        return self.send(member, "claim", self.id, accounts, index, address_of(to or member))

    def purchase(self, buyer: Address | None = None) -> Any:
        return self.market.functions.purchase(self.id, address_of(buyer or self.buyer)).call()

    def claimable(self, index: int) -> int:
        return int(self.market.functions.claimable(self.id, index).call())

    def points(self) -> list[int]:
        return [self.market.functions.pointsOf(self.id, i).call() for i in range(4)]

    def event(self, name: str, receipt: Any) -> dict[str, Any]:
        (found,) = events(self.market, name, receipt)
        return found
