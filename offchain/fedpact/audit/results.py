"""Checks of what the rounds come to: tallies, points, final models, and what binds them."""

from collections.abc import Callable, Iterator

from fedpact.audit.chain import Facts
from fedpact.audit.replay_round import Played, Seats
from fedpact.audit.report import Unavailable, counted, require
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.audit.rounds import RoundChecks
from fedpact.audit.running_history import running_history
from fedpact.chain.bindings.events import RoundFinalised
from fedpact.chain.signed_messages import Board
from fedpact.consensus.payout import fold
from fedpact.consensus.proof_of_quality import points_of
from fedpact.types.requests import NOBODY, Earned, mask_of, seats_of

_PARTS = 4
"""A batch is refunded up to a quarter of a round's gas."""


class ResultChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(
        self, evidence: Evidence, facts: Facts, rounds: RoundChecks, *, drawn: Callable[[], bool]
    ) -> None:
        """`drawn`: whether the pool is larger than a cohort."""
        self._e = evidence
        self._facts = facts
        self._rounds = rounds
        self._drawn = drawn

    def medians(self) -> str:
        """The medians of each tally are those of the others' opened votes."""
        for one, board, said in self._tallies():
            require(
                board.medians == said.medians,
                f"{one.name}: {said.medians:#x} on chain, {board.medians:#x} computed",
            )
        return counted(self._judged(), "round")

    def included(self) -> str:
        """Included and eligible models, and whether a round was blind, follow from the votes."""
        for one, board, said in self._tallies():
            tallied = one.tallied
            assert tallied is not None
            require(
                (board.included, board.eligible) == (said.included, said.eligible),
                f"{one.name}: included {said.included:#x}, eligible {said.eligible:#x} on chain;"
                f" {board.included:#x}, {board.eligible:#x} computed",
            )
            blind = self._rounds.played[one.number].blind
            require(blind == tallied.blind, f"{one.name}: blind {tallied.blind}, computed {blind}")
        blind_rounds = sum(played.blind for played in self._rounds.played.values())
        return f"{counted(self._judged(), 'round')}, {blind_rounds} blind"

    def points(self) -> str:
        """Each round gave the points that follow from votes, attestations and leading."""
        for one, board, said in self._tallies():
            require(
                board.points == said.points,
                f"{one.name}: points {said.points:#x} at the tally, {board.points:#x} computed",
            )
        totals: dict[int, int] = {}
        for one, played, entry in self._entries():
            require(
                entry.points == played.points,
                f"{one.name}: points {_lanes(entry.points, played.seats)} counted,"
                f" {_lanes(played.points, played.seats)} computed",
            )
            for index, own in zip(
                played.seats.indices, _lanes(played.points, played.seats), strict=True
            ):
                totals[index] = totals.get(index, 0) + own
        return ", ".join(f"member {index}: {own}" for index, own in sorted(totals.items()))

    def faults(self) -> str:
        """Each member has a fault for silence, a vote that it did not open or that is far off, and
        contradictions, and for nothing else."""
        count = 0
        for one, board, said in self._tallies():
            require(
                board.faults == said.faults,
                f"{one.name}: seats {seats_of(said.faults)} at the tally,"
                f" {seats_of(board.faults)} computed",
            )
        for one, played, entry in self._entries():
            require(
                entry.faults == played.faults,
                f"{one.name}: seats {seats_of(entry.faults)} are at fault on chain,"
                f" {seats_of(played.faults)} computed",
            )
            count += played.faults.bit_count()
        return counted(count, "fault")

    def finals(self) -> str:
        """Each round is final if a quorum attested one model, with the median of their errors."""
        count = 0
        for one in self._e.closed:
            final = self._rounds.readable(one).final
            if not isinstance(one.end, RoundFinalised):
                require(final is None, f"{one.name}: it failed, though a quorum attested a model")
                continue
            require(final is not None, f"{one.name}: it is final without a quorum")
            assert final is not None
            told = (one.end.digest, one.end.approvals, one.end.error)
            due = (final.digest, final.approvals, final.error)
            require(
                told == due,
                f"{one.name}: 0x{told[0].hex()} by {told[1]:#x} with error {told[2]} on chain,"
                f" 0x{due[0].hex()} by {due[1]:#x} with error {due[2]} computed",
            )
            count += 1
        return counted(count, "final round")

    def leader_order(self) -> str:
        """Each leader is the first of the order of leaders among those that attested."""
        leaders = []
        for one in self._e.closed:
            final = self._rounds.readable(one).final
            if final is None or not isinstance(one.end, RoundFinalised):
                continue
            require(
                one.end.leader == final.leader,
                f"{one.name}: seat {one.end.leader} led, seat {final.leader} is first",
            )
            leaders.append("none" if final.leader == NOBODY else str(final.leader))
        if not leaders:
            raise Unavailable("no round is final")
        return "seats " + ", ".join(leaders)

    def credits(self) -> str:
        """What the rounds earned has the right members, models and marks, and adds up to the hash
        on chain."""
        for one, played, entry in self._entries():
            final = played.final
            due = (played.points != 0, played.blind, bytes(32) if final is None else final.digest)
            told = (entry.paid, entry.blind, entry.digest)
            require(
                told == due and not entry.void_start,
                f"{one.name}: paid, blind and model are {told[0]}, {told[1]}, 0x{told[2].hex()}"
                f" on chain; {due[0]}, {due[1]}, 0x{due[2].hex()} computed",
            )
        folded, stored = fold(self._e.earned), self._facts.outcome.earned
        require(
            folded == stored,
            f"the entries add up to 0x{folded.hex()}, 0x{stored.hex()} is on chain",
        )
        return f"{len(self._e.earned)} entries"

    def gas_refunds(self) -> str:
        """Each refund of gas goes to who posted, and is no larger than the terms allow."""
        whole, total = self._e.terms.gas_per_round, 0
        for event, entry in zip(self._e.credited, self._e.earned, strict=True):
            if not entry.refund:
                continue
            posted = any(one.credited is event and one.posted is not None for one in self._e.rounds)
            posted = posted or self._facts.deployment.is_large  # also whoever sums the points
            most = whole if posted else whole // _PARTS
            require(
                entry.refund <= most,
                f"{entry.refund} wei of gas in {event.at.tx_hash}; the terms allow {most}",
            )
            transaction = self._facts.transaction(event.at.tx_hash)
            if str(transaction["to"]).lower() == self._facts.deployment.rounds.lower():
                sender = self._facts.sender(event.at.tx_hash)
                require(
                    entry.poster == sender.lower(),
                    f"the gas of {event.at.tx_hash} goes to {entry.poster}, {sender} posted it",
                )
            total += entry.refund
        return f"{total} wei"

    def history(self) -> str:
        """Terms, starts and rounds give the running hash that is on chain, link by link."""
        return running_history(self._facts, self._e, self._links)

    def _links(self, one: RoundEvidence) -> tuple[bytes, bytes]:
        played = self._rounds.played[one.number]
        for told, computed in played.told_logs:
            require(
                told == computed,
                f"{one.name}: an event tells the log 0x{told.hex()}, 0x{computed.hex()} computed",
            )
        return played.log, played.record

    def outcome(self) -> str:
        """The next members that a round waits for, the target and the end follow from the rounds,
        and the chain's counts agree."""
        drawn = self._drawn()
        reached, finals = False, 0
        if self._e.rounds:
            first = self._e.rounds[0]
            full = self._rounds.readable(first).seats.full
            require(first.opened.expected == full, f"{first.name}: it does not wait for all seats")
        for one, after in zip(self._e.rounds, [*self._e.rounds[1:], None], strict=False):
            played = self._rounds.readable(one)
            if one.end is None:
                break
            finals += played.final is not None
            reached = reached or (played.final is not None and played.final.reached)
            over = reached or self._e.halted_before(one.end.at)
            over = over or one.number == self._e.terms.max_rounds
            over = over or (played.final is None and not drawn)
            told = "ended" if after is None else "went on"
            require(over == (after is None), f"{one.name}: the request {told} after it")
            if after is not None:
                returning = mask_of(event.seat for event in one.returning)
                due = played.seats.full if drawn else played.judged | returning
                require(
                    after.opened.expected == due,
                    f"{after.name}: it waits for seats {seats_of(after.opened.expected)},"
                    f" {seats_of(due)} computed",
                )
        stored = self._facts.outcome
        told_counts = (stored.final_rounds, stored.paid_rounds, stored.reached)
        due_counts = (finals, sum(entry.paid for entry in self._e.earned), reached)
        require(
            told_counts == due_counts,
            f"final rounds, paid rounds and target are {told_counts} on chain, {due_counts}"
            " computed",
        )
        ended = self._e.ended
        require(stored.ended == (ended is not None), "whether the rounds are over is contradicted")
        if ended is not None:
            require(
                (ended.reached, ended.final_rounds) == (reached, finals),
                f"it ended with {ended.final_rounds} final rounds, target reached {ended.reached};"
                f" {finals}, {reached} computed",
            )
            start, rounds = self._e.start, self._e.rounds
            # After a void start no round counts.
            begun = rounds and start is not None and start.void is None
            last = rounds[-1].number if begun else 0
            require(ended.round == last, f"it ended after round {ended.round}, not {last}")
        return f"{counted(finals, 'final round')}, target {'reached' if reached else 'not reached'}"

    # ------------------------------------------------------------------ parts

    def _tallies(self) -> Iterator[tuple[RoundEvidence, Board, Board]]:
        """Rounds with a tally on chain: the board computed, and the one announced."""
        self._judged()
        for one in self._e.rounds:
            if one.tallied is not None:
                board = self._rounds.played[one.number].board
                assert board is not None
                yield one, board, one.tallied.board

    def _entries(self) -> Iterator[tuple[RoundEvidence, Played, Earned]]:
        """Closed rounds with what they earned."""
        for one in self._e.closed:
            played = self._rounds.readable(one)
            given = one.credited
            require(given is not None, f"{one.name}: nothing says what it earned")
            assert given is not None
            yield one, played, given.entry

    def _judged(self) -> int:
        count = sum(one.judged for one in self._e.rounds)
        if not count:
            raise Unavailable("no round was judged")
        return count


def _lanes(word: int, seats: Seats) -> tuple[int, ...]:
    return points_of(word, len(seats.indices))
