"""A request on the contracts and in the model, moved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from fedpact.chain.signed_messages import BLIND
from fedpact.consensus import draw
from fedpact.consensus.payout import fold
from fedpact.consensus.proof_of_quality import Rules
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from fedpact.types.requests import ApprovalRule, CohortMember, LeaderRule, seats_of
from tests.contracts.market.kit import REQUEST_KEY, as_argument
from tests.contracts.rounds.kit import START, WINDOW, Rounds, mask_of, pack
from tests.contracts.stateful.model import Phase, Plan, Refused, Request
from tests.support.chainkit import Reverted

FALSE_DIGEST = b"\x05" * 32
HONEST_ERROR = 900


class Play:
    """One running request. Time is the chain's; a transaction takes one second."""

    def __init__(self, r: Rounds, leavers: Sequence[int], batches: int) -> None:
        self.r = r
        r.create()
        key = Point(r.terms["deliveryKeyX"], r.terms["deliveryKeyY"])
        self.deliveries = Deliveries.seal(REQUEST_KEY, key, bytes(32), r.id, r.terms["maxRounds"])
        r.start_facts = (*START[:3], self.deliveries.root)
        for part in range(batches):
            r.enrol(r.members[part::batches])
        self.pool = self._members()
        self.left = [self._leave(index) for index in leavers]
        r.chain.travel(WINDOW + 1)
        self.now = r.chain.now
        closed_at = r.on.pool.functions.facts(r.id).call().closedAt
        drawn = len(self.pool) > r.terms["cohort"]
        rules = Rules(
            *(r.terms["maxError"], r.terms["target"], r.terms["voteBand"]),
            *(LeaderRule(r.terms["leaderRule"]), ApprovalRule(r.terms["approvalRule"])),
        )
        plan = Plan(rules, r.terms["maxRounds"], WINDOW, drawn)
        self.model = Request(plan, len(self.pool), closed_at)

    def _members(self) -> list[Any]:
        """The members in the order of the pool."""
        by_address = {account.address: account for account in self.r.members}
        functions = self.r.on.pool.functions
        found = functions.members(self.r.id, 0, functions.count(self.r.id).call()).call()
        held = ["0x" + f"{(one >> 72) & (2**160 - 1):040x}" for one in found]
        return [by_address[self.r.chain.w3.to_checksum_address(address)] for address in held]

    def _leave(self, index: int) -> int:
        self.r.sent(
            self.pool[index], "withdraw", self.r.on.pool.functions.withdraw(self.r.id, index)
        )
        return index

    def cohort(self) -> tuple[list[CohortMember], tuple[int, ...]]:
        """The present cohort by the mirror of the draw."""
        seed = self.r.facts.seed
        seats = draw.cohort(seed, [1] * len(self.pool), self.r.terms["cohort"], self.left)
        members = [
            CohortMember(seat, self.pool[index].address, self.r.samples, 0)
            for seat, index in enumerate(seats)
        ]
        return members, seats

    # -- acts -----------------------------------------------------------------------------------

    def act(self, call: Callable[[], Any], expected: Callable[[int], None]) -> bool:
        """A transaction in the next second; chain and model must agree whether it is allowed."""
        self.now += 1
        self.r.chain.next_at(self.now)
        taken, why = True, ""
        try:
            call()
        except Reverted as error:
            taken, why = False, self.r.chain.decode_error(error.data)[0]
        before = deepcopy(self.model)
        try:
            expected(self.now)
            allowed = ""
        except Refused as refusal:
            allowed = str(refusal)
            # What time alone has changed stays.
            self.model = before
            self.model.advance(self.now)
        assert taken == (not allowed), f"protocol: {allowed}; contracts: {why}"
        self.compare()
        return taken

    def start(self, index: int) -> bool:
        return self.act(
            lambda: self.r.start(index, sender=self.pool[index]),
            lambda now: self.model.start(now, index, *self.cohort()),
        )

    def submit(self, seats: Sequence[int]) -> bool:
        return self.act(
            lambda: self.r.submit(*seats), lambda now: self.model.submit(now, mask_of(seats))
        )

    def open_slice(self) -> bool:
        return self.act(self.r.open_slice, self.model.open_slice)

    def commit(self, votes: dict[int, dict[int, int] | None]) -> bool:
        """Commits to these scores; None: the slice did not open."""
        judged = seats_of(self.r.facts.submitted)
        packed = {
            seat: BLIND if scores is None else pack({j: scores[j] for j in judged if j != seat})
            for seat, scores in votes.items()
        }
        return self.act(
            lambda: self.r.commit_to(packed), lambda now: self.model.commit(now, packed)
        )

    def reveal(self, seats: Sequence[int]) -> bool:
        return self.act(
            lambda: self.r.reveal(*seats),
            lambda now: self.model.reveal(now, mask_of(seats), *self.cohort()),
        )

    def attest(self, seats: Sequence[int], honest: bool = True, error: int = HONEST_ERROR) -> bool:
        digest = self.r.global_digest if honest else FALSE_DIGEST
        return self.act(
            lambda: self.r.attest(*seats, digest=digest, error=error),
            lambda now: self.model.attest(now, mask_of(seats), digest, error),
        )

    def attest_and_finalise(self, seats: Sequence[int]) -> bool:
        digest, mask = self.r.global_digest, mask_of(seats)
        return self.act(
            lambda: self.r.finalise(*seats, error=HONEST_ERROR),
            lambda now: self.model.attest_and_finalise(
                now, mask, digest, HONEST_ERROR, *self.cohort()
            ),
        )

    def tally(self) -> bool:
        return self.act(self.r.tally, lambda now: self.model.tally(now, *self.cohort()))

    def finalise(self) -> bool:
        return self.act(self.r.finalise, lambda now: self.model.finalise(now, *self.cohort()))

    def close(self) -> bool:
        return self.act(self.r.close, lambda now: self.model.close(now, *self.cohort()))

    def post(self, seats: Sequence[int], errors: int = HONEST_ERROR) -> bool:
        record = self.r.record(seats, errors=errors)
        votes = dict(zip(seats, record.votes, strict=True))
        found = dict.fromkeys(seats, errors)
        return self.act(
            lambda: self.r.post(seats, record),
            lambda now: self.model.post(now, votes, record.digest, found, *self.cohort()),
        )

    def contradict(self, seat: int) -> bool:
        return self.act(
            lambda: self.r.contradict(seat), lambda now: self.model.contradict(now, seat)
        )

    def come_back(self, seat: int) -> bool:
        return self.act(
            lambda: self.r.send(self.r.seats[seat], "returnTo", seat),
            lambda now: self.model.come_back(now, seat),
        )

    def cancel(self) -> bool:
        return self.act(self.r.halt, self.model.halt)

    def expire(self) -> bool:
        return self.act(lambda: self.r.send(self.r.stranger, "expire"), self.model.expire)

    def jump(self, to: int) -> None:
        """An empty block, unless that time has passed."""
        if to > self.now:
            self.now = to
            self.r.chain.mine_at(to)
            self.model.advance(to)
            self.compare()

    # -- the end --------------------------------------------------------------------------------

    def deliver(self) -> Any:
        delivery = self.deliveries.after(self.model.final_rounds)
        market = self.r.on.market.functions
        call = market.deliver(self.r.id, self.r.terms, as_argument(delivery))
        return self.r.sent(self.r.stranger, "deliver", call)

    def settle(self, sender: Any = None) -> Any:
        entries = [entry.fields for entry in self.model.entries]
        call = self.r.on.market.functions.settle(self.r.id, self.r.terms, entries, b"")
        return self.r.sent(sender or self.r.stranger, "settle", call)

    # -- agreement ------------------------------------------------------------------------------

    def compare(self) -> None:
        """The contract's facts are the model's."""
        m, facts = self.model, self.r.facts
        assert Phase(facts.phase) is m.phase
        if m.phase in (Phase.SUBMIT, Phase.COMMIT, Phase.REVEAL, Phase.ATTEST, Phase.ENDED):
            assert facts.deadline == m.mark
        assert (facts.round, facts.paidRounds, facts.finalRounds, facts.turn) == (
            *(m.round, m.paid_rounds, m.final_rounds, m.turn),
        )
        assert (facts.halted, facts.reached) == (m.halted, m.reached)
        assert self.r.outcome.earned == fold(m.entries)
        if m.round and m.phase is not Phase.ENDED:
            seen = (facts.expected, facts.submitted, facts.acted, facts.revealed, facts.voided)
            assert seen == (m.expected, m.submitted, m.acted, m.revealed, m.voided)
            assert (facts.returning, facts.sliceOpened, facts.reopened) == (
                *(m.returning, m.slice_open, m.reopened),
            )
            assert facts.blind == m.blind
