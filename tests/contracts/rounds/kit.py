"""Drives a request over the real contracts: registry, ledger, pool, rounds and market.

Member i of `members` has organisation 100 + i; in a pool that joined in one batch it has index i.
Unless told otherwise every model scores 1,000 + 100 * seat with every voter, so that seat 0 leads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import encode
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from fedpact.chain.addresses import created_address
from fedpact.chain.signed_messages import (
    BLIND,
    Anchored,
    Board,
    Domain,
    RoundRecord,
    WalletSignature,
    pack_signatures,
)
from fedpact.consensus import draw
from tests.contracts.market.kit import DELAY, FLOOR, TERMS_TYPE, UNIT, make_terms
from tests.support.chainkit import Chain, address_of, events
from tests.support.direct_contract import direct_contract

NONE, WAITING, SUBMIT, COMMIT, REVEAL, TALLY, ATTEST, FINALISE, FAILED, ENDED = range(10)
MODEL, VOTE, ATTESTATION = range(3)
INVALID = 16_383
START = tuple(keccak(text=name) for name in ("manifest", "key", "committee key", "delivery"))
ATTRIBUTES = keccak(text="attributes")
SLICE_KEY = bytes(range(80))
WINDOW = 1_000
PAID, BLIND_FLAG, VOID_START = 1 << 16, 1 << 17, 1 << 18


def pack(lanes: Mapping[int, int]) -> int:
    """Scores by seat as one word of 14-bit lanes."""
    return sum(score << (14 * seat) for seat, score in lanes.items())


def lanes16(word: int, seats: int) -> list[int]:
    return [(word >> (16 * seat)) & 0xFFFF for seat in range(seats)]


def mask_of(seats: Iterable[int]) -> int:
    return sum(1 << seat for seat in seats)


def seats_of(mask: int) -> list[int]:
    return [seat for seat in range(16) if mask >> seat & 1]


def signature_by(account: Any, message: SignableMessage) -> bytes:
    """Of a key, or of a wallet."""
    given = account.sign_message(message).signature
    return given if isinstance(given, WalletSignature) else bytes(given)


@dataclass(frozen=True)
class Contracts:
    registry: Any
    ledger: Any
    pool: Any
    rounds: Any
    market: Any
    registrar: LocalAccount


def deploy(
    chain: Chain, deployer: LocalAccount, kind: str = "TrainingRounds", *more: int
) -> Contracts:
    """All contracts, each told the others' addresses; `kind`: of the rounds, and what more their
    constructor takes."""
    nonce = chain.w3.eth.get_transaction_count(deployer.address)
    names = ("registry", "ledger", "pool", "rounds", "market")
    at = {name: created_address(deployer.address, nonce + i) for i, name in enumerate(names)}
    registry = chain.deploy("ParticipantRegistry", deployer, deployer.address, DELAY)
    ledger = chain.deploy("ReputationLedger", deployer, deployer.address, DELAY, at["market"], UNIT)
    pool = chain.deploy(
        *("TrainingPool", deployer, at["registry"], at["ledger"], at["market"], at["rounds"])
    )
    chain.deploy(kind, deployer, at["pool"], at["market"], *more)
    market = chain.deploy(
        *("SharingMarket", deployer, at["registry"], at["pool"], at["rounds"], at["ledger"]),
        *(deployer.address, FLOOR),
    )
    assert market.address == at["market"]
    place = at["rounds"]
    rounds = rounds_at(chain, place) if kind == "TrainingRounds" else chain.at(kind, place)
    return Contracts(registry, ledger, pool, rounds, market, deployer)


def rounds_at(chain: Chain, address: str) -> Any:
    """The rounds' contract, with the functions of both halves of its code."""
    halves = [chain.compiled[name].abi for name in ("TrainingRounds", "TrainingRoundsSteps")]
    known = {keccak(text=str(item)): item for half in halves for item in half}
    abi = [item for item in known.values() if item["type"] in ("function", "event", "error")]
    return direct_contract(chain.w3, address, abi)


class Rounds:
    """One request and what its members do."""

    def __init__(
        self,
        chain: Chain,
        contracts: Contracts,
        accounts: Sequence[LocalAccount],
        members: int | Sequence[LocalAccount] = 3,
        value: int = 0,
        **terms: Any,
    ) -> None:
        self.chain, self.on = chain, contracts
        self.requester, self.stranger = accounts[1], accounts[0]
        self.members = (
            list(accounts[2 : 2 + members]) if isinstance(members, int) else list(members)
        )
        self.terms = make_terms(
            **{"maxPool": len(self.members), "cohort": 16, "gasPerRound": 0, **terms}
        )
        self.id, self.gas = 0, dict[str, list[int]]()
        self.samples = 100
        self.start_facts: tuple[bytes, ...] = START
        self.earned: list[tuple[int, int, int, bytes]] = []
        self.board: Board | None = None
        self.slice_log, self.tallied_log = bytes(32), bytes(32)
        self.attestations: list[tuple[int, bytes, int]] = []
        self.committed: list[tuple[int, bytes]] = []
        self.opened: list[tuple[int, int]] = []
        self.votes: dict[int, int] = {}
        self._cohort: tuple[bytes, list[LocalAccount]] | None = None
        self._facts: tuple[tuple[int, int], Any] | None = None
        self.admit(self.requester, 1)
        for i, member in enumerate(self.members):
            self.admit(member, 100 + i)

    # -- sending --------------------------------------------------------------------------------

    def admit(self, account: Any, organisation: int) -> None:
        registry = self.on.registry
        if registry.functions.participant(address_of(account)).call().status == 0:
            facts = (address_of(account), organisation, b"\x01" * 32, bytes(32), bytes(32))
            self.chain.send(self.on.registrar, registry.functions.admit(*facts))

    def send(self, sender: Any, name: str, *args: Any) -> Any:
        """A call of the rounds' contract, with the request's number in front."""
        return self.sent(sender, name, self.on.rounds.functions[name](self.id, *args))

    def sent(self, sender: Any, name: str, call: Any, value: int = 0) -> Any:
        receipt = self.chain.send(sender, call, value)
        self.gas.setdefault(name, []).append(receipt["gasUsed"])
        self.note(receipt)
        return receipt

    def note(self, receipt: Any) -> None:
        """Keep what the receipt's events say of rounds."""
        for event in events(self.on.rounds, "Credited", receipt):
            fields = ("cohort", "points", "extra", "digest")
            self.earned.append(tuple(event[field] for field in fields))  # type: ignore[arg-type]
        for event in events(self.on.rounds, "SliceOpened", receipt):
            self.slice_log = event["log"]
        for event in events(self.on.rounds, "RoundTallied", receipt):
            self.board, self.tallied_log = Board(**event["board"]), event["log"]
        for _ in events(self.on.rounds, "RoundOpened", receipt):
            self.committed, self.opened, self.attestations, self.votes = [], [], [], {}
            self.slice_log = bytes(32)

    # -- facts ----------------------------------------------------------------------------------

    @property
    def facts(self) -> Any:
        """As of the last transaction: nothing else changes them."""
        known = (self.id, self.chain.version)
        if self._facts is None or self._facts[0] != known:
            self._facts = (known, self.on.rounds.functions.roundFacts(self.id).call())
        return self._facts[1]

    @property
    def outcome(self) -> Any:
        return self.on.rounds.functions.outcome(self.id).call()

    @property
    def domain(self) -> Domain:
        return Domain(self.chain.chain_id, self.on.rounds.address)

    @property
    def terms_hash(self) -> bytes:
        return keccak(encode([TERMS_TYPE], [tuple(self.terms.values())]))

    @property
    def seed(self) -> bytes:
        """What draws the present cohort."""
        return bytes(self.facts.seed)

    @property
    def seats(self) -> list[LocalAccount]:
        """The members of the present cohort, by seat."""
        seed = self.seed
        if self._cohort is None or self._cohort[0] != seed:
            _, found = self.on.pool.functions.cohortOf(self.id, seed).call()
            by_address = {account.address: account for account in self.members}
            held = ["0x" + f"{(one >> 72) & (2**160 - 1):040x}" for one in found]
            checksum = self.chain.w3.to_checksum_address
            self._cohort = (seed, [by_address[checksum(address)] for address in held])
        return self._cohort[1]

    def points(self, entry: int = -1) -> list[int]:
        return lanes16(self.earned[entry][1], len(self.seats))

    def faults(self, entry: int = -1) -> list[int]:
        return seats_of(self.earned[entry][2] & 0xFFFF)

    def expect_phase(self, phase: int) -> None:
        assert self.facts.phase == phase

    # -- pool -----------------------------------------------------------------------------------

    def create(self) -> Any:
        value = self.terms["pay"] + self.terms["gasPerRound"] * self.terms["maxRounds"]
        call = self.on.market.functions.createRequest(tuple(self.terms.values()))
        receipt = self.sent(self.requester, "createRequest", call, value)
        self.id = events(self.on.market, "RequestCreated", receipt)[0]["request"]
        return receipt

    def join_signature(self, account: LocalAccount, samples: int | None = None) -> bytes:
        domain = Domain(self.chain.chain_id, self.on.pool.address)
        amount = self.samples if samples is None else samples
        return signature_by(account, domain.join(self.id, amount, ATTRIBUTES, self.terms_hash))

    def enrol(self, accounts: Sequence[Any] | None = None, sender: Any = None, **kind: Any) -> Any:
        accounts = self.members if accounts is None else accounts
        sender = sender or accounts[0]
        joins = [(a.address, self.samples, ATTRIBUTES) for a in accounts]
        signatures = pack_signatures(
            self.join_signature(a) for a in accounts if a.address != address_of(sender)
        )
        call = self.on.pool.functions.enrol(self.id, joins, signatures)
        return self.sent(sender, "enrol", call)

    def start(self, index: int = 0, sender: Any = None) -> Any:
        return self.send(sender or self.members[index], "start", index, self.start_facts)

    def running(self) -> Rounds:
        self.create()
        self.enrol()
        self.start()
        return self

    def halt(self) -> Any:
        call = self.on.market.functions.cancel(self.id)
        return self.sent(self.requester, "cancel", call)

    # -- a round at once ------------------------------------------------------------------------

    def digest(self, seat: int) -> bytes:
        return keccak(text=f"model {self.id} {self.facts.round} {seat}")

    @property
    def global_digest(self) -> bytes:
        return keccak(text=f"global {self.id} {self.facts.round}")

    def vote(
        self, seat: int, judged: Iterable[int], scores: Mapping[int, int] | None = None
    ) -> int:
        given = scores or {}
        return pack({j: given.get(j, 1000 + 100 * j) for j in judged if j != seat})

    def record(
        self,
        seats: Sequence[int],
        scores: Mapping[int, int] | None = None,
        errors: int | Mapping[int, int] = 900,
        digest: bytes | None = None,
    ) -> RoundRecord:
        given = errors if isinstance(errors, Mapping) else dict.fromkeys(seats, errors)
        return RoundRecord(
            tuple(self.digest(seat) for seat in seats),
            tuple(self.vote(seat, seats, scores) for seat in seats),
            SLICE_KEY,
            self.global_digest if digest is None else digest,
            pack(given),
        )

    def post(
        self,
        seats: Sequence[int] | None = None,
        record: RoundRecord | None = None,
        sender: Any = None,
        signers: Sequence[Any] | None = None,
        **options: Any,
    ) -> Any:
        """A whole round; `sender` is seat `seats[0]` unless told otherwise."""
        facts = self.facts
        seats = seats_of(facts.expected | facts.submitted) if seats is None else seats
        record = record or self.record(seats, **options)
        held = [self.seats[seat] for seat in seats]
        sender = sender or held[0]
        message = self.domain.round(self.id, facts.round, facts.history, record)
        packed = pack_signatures(
            signature_by(a, message)
            for a in (signers or held)
            if address_of(a) != address_of(sender)
        )
        return self.send(sender, "postRound", record.fields, packed)

    # -- a round in batches ---------------------------------------------------------------------

    def signed(self, seats: Sequence[int], message: Callable[[int], Any], sender: Any) -> bytes:
        held = {seat: self.seats[seat] for seat in seats}
        return pack_signatures(
            signature_by(account, message(seat))
            for seat, account in held.items()
            if account.address != address_of(sender)
        )

    def submit(self, *seats: int, sender: Any = None) -> Any:
        """By the first of the seats unless told otherwise."""
        sender, round_ = sender or self.seats[seats[0]], self.facts.round
        digests = [self.digest(seat) for seat in seats]
        by_seat = dict(zip(seats, digests, strict=True))
        packed = self.signed(
            seats, lambda seat: self.domain.model(self.id, round_, by_seat[seat]), sender
        )
        return self.send(sender, "submit", mask_of(seats), digests, packed)

    def open_slice(self, sender: Any = None, signer: Any = None, signature: bytes = b"") -> Any:
        sender = sender or self.requester
        signer = address_of(signer or sender)
        args = (self.terms["openers"], signer, SLICE_KEY, signature)
        return self.send(sender, "openSlice", *args)

    def salt(self, seat: int) -> bytes:
        return keccak(text=f"salt {seat}")

    def commitment(self, seat: int) -> bytes:
        account = self.seats[seat].address
        args = (self.id, self.facts.round, account, self.votes[seat], self.salt(seat))
        return self.domain.commitment(*args)

    def commit(
        self, *seats: int, scores: Mapping[int, int] | None = None, blind: bool = False
    ) -> Any:
        judged = seats_of(self.facts.submitted)
        return self.commit_to(
            {seat: BLIND if blind else self.vote(seat, judged, scores) for seat in seats}
        )

    def commit_to(self, votes: Mapping[int, int]) -> Any:
        """Commitments to packed votes, by the first of the seats."""
        seats, round_ = list(votes), self.facts.round
        self.votes |= votes
        values = {seat: self.commitment(seat) for seat in seats}
        sender = self.seats[seats[0]]
        packed = self.signed(
            seats, lambda seat: self.domain.vote(self.id, round_, values[seat]), sender
        )
        receipt = self.send(sender, "commitVotes", mask_of(seats), list(values.values()), packed)
        self.committed += values.items()
        return receipt

    @property
    def anchored(self) -> Anchored:
        """Commitments and votes so far."""
        return Anchored(self.slice_log, tuple(self.committed), tuple(self.opened))

    def reveal(self, *seats: int, sender: Any = None) -> Any:
        """The last one tallies."""
        opened = [(seat, self.votes[seat]) for seat in seats]
        votes, salts = [vote for _, vote in opened], [self.salt(seat) for seat in seats]
        args = (self.anchored.fields, mask_of(seats), votes, salts)
        receipt = self.send(sender or self.stranger, "revealVotes", *args)
        if not events(self.on.rounds, "RoundOpened", receipt):
            self.opened += opened
        return receipt

    def tally(self) -> Any:
        return self.send(self.stranger, "tally", self.anchored.fields)

    def attest(self, *seats: int, digest: bytes | None = None, error: int = 900) -> Any:
        digest = digest or self.global_digest
        sender = self.seats[seats[0]]
        receipt = self.send(sender, "attest", *self._attesting(seats, digest, error, sender))
        self.attestations += [(seat, digest, error) for seat in seats]
        return receipt

    def finalise(self, *seats: int, digest: bytes | None = None, error: int = 900) -> Any:
        """With the attestations of these seats, if any."""
        assert self.board is not None
        tallied = (self.tallied_log, self.board.fields)
        given = self._attesting(seats, digest or self.global_digest, error, self.stranger)
        return self.send(self.stranger, "finalise", tallied, self.attestations, *given)

    def _attesting(
        self, seats: Sequence[int], digest: bytes, error: int, sender: Any
    ) -> tuple[int, bytes, int, bytes]:
        round_ = self.facts.round
        packed = self.signed(
            seats, lambda seat: self.domain.attest(self.id, round_, digest, error), sender
        )
        return mask_of(seats), digest, pack(dict.fromkeys(seats, error)), packed

    def close(self) -> Any:
        return self.send(self.stranger, "close")

    def pass_deadline(self) -> None:
        self.chain.mine_at(self.facts.deadline + 1)

    def voted(self, *seats: int, scores: Mapping[int, int] | None = None) -> None:
        """From the open commits to the tally."""
        self.open_slice()
        self.commit(*seats, scores=scores)
        self.reveal(*seats)

    def batched_round(self, *seats: int, error: int = 900) -> None:
        self.submit(*seats)
        self.voted(*seats)
        self.attest(*seats, error=error)
        self.finalise()

    def contradict(self, seat: int, sender: Any = None) -> Any:
        """Anyone proves that the seat signed two models for the present round."""
        round_, account = self.facts.round, self.seats[seat]
        models = [keccak(text=f"{self.id} {round_} {seat} {i}") for i in range(2)]
        packed = pack_signatures(
            signature_by(account, self.domain.model(self.id, round_, one)) for one in models
        )
        return self.send(
            sender or self.stranger, "reportEquivocation", seat, MODEL, *models, packed
        )

    # -- the mirror -----------------------------------------------------------------------------

    def drawn(self, weights: Sequence[int], left: Sequence[int] = ()) -> tuple[int, ...]:
        return draw.cohort(self.facts.seed, weights, self.terms["cohort"], left)
