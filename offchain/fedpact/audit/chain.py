"""What an audit reads from the chain besides events, as of one block."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_account.messages import SignableMessage

from fedpact.audit.report import Broken, Unavailable
from fedpact.chain.abi import SECOND, contract_abi
from fedpact.chain.addresses import checksum
from fedpact.chain.bindings.calls import SIGNATURE_BYTES, calls_in, signature_at
from fedpact.chain.bindings.events import Place
from fedpact.chain.bindings.token import Token
from fedpact.chain.client import ChainClient
from fedpact.chain.contract_wallets import accepts
from fedpact.chain.records import Frame
from fedpact.chain.signed_messages import LargeRecord, RoundRecord, signed_digest, signer_of
from fedpact.errors import DeploymentError, InvalidInput, NodeUnreachable, Reverted
from fedpact.types.deployment import SecondDeployment
from fedpact.types.requests import (
    ETHER,
    PoolFacts,
    PoolMember,
    RoundFacts,
    RoundsOutcome,
    StoredRequest,
    Terms,
)
from fedpact.types.resale import ResaleOffer, SaleStatus


@dataclass(frozen=True)
class Asked:
    """A call with the account that sent it."""

    sender: str
    args: Sequence[Any]


class Facts:
    """Views, blocks and transactions of one request at one frame; each is read once."""

    def __init__(self, client: ChainClient, request_id: int, frame: Frame) -> None:
        self._client = client
        self.request_id = request_id
        self.frame = frame
        self._blocks: dict[int, tuple[int, int]] = {}
        self._transactions: dict[str, dict[str, Any]] = {}

    @property
    def deployment(self) -> SecondDeployment:
        return self._client.deployment

    # ------------------------------------------------------------------ views

    @cached_property
    def record(self) -> StoredRequest:
        """Raises UnknownRequest."""
        return self._client.market.request(self.request_id, self.frame)

    @cached_property
    def outcome(self) -> RoundsOutcome:
        return self._client.any_rounds.outcome(self.request_id, self.frame)

    @cached_property
    def state(self) -> RoundFacts:
        return self._client.any_rounds.round_facts(self.request_id, self.frame)

    @cached_property
    def members(self) -> tuple[PoolMember, ...]:
        return self._client.pool.members(self.request_id, self.frame)

    @cached_property
    def pool(self) -> PoolFacts:
        return self._client.pool.facts(self.request_id, self.frame)

    def unpaid(self, index: int) -> int:
        """What `pay` would pay to a member, in the smallest unit."""
        return self._client.market.unpaid(self.request_id, index, self.frame)

    def held(self, token: str, market: str | None = None) -> int:
        """What the market, or another contract, holds of a token, in its smallest unit."""
        market = market or self.deployment.market
        if token == ETHER:
            return self._client.balance(market, self.frame)
        try:
            return Token(self._client, token).balance_of(market, self.frame)
        except (Reverted, DeploymentError, InvalidInput) as error:
            raise Unavailable(f"{token} does not report the market's balance: {error}") from error

    @cached_property
    def offered(self) -> ResaleOffer | None:
        """What the resale market knows of the result; None if the deployment has none."""
        if self.deployment.resale is None:
            return None
        return self._client.resale.offered(self.request_id, self.frame)

    def sale_status(self, buyer: str) -> SaleStatus:
        return self._client.resale.purchase(self.request_id, buyer, self.frame).status

    def resale_claimable(self, index: int) -> int:
        """What a maker may take of final sales, in the smallest unit."""
        return self._client.resale.claimable(self.request_id, index, self.frame)

    def reputation(self, account: str) -> int:
        return self._client.reputation.reputation(account, self.frame)

    def requester_reputation(self, account: str) -> int:
        return self._client.reputation.requester_reputation(account, self.frame)

    def key_version(self, account: str) -> int:
        """Version of the account's current encryption key; 0 for an unknown account."""
        return self._client.registry.participant(account, self.frame).key_version

    def terms_hash(self, terms: Terms) -> bytes:
        """What the chain keeps of such terms."""
        return self._client.market.terms_hash(terms)

    # ------------------------------------------------------------------ blocks

    def timestamp(self, block: int) -> int:
        """Seconds."""
        return self._block(block)[0]

    def randomness(self, block: int) -> int:
        """PREVRANDAO of a block: its header's mixHash (EIP-4399)."""
        return self._block(block)[1]

    def _block(self, number: int) -> tuple[int, int]:
        if number not in self._blocks:
            found = self._client.rpc.call("eth_getBlockByNumber", hex(number), False)
            if found is None:
                raise Unavailable(f"the node does not know block {number}")
            if "mixHash" not in found:
                raise Unavailable(f"the node does not say the randomness of block {number}")
            self._blocks[number] = int(found["timestamp"], 16), int(found["mixHash"], 16)
        return self._blocks[number]

    # ------------------------------------------------------------------ transactions

    def transaction(self, tx_hash: str) -> dict[str, Any]:
        """As the node gives it; Unavailable where it does not know it."""
        if tx_hash not in self._transactions:
            found = self._client.rpc.call("eth_getTransactionByHash", tx_hash)
            if found is None:
                raise Unavailable(f"the node does not know transaction {tx_hash}")
            self._transactions[tx_hash] = found
        return self._transactions[tx_hash]

    def record_of(self, tx_hash: str, record_hash: bytes) -> RoundRecord | None:
        """The record of a posted round; None where the transaction shows none with this hash."""
        return self._client.rounds.posted_record(tx_hash, record_hash)

    def large_record_of(self, tx_hash: str, record_hash: bytes) -> LargeRecord | None:
        """As `record_of`, of a large round."""
        return self._client.large.posted_record(tx_hash, record_hash)

    @cached_property
    def draw_delay(self) -> int:
        """Blocks after its opening whose randomness draws a large round's committee."""
        return self._client.large.draw_delay(self.frame)

    def sender(self, tx_hash: str) -> str:
        return checksum(self.transaction(tx_hash)["from"])

    def asked(self, at: Place, contract: str, function: str) -> list[Asked]:
        """The calls of a contract's function in an event's transaction.

        Raises Unavailable where the transaction called another contract, which called this one.
        """
        transaction = self.transaction(at.tx_hash)
        address = self.deployment.contracts[contract]
        if str(transaction["to"]).lower() != address.lower():
            raise Unavailable(f"transaction {at.tx_hash} called {function} by another contract")
        calldata = bytes.fromhex(str(transaction["input"]).removeprefix("0x"))
        found = calls_in(contract_abi(contract, SECOND), calldata)
        sender = self.sender(at.tx_hash)
        return [
            Asked(sender, call.args)
            for call in found
            if call.function == function and call.args[0] == self.request_id
        ]

    # ------------------------------------------------------------------ signatures

    def all_sign(
        self,
        said: Sequence[tuple[str, SignableMessage]],
        sender: str,
        packed: bytes,
        at: Place,
    ) -> int | None:
        """Whether each account but the sender signed its message, in this order.

        Returns the place of the first that did not, None if all did. A contract wallet is asked
        as of the block in which its signature was taken (ERC-1271).
        """
        ordinal = 0
        for place, (account, message) in enumerate(said):
            if account == sender:
                continue
            try:
                given = signature_at(packed, ordinal)
            except InvalidInput:
                return place
            if given.by_wallet:
                signed = self._wallet_agrees(account, message, given.content, at.block)
            else:
                signed = _signer(message, given.content) == account
            if not signed:
                return place
            ordinal += 1
        return None

    def signed_by(
        self, account: str, message: SignableMessage, signature: bytes, wallet: bool, at: Place
    ) -> bool:
        """Whether an account signed what is not on chain; a contract wallet is asked as of the
        block of an event."""
        if wallet:
            return self._wallet_agrees(account, message, signature, at.block)
        return _signer(message, signature) == account

    def accepted_by(self, requester: str, signature: bytes, at: Place) -> bool:
        """Whether the requester signed that it accepts the delivery."""
        message = self._client.market.acceptance(self.request_id)
        key = signature
        if len(signature) == SIGNATURE_BYTES:
            key = signature_at(signature, 0).content
        if _signer(message, key) == requester:
            return True
        return bool(signature) and self._wallet_agrees(requester, message, signature, at.block)

    def _wallet_agrees(
        self, account: str, message: SignableMessage, signature: bytes, block: int
    ) -> bool:
        try:
            digest = signed_digest(message)
            return accepts(self._client.rpc, account, digest, signature, hex(block))
        except NodeUnreachable as error:
            raise Unavailable(
                f"the node does not say whether the wallet {account} signed in block {block}:"
                f" {error}"
            ) from error


def _signer(message: SignableMessage, signature: bytes) -> str | None:
    try:
        return signer_of(message, signature)
    except InvalidInput:
        return None


def require_asked(found: Sequence[Asked], at: Place, function: str) -> Asked:
    """The only call that fits an event; Broken where the transaction holds none."""
    if not found:
        raise Broken(f"transaction {at.tx_hash} has no such call of {function}")
    return found[0]
