"""A round played again from what was posted, by the mirrors of the contracts.

Mirrors contracts/TrainingRounds*.sol but for the clock: which steps came in time is the chain's
to say. Masks have bit i for seat i.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.chain.bindings.events import (
    Attested,
    Equivocated,
    ModelsSubmitted,
    RoundPosted,
    RoundTallied,
    SliceOpened,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.signed_messages import (
    Board,
    RoundRecord,
    log_with_attestations,
    log_with_board,
    log_with_slice,
    log_with_values,
)
from fedpact.consensus.leader import leader
from fedpact.consensus.payout import packed
from fedpact.consensus.proof_of_quality import (
    Final,
    Rules,
    astray,
    blind,
    finalised,
    judge,
    without,
)
from fedpact.types.requests import CohortMember, PoolMember, Terms, mask_of, seats_of
from fedpact.types.scores import lane

_ZERO = bytes(32)


@dataclass(frozen=True)
class Seats:
    """Who took part in a round."""

    indices: tuple[int, ...]
    """Pool index of each seat."""
    members: tuple[PoolMember, ...]

    @property
    def word(self) -> int:
        """As the contracts pack it."""
        return packed(self.indices)

    @property
    def full(self) -> int:
        return (1 << len(self.indices)) - 1

    def account(self, seat: int) -> str:
        return self.members[seat].account


@dataclass
class Played:
    """What a round's steps come to."""

    number: int
    seats: Seats
    expected: int
    digests: dict[int, bytes] = field(default_factory=dict)
    """Every submitted model, by seat."""
    commitments: list[tuple[int, bytes]] = field(default_factory=list)
    votes: dict[int, int] = field(default_factory=dict)
    """Packed, by seat, in the order in which they were opened."""
    attestations: list[tuple[int, bytes, int]] = field(default_factory=list)
    """Seat, digest and error, in the order anchored."""
    voided: int = 0
    slice_opened: bool = False
    blind: bool = False
    board: Board | None = None
    """Of the tally; None where nothing was judged."""
    faults: int = 0
    """Of the whole round: contradictions after the tally are in it."""
    final: Final | None = None
    log: bytes = _ZERO
    """The running hash of all that the round's steps anchored."""
    told_logs: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Where an event tells the running hash: as told, and as computed."""
    record: bytes = _ZERO
    """Hash of the record of a posted round."""

    @property
    def submitted(self) -> int:
        return mask_of(self.digests)

    @property
    def judged(self) -> int:
        """Seats whose model counts."""
        return self.submitted & ~self.voided

    @property
    def revealed(self) -> int:
        return mask_of(self.votes)

    @property
    def committed(self) -> int:
        return mask_of(seat for seat, _ in self.commitments)

    @property
    def attesters(self) -> int:
        return (self.submitted if self.blind else self.revealed) & ~self.voided

    @property
    def counted(self) -> Mapping[int, bytes]:
        """The digests of the models that count, by seat."""
        return {seat: self.digests[seat] for seat in seats_of(self.judged)}

    @property
    def points(self) -> int:
        """All points of the round, a word of 16 bits a seat."""
        if self.final is not None:
            return self.final.points
        return 0 if self.board is None else without(self.board.points, self.voided)


def play(
    one: RoundEvidence,
    e: Evidence,
    seats: Seats,
    last_leader: int | None,
    record: RoundRecord | None,
) -> Played:
    """A round that is closed, or as far as it has come.

    Args:
        last_leader: pool index of the last leader.
        record: of a posted round.
    """
    game = _Game(one, e, seats, last_leader, record)
    game.run()
    return game.played


class _Game:
    def __init__(
        self,
        one: RoundEvidence,
        e: Evidence,
        seats: Seats,
        last_leader: int | None,
        record: RoundRecord | None,
    ) -> None:
        self._one, self._e, self._record = one, e, record
        self._last_leader = last_leader
        self.played = Played(one.number, seats, one.opened.expected)
        self._attesting = False
        """Whether attestations follow the tally."""

    def run(self) -> None:
        p = self.played
        for step in self._one.steps:
            match step:
                case ModelsSubmitted():
                    new = list(zip(self._seats(step.mask), step.digests, strict=False))
                    p.digests.update(new)
                    p.expected |= step.mask & p.seats.full
                    p.log = log_with_values(p.log, new)
                case SliceOpened():
                    p.slice_opened = True
                    p.log = log_with_slice(p.log, step.sealed_key)
                    p.told_logs.append((step.log, p.log))
                case VotesCommitted():
                    committed = list(zip(self._seats(step.mask), step.commitments, strict=False))
                    p.commitments += committed
                    p.log = log_with_values(p.log, committed)
                case VotesRevealed():
                    votes = list(zip(self._seats(step.mask), step.votes, strict=False))
                    p.votes.update(votes)
                    words = [(seat, word.to_bytes(32, "big")) for seat, word in votes]
                    p.log = log_with_values(p.log, words)
                case Equivocated():
                    p.voided |= (1 << step.seat) & p.seats.full
                case RoundTallied():
                    self._tally(step)
                case Attested():
                    attested = [
                        (seat, step.digest, lane(step.errors, seat))
                        for seat in self._seats(step.mask)
                    ]
                    p.attestations += attested
                    p.log = log_with_attestations(p.log, attested)
                case RoundPosted():
                    self._post(step)
        self._close()

    def _seats(self, mask: int) -> list[int]:
        """Those of a mask that somebody has: only a node that lies names others."""
        return seats_of(mask & self.played.seats.full)

    def _tally(self, step: RoundTallied) -> None:
        p, terms = self.played, self._e.terms
        halted = self._e.halted_before(step.at)
        faults = 0 if halted else p.expected & ~p.submitted
        if not p.slice_opened:
            p.blind = True
            found = blind(p.judged, p.judged)
        else:
            voting = {seat: word for seat, word in p.votes.items() if p.judged >> seat & 1}
            found, p.blind = judge(voting, p.judged, terms.max_error, terms.vote_band)
            hidden = p.committed & ~p.revealed
            if p.blind:
                found = blind(p.judged, p.judged & ~hidden)
            faults |= found.faults | hidden
        p.faults = faults | p.voided
        p.board = _with_faults(found, p.faults)
        p.told_logs.append((step.log, p.log))
        p.log = log_with_board(p.log, p.board)
        ends = halted and p.blind
        self._attesting = not (ends or p.attesters.bit_count() < 2 or found.included == 0)

    def _post(self, step: RoundPosted) -> None:
        p, record, terms = self.played, self._record, self._e.terms
        p.record = step.record
        if record is None:
            return
        mask = step.mask & p.seats.full
        silent = p.expected & ~mask
        members = seats_of(mask)
        p.digests.update(zip(members, record.digests, strict=False))
        p.votes = dict(zip(members, record.votes, strict=False))
        p.blind = False
        found, _ = judge(p.votes, mask, terms.max_error, terms.vote_band)
        p.faults = found.faults | silent
        p.board = _with_faults(found, p.faults)
        p.attestations = [(seat, record.digest, lane(record.errors, seat)) for seat in members]

    def _close(self) -> None:
        p, end = self.played, self._one.end
        if end is None:
            return
        if self._one.posted is not None:
            if p.board is not None and p.board.included:
                p.final = self._final(p.board)
        elif p.board is None:
            halted = self._e.halted_before(end.at)
            p.faults = (0 if halted else p.expected & ~p.submitted) | p.voided
        elif self._attesting:
            board = p.board
            left = without(board.points, p.voided)
            p.final = self._final(
                Board(board.medians, board.included, board.eligible, left, board.faults)
            )
            p.faults |= p.voided | astray(
                *(p.attestations, p.attesters, p.judged),
                voided=p.voided,
                halted=self._e.halted_before(end.at),
            )

    def _final(self, board: Board) -> Final | None:
        p, terms = self.played, self._e.terms
        return finalised(
            board,
            p.attestations,
            p.judged,
            rules_of(terms),
            lambda candidates: self._leader(board, candidates),
            p.voided,
        )

    def _leader(self, board: Board, candidates: int) -> int:
        p, terms = self.played, self._e.terms
        members = [
            CohortMember(seat, one.account, one.samples, one.reputation)
            for seat, one in enumerate(p.seats.members)
        ]
        last = self._last_leader
        seat = p.seats.indices.index(last) if last in p.seats.indices else None
        return leader(
            candidates, p.judged, board.medians, members, p.number, terms.leader_rule, seat
        )


def rules_of(terms: Terms) -> Rules:
    """What a request fixes for judging its rounds."""
    return Rules(
        terms.max_error, terms.target, terms.vote_band, terms.leader_rule, terms.approval_rule
    )


def _with_faults(board: Board, faults: int) -> Board:
    return Board(board.medians, board.included, board.eligible, board.points, faults)
