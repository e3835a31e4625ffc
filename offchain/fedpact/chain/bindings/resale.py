"""ResaleMarket: resale of results, and the record of how a request's providers were found."""

from collections.abc import Iterator, Sequence

from fedpact.chain.abi import RESALE
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Event, Receipt
from fedpact.types.resale import Purchase, PurchaseStatus


class ResaleMarket(Binding):
    """What IResaleMarket.sol documents; amounts in wei, times in seconds, digests 32 bytes."""

    NAME = RESALE

    # Requester

    def record_retrieval(self, keys: AccountKeys, request_id: int, digest: bytes) -> Receipt:
        """Before training: the digest of the CID of the lookup's record."""
        return self._send(keys, "recordRetrieval", request_id, digest)

    def offer(self, keys: AccountKeys, request_id: int, price: int) -> Receipt:
        """Before training: allow resale at a price that can no longer change."""
        return self._send(keys, "offer", request_id, price)

    # Buyer

    def buy(
        self, keys: AccountKeys, request_id: int, accounts: Sequence[str], price: int
    ) -> Receipt:
        """`accounts`: see `Rounds.committee`."""
        return self._send(keys, "buy", request_id, accounts, value=price)

    def refund(self, keys: AccountKeys, request_id: int) -> Receipt:
        return self._send(keys, "refund", request_id)

    # Providers

    def seal(
        self, keys: AccountKeys, request_id: int, seat: int, buyer: str, sealed_key: bytes
    ) -> Receipt:
        """`sealed_key` has 80 bytes. The first seal in time earns the price."""
        return self._send(keys, "seal", request_id, seat, buyer, sealed_key)

    def claim(self, keys: AccountKeys, request_id: int, seat: int) -> Receipt:
        return self._send(keys, "claim", request_id, seat)

    # Views

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

    def events(self, request_id: int) -> Iterator[Event]:
        """The contract's events about a request, oldest first."""
        return self.history([None, f"0x{request_id:064x}"])
