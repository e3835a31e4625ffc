"""Random lives of requests: members act in any portions, or not at all, and time passes.

Whatever happens: strangers' calls and deadlines end the request, the entries add up to the hash on
chain, no round gives more than 10,000 points, and who is paid has submitted.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.contracts.market.kit import folded
from tests.contracts.rounds.kit import (
    ATTEST,
    COMMIT,
    ENDED,
    FAILED,
    FINALISE,
    REVEAL,
    SUBMIT,
    TALLY,
    WAITING,
    WINDOW,
    Rounds,
    lanes16,
    mask_of,
    seats_of,
)

MOST_STEPS = 120


class Life:
    """One request whose members roll dice."""

    def __init__(self, r: Rounds, dice: random.Random) -> None:
        self.r, self.dice = r, dice

    def some(self, mask: int) -> list[int]:
        seats = seats_of(mask)
        return self.dice.sample(seats, self.dice.randint(1, len(seats))) if seats else []

    def step(self) -> None:
        facts = self.r.facts
        acts = {
            WAITING: self.start,
            SUBMIT: self.submit,
            COMMIT: self.commit,
            REVEAL: self.reveal,
            TALLY: lambda _: self.r.tally(),
            ATTEST: self.attest,
            FINALISE: lambda _: self.r.finalise(),
            FAILED: lambda _: self.r.close(),
        }
        acts[facts.phase](facts)
        self.check()

    def start(self, facts: Any) -> None:
        if facts.turn < len(self.r.members) and self.dice.random() < 0.7:
            self.r.start(facts.turn)
        else:
            self.r.chain.travel(len(self.r.members) * WINDOW + 1)
            self.r.send(self.r.stranger, "expire")

    def submit(self, facts: Any) -> None:
        missing = self.some((1 << facts.size) - 1 & ~facts.submitted)
        dice = self.dice.random()
        if dice < 0.2:
            self.r.post(seats_of(facts.expected | facts.submitted))
        elif dice < 0.7 and missing:
            self.r.submit(*sorted(missing))
        elif dice < 0.75 and not facts.halted:
            self.r.halt()
        else:
            self.r.pass_deadline()

    def commit(self, facts: Any) -> None:
        missing = self.some(facts.submitted & ~facts.acted)
        if not facts.sliceOpened and self.dice.random() < 0.8:
            self.r.open_slice()
        elif not facts.sliceOpened:
            self.r.chain.mine_at(facts.deadline - WINDOW // 2 + 1)
        elif self.dice.random() < 0.8 and missing:
            scores = {seat: self.dice.choice((0, 900, 1_000, 16_383)) for seat in range(4)}
            self.r.commit(*sorted(missing), scores=scores, blind=self.dice.random() < 0.2)
        else:
            self.r.pass_deadline()

    def reveal(self, facts: Any) -> None:
        missing = self.some(facts.acted & ~facts.revealed)
        if self.dice.random() < 0.8 and missing:
            self.r.reveal(*sorted(missing))
        else:
            self.r.pass_deadline()

    def attest(self, facts: Any) -> None:
        may = facts.submitted if facts.blind else facts.revealed
        missing = self.some(may & ~facts.acted)
        if missing and mask_of(missing) == may & ~facts.acted & ~facts.voided:
            self.r.finalise(*sorted(missing))
        elif self.dice.random() < 0.8 and missing:
            digest = None if self.dice.random() < 0.8 else b"\x05" * 32
            error = self.dice.choice((100, 900, 16_383))
            self.r.attest(*sorted(missing), digest=digest, error=error)
        else:
            self.r.pass_deadline()

    def check(self) -> None:
        outcome = self.r.outcome
        assert outcome.earned == folded(self.r.earned)
        paid = [one for one in self.r.earned if one[1]]
        assert outcome.paidRounds == len(paid)
        assert outcome.finalRounds == sum(one[3] != bytes(32) for one in self.r.earned)
        for _, points, extra, _ in self.r.earned:
            assert sum(lanes16(points, 16)) <= 10_000
            for seat in seats_of(extra & 0xFFFF):
                assert lanes16(points, 16)[seat] == 0


@pytest.mark.parametrize("seed", range(10))
def test_random_lives_end_and_add_up(running: Any, seed: int) -> None:
    life = Life(running(4, maxRounds=3, target=500), random.Random(seed))
    for _ in range(MOST_STEPS):
        if life.r.facts.phase == ENDED:
            return
        life.step()
    pytest.fail(f"seed {seed}: still in phase {life.r.facts.phase} after {MOST_STEPS} steps")
