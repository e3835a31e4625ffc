"""What members do in a round, in or out of the right phase."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from fedpact.consensus.votes import attestation
from fedpact.types.rounds import RequestStatus, Stage
from fedpact.types.scores import INVALID
from tests.contracts.stateful.draws import ABSENT, ANYONE, NUMBERS, SEATS, SEEDS
from tests.contracts.stateful.life import Life
from tests.contracts.stateful.play import digest_of, global_of

FITTING = {Stage.SUBMIT: 0, Stage.COMMIT: 1, Stage.REVEAL: 2, Stage.ATTEST: 3, Stage.EXPIRED: 7}


class RoundRules(Life):
    """Submissions, votes, tallies, attestations, proposals."""

    @precondition(lambda self: any(m.shown is RequestStatus.RUNNING for m in self.play.requests))
    @rule(absent=ABSENT, seed=SEEDS)
    def crowd(self, absent: set[int], seed: int) -> None:
        running = [m for m in self.play.requests if m.shown is RequestStatus.RUNNING]
        rng = random.Random(seed)
        self.play.crowd(rng.choice(running), absent, rng)

    @precondition(lambda self: any(m.shown is RequestStatus.RUNNING for m in self.play.requests))
    @rule(phases=st.integers(1, 12), hostile=st.booleans(), seed=SEEDS)
    def all_go_on(self, phases: int, hostile: bool, seed: int) -> None:
        """Nobody is absent for a while, and the first leader proposes."""
        rng = random.Random(seed)
        m = rng.choice([m for m in self.play.requests if m.shown is RequestStatus.RUNNING])
        for _ in range(phases):
            if m.shown is RequestStatus.RUNNING:
                self.play.crowd(m, set(), rng, hostile=hostile)
            if m.rounds.phase is Stage.ATTEST and m.rounds.attested:
                self.agrees()
                seat = m.rounds.leaders[0]
                self.play.propose(m, seat, self.play.holder(m, seat), global_of(m))
            # The results of a tally and of a proposal are checked separately.
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
        """Any step of a round by anyone at any time, perhaps with another member's values."""
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
            recorded = [at for at in self.play.votes if at[0] == rounds.request_id]
            if recorded:
                self.play.reveal(m, seat, party, *self.play.votes[rng.choice(recorded)])
        elif what == 3:
            words = [word for word, _ in rounds.attested.values()]
            mae = rng.choice((0, 300, 10_000, INVALID, 10_001))
            ballot = rounds.ballot(party.address)
            if mae != 10_001:
                words.append(attestation(ballot, global_of(m, rng.randrange(2)), mae))
            self.play.attest(m, seat, party, rng.choice([*words, bytes(32)]), mae)
        elif what == 4:
            mae = rng.choice((300, 10_001))
            self.play.propose(m, seat, party, rng.choice((global_of(m), bytes(32))), mae)
        elif what == 5:
            self.play.open_slice(m, party, rng.choice((global_of(m), bytes(32))))
        elif what == 6:
            self.play.tally(m, party, swapped=rng.random() < 0.3)
        elif what == 7:
            self.play.expire_round(m, party)
        else:
            self.play.open_slice(m, m.requester, global_of(m))
