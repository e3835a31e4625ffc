"""A request by its Python mirror, from recorded scores.

Members 0 to 3 train honestly, member 4 in the recorded way. What a member votes, whether it
attests, and what the requester does are chosen here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fedpact.chain.signed_messages import BLIND, Board
from fedpact.consensus.leader import leader
from fedpact.consensus.payout import of_round, payouts
from fedpact.consensus.proof_of_quality import Final, Rules, astray, blind, finalised, judge
from fedpact.types.requests import ApprovalRule, CohortMember, Earned, LeaderRule, mask_of, seats_of
from fedpact.types.scores import INVALID, MAX_SCORE, lane, pack_scores
from lab.incentives.scores import MEMBERS, Recorded

ALL = (1 << MEMBERS) - 1
PAY = 10**18
ROUNDS = 10
SAMPLES = 200
GLOBAL, OTHER = b"\x01" * 32, b"\x02" * 32


class Voting(StrEnum):
    """What a member votes."""

    HONEST = "measures"
    COPIES = "copies the last medians"
    DERIDES = "all others worst"
    INVALID = "all others invalid"
    ALLIES = "allies best, all others worst"
    BLIND = "claims a useless slice"
    NONE = "does not vote"


class Attesting(StrEnum):
    """What allies attest."""

    HONEST = "what they computed"
    NOTHING = "nothing"
    OTHER = "another model"


class Asking(StrEnum):
    """What the requester does."""

    OPENS = "opens all slices"
    KEEPS = "opens no slice"
    CANCELS = "cancels after the first model"


@dataclass(frozen=True)
class Play:
    """One request: what the members vote, and what the allies among them attest."""

    voting: Mapping[int, Voting]
    allies: frozenset[int] = frozenset()
    attesting: Attesting = Attesting.HONEST
    asking: Asking = Asking.OPENS


@dataclass(frozen=True)
class Result:
    """What the members get, in shares of an equal part of the pay."""

    pay: tuple[float, ...]
    faults: tuple[int, ...]
    final_rounds: int
    paid: float
    """Share of the pay that the requester spends."""


class Game:
    """Requests by the same members over one recording. Rounds that come again are counted once."""

    def __init__(self, recorded: Recorded, how: Play) -> None:
        self._recorded, self._how = recorded, how
        self._rules = Rules(
            *(recorded.max_error, 0, recorded.vote_band),
            *(LeaderRule.POQ, ApprovalRule.TWO_THIRDS),
        )
        self._boards: dict[tuple[int, int | None], tuple[Board, bool]] = {}
        self._finals: dict[tuple[int, int | None, int, int | None], Final | None] = {}

    def play(self, generator: np.random.Generator) -> Result:
        """A request of ten rounds, each drawn with replacement from the recorded ones."""
        entries: list[Earned] = []
        before: int | None = None
        led: int | None = None
        drawn = generator.integers(len(self._recorded.scores), size=ROUNDS)
        for number, chosen in enumerate(drawn.tolist(), 1):
            key = (chosen, before, number, led)
            board, _ = self._board(chosen, before)
            if key not in self._finals:
                self._finals[key] = self._final(*key)
            final = self._finals[key]
            points = final.points if final else board.points
            digest = GLOBAL if final else bytes(32)
            entries.append(of_round(range(MEMBERS), points, self._faults(chosen, before), digest))
            if final is None:
                break
            led = final.leader if final.leader < MEMBERS else None
            before = chosen
        return self._settled(entries)

    def _board(self, chosen: int, before: int | None) -> tuple[Board, bool]:
        if (chosen, before) not in self._boards:
            self._boards[chosen, before] = self._judged(chosen, before)
        return self._boards[chosen, before]

    def _judged(self, chosen: int, before: int | None) -> tuple[Board, bool]:
        how = self._how
        if how.asking is not Asking.OPENS:
            return blind(ALL, ALL), True
        last = None
        if before is not None:
            # The honest majority's medians, whoever else copied in that round.
            medians = self._board(before, None)[0].medians
            last = [lane(medians, seat) for seat in range(MEMBERS)]
        scores = self._recorded.scores[chosen]
        votes = {
            seat: _vote(seat, how.voting.get(seat, Voting.HONEST), scores, last, how.allies)
            for seat in seats_of(_voters(how))
        }
        return judge(votes, ALL, self._rules.max_error, self._rules.vote_band)

    def _final(self, chosen: int, before: int | None, number: int, led: int | None) -> Final | None:
        how, rules = self._how, self._rules
        if how.asking is Asking.CANCELS:
            return None
        board, _ = self._board(chosen, before)
        return finalised(
            board,
            self._attestations(chosen, before),
            *(ALL, rules),
            lambda candidates: leader(
                *(candidates, ALL, board.medians, _MEMBERS, number, rules.leader_rule, led)
            ),
        )

    def _attesters(self, chosen: int, before: int | None) -> int:
        _, is_blind = self._board(chosen, before)
        return ALL if is_blind else _voters(self._how)

    def _attestations(self, chosen: int, before: int | None) -> list[tuple[int, bytes, int]]:
        how = self._how
        given = {
            seat: how.attesting if seat in how.allies else Attesting.HONEST
            for seat in seats_of(self._attesters(chosen, before))
        }
        return [
            (seat, OTHER if what is Attesting.OTHER else GLOBAL, MAX_SCORE)
            for seat, what in given.items()
            if what is not Attesting.NOTHING
        ]

    def _faults(self, chosen: int, before: int | None) -> int:
        """Seats at fault in a round."""
        board, _ = self._board(chosen, before)
        if self._how.asking is Asking.CANCELS:
            return board.faults
        return board.faults | astray(
            self._attestations(chosen, before),
            *(self._attesters(chosen, before), ALL),
            voided=0,
            halted=False,
        )

    def _settled(self, entries: list[Earned]) -> Result:
        finals = sum(entry.digest == GLOBAL for entry in entries)
        due = finals > 0 or self._how.asking is Asking.CANCELS
        shares = payouts(entries, PAY, due=due, reached=False, max_rounds=ROUNDS)
        paid = [shares.get(seat, 0) for seat in range(MEMBERS)]
        return Result(
            tuple(wei * MEMBERS / PAY for wei in paid),
            tuple(sum(entry.faults >> seat & 1 for entry in entries) for seat in range(MEMBERS)),
            finals,
            sum(paid) / PAY,
        )


_MEMBERS = [CohortMember(seat, f"0x{seat + 1:040x}", SAMPLES, 0) for seat in range(MEMBERS)]


def _voters(how: Play) -> int:
    return mask_of(seat for seat in range(MEMBERS) if how.voting.get(seat) is not Voting.NONE)


def _vote(
    own: int,
    voting: Voting,
    scores: Sequence[int],
    last: Sequence[int] | None,
    allies: frozenset[int],
) -> int:
    if voting is Voting.BLIND:
        return BLIND
    others = [seat for seat in range(MEMBERS) if seat != own]
    given = {seat: scores[seat] for seat in others}
    if voting is Voting.COPIES and last is not None:
        given = {seat: last[seat] for seat in others}
    elif voting is Voting.INVALID:
        given = dict.fromkeys(others, INVALID)
    elif voting in (Voting.DERIDES, Voting.ALLIES):
        kind = allies if voting is Voting.ALLIES else frozenset[int]()
        given = {seat: 0 if seat in kind else MAX_SCORE for seat in others}
    return pack_scores(given)
