"""What an audit reads from the chain besides events, as of one block."""

from functools import cached_property

from fedpact.audit.report import Broken, Unavailable
from fedpact.chain.abi import FIRST, ROUNDS, contract_abi
from fedpact.chain.bindings.first_protocol.structs import PurchaseStatus, RequestRecord, RoundState
from fedpact.chain.client import FirstClient
from fedpact.chain.records import Frame
from fedpact.types.deployment import Deployment
from fedpact.types.requests import CohortMember

SELECTOR_BYTES = 4
REVEAL = "revealVote"


class ChainFacts:
    """Views of the contracts for one request at one frame; each is read once."""

    def __init__(self, client: FirstClient, request_id: int, frame: Frame) -> None:
        self._client = client
        self._id = request_id
        self.frame = frame
        self._timestamps = {frame.block_number: frame.timestamp}

    @property
    def deployment(self) -> Deployment:
        return self._client.deployment

    @cached_property
    def record(self) -> RequestRecord:
        """Raises UnknownRequest."""
        return self._client.market.request(self._id, self.frame)

    @cached_property
    def state(self) -> RoundState:
        return self._client.rounds.round_state(self._id, self.frame)

    @cached_property
    def members(self) -> dict[int, CohortMember]:
        """By seat."""
        found = self._client.rounds.members(self._id, self.frame)
        return {member.seat: member for member in found}

    @cached_property
    def points(self) -> tuple[int, ...]:
        return self._points_and_faults[0]

    @cached_property
    def faults(self) -> tuple[int, ...]:
        return self._points_and_faults[1]

    @cached_property
    def _points_and_faults(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self._client.rounds.points(self._id, self.frame)

    @cached_property
    def refundable(self) -> int:
        """Wei."""
        return self._client.market.refundable(self._id, self.frame)

    @cached_property
    def reputation_unit(self) -> int:
        """Wei."""
        return self._client.registry.reputation_unit(self.frame)

    @cached_property
    def market_balance(self) -> int:
        """Wei."""
        return self._client.balance(self.deployment.market, self.frame)

    @cached_property
    def offered(self) -> tuple[int, int] | None:
        """Price of the result and its earnings from resales, wei; None without a resale market."""
        if self.deployment.resale is None:
            return None
        return self._client.resale.offered(self._id, self.frame)

    @cached_property
    def resale_balance(self) -> int:
        """Wei; 0 without a resale market."""
        address = self.deployment.resale
        return 0 if address is None else self._client.balance(address, self.frame)

    def purchase_status(self, buyer: str) -> PurchaseStatus:
        return self._client.resale.purchase(self._id, buyer, self.frame).status

    def resale_claimable(self, seat: int) -> int:
        """Wei."""
        return self._client.resale.claimable(self._id, seat, self.frame)

    def claimable(self, seat: int) -> int:
        """Wei."""
        return self._client.market.claimable(self._id, seat, self.frame)

    def reputation(self, account: str) -> int:
        return self._client.registry.reputation(account, self.frame)

    def key_version(self, account: str) -> int:
        """Version of the account's current encryption key; 0 for an unknown account."""
        return self._client.registry.participant(account, self.frame).key_version

    def timestamp(self, block: int) -> int:
        """Seconds."""
        if block not in self._timestamps:
            frame = self._client.frame_at(block)
            if frame is None:
                raise Unavailable(f"the node does not know block {block}")
            self._timestamps[block] = frame.timestamp
        return self._timestamps[block]

    def salt(self, tx_hash: str, seat: int, word: int) -> bytes:
        """The salt in the transaction that revealed a vote (32 bytes).

        Raises Unavailable if the vote was revealed through another contract, Broken if the
        transaction contradicts its event.
        """
        transaction = self._client.rpc.call("eth_getTransactionByHash", tx_hash)
        if transaction is None:
            raise Unavailable(f"the node does not know transaction {tx_hash}")
        function = contract_abi(ROUNDS, FIRST).functions[REVEAL]
        data = bytes.fromhex(transaction["input"][2:])
        direct = str(transaction["to"]).lower() == self.deployment.rounds.lower()
        if not direct or data[:SELECTOR_BYTES] != function.selector:
            raise Unavailable(f"the vote in {tx_hash} was revealed through another contract")
        request_id, of_seat, packed, salt = function.inputs.decode(data[SELECTOR_BYTES:])
        if (request_id, of_seat, packed) != (self._id, seat, word):
            raise Broken(f"transaction {tx_hash} reveals another vote than its event")
        return bytes(salt)
