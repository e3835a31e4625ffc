"""ResaleMarket of the first protocol."""

from fedpact.chain.abi import FIRST, RESALE
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.bindings.first_protocol.structs import Purchase, PurchaseStatus
from fedpact.chain.records import BlockReference


class ResaleMarket(Binding):
    """Amounts in wei, times in seconds."""

    NAME = RESALE
    PROTOCOL = FIRST

    def offered(self, request_id: int, block: BlockReference = None) -> tuple[int, int]:
        """Price (0: not for sale), and earnings from sealed purchases, in wei."""
        price, earned = self._view("offered", request_id, block=block)
        return int(price), int(earned)

    def purchase(self, request_id: int, buyer: str, block: BlockReference = None) -> Purchase:
        """The last purchase of a result by an account; status NONE if there is none."""
        found = snake(self._view("purchase", request_id, buyer, block=block))
        return Purchase(**{**found, "status": PurchaseStatus(found["status"])})

    def claimable(self, request_id: int, seat: int, block: BlockReference = None) -> int:
        return int(self._view("claimable", request_id, seat, block=block))
