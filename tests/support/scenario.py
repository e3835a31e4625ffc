"""Drives a request through its lifecycle; a test gets to any phase in a line or two.

Seat i is held by provider i. Unless told otherwise every model scores 1,000 + 100 * seat with every
voter, so seat 0 leads (equal samples), all votes are in the band and all attest to one digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eth_abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from tests.support.chainkit import Chain, Deployed, address_of, events

INVALID = 16_383
PAYMENT = 10**18
PRICE = 10**16
WINDOW = 1_000
SALT = keccak(text="salt")
MANIFEST = keccak(text="manifest")
KEY_HASH = keccak(text="key hash")
ATTRIBUTES = keccak(text="attributes")
SLICE = keccak(text="slice")
SEALED_KEY = bytes(80)
TERMS = (
    "(bytes32,bytes32,bytes32,bytes32,uint16,uint16,uint16,uint8,uint8,uint8,uint8,uint16,"
    "uint32,uint32,uint32,uint32,uint32,uint32,uint32)"
)
NOBODY = "0x" + 40 * "0"

NONE, SUBMIT, COMMIT, REVEAL, TALLY, ATTEST, EXPIRED, ENDED = range(8)
PENDING, SEALED, REFUNDED = 1, 2, 3
STATUS = {"None": 0, "Open": 1, "Running": 2, "Ended": 3, "Delivered": 4, "Cancelled": 5}


def make_terms(**changes: Any) -> dict[str, Any]:
    """Terms of a one-round request for 3 providers; every window is WINDOW seconds."""
    return {
        "specification": keccak(text="specification"),
        "evaluation": keccak(text="evaluation"),
        "initialModel": keccak(text="initial model"),
        "queryKey": keccak(text="query key"),
        "maxError": 9_000,
        "target": 500,
        "maxRounds": 1,
        "minProviders": 2,
        "maxProviders": 3,
        "leaderRule": 0,
        "approvalRule": 0,
        "voteBand": 50,
        **dict.fromkeys(("joinWindow", "startWindow", "submitWindow", "commitWindow"), WINDOW),
        **dict.fromkeys(("revealWindow", "proposeWindow", "deliverWindow"), WINDOW),
        **changes,
    }


def pack(lanes: Mapping[int, int] | Iterable[int]) -> int:
    """Scores by seat as one word of 14-bit lanes."""
    items = lanes.items() if isinstance(lanes, Mapping) else enumerate(lanes)
    return sum(score << (14 * seat) for seat, score in items)


def unpack(word: int, seats: int) -> list[int]:
    return [(word >> (14 * seat)) & INVALID for seat in range(seats)]


def seats_of(mask: int) -> list[int]:
    return [seat for seat in range(64) if mask >> seat & 1]


def mask_of(seats: Iterable[int]) -> int:
    return sum(1 << seat for seat in seats)


class Scenario:
    """One request. `requester` and `providers` are admitted, each under its own organisation."""

    def __init__(
        self,
        chain: Chain,
        deployed: Deployed,
        accounts: list[LocalAccount],
        providers: int = 3,
        payment: int = PAYMENT,
        **terms: Any,
    ) -> None:
        self.chain, self.deployed = chain, deployed
        self.registry, self.market, self.rounds = (
            deployed.registry,
            deployed.market,
            deployed.rounds,
        )
        self.resale = deployed.resale
        self.requester, self.buyer, self.stranger = accounts[1], accounts[22], accounts[23]
        self.providers = accounts[2 : 2 + providers]
        self.payment = payment
        self.terms = make_terms(**{"maxProviders": providers, **terms})
        self.gas: dict[str, list[int]] = {}
        self.receipts: list[Any] = []
        self.id = 0
        self._facts: Any = None
        self._facts_key = (-1, -1)
        for number, account in enumerate([self.requester, *self.providers]):
            self.admit(account, 100 + number)

    # -- sending -----------------------------------------------------------------------------------

    def market_call(self, sender: Any, name: str, *args: Any, value: int = 0) -> Any:
        return self._send(sender, self.market.functions[name](*args), name, value)

    def rounds_call(self, sender: Any, name: str, *args: Any) -> Any:
        return self._send(sender, self.rounds.functions[name](*args), name, 0)

    def cache_call(self, sender: Any, name: str, *args: Any, value: int = 0) -> Any:
        return self._send(sender, self.resale.functions[name](*args), f"resale.{name}", value)

    def _send(self, sender: Any, call: Any, name: str, value: int) -> Any:
        receipt = self.chain.send(sender, call, value)
        self.gas.setdefault(name, []).append(receipt["gasUsed"])
        self.receipts.append(receipt)
        return receipt

    def admit(self, account: Any, organisation: int) -> None:
        if self.registry.functions.participant(account.address).call()[1] == 0:
            call = self.registry.functions.admit(
                *(account.address, organisation, keccak(text="key"), bytes(32), bytes(32))
            )
            self.chain.send(self.deployed.registrar, call)

    def suspend(self, account: Any) -> None:
        call = self.registry.functions.suspend(account.address)
        self.chain.send(self.deployed.registrar, call)

    def restore(self, account: Any) -> None:
        call = self.registry.functions.restore(account.address)
        self.chain.send(self.deployed.registrar, call)

    # -- views -------------------------------------------------------------------------------------

    @property
    def facts(self) -> Any:
        """The round's facts, read once per state of the chain."""
        key = (self.id, self.chain.version)
        if key != self._facts_key:
            self._facts = self.rounds.functions.roundState(self.id).call()
            self._facts_key = key
        return self._facts

    @property
    def request(self) -> Any:
        return self.market.functions.request(self.id).call()

    @property
    def accounts(self) -> list[str]:
        """The holder of each seat, from the market's events; zero address: nobody."""
        held: list[str] = []
        for log in self._logs("Joined", "Withdrawn"):
            seat = log["args"]["seat"]
            held += [NOBODY] * (seat + 1 - len(held))
            held[seat] = log["args"]["provider"] if log["event"] == "Joined" else NOBODY
        return held

    def _logs(self, *names: str) -> list[Any]:
        """The market's events of these names about this request, oldest first."""
        found = [
            log
            for name in names
            for log in self.market.events[name]().get_logs(
                from_block=0, argument_filters={"requestId": self.id}
            )
        ]
        return sorted(found, key=lambda log: (log["blockNumber"], log["logIndex"]))

    @property
    def terms_hash(self) -> bytes:
        return keccak(encode([TERMS], [tuple(self.terms.values())]))

    @property
    def tallied(self) -> Any:
        """The last tally event of this request."""
        logs = self.rounds.events.RoundTallied().get_logs(
            from_block=0, argument_filters={"requestId": self.id}
        )
        return logs[-1]["args"]

    def member(self, seat: int) -> Any:
        """The registry's record of this seat's provider."""
        return self.rounds.functions.member(self.id, address_of(self.providers[seat])).call()

    @property
    def status(self) -> int:
        return int(self.request.status)

    @property
    def points(self) -> list[int]:
        return list(self.rounds.functions.points(self.id).call()[0])

    @property
    def faults(self) -> list[int]:
        return list(self.rounds.functions.points(self.id).call()[1])

    @property
    def order(self) -> list[int]:
        """The leaders of the tallied round."""
        return list(self.rounds.functions.leaderOrder(self.id).call())

    @property
    def submitted(self) -> list[int]:
        return seats_of(self.facts.submitted)

    def event(self, name: str, receipt: Any) -> dict[str, Any]:
        """The one event of this name in a receipt, of market, rounds or resale."""
        (contract,) = (
            contract
            for contract in (self.market, self.rounds, self.resale)
            if any(item["type"] == "event" and item["name"] == name for item in contract.abi)
        )
        (found,) = events(contract, name, receipt)
        return found

    # -- the market's part ------------------------------------------------------------------------

    def create(self) -> Any:
        receipt = self.market_call(self.requester, "createRequest", self.terms, value=self.payment)
        self.id = self.market.functions.requestCount().call()
        return receipt

    def join(self, provider: int, samples: int = 100) -> Any:
        return self.market_call(self.providers[provider], "join", self.id, samples, ATTRIBUTES)

    def join_all(self) -> None:
        for provider in range(len(self.providers)):
            self.join(provider)

    def withdraw(self, seat: int) -> Any:
        return self.market_call(self.providers[seat], "withdraw", self.id, seat)

    def start(self, seat: int = 0) -> Any:
        args = (self.id, seat, MANIFEST, KEY_HASH, self.accounts)
        return self.market_call(self.providers[seat], "start", *args)

    def cancel(self) -> Any:
        return self.market_call(self.requester, "cancel", self.id)

    def deliver(self, seat: int | None = None) -> Any:
        seat = self.facts.lastLeader if seat is None else seat
        args = (self.id, seat, SEALED_KEY, self.accounts)
        return self.market_call(self.providers[seat], "deliver", *args)

    def claim(self, seat: int) -> Any:
        return self.market_call(self.providers[seat], "claim", self.id, seat)

    def refund(self) -> Any:
        return self.market_call(self.requester, "refund", self.id, self.accounts)

    def settle(self) -> Any:
        return self.market_call(self.stranger, "settle", self.id, self.accounts)

    # -- the rounds' part -------------------------------------------------------------------------

    def digest(self, seat: int) -> bytes:
        return keccak(text=f"model {self.id} {self.facts.round} {seat}")

    @property
    def global_digest(self) -> bytes:
        return keccak(text=f"global {self.id} {self.facts.round}")

    def submit(self, seat: int, digest: bytes | None = None) -> Any:
        digest = digest or self.digest(seat)
        return self.rounds_call(self.providers[seat], "submit", self.id, seat, digest)

    def submit_all(self) -> None:
        for seat in seats_of(self.facts.expected):
            self.submit(seat)

    def open_slice(self) -> Any:
        return self.rounds_call(self.requester, "openSlice", self.id, SLICE)

    def vote(self, seat: int, scores: Mapping[int, int] | None = None) -> int:
        """The packed vote of one seat: `scores` by judged seat, by default 1,000 + 100 * seat."""
        judged = [other for other in self.submitted if other != seat]
        return pack({other: (scores or {}).get(other, 1_000 + 100 * other) for other in judged})

    def commitment(self, seat: int, packed: int, salt: bytes = SALT) -> bytes:
        member = address_of(self.providers[seat])
        return keccak(
            encode(
                ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"],
                [*self._place(), member, packed, salt],
            )
        )

    def attestation(self, seat: int, digest: bytes, mae: int) -> bytes:
        member = address_of(self.providers[seat])
        return keccak(
            encode(
                ["uint256", "address", "uint256", "uint256", "bytes32", "uint256", "address"],
                [*self._place(), digest, mae, member],
            )
        )

    def _place(self) -> list[Any]:
        return [self.chain.chain_id, self.rounds.address, self.id, self.facts.round]

    def commit(self, seat: int, scores: Mapping[int, int] | None = None) -> Any:
        commitment = self.commitment(seat, self.vote(seat, scores))
        return self.rounds_call(self.providers[seat], "commitVote", self.id, seat, commitment)

    def reveal(self, seat: int, scores: Mapping[int, int] | None = None) -> Any:
        args = (self.id, seat, self.vote(seat, scores), SALT)
        return self.rounds_call(self.providers[seat], "revealVote", *args)

    def vote_all(
        self,
        scores: Mapping[int, int] | None = None,
        by_voter: Mapping[int, Mapping[int, int]] | None = None,
    ) -> None:
        """All who submitted commit and reveal `scores`, or what `by_voter` gives them."""
        votes = {seat: (by_voter or {}).get(seat, scores) for seat in self.submitted}
        for seat, own in votes.items():
            self.commit(seat, own)
        for seat, own in votes.items():
            self.reveal(seat, own)

    def tally(self) -> Any:
        return self.rounds_call(self.stranger, "tally", self.id, self.accounts)

    def attest(self, seat: int, digest: bytes | None = None, mae: int = 900) -> Any:
        attestation = self.attestation(seat, digest or self.global_digest, mae)
        return self.rounds_call(self.providers[seat], "attest", self.id, seat, attestation, mae)

    def attest_all(self, mae: int = 900) -> None:
        for seat in seats_of(self.facts.revealed):
            self.attest(seat, mae=mae)

    def propose(self, seat: int = 0, digest: bytes | None = None, mae: int = 900) -> Any:
        args = (self.id, seat, digest or self.global_digest, mae, self.accounts)
        return self.rounds_call(self.providers[seat], "propose", *args)

    def expire_round(self) -> Any:
        return self.rounds_call(self.stranger, "expireRound", self.id)

    # -- resale ------------------------------------------------------------------------------------

    def offer(self, price: int = PRICE) -> Any:
        return self.cache_call(self.requester, "offer", self.id, price)

    def buy(self, buyer: Any = None, price: int = PRICE) -> Any:
        """By default the buyer belongs to an organisation of its own."""
        buyer = buyer or self.buyer
        self.admit(buyer, 200)
        return self.cache_call(buyer, "buy", self.id, self.accounts, value=price)

    def seal(self, seat: int = 0, buyer: Any = None, sealed_key: bytes = SEALED_KEY) -> Any:
        args = (self.id, seat, address_of(buyer or self.buyer), sealed_key)
        return self.cache_call(self.providers[seat], "seal", *args)

    def claim_resale(self, seat: int) -> Any:
        return self.cache_call(self.providers[seat], "claim", self.id, seat)

    def refund_purchase(self, buyer: Any = None) -> Any:
        return self.cache_call(buyer or self.buyer, "refund", self.id)

    def purchase(self, buyer: Any = None) -> Any:
        return self.resale.functions.purchase(self.id, address_of(buyer or self.buyer)).call()

    @property
    def offered(self) -> tuple[int, int]:
        """Price and sum earned."""
        price, earned = self.resale.functions.offered(self.id).call()
        return price, earned

    def resale_claimable(self, seat: int) -> int:
        return int(self.resale.functions.claimable(self.id, seat).call())

    # -- whole phases -----------------------------------------------------------------------------

    def opened(self) -> Scenario:
        """Created and joined by all."""
        self.create()
        self.join_all()
        return self

    def running(self) -> Scenario:
        """Started by seat 0: round 1 waits for submissions."""
        self.opened()
        self.start()
        return self

    def committing(self) -> Scenario:
        self.running().submit_all()
        return self

    def revealing(self) -> Scenario:
        self.committing()
        for seat in self.submitted:
            self.commit(seat)
        return self

    def revealed(self) -> Scenario:
        """All votes are revealed; the tally is due."""
        self.committing().vote_all()
        return self

    def attesting(self) -> Scenario:
        self.revealed().tally()
        return self

    def attested(self, mae: int = 900) -> Scenario:
        self.attesting().attest_all(mae)
        return self

    def finalised(self, mae: int = 900) -> Scenario:
        """Round 1 is final; the request has ended unless it has more rounds to go."""
        self.attested(mae).propose()
        return self

    def on_offer(self, price: int = PRICE) -> Scenario:
        """Delivered, and offered for resale before the training."""
        self.create()
        self.offer(price)
        self.join_all()
        self.start()
        self.play_round()
        self.deliver()
        return self

    def delivered(self, mae: int = 900) -> Scenario:
        self.finalised(mae).deliver()
        return self

    def play_round(self, mae: int = 900) -> None:
        """One healthy round from its submissions to the first leader's proposal."""
        self.submit_all()
        self.open_slice()
        self.vote_all()
        self.tally()
        leader = self.order[0]
        for seat in seats_of(self.facts.revealed):
            if seat != leader:
                self.attest(seat, mae=mae)
        self.propose(leader, mae=mae)

    def pass_deadline(self) -> None:
        """Moves the clock one second past the deadline of the current phase."""
        self.chain.mine_at(self.facts.deadline + 1)
