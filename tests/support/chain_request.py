"""A request whose members only call the contracts: people, terms, and whole rounds.

For tests that need neither daemons nor models. Member i of a pool that joined in one batch
has organisation 100 + i and index i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eth_account.messages import SignableMessage
from eth_utils.crypto import keccak

from fedpact.chain.client import ChainClient
from fedpact.chain.connection import Connection
from fedpact.chain.deploy import Parameters, deploy_contracts
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call, Receipt
from fedpact.chain.scanner import EventScanner
from fedpact.chain.signed_messages import RoundRecord
from fedpact.content.bn254 import Point, public_key
from fedpact.content.delivery import Deliveries
from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.deployment import SecondDeployment
from fedpact.types.requests import (
    ETHER,
    ApprovalRule,
    Join,
    LeaderRule,
    Start,
    Terms,
    WeightRule,
    seats_of,
)

SECRET = 0x5EC2E7
REQUEST_KEY = b"\x07" * 32
SLICE_KEY = bytes(range(80))
ATTRIBUTES = keccak(text="attributes")
WINDOWS = ("join", "start", "submit", "commit", "reveal", "attest", "deliver", "dispute")


def deployed_contracts(anvil: Devnet, keys: AccountKeys, salt: int = 0) -> SecondDeployment:
    """The contracts with windows of a second; `keys` are registrar and guardian."""
    connection = Connection.connect(anvil.url, None)
    return deploy_contracts(connection, keys, Parameters(keys.address, keys.address, 1, 1), salt)


def make_terms(**changes: Any) -> Terms:
    """Two rounds for a pool of three, paid in ether; every window is 1,000 seconds."""
    key = public_key(SECRET)
    windows = {f"{name}_window": 1_000 for name in WINDOWS}
    terms = Terms(
        specification=keccak(text="specification"),
        evaluation=keccak(text="evaluation"),
        initial_model=bytes(32),
        query_key=keccak(text="query key"),
        delivery_key_x=key.x,
        delivery_key_y=key.y,
        token=ETHER,
        pay=10**18,
        gas_per_round=10**15,
        max_gas_price=10**11,
        min_pool=2,
        max_pool=3,
        cohort=16,
        weight_rule=WeightRule.UNIFORM,
        sample_cap=0,
        max_rounds=2,
        max_error=9_000,
        target=500,
        leader_rule=LeaderRule.POQ,
        approval_rule=ApprovalRule.TWO_THIRDS,
        vote_band=50,
        openers=(),
        **windows,
    )
    return replace(terms, **changes)


def admit(
    client: ChainClient, registrar: AccountKeys, keys: AccountKeys, organisation: int
) -> None:
    """Register an account, without a profile."""
    key = bytes(keys.encryption_key().public_key)
    client.registry.admit(registrar, keys.address, organisation, key, bytes(32), bytes(32))


@dataclass
class People:
    """A requester and providers, registered and with ether."""

    registrar: AccountKeys
    requester: AccountKeys
    members: list[AccountKeys] = field(default_factory=list)

    @classmethod
    def admitted(
        cls, anvil: Devnet, client: ChainClient, registrar: AccountKeys, members: int = 3
    ) -> People:
        people = cls(registrar, anvil.new_account())
        people.members = [anvil.new_account() for _ in range(members)]
        accounts = [people.requester, *people.members]
        for number, keys in enumerate(accounts):
            admit(client, registrar, keys, 99 + number)
        return people


class ChainRequest:
    """One request and what its members do on chain; digests stand for models."""

    def __init__(self, client: ChainClient, people: People, request_id: int, terms: Terms) -> None:
        self.client, self.people, self.id, self.terms = client, people, request_id, terms
        key = Point(terms.delivery_key_x, terms.delivery_key_y)
        fingerprint = client.deployment.fingerprint
        self.request_key = REQUEST_KEY
        self.deliveries = Deliveries.seal(
            REQUEST_KEY, key, fingerprint, request_id, terms.max_rounds
        )

    @classmethod
    def created(cls, client: ChainClient, people: People, **terms: Any) -> ChainRequest:
        return cls.of(client, people, make_terms(**{"max_pool": len(people.members), **terms}))

    @classmethod
    def of(cls, client: ChainClient, people: People, terms: Terms) -> ChainRequest:
        """Published with exactly these terms, whose delivery key is SECRET's."""
        receipt = client.send(people.requester, client.market.create_request(terms))
        number = int(receipt.event("RequestCreated").args["request"])
        return cls(client, people, number, terms)

    def send(self, keys: AccountKeys, call: Call) -> Receipt:
        return self.client.send(keys, call)

    @property
    def seats(self) -> list[AccountKeys]:
        """The members of the present cohort, by seat."""
        seed = self.client.rounds.round_facts(self.id).seed
        by_address = {keys.address: keys for keys in self.people.members}
        _, members = self.client.pool.cohort_of(self.id, seed)
        return [by_address[member.account] for member in members]

    def enrol(self, attributes: bytes = ATTRIBUTES) -> Receipt:
        """All members, posted by the first; `attributes`: digest of their opt-in records."""
        pool, terms_hash = self.client.pool, self.client.market.terms_hash(self.terms)
        members = self.people.members
        message = pool.domain.join(self.id, 100, attributes, terms_hash)
        signatures = [signed(one, message) for one in members[1:]]
        joins = [Join(one.address, 100, attributes) for one in members]
        return self.send(members[0], pool.enrol(self.id, joins, signatures))

    def start(self, committee_key: bytes = b"\x05" * 32) -> Receipt:
        facts = Start(
            keccak(text="manifest"), keccak(self.request_key), committee_key, self.deliveries.root
        )
        return self.send(self.people.members[0], self.client.rounds.start(self.id, 0, facts))

    def running(self, committee_key: bytes = b"\x05" * 32) -> ChainRequest:
        self.enrol()
        self.start(committee_key)
        return self

    # A round at once

    def record(
        self, digests: Sequence[bytes] | None = None, digest: bytes | None = None, error: int = 900
    ) -> RoundRecord:
        facts = self.client.rounds.round_facts(self.id)
        seats = seats_of(facts.expected | facts.submitted)
        named = f"{self.id} {facts.round}"
        models = digests or [keccak(text=f"model {named} {seat}") for seat in seats]
        votes = [
            sum((1_000 + 100 * judged) << 14 * judged for judged in seats if judged != seat)
            for seat in seats
        ]
        errors = sum(error << 14 * seat for seat in seats)
        final = digest or keccak(text=f"global {named}")
        return RoundRecord(tuple(models), tuple(votes), SLICE_KEY, final, errors)

    def post(self, record: RoundRecord | None = None, **given: Any) -> Receipt:
        """A whole round that all sign; seat 0 posts it."""
        record = record or self.record(**given)
        facts, seats = self.client.rounds.round_facts(self.id), self.seats
        message = self.client.rounds.domain.round(self.id, facts.round, facts.history, record)
        held = [seats[seat] for seat in seats_of(facts.expected)]
        signatures = [signed(one, message) for one in held[1:]]
        return self.send(held[0], self.client.rounds.post_round(self.id, record, signatures))

    def submit(self, *seats: int, digests: Sequence[bytes] | None = None) -> Receipt:
        """By the first of the seats, with the others' signatures."""
        facts, held = self.client.rounds.round_facts(self.id), self.seats
        named = f"{self.id} {facts.round}"
        models = list(digests or [keccak(text=f"model {named} {seat}") for seat in seats])
        domain = self.client.rounds.domain
        signatures = [
            signed(held[seat], domain.model(self.id, facts.round, model))
            for seat, model in zip(seats[1:], models[1:], strict=True)
        ]
        mask = sum(1 << seat for seat in seats)
        call = self.client.rounds.submit(self.id, mask, models, signatures)
        return self.send(held[seats[0]], call)

    def deliver(self) -> Receipt:
        final = self.client.rounds.outcome(self.id).final_rounds
        delivery = self.deliveries.after(final).fields
        call = self.client.market.deliver(self.id, self.terms, delivery)
        return self.send(self.people.members[-1], call)


def read_events(client: ChainClient, state: ProviderState) -> None:
    """All events of the deployment, as a daemon keeps them."""
    for chunk in EventScanner(client, client.deployment.block).chunks(client.frame()):
        events = [(one.block, one.log_index, one.name, one.args) for one in chunk.events]
        state.ingest(events, chunk.first - 1, "", chunk.first)


def signed(keys: AccountKeys, message: SignableMessage) -> bytes:
    """65 bytes: the account's signature of an EIP-712 message."""
    return bytes(keys.signer.sign_message(message).signature)
