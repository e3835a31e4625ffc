"""The events of a request of four members, written by a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fedpact.chain.bindings.events import (
    Attested,
    Credited,
    Joined,
    ModelsSubmitted,
    Place,
    RequestCreated,
    RequestEvent,
    RoundFinalised,
    RoundOpened,
    RoundTallied,
    Started,
    VotesRevealed,
)
from fedpact.consensus.proof_of_quality import judge
from fedpact.dashboard.story import ClosedPool, RequestStory
from fedpact.types.requests import Phase, PoolMember, RoundFacts, Start
from tests.support.chain_request import make_terms

ACCOUNTS = [f"0x{number:040x}" for number in range(1, 5)]
TERMS = make_terms(max_pool=4, max_rounds=2, vote_band=50, max_error=5_000)
POOL = ClosedPool(tuple(PoolMember(one, n, 10, 4_000, n + 1) for n, one in enumerate(ACCOUNTS)))
START = Start(*(bytes(32),) * 4)


def make_facts(**changes: Any) -> RoundFacts:
    """Of the first round of four seats, as it opens."""
    facts = RoundFacts(
        phase=Phase.SUBMIT,
        deadline=0,
        round=1,
        size=4,
        expected=0b1111,
        submitted=0,
        revealed=0,
        acted=0,
        voided=0,
        returning=0,
        turn=0,
        last_leader=None,
        paid_rounds=0,
        final_rounds=0,
        slice_opened=False,
        reopened=False,
        halted=False,
        reached=False,
        blind=False,
        drawn=False,
        history=bytes(32),
        seed=bytes(32),
        log=bytes(32),
        earned=bytes(32),
    )
    return replace(facts, **changes)


def at(number: int) -> Place:
    return Place(number, 0, f"0x{number:064x}", 1_000 + number)


def votes(*rows: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(score << 14 * seat for seat, score in enumerate(row)) for row in rows)


def round_of(revealed: int, words: tuple[int, ...], submitted: int = 0b1111) -> list[RequestEvent]:
    """A round that becomes final, with what its votes amount to."""
    seats = [seat for seat in range(4) if revealed >> seat & 1]
    board, blind = judge(dict(zip(seats, words, strict=True)), submitted, 5_000, 50)
    faults = board.faults | (0b1111 & ~submitted)
    return [
        RoundOpened(at(10), 1, 1, bytes(32), bytes(32), 0b1111),
        ModelsSubmitted(at(11), 1, 1, submitted, (bytes(32),) * submitted.bit_count()),
        VotesRevealed(at(12), 1, 1, revealed, words),
        RoundTallied(at(13), 1, 1, blind, board, bytes(32)),
        Attested(at(14), 1, 1, revealed, bytes(32), 0),
        RoundFinalised(at(15), 1, 1, 0, b"\x01" * 32, 800, revealed),
        Credited(at(15), 1, 3 << 48 | 2 << 32 | 1 << 16, board.points, faults, b"\x01" * 32),
    ]


def story(*events: RequestEvent) -> RequestStory:
    created = RequestCreated(at(1), 1, "0x" + "9" * 40, bytes(32), bytes(32), TERMS)
    joined = [Joined(at(2), 1, one, n, 10, bytes(32)) for n, one in enumerate(ACCOUNTS)]
    return RequestStory(
        (created, *joined, Started(at(3), 1, ACCOUNTS[0], 0, START), *events), {}, POOL
    )


GOOD = ((0, 900, 950, 980), (900, 0, 940, 990), (910, 905, 0, 985), (905, 900, 945, 0))
