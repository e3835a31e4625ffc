"""Requests of the second market, on a pool and rounds whose facts a test sets itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from fedpact.chain.addresses import created_address
from fedpact.content.bn254 import Point, public_key
from fedpact.content.delivery import Deliveries, Delivery
from fedpact.content.wrong_key_proof import SharedPoint
from tests.support.chainkit import Address, Chain, address_of, events

ETHER = "0x" + 40 * "0"
GWEI = 10**9
PAY = 10**18
UNIT = 10**15
GAS_PER_ROUND = 10**7 * GWEI
WINDOW = 1_000
FLOOR = 60
DELAY = 7 * 24 * 3600
SECRET = 0x5EC2E7
REQUEST_KEY = b"\x07" * 32
TERMS_TYPE = (
    "(bytes32,bytes32,bytes32,bytes32,uint256,uint256,address,uint128,uint96,uint64,uint16,uint16,"
    "uint8,uint8,uint16,uint16,uint16,uint16,uint8,uint8,uint16,uint32,uint32,uint32,uint32,uint32,"
    "uint32,uint32,uint32,address[])"
)
OPEN, DELIVERED, DISPUTED, SETTLED = 1, 2, 3, 4
PAID, BLIND, VOID_START = 1 << 16, 1 << 17, 1 << 18


def make_terms(**changes: Any) -> dict[str, Any]:
    """Terms of a request of four rounds that pays PAY in ether; every window is WINDOW seconds."""
    key = public_key(SECRET)
    windows = ("join", "start", "submit", "commit", "reveal", "attest", "deliver", "dispute")
    return {
        "specification": keccak(text="specification"),
        "evaluation": keccak(text="evaluation"),
        "initialModel": keccak(text="initial model"),
        "queryKey": keccak(text="query key"),
        "deliveryKeyX": key.x,
        "deliveryKeyY": key.y,
        "token": ETHER,
        "pay": PAY,
        "gasPerRound": GAS_PER_ROUND,
        "maxGasPrice": 100 * GWEI,
        **{"minPool": 2, "maxPool": 100, "cohort": 4, "weightRule": 0, "sampleCap": 0},
        **{"maxRounds": 4, "maxError": 9_000, "target": 500},
        **{"leaderRule": 0, "approvalRule": 0, "voteBand": 50},
        **{f"{name}Window": WINDOW for name in windows},
        "openers": [],
        **changes,
    }


def entry(
    points: Sequence[int],
    indices: Sequence[int] | None = None,
    *,
    faults: int = 0,
    flags: int = PAID,
    refund: int = 0,
    poster: str = ETHER,
    digest: bytes = b"\x01" * 32,
) -> tuple[int, int, int, bytes]:
    """A round in which seat i, held by member indices[i] (i by default), earned points[i].

    `faults` is a mask of seats, `refund` gwei of gas for `poster`.
    """
    held = range(len(points)) if indices is None else indices
    cohort = sum(index << (16 * seat) for seat, index in enumerate(held))
    lanes = sum(own << (16 * seat) for seat, own in enumerate(points))
    extra = faults | flags | refund << 32 | int(poster, 16) << 96
    return cohort, lanes, extra, digest


def gas_entry(refund: int, poster: Address) -> tuple[int, int, int, bytes]:
    """Gas of one batch, in gwei."""
    return entry([], flags=0, refund=refund, poster=address_of(poster), digest=bytes(32))


def folded(entries: Sequence[tuple[int, int, int, bytes]], before: bytes = bytes(32)) -> bytes:
    """The running hash after these entries."""
    for one in entries:
        before = keccak(
            encode(["bytes32", "uint256", "uint256", "uint256", "bytes32"], [before, *one])
        )
    return before


@dataclass(frozen=True)
class Contracts:
    registry: Any
    pool: Any
    rounds: Any
    ledger: Any
    market: Any
    registrar: LocalAccount


def deploy(chain: Chain, deployer: LocalAccount) -> Contracts:
    """Registry, ledger and market, with a fake pool and fake rounds that tests control."""
    registry = chain.deploy("ParticipantRegistry", deployer, deployer.address, DELAY)
    pool = chain.deploy("FakePool", deployer)
    rounds = chain.deploy("FakeRounds", deployer)
    nonce = chain.w3.eth.get_transaction_count(deployer.address)
    market_address = created_address(deployer.address, nonce + 1)
    ledger = chain.deploy(
        "ReputationLedger", deployer, deployer.address, DELAY, market_address, UNIT
    )
    addresses = (contract.address for contract in (registry, pool, rounds, ledger))
    market = chain.deploy("SharingMarket", deployer, *addresses, deployer.address, FLOOR)
    assert market.address == market_address
    return Contracts(registry, pool, rounds, ledger, market, deployer)


class Request:
    """One request; `members` are its pool."""

    def __init__(
        self,
        chain: Chain,
        contracts: Contracts,
        accounts: Sequence[LocalAccount],
        members: Sequence[Address] | int = 4,
        **terms: Any,
    ) -> None:
        self.chain, self.on = chain, contracts
        self.requester, self.stranger = accounts[1], accounts[23]
        self.members = list(accounts[2 : 2 + members] if isinstance(members, int) else members)
        self.terms = make_terms(**terms)
        self.id = 0
        self.entries: list[tuple[int, int, int, bytes]] = []
        self.deliveries: Deliveries | None = None
        self.outcome: dict[str, Any] = {}
        self.admit(self.requester, 1)

    def admit(self, account: Address, organisation: int) -> None:
        registry = self.on.registry
        if registry.functions.participant(address_of(account)).call().status == 0:
            call = registry.functions.admit(
                address_of(account), organisation, b"\x01" * 32, bytes(32), bytes(32)
            )
            self.chain.send(self.on.registrar, call)

    # -- sending -----------------------------------------------------------------------------------

    def send(self, sender: Address, name: str, *args: Any, value: int = 0) -> Any:
        return self.chain.send(sender, self.on.market.functions[name](*args), value)

    @property
    def gas_budget(self) -> int:
        return int(self.terms["gasPerRound"] * self.terms["maxRounds"])

    @property
    def value(self) -> int:
        """The ether that comes with the request."""
        return self.gas_budget + (self.terms["pay"] if self.terms["token"] == ETHER else 0)

    def create(self, value: int | None = None, sender: Address | None = None) -> Any:
        value = self.value if value is None else value
        receipt = self.send(sender or self.requester, "createRequest", self.terms, value=value)
        self.created()
        return receipt

    def created(self) -> None:
        self.id = self.on.market.functions.requestCount().call()
        addresses = [address_of(member) for member in self.members]
        call = self.on.pool.functions.setMembers(self.id, addresses)
        self.chain.send(self.stranger, call)

    def start(self, deliveries: Deliveries | None = None) -> None:
        """The rounds run; what will be delivered is anchored."""
        key = Point(self.terms["deliveryKeyX"], self.terms["deliveryKeyY"])
        self.deliveries = deliveries or Deliveries.seal(
            REQUEST_KEY, key, bytes(32), self.id, self.terms["maxRounds"]
        )
        self._set(running=True, deliveryHash=self.deliveries.root)

    def end(
        self, *entries: tuple[int, int, int, bytes], final_rounds: int | None = None, **outcome: Any
    ) -> None:
        """The rounds are over, and earned `entries`; by default every paid round is final."""
        self.entries = list(entries)
        paid = sum(bool(one[2] & PAID) for one in entries)
        facts = {
            "running": False,
            "ended": True,
            "anySubmission": bool(entries),
            "endedAt": self.chain.now,
            "finalRounds": paid if final_rounds is None else final_rounds,
            "paidRounds": paid,
            "earned": folded(entries),
        }
        self._set(**facts, **outcome)

    def _set(self, **facts: Any) -> None:
        now = self.on.rounds.functions.outcome(self.id).call()
        self.outcome = {**now._asdict(), **facts}
        call = self.on.rounds.functions.setOutcome(self.id, self.outcome)
        self.chain.send(self.stranger, call)

    def delivery(self, final_rounds: int | None = None) -> Delivery:
        assert self.deliveries is not None
        return self.deliveries.after(final_rounds or self.outcome["finalRounds"])

    def deliver(self, delivery: Delivery | None = None, sender: Address | None = None) -> Any:
        args = (self.id, self.terms, as_argument(delivery or self.delivery()))
        return self.send(sender or self.stranger, "deliver", *args)

    def dispute(self, shared: SharedPoint, delivery: Delivery | None = None) -> Any:
        delivery = delivery or self.delivery()
        proof = ((shared.shared.x, shared.shared.y), shared.challenge, shared.response)
        args = (self.id, self.terms, as_argument(delivery), proof)
        return self.send(self.requester, "dispute", *args)

    def settle(
        self,
        entries: Sequence[Any] | None = None,
        sender: Address | None = None,
        acceptance: bytes = b"",
    ) -> Any:
        args = (self.id, self.terms, self.entries if entries is None else entries, acceptance)
        return self.send(sender or self.stranger, "settle", *args)

    def collect(self, start: int, end: int | None = None) -> Any:
        """Tally entries[start:end]."""
        before = folded(self.entries[:start])
        args = (self.id, self.terms, before, self.entries[start:end])
        return self.send(self.stranger, "collect", *args)

    def pay(self, *indices: int) -> Any:
        return self.send(self.stranger, "pay", self.id, self.terms, list(indices))

    def wait(self) -> None:
        """Wait until the dispute or delivery window is over."""
        self.chain.travel(WINDOW + 1)

    # -- views -------------------------------------------------------------------------------------

    @property
    def status(self) -> int:
        return int(self.on.market.functions.request(self.id).call().status)

    def balance(self, account: Address, token: str = ETHER) -> int:
        """What the market owes the account."""
        return int(self.on.market.functions.balanceOf(address_of(account), token).call())

    def reputation(self, account: Address) -> int:
        return int(self.on.ledger.functions.reputation(address_of(account)).call())

    @property
    def requester_reputation(self) -> int:
        call = self.on.ledger.functions.requesterReputation(self.requester.address)
        return int(call.call())

    def paid(self, receipt: Any) -> list[tuple[str, int, bool]]:
        """The payments of a transaction, and whether each was only credited."""
        found = events(self.on.market, "Paid", receipt)
        return [(one["account"], one["amount"], one["credited"]) for one in found]

    def event(self, name: str, receipt: Any) -> dict[str, Any]:
        (found,) = events(self.on.market, name, receipt)
        return found


def as_argument(delivery: Delivery) -> tuple[Any, ...]:
    """A delivery as the contract's function takes it."""
    point = (delivery.ephemeral.x, delivery.ephemeral.y)
    return point, delivery.cipher, delivery.key_digest, list(delivery.proof)
