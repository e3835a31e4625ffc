"""Random lives of requests on a real chain, everybody acting at any time, honest or not.

What holds after every step:

1. Money in is claims and refunds and what the market still holds, to the wei, with ether forced
   upon the market counted apart; every account has exactly what the protocol gave it.
2. Refund and claim never cover the same wei: what is open to be taken of a request and what was
   taken of it never exceed its payment.
3. Nobody earns points by a round in which no valid model of theirs stood; nobody loses any.
4. No account acts twice in a phase; no stranger, no late and no barred account changes a round. A
   suspension takes effect from the next round and leaves earned points claimable.
5. A final round never changes: its digest stands until the next one is final.
6. Medians, included models, points, faults, leader order, running hash, phases with their
   deadlines, shares of the payment and reputations are those of the Python mirror, by which daemons
   and auditors go; whatever the mirror does not allow, the contracts refuse.

From every state a bounded number of steps that an outsider may take, and of deadlines, ends the
request (`finish`); then everyone takes what is theirs, and less than a wei a seat is left over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, ClassVar

import pytest
from agreement import only_moves_on, shows_the_money, shows_the_round
from chainkit import Chain, Deployed
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from fast_chain import FastChain
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from market_model import Party, Refused, RequestModel, World
from play import SEALED_KEY, Play, digest_of, global_of

from fedpact.consensus.reputation import score
from fedpact.consensus.votes import attestation
from fedpact.types.rounds import RequestStatus, Stage
from fedpact.types.scores import INVALID

UNIT = 10**15
MONEY = 10**24
# Two of organisation 101, one of the requester's own; 0 is registered with nobody.
ORGANISATIONS = [100, 101, 102, 103, 104, 105, 101, 100, 0]
PROVIDERS = 6
WINDOWS = st.sampled_from([200, 90, 20, 5])
SEATS = st.integers(0, 6)
ANYONE = st.integers(0, len(ORGANISATIONS) - 1)
SEEDS = st.integers(0, 2**32)
# Mostly everybody comes.
ABSENT = st.one_of(st.just(set()), st.just(set()), st.sets(SEATS, max_size=3))
NUMBERS = st.integers(0, 2)
TERMS = st.fixed_dictionaries(
    {
        "maxError": st.sampled_from([9_000, 4_000, 10_000]),
        "target": st.sampled_from([0, 500]),
        "maxRounds": st.sampled_from([1, 2, 3, 1_000]),
        "minProviders": st.integers(2, 3),
        "maxProviders": st.integers(3, 5),
        "leaderRule": st.integers(0, 1),
        "approvalRule": st.integers(0, 1),
        "voteBand": st.sampled_from([0, 50, 1_000]),
        "joinWindow": WINDOWS,
        "startWindow": WINDOWS,
        "submitWindow": WINDOWS,
        "commitWindow": WINDOWS,
        "revealWindow": WINDOWS,
        "proposeWindow": WINDOWS,
        "deliverWindow": WINDOWS,
    }
)
FITTING = {Stage.SUBMIT: 0, Stage.COMMIT: 1, Stage.REVEAL: 2, Stage.ATTEST: 3, Stage.EXPIRED: 7}
PAYMENTS = st.sampled_from([10**18, 10**18 + 7, 10**14, 1, 3])


class Requests(RuleBasedStateMachine):
    """Up to three requests at once."""

    chain: ClassVar[FastChain]
    accounts: ClassVar[list[str]]
    registrar: ClassVar[str]
    began: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.chain.rpc("evm_snapshot")
        parties = [
            Party(address, organisation, organisation > 0, wei=MONEY)
            for address, organisation in zip(self.accounts, ORGANISATIONS, strict=True)
        ]
        self.registrar_party = Party(self.registrar)
        self.world = World(parties, UNIT)
        self.play = Play(self.chain, self.world, self.registrar_party, self.began)
        self.before: list[dict[str, Any]] = []

    def pick(self, number: int) -> RequestModel:
        return self.play.requests[number % len(self.play.requests)]

    def party(self, number: int) -> Party:
        return self.world.parties[number]

    def holder_or(self, m: RequestModel, seat: int, other: int) -> Party:
        """Who holds the seat, unless `other` names somebody else (1 to 8)."""
        held = seat in m.rounds.members and not other
        return self.play.holder(m, seat) if held else self.party(other)

    def over(self) -> list[RequestModel]:
        return [m for m in self.play.requests if m.rounds.phase is Stage.ENDED]

    @property
    def stranger(self) -> Party:
        return self.world.parties[-1]

    # -- rules: the market -----------------------------------------------------------------------

    @initialize(
        terms=TERMS,
        payment=PAYMENTS,
        joining=st.sampled_from([PROVIDERS] * 6 + [1, 3]),
        phases=st.integers(0, 16),
        hostile=st.booleans(),
        seed=SEEDS,
    )
    def first_request(
        self,
        terms: dict[str, Any],
        payment: int,
        joining: int,
        phases: int,
        hostile: bool,
        seed: int,
    ) -> None:
        """A life begins anywhere on the way of a request that nobody has hindered."""
        self.play.create(self.party(0), payment, **terms)
        self.crowd_joins(0, joining)
        m = self.pick(0)
        if m.closed_at and phases:
            self.play.start(m, 0, self.play.holder(m, 0))
            self.all_go_on(phases, hostile, seed)

    @precondition(lambda self: len(self.play.requests) < 3)
    @rule(terms=TERMS, payment=st.one_of(PAYMENTS, st.just(0)), by=ANYONE)
    def create(self, terms: dict[str, Any], payment: int, by: int) -> None:
        self.play.create(self.party(by), payment, **terms)

    @rule(number=NUMBERS, by=ANYONE, samples=st.sampled_from([1, 100, 10**7, 0, 10**9]))
    def join(self, number: int, by: int, samples: int) -> None:
        self.play.join(self.pick(number), self.party(by), samples)

    @rule(number=NUMBERS, joining=st.just(PROVIDERS))
    def crowd_joins(self, number: int, joining: int) -> None:
        m = self.pick(number)
        for party in self.world.parties[1 : joining + 1]:
            if m.status is RequestStatus.OPEN and not m.closed_at:
                self.play.join(m, party, 50 + 37 * party.organisation % 300)

    @rule(number=NUMBERS, seat=SEATS, other=ANYONE)
    def withdraw(self, number: int, seat: int, other: int) -> None:
        m = self.pick(number)
        self.play.withdraw(m, seat, self.holder_or(m, seat, other))

    @precondition(lambda self: any(m.status is RequestStatus.OPEN for m in self.play.requests))
    @rule(seat=st.one_of(st.just(0), SEATS), other=st.one_of(st.just(0), ANYONE), same=SEATS)
    def start(self, seat: int, other: int, same: int) -> None:
        m = next(m for m in self.play.requests if m.status is RequestStatus.OPEN)
        self.play.start(m, seat, self.holder_or(m, seat, other), same_terms=same != 6)

    @rule(number=NUMBERS, by=ANYONE)
    def cancel_or_expire(self, number: int, by: int) -> None:
        m = self.pick(number)
        self.play.expire(m, self.party(by))
        if by > 6:
            self.play.cancel(m, m.requester)
        elif by > 3:
            self.play.cancel(m, self.party(by))

    @precondition(lambda self: self.over())
    @rule(number=NUMBERS, seat=SEATS, other=st.one_of(st.just(0), ANYONE), short=SEATS)
    def deliver(self, number: int, seat: int, other: int, short: int) -> None:
        m = self.over()[number % len(self.over())]
        sealed = bytes(79) if short == 6 else SEALED_KEY
        seat = m.rounds.last_leader if seat > 4 and m.rounds.final_rounds else seat
        self.play.deliver(m, seat, self.holder_or(m, seat, other), sealed)

    @precondition(lambda self: self.over())
    @rule(number=NUMBERS, seat=SEATS, other=ANYONE)
    def take_money(self, number: int, seat: int, other: int) -> None:
        m = self.over()[number % len(self.over())]
        self.play.claim(m, seat, self.holder_or(m, seat, other))
        self.play.refund(m, self.party(other))
        self.play.settle(m, self.party(other))

    # -- rules: the rounds -----------------------------------------------------------------------

    @precondition(lambda self: any(m.shown is RequestStatus.RUNNING for m in self.play.requests))
    @rule(absent=ABSENT, seed=SEEDS)
    def crowd(self, absent: set[int], seed: int) -> None:
        running = [m for m in self.play.requests if m.shown is RequestStatus.RUNNING]
        rng = random.Random(seed)
        self.play.crowd(rng.choice(running), absent, rng)

    @precondition(lambda self: any(m.shown is RequestStatus.RUNNING for m in self.play.requests))
    @rule(phases=st.integers(1, 12), hostile=st.booleans(), seed=SEEDS)
    def all_go_on(self, phases: int, hostile: bool, seed: int) -> None:
        """Nobody is missing for a while, and the first leader proposes."""
        rng = random.Random(seed)
        m = rng.choice([m for m in self.play.requests if m.shown is RequestStatus.RUNNING])
        for _ in range(phases):
            if m.shown is RequestStatus.RUNNING:
                self.play.crowd(m, set(), rng, hostile=hostile)
            if m.rounds.phase is Stage.ATTEST and m.rounds.attested:
                self.agrees()
                seat = m.rounds.leaders[0]
                self.play.propose(m, seat, self.play.holder(m, seat), global_of(m))
            # What a tally and what a proposal gives is looked at by itself.
            if m.rounds.phase in (Stage.ATTEST, Stage.ENDED) or not m.rounds.digests:
                self.agrees()

    @precondition(lambda self: any(m.rounds.phase is Stage.ATTEST for m in self.play.requests))
    @rule(rank=st.sampled_from([0, 0, 0, 1, 2]), waits=st.booleans(), variant=st.integers(0, 3))
    def propose(self, rank: int, waits: bool, variant: int) -> None:
        m = next(m for m in self.play.requests if m.rounds.phase is Stage.ATTEST)
        leaders = m.rounds.leaders
        seat = leaders[rank % len(leaders)]
        if waits:
            turn = m.rounds.start + leaders.index(seat) * m.terms["proposeWindow"]
            self.play.jump(turn - 1)
        self.play.propose(m, seat, self.play.holder(m, seat), global_of(m, variant // 3))

    @rule(
        number=NUMBERS,
        what=st.sampled_from([9] * 6 + list(range(9))),
        seat=SEATS,
        other=st.one_of(st.just(0), ANYONE),
        seed=SEEDS,
    )
    def one_acts(self, number: int, what: int, seat: int, other: int, seed: int) -> None:
        """Any step of a round by anyone at any time, with words that may be another's."""
        m, rng = self.pick(number), random.Random(seed)
        rounds, party = m.rounds, self.holder_or(m, seat, other)
        rounds.pass_to(self.play.now + 1)
        if what == 9:
            what = FITTING.get(rounds.phase, 6)
        if what == 0:
            digest = rng.choice((digest_of(m, seat), digest_of(m, seat + 1), bytes(32)))
            self.play.submit(m, seat, party, digest)
        elif what == 1:
            word, salt = self.play.vote_of(m, seat, rng), rng.randbytes(32)
            if rng.random() < 0.2:
                word |= rng.choice((1 << 224, 12_000 << 14 * (seat % 16), 5 << 14 * 15))
            self.play.commit(m, seat, party, word, salt)
        elif what == 2:
            places = [place for place in self.play.votes if place[0] == rounds.request_id]
            if places:
                self.play.reveal(m, seat, party, *self.play.votes[rng.choice(places)])
        elif what == 3:
            words = [word for word, _ in rounds.attested.values()]
            mae = rng.choice((0, 300, 10_000, INVALID, 10_001))
            ballot = rounds.ballot(party.address)
            if mae != 10_001:
                words.append(attestation(ballot, global_of(m, rng.randrange(2)), mae))
            self.play.attest(m, seat, party, rng.choice([*words, bytes(32)]), mae)
        elif what == 4:
            self.play.propose(m, seat, party, rng.choice((global_of(m), bytes(32))))
        elif what == 5:
            self.play.open_slice(m, party, rng.choice((global_of(m), bytes(32))))
        elif what == 6:
            self.play.tally(m, party)
        elif what == 7:
            self.play.expire_round(m, party)
        else:
            self.play.open_slice(m, m.requester, global_of(m))

    # -- rules: the registrar, outsiders, the clock ----------------------------------------------

    @rule(who=st.integers(0, PROVIDERS), by=st.sampled_from([0, 0, 1, 8]))
    def suspend_or_restore(self, who: int, by: int) -> None:
        """By the registrar, or by one who would like to be it."""
        party, name = self.party(who), "suspend" if self.party(who).active else "restore"

        def expected() -> None:
            if by:
                raise Refused("not the registrar")
            party.active = not party.active

        sender = self.party(by) if by else self.registrar_party
        self.play.act(expected, sender, name, party.address)

    @rule(number=NUMBERS, what=st.integers(0, 3), by=ANYONE)
    def outsider_calls_inner_functions(self, number: int, what: int, by: int) -> None:
        m, party = self.pick(number), self.party(by)
        name, *args = [
            ("enlist", m.rounds.request_id, party.address, 1, 9, 10_000),
            ("unseat", m.rounds.request_id, 0, party.address),
            ("halt", m.rounds.request_id),
            ("admit", self.stranger.address, 9, keccak(b"key"), bytes(32), bytes(32)),
        ][what]

        def expected() -> None:
            raise Refused("only the contracts, or the registrar")

        self.play.act(expected, party, name, *args)

    @rule(wei=st.integers(1, 10**18), days=st.integers(0, 90))
    def ether_is_forced_and_time_flies(self, wei: int, days: int) -> None:
        self.world.forced += wei
        held = self.world.held + self.world.forced
        self.chain.rpc("anvil_setBalance", self.chain.market, hex(held))
        if days > 80:
            self.play.jump(self.play.now + days * 24 * 3600)

    @rule(number=NUMBERS, edge=st.integers(0, 4), step=st.sampled_from([-2, -1, -1, 0, 1]))
    def time_passes(self, number: int, edge: int, step: int) -> None:
        """Close to a deadline, so that what is done next comes just in time, or just too late."""
        m = self.pick(number)
        joined = len(m.rounds.members)
        delivery = m.deliver_deadline if m.rounds.phase is Stage.ENDED else 0
        edges = [
            m.rounds.deadline,
            m.rounds.deadline,
            m.join_deadline if m.status is RequestStatus.OPEN else m.rounds.deadline,
            m.start_deadline(joined) if m.status is RequestStatus.OPEN else m.rounds.deadline,
            delivery - (m.terms["deliverWindow"] if step else 0),
        ]
        self.play.jump(edges[edge] + step)

    @rule(number=NUMBERS, sample=st.integers(0, 2))
    def finish(self, number: int, sample: int) -> None:
        """Ends one request from wherever it is, looks, and takes it back: its life goes on."""
        if sample:
            return
        snapshot, now = self.chain.rpc("evm_snapshot"), self.play.now
        number %= len(self.play.requests)
        kept = _copy(self.play)
        self.play.finish(self.pick(number), self.stranger)
        self.agrees()
        assert self.chain.rpc("evm_revert", snapshot)
        self.play, self.world = kept, kept.world
        self.registrar_party = kept.registrar
        self.play.now = now
        self.before = []

    # -- what holds ------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        self.play.agreed = False
        requests = [m.rounds.request_id for m in self.play.requests]
        words = self.chain.look(self.accounts, requests)
        assert words.one() == self.play.now
        assert words.one() == self.world.held + self.world.forced
        for party in self.world.parties:
            name = score(party.sums, self.play.now)
            assert words.some(3) == [party.wei, int(party.active), name]
        sights = []
        for m in self.play.requests:
            m.rounds.pass_to(self.play.now)
            seen = words.sight()
            shows_the_round(m, seen)
            shows_the_money(m, seen, self.play.now)
            sights.append(seen)
        for old, new in zip(self.before, sights, strict=False):
            only_moves_on(old, new)
        self.before = sights
        self.play.agreed = True

    def teardown(self) -> None:
        try:
            # A step that failed has told what is wrong.
            if self.play.agreed:
                self._finishes_to_the_wei()
        finally:
            assert self.chain.rpc("evm_revert", self.snapshot)

    def _finishes_to_the_wei(self) -> None:
        left = 0
        for m in self.play.requests:
            self.play.finish(m, self.stranger)
            left += self.play.pay_out(m)
        self.before = []
        self.agrees()
        assert self.world.held == left


def _copy(play: Play) -> Play:
    """A second play on the same chain, whose world and requests are its own."""
    return deepcopy(play, {id(play.chain): play.chain})


@pytest.fixture(scope="module")
def machine(
    session_chain: Chain, deployed: Deployed, accounts: list[LocalAccount]
) -> Iterator[type[Requests]]:
    """The machine's class, bound to a chain on which the participants are admitted."""
    snapshot = session_chain.snapshot()
    lens = session_chain.deploy("StateLens", accounts[0])
    Requests.chain = FastChain(session_chain, deployed, lens)
    Requests.registrar = deployed.registrar.address
    Requests.accounts = [account.address for account in accounts[1 : len(ORGANISATIONS) + 1]]
    for address, organisation in zip(Requests.accounts, ORGANISATIONS, strict=True):
        session_chain.fund(address, MONEY)
        if organisation:
            call = deployed.registry.functions.admit(
                *(address, organisation, keccak(b"key"), bytes(32), bytes(32))
            )
            session_chain.send(deployed.registrar, call)
    Requests.began = session_chain.now
    Requests.chain.a_second_a_block(True)
    yield Requests
    Requests.chain.a_second_a_block(False)
    session_chain.revert(snapshot)
    session_chain.next_at(session_chain.now + 1)


def run(machine: type[Requests], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_hundred_random_lives_hold(machine: type[Requests]) -> None:
    run(machine, examples=100, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_thousand_long_random_lives_hold(machine: type[Requests]) -> None:
    run(machine, examples=1_000, steps=50)
