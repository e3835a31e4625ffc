"""Random requests on the contracts, against a model in Python.

Up to six members, cohorts of up to four. Anybody acts at any time, honestly or not; members of the
honest part act in every phase before it ends. The numbers are those of docs/protocol.md, "What
always holds".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from fedpact.consensus.leader import approvals_needed
from fedpact.consensus.payout import payouts
from fedpact.types.requests import ApprovalRule, Earned, seats_of
from fedpact.types.scores import INVALID
from tests.contracts.rounds.kit import WINDOW, Contracts, Rounds, mask_of
from tests.contracts.stateful.model import Counted, Phase
from tests.contracts.stateful.play import Play
from tests.support.chainkit import Chain, Reverted, events

SEATS = st.sets(st.integers(0, 3), min_size=1)
SCORES = st.sampled_from([0, 900, 1_000, 1_040, 5_000, 9_500, INVALID])
MOST_STEPS = 60
Act = TypeVar("Act", bound=Callable[..., None])


def only_if(holds: Callable[[Any], Any]) -> Callable[[Act], Act]:
    """A rule that does nothing where something does not hold. A precondition would choose rules by
    who was drawn, which may differ when a life is lived again: Hypothesis then gives up."""

    def guard(act: Act) -> Act:
        @wraps(act)
        def acted(self: Any, **given: Any) -> None:
            if holds(self):
                act(self, **given)

        return acted  # type: ignore[return-value]

    return guard


class Requests(RuleBasedStateMachine):
    """One request a life."""

    chain: Chain
    contracts: Contracts
    accounts: Any

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.chain.snapshot()
        self.play: Play | None = None
        self.held_before = self.chain.balance(self.contracts.market.address)
        self.honest: set[int] = set()
        self.protected = True
        self.where = (0, 0, Phase.NONE)
        self.seen = 0

    @initialize(
        members=st.integers(2, 6),
        cohort=st.integers(2, 4),
        honest=st.sets(st.integers(0, 5)),
        batches=st.integers(1, 2),
        leaves=st.booleans(),
        rounds=st.integers(1, 3),
        rules=st.tuples(st.integers(0, 1), st.integers(0, 1)),
        goal=st.sampled_from([0, 500]),
    )
    def request(
        self,
        members: int,
        cohort: int,
        honest: set[int],
        batches: int,
        leaves: bool,
        rounds: int,
        rules: tuple[int, int],
        goal: int,
    ) -> None:
        leavers = [1] if leaves and members > 3 else []
        r = Rounds(
            *(self.chain, self.contracts, self.accounts, members),
            **{"minPool": 2, "maxPool": 10, "cohort": cohort, "maxRounds": rounds},
            **{"leaderRule": rules[0], "approvalRule": rules[1], "target": goal},
        )
        self.play = Play(r, leavers, min(batches, members // 2))
        self.honest = honest
        self.play.start(self.play.model.turn)
        self.check()

    # -- what anybody does ----------------------------------------------------------------------

    @property
    def m(self) -> Any:
        assert self.play is not None
        return self.play.model

    def others(self, seats: set[int]) -> list[int]:
        """The seats whose members may be dishonest."""
        held = self.m.seats
        return [s for s in sorted(seats) if s < len(held) and held[s] not in self.honest]

    def live(self) -> bool:
        return self.play is not None and self.m.phase is not Phase.ENDED

    @rule(seats=SEATS)
    @only_if(live)
    def submit(self, seats: set[int]) -> None:
        if (found := self.others(seats)) and self.m.round:
            self.play.submit(found)  # type: ignore[union-attr]
            self.check()

    @rule(seats=SEATS, scores=st.lists(SCORES, min_size=4, max_size=4), blind=st.booleans())
    @only_if(live)
    def commit(self, seats: set[int], scores: list[int], blind: bool) -> None:
        if (found := self.others(seats)) and self.m.round:
            given = None if blind else dict(enumerate(scores))
            self.play.commit(dict.fromkeys(found, given))  # type: ignore[union-attr]
            self.check()

    @rule(seats=SEATS)
    @only_if(live)
    def reveal(self, seats: set[int]) -> None:
        found = [seat for seat in self.others(seats) if seat in self.m.committed]
        if found:
            self.play.reveal(found)  # type: ignore[union-attr]
            self.check()

    @rule(seats=SEATS, right=st.booleans(), error=st.sampled_from([100, 900, INVALID]))
    @only_if(live)
    def attest(self, seats: set[int], right: bool, error: int) -> None:
        if (found := self.others(seats)) and self.m.round:
            self.play.attest(found, right, error)  # type: ignore[union-attr]
            self.check()

    @rule(seats=SEATS)
    @only_if(lambda self: self.live() and self.m.phase is Phase.ATTEST)
    def attest_at_last(self, seats: set[int]) -> None:
        """With the end of the round, whether others are missing or not."""
        if found := self.others(seats):
            self.play.attest_and_finalise(found)  # type: ignore[union-attr]
            self.check()

    @rule(seats=SEATS, all_=st.booleans())
    @only_if(lambda self: self.live() and self.m.round)
    def post(self, seats: set[int], all_: bool) -> None:
        """All members sign, or too few do."""
        if all_:
            seats = set(seats_of((self.m.expected | self.m.submitted) & ~self.m.voided))
        found = sorted(seat for seat in seats if seat < len(self.m.seats))
        if found:
            self.play.post(found)  # type: ignore[union-attr]
            self.check()

    @rule(seat=st.integers(0, 3), back=st.booleans())
    @only_if(lambda self: self.live() and self.m.round)
    def aside(self, seat: int, back: bool) -> None:
        """A member contradicts itself, or asks to be waited for again."""
        if self.others({seat}):
            (self.play.come_back if back else self.play.contradict)(seat)  # type: ignore[union-attr]
            self.check()

    @rule()
    @only_if(lambda self: self.live() and self.m.phase is Phase.COMMIT)
    def open_slice(self) -> None:
        self.play.open_slice()  # type: ignore[union-attr]
        self.check()

    @rule(really=st.sampled_from([True] + [False] * 5))
    @only_if(live)
    def cancel(self, really: bool) -> None:
        if really:
            self.play.cancel()  # type: ignore[union-attr]
            self.check()

    @rule()
    @only_if(live)
    def go_on(self) -> None:
        """The phase ends: by its deadline, after the honest have acted, or by a stranger's call."""
        self.step()

    @rule(act=st.sampled_from(["cancel", "tally", "finalise", "close", "open_slice", "expire"]))
    @only_if(lambda self: self.play is not None and not self.live())
    def too_late(self, act: str) -> None:
        """Nothing moves an ended request."""
        if act != "finalise" or self.play.r.board is not None:  # type: ignore[union-attr]
            assert not getattr(self.play, act)()
        self.check()

    # -- what moves a request to its end --------------------------------------------------------

    def step(self) -> None:
        m, play = self.m, self.play
        assert play is not None
        match m.phase:
            case Phase.WAITING if m.turn < m.pool and m.turn not in play.left:
                play.jump(m.mark or m.closed_at)
                play.start(m.turn)
            case Phase.WAITING:
                play.jump((m.mark or m.closed_at) + m.pool * WINDOW + 1)
                play.expire()
            case Phase.TALLY:
                play.tally()
            case Phase.FINALISE:
                play.finalise()
            case Phase.FAILED:
                play.close()
            case _:
                before = m.phase
                self.honest_act()
                if self.m.phase is before:
                    self.pass_deadline()
        self.check()

    def honest_act(self) -> None:
        """The honest do what the phase asks of them; several in one transaction."""
        m, play = self.m, self.play
        assert play is not None
        mine = mask_of(s for s, index in enumerate(m.seats) if index in self.honest)
        if m.phase is Phase.SUBMIT and mine & ~(m.submitted | m.voided):
            play.submit(seats_of(mine & ~(m.submitted | m.voided)))
        elif m.phase is Phase.COMMIT and m.slice_open and mine & m.judged & ~m.acted:
            scores = {seat: 1_000 + 100 * seat for seat in range(4)}
            play.commit(dict.fromkeys(seats_of(mine & m.judged & ~m.acted), scores))
        elif m.phase is Phase.REVEAL and mine & m.acted & ~(m.revealed | m.voided):
            play.reveal(seats_of(mine & m.acted & ~(m.revealed | m.voided)))
        elif m.phase is Phase.ATTEST and mine & m.attesters & ~m.acted:
            missing = m.attesters & ~m.acted
            last = missing & ~mine == 0
            (play.attest_and_finalise if last else play.attest)(seats_of(mine & missing))

    def pass_deadline(self) -> None:
        m, play = self.m, self.play
        assert play is not None
        late = m.phase is Phase.COMMIT and not m.slice_open
        play.jump((m.slice_deadline if late else m.mark) + 1)

    # -- what holds -----------------------------------------------------------------------------

    def check(self) -> None:
        """After every act: the money is there, nothing goes back, and new entries hold."""
        m = self.m
        where = (len(m.entries), m.round, m.phase)
        assert where >= self.where, "a phase went back"
        self.where = where
        assert self._held() == self.play.r.terms["pay"]  # type: ignore[union-attr]
        for number in range(self.seen, len(m.entries)):
            self.check_entry(m.entries[number], m.counts[number])
        self.seen = len(m.entries)

    def check_entry(self, entry: Earned, counted: Counted) -> None:
        points = [entry.points_of(seat) for seat in range(16)]
        assert sum(points) <= 10_000
        assert all(points[seat] == 0 for seat in seats_of(entry.faults & ~counted.astray))
        if entry.void_start:
            return
        honest = [s for s, index in enumerate(self._cohort(entry)) if index in self.honest]
        judged = counted.judged.bit_count()
        needed = approvals_needed(counted.attesters.bit_count(), judged, ApprovalRule.TWO_THIRDS)
        self.protected = self.protected and (not entry.paid or len(honest) >= needed)
        if len(honest) < needed:
            return
        assert entry.paid
        for seat in honest:
            assert not entry.faults >> seat & 1
            assert points[seat] >= 2 * (500 // judged)

    def _cohort(self, entry: Earned) -> list[int]:
        size = min(len(self.play.pool) - len(self.play.left), 4)  # type: ignore[union-attr]
        size = min(size, self.play.r.terms["cohort"])  # type: ignore[union-attr]
        return [entry.index_of(seat) for seat in range(size)]

    def _held(self) -> int:
        return self.chain.balance(self.contracts.market.address) - self.held_before

    # -- the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if self.play is not None:
            for _ in range(MOST_STEPS):
                if not self.live():
                    break
                self.step()
            assert not self.live(), "deadlines and strangers' calls do not end it"
            self.settle(self.play)
        self.chain.revert(self.snapshot)
        self.chain.next_at(self.chain.now + 1)

    def settle(self, play: Play) -> None:
        """Who reads the model has paid for it; everybody is paid once, and what it earned."""
        r, m = play.r, self.m
        if m.final_rounds:
            # A stranger cannot settle while the requester could still get the key.
            self._refuses(play.settle)
            play.deliver()
            self._refuses(play.deliver)
            assert self._held() == r.terms["pay"]
            self._refuses(play.settle)
            self.chain.travel(WINDOW + 1)
        receipt = play.settle()
        self._refuses(play.settle)
        due = bool(m.final_rounds) or (m.halted and m.paid_rounds > 0)
        facts = {"due": due, "reached": m.reached, "max_rounds": r.terms["maxRounds"]}
        shares = payouts(m.entries, r.terms["pay"], **facts)
        wanted = {play.pool[index].address: wei for index, wei in shares.items() if wei}
        paid: dict[str, int] = {}
        for one in events(self.contracts.market, "Paid", receipt):
            assert one["account"] not in paid
            paid[one["account"]] = one["amount"]
        back = paid.pop(r.requester.address, 0)
        assert paid == wanted
        assert 0 <= self._held() < 16
        assert back + sum(paid.values()) + self._held() == r.terms["pay"]
        if due and self.protected:
            self.check_least(play, back, paid)

    def check_least(self, play: Play, back: int, paid: dict[str, int]) -> None:
        """Number 6 in wei, for an honest member that was in every paid round."""
        rounds = [entry for entry in self.m.entries if entry.paid]
        pool = play.r.terms["pay"] - back
        least = pool * len(rounds) * (1_000 // play.r.terms["cohort"])
        always = [
            index
            for index in self.honest.intersection(range(len(play.pool)))
            if all(index in self._cohort(entry) for entry in rounds)
        ]
        for index in always:
            assert paid[play.pool[index].address] >= least // (10_000 * len(rounds))

    @staticmethod
    def _refuses(call: Any) -> None:
        with pytest.raises(Reverted):
            call()


@pytest.fixture
def machine(chain: Chain, contracts: Contracts, accounts: Any) -> type[Requests]:
    Requests.chain, Requests.contracts, Requests.accounts = chain, contracts, accounts
    return Requests


@pytest.mark.parametrize(
    ("lives", "steps"),
    [(6, 16), pytest.param(300, 40, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])],
)
def test_random_requests_hold(machine: type[Requests], lives: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
