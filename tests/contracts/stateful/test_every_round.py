"""Every round that up to four members and a requester can make of it, in the model; of up to
three, every second round too.

Each member follows one of eleven ways, and the requester one of four. The model is
the one that `test_random_requests.py` compares with the contracts. The numbers are those of
docs/protocol.md, "What always holds".
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import product

import pytest

from fedpact.chain.signed_messages import BLIND
from fedpact.consensus.leader import approvals_needed
from fedpact.consensus.proof_of_quality import Rules
from fedpact.types.requests import ApprovalRule, CohortMember, Earned, LeaderRule, seats_of
from fedpact.types.scores import INVALID, MAX_SCORE
from tests.contracts.stateful.model import Phase, Plan, Request, ballot

WINDOW = 100
RIGHT, WRONG = b"\x01" * 32, b"\x02" * 32
TRUE_SCORES = {seat: 1_000 + 100 * seat for seat in range(4)}


class Way(Enum):
    """What a member does in a round."""

    SILENT = auto()
    SUBMITS = auto()
    HONEST = auto()
    HIDES_VOTE = auto()
    SLANDERS = auto()
    DERIDES = auto()
    FLATTERS_AND_FORGES = auto()
    CALLS_IT_BLIND = auto()
    FORGES = auto()
    CONTRADICTS_EARLY = auto()
    CONTRADICTS_LATE = auto()


class Asker(Enum):
    """What the requester does."""

    OPENS = auto()
    KEEPS_SLICE = auto()
    CANCELS_EARLY = auto()
    CANCELS_LATE = auto()


NO_VOTE = (Way.SILENT, Way.SUBMITS)
FALSE_VOTES = (Way.SLANDERS, Way.DERIDES, Way.FLATTERS_AND_FORGES)
LIARS = (*FALSE_VOTES, Way.FORGES)
"""The others may be silent at most: then a majority of honest members is enough."""
NEVER_GUILTY = (Way.SUBMITS, Way.CALLS_IT_BLIND)


def vote(way: Way, seat: int, judged: list[int]) -> int:
    if way is Way.CALLS_IT_BLIND:
        return BLIND
    scores = {
        Way.SLANDERS: dict.fromkeys(judged, INVALID),
        Way.DERIDES: dict.fromkeys(judged, MAX_SCORE),
        Way.FLATTERS_AND_FORGES: dict.fromkeys(judged, 0),
    }.get(way, {other: TRUE_SCORES[other] for other in judged})
    return ballot(scores, seat)


def play(ways: tuple[Way, ...], asker: Asker, rules: Rules, first: tuple[Way, ...] = ()) -> Request:
    """A request after its last round, or when it has to be started again. `first`: what its members
    did in a round before, of which the requester opened the slice."""
    m = Request(Plan(rules, 1 + bool(first), WINDOW), len(ways), 0)
    members = [CohortMember(seat, f"0x{seat + 1:040x}", 100, 0) for seat in range(len(ways))]
    m.start(0, 0, members, range(len(ways)))
    if first:
        play_round(m, 1, first, Asker.OPENS)
    play_round(m, m.mark - WINDOW, ways, asker)
    return m


def play_round(m: Request, now: int, ways: tuple[Way, ...], asker: Asker) -> None:
    def those(*which: Way) -> list[int]:
        return [seat for seat, way in enumerate(ways) if way in which]

    submitting = [seat for seat, way in enumerate(ways) if way is not Way.SILENT]
    if submitting:
        m.submit(now, sum(1 << seat for seat in submitting))
    for seat in those(Way.CONTRADICTS_EARLY):
        m.contradict(now, seat)
    if asker is Asker.CANCELS_EARLY:
        m.halt(now)
    while m.phase is Phase.SUBMIT:
        now = m.mark + 1
        m.advance(now)
    if m.phase is Phase.FAILED:
        m.close(now)
        return
    if m.phase is Phase.COMMIT and asker is not Asker.KEEPS_SLICE:
        m.open_slice(now)
        if asker is Asker.CANCELS_LATE:
            m.halt(now)
        judged = seats_of(m.judged)
        votes = {
            seat: vote(ways[seat], seat, judged) for seat in judged if ways[seat] not in NO_VOTE
        }
        if votes:
            m.commit(now, votes)
    while m.phase is Phase.COMMIT:
        now = (m.mark if m.slice_open else m.slice_deadline) + 1
        m.advance(now)
    if m.phase is Phase.REVEAL:
        hidden = sum(1 << seat for seat in those(Way.HIDES_VOTE))
        if opening := m.acted & ~(hidden | m.voided):
            m.reveal(now, opening)
        while m.phase is Phase.REVEAL:
            now = m.mark + 1
            m.advance(now)
    if m.phase is Phase.TALLY:
        m.tally(now)
    if m.phase is Phase.ATTEST:
        attest(m, now, ways)
        while m.phase is Phase.ATTEST:
            now = m.mark + 1
            m.advance(now)
        m.finalise(now)


SILENT_AT_LAST = (Way.SUBMITS, Way.CALLS_IT_BLIND, Way.HIDES_VOTE)


def attest(m: Request, now: int, ways: tuple[Way, ...]) -> None:
    for seat in seats_of(m.attesters):
        if ways[seat] in SILENT_AT_LAST:
            continue
        forges = ways[seat] in (Way.FLATTERS_AND_FORGES, Way.FORGES)
        m.attest(now, 1 << seat, WRONG if forges else RIGHT, 0 if forges else 900)
    for seat, way in enumerate(ways):
        if way is Way.CONTRADICTS_LATE and m.phase in (Phase.ATTEST, Phase.FINALISE):
            m.contradict(now, seat)


def points_of(entry: Earned, size: int) -> list[int]:
    return [entry.points_of(seat) for seat in range(size)]


def check(
    ways: tuple[Way, ...], asker: Asker, rules: Rules, first: tuple[Way, ...] = ()
) -> int | None:
    """Numbers 3 to 6; what the worst paid honest member has where number 6 protects it."""
    m = play(ways, asker, rules, first)
    entry, counted = m.entries[-1], m.counts[-1]
    points = points_of(entry, len(ways))
    assert m.phase is Phase.ENDED or entry.void_start
    assert sum(points) <= 10_000
    if entry.void_start:
        present = sum(way not in (Way.SILENT, Way.CONTRADICTS_EARLY) for way in ways)
        assert present < 2
        return None
    faulted = seats_of(entry.faults)
    assert all(points[seat] == 0 for seat in faulted if not counted.astray >> seat & 1)
    assert not any(ways[seat] in NEVER_GUILTY for seat in seats_of(entry.faults & ~counted.astray))
    assert not any(points[seat] for seat, way in enumerate(ways) if way is Way.SILENT)
    honest = [seat for seat, way in enumerate(ways) if way is Way.HONEST]
    judged = counted.judged.bit_count()
    lying = any(ways[seat] in LIARS for seat in seats_of(counted.attesters))
    majority = len(honest) >= 2 and 2 * len(honest) > judged
    needed = approvals_needed(counted.attesters.bit_count(), judged, ApprovalRule.TWO_THIRDS)
    if len(honest) < needed and (lying or not majority):
        return None
    assert entry.paid
    assert not set(faulted) & set(honest)
    cancelled = m.halted and m.blind
    assert cancelled or entry.digest == RIGHT
    for seat, way in enumerate(ways):
        voted = asker not in (Asker.KEEPS_SLICE, Asker.CANCELS_EARLY) and way in FALSE_VOTES
        absent = bool(first) and first[seat] is Way.SILENT
        assert not (absent and way is Way.SILENT and seat in faulted)
        silent = way is Way.SILENT and not absent and not m.halted
        if silent or (voted and len(honest) > 2):
            assert seat in faulted
    if not m.halted:
        for seat in seats_of(counted.attesters):
            assert ways[seat] not in (*SILENT_AT_LAST, Way.FORGES) or seat in faulted
    worst = min(points[seat] for seat in honest)
    assert worst >= 2 * (500 // judged)
    return worst


RULES = Rules(9_000, 500, 50, LeaderRule.POQ, ApprovalRule.TWO_THIRDS)


def least(members: int, first: tuple[Way, ...] = ()) -> int:
    """The worst that any honest member has that number 6 protects."""
    every = product(product(Way, repeat=members), Asker)
    found = (check(ways, asker, RULES, first) for ways, asker in every)
    return min(one for one in found if one is not None)


def firsts(members: int) -> list[tuple[Way, ...]]:
    """First rounds that leave each set of members that a second one may expect. Of earlier rounds a
    round keeps nothing else but the last leader, by whom rule 0 does not go."""
    every = product((Way.HONEST, Way.SILENT), repeat=members)
    return [ways for ways in every if ways.count(Way.HONEST) >= 2]


@pytest.mark.parametrize("members", [2, 3])
def test_every_round_of_a_few_members_holds(members: int) -> None:
    assert least(members) >= 2 * (500 // members)


@pytest.mark.slow
def test_every_round_of_four_members_holds() -> None:
    assert least(4) >= 250


def test_every_second_round_of_two_members_holds() -> None:
    assert [least(2, first) for first in firsts(2)] == [least(2)]


@pytest.mark.slow
def test_every_second_round_of_three_members_holds() -> None:
    assert all(least(3, first) >= 2 * (500 // 3) for first in firsts(3))
