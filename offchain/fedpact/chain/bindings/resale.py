"""ResaleMarket: sales of finished results, retrieval records."""

from collections.abc import Sequence

from fedpact.chain.abi import RESALE, SECOND
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.market import DeliveryFields, SharedFields
from fedpact.chain.bindings.structs import terms_struct
from fedpact.chain.records import BlockReference, Call
from fedpact.types.requests import Earned, Terms
from fedpact.types.resale import ResaleOffer, Sale, SaleStatus


class ResaleMarket(Binding):
    """What contracts/interfaces/IResaleMarket.sol documents."""

    NAME = RESALE
    PROTOCOL = SECOND

    # Requester

    def record_retrieval(self, request: int, digest: bytes) -> Call:
        """Before the start: the digest of the CID of the lookup's record."""
        return self.own_function("recordRetrieval", request, digest)

    def offer(self, request: int, terms: Terms, price: int) -> Call:
        """Allow resale at a price that can no longer change, in the token of the terms."""
        return self.own_function("offer", request, terms_struct(terms), price)

    # Buyer

    def buy(self, request: int, key: tuple[int, int], value: int) -> Call:
        """`key`: the buyer's point on BN254; `value`: the price if it is in ether, else 0."""
        return self.own_function("buy", request, key, value=value)

    def dispute(
        self,
        request: int,
        buyer: str,
        key: tuple[int, int],
        cipher: bytes,
        delivery: DeliveryFields,
        shared: SharedFields,
    ) -> Call:
        return self.function("dispute", request, buyer, key, cipher, delivery, shared)

    def refund(self, request: int) -> Call:
        return self.own_function("refund", request)

    # Members

    def tally(self, request: int, before: bytes, entries: Sequence[Earned]) -> Call:
        """Store the makers' points; `before`: the running hash before `entries`."""
        return self.function("tally", request, before, [entry.fields for entry in entries])

    def seal(self, request: int, index: int, buyer: str, cipher: bytes) -> Call:
        return self.own_function("seal", request, index, buyer, cipher)

    def claim(self, request: int, buyers: Sequence[str], index: int, to: str) -> Call:
        """`buyers`: whose purchases become final with it."""
        return self.own_function("claim", request, list(buyers), index, to)

    # Views

    def offered(self, request: int, block: BlockReference = None) -> ResaleOffer:
        return ResaleOffer(**snake(self._view("offered", request, block=block)))

    def all_offered(self, requests: Sequence[int]) -> dict[int, ResaleOffer]:
        """Those of these requests whose results are on offer."""
        calls = [self.function("offered", one) for one in requests]
        answers = self._connection.read(calls)
        found = [ResaleOffer(**snake(self.decoded("offered", answer))) for answer in answers]
        return {one: offer for one, offer in zip(requests, found, strict=True) if offer.price}

    def bought_by(
        self, buyer: str, requests: Sequence[int], block: BlockReference = None
    ) -> list[int]:
        """Those of these requests whose results an account has bought."""
        calls = [self.function("purchase", one, buyer) for one in requests]
        answers = self._connection.read(calls, block)
        states = [SaleStatus(self.decoded("purchase", answer)["status"]) for answer in answers]
        return [
            one for one, state in zip(requests, states, strict=True) if state is not SaleStatus.NONE
        ]

    def purchase(self, request: int, buyer: str, block: BlockReference = None) -> Sale:
        """The last purchase of a result by an account; status NONE if there is none."""
        found = snake(self._view("purchase", request, buyer, block=block))
        return Sale(**{**found, "status": SaleStatus(found["status"])})

    def points_of(self, request: int, index: int, block: BlockReference = None) -> int:
        return int(self._view("pointsOf", request, index, block=block))

    def claimable(self, request: int, index: int, block: BlockReference = None) -> int:
        """What of final sales a member has not yet taken."""
        return int(self._view("claimable", request, index, block=block))
