"""Attacks from inside a committee and beside it: copies, replays, and steps out of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import Domain, pack_signatures
from tests.contracts.rounds.kit import INVALID, SLICE_KEY, Rounds, mask_of, pack

New = Callable[..., Rounds]


def signed(r: Rounds, seat: int, message: Any) -> bytes:
    return pack_signatures([bytes(r.seats[seat].sign_message(message).signature)])


def test_a_copied_commitment_does_not_open(running: New, expect_revert: Any) -> None:
    """A member copies another's commitment, waits for its reveal, and repeats it."""
    r = running(3)
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit(0, 2)
    copied = r.commitment(0)
    r.send(r.seats[1], "commitVotes", 0b010, [copied], b"")
    r.committed.append((1, copied))
    r.reveal(0)
    args = (r.anchored.fields, 0b010, [r.votes[0]], [r.salt(0)])
    with expect_revert("TrainingRounds_CommitmentMismatch"):
        r.send(r.seats[1], "revealVotes", *args)
    r.reveal(2)
    r.pass_deadline()
    r.tally()
    r.attest(0, 2)
    r.finalise()
    assert (r.points()[1], r.faults()) == (0, [1])


def test_a_vote_on_oneself_is_refused(running: New, expect_revert: Any) -> None:
    r = running(3)
    r.submit(0, 1, 2)
    r.open_slice()
    r.commit_to({0: pack({0: 1, 1: 1_100, 2: 1_200})})
    r.commit(1, 2)
    with expect_revert("TrainingRounds_BadScore", 0, 0, 1):
        r.reveal(0)


def test_a_constant_vote_earns_less_than_the_work(running: New) -> None:
    """It never evaluates and always votes the same number: adverse, or out of most bands."""
    r = running(5, voteBand=50)
    seats = range(5)
    r.submit(*seats)
    r.open_slice()
    lazy = pack(dict.fromkeys(range(4), 1_150))
    r.commit_to({seat: lazy if seat == 4 else r.vote(seat, seats) for seat in seats})
    r.reveal(*seats)
    r.attest(*seats)
    r.finalise()
    # Two of four models happen to lie in the band: less of the votes' part than the others have.
    assert 0 < r.points()[4] < min(r.points()[:4])


def test_a_model_that_half_the_voters_cannot_read_is_invalid(running: New) -> None:
    """Served to just half of the committee."""
    r = running(6)
    seats = range(6)
    r.submit(*seats)
    r.open_slice()
    secret = {5: INVALID}
    r.commit_to({seat: r.vote(seat, seats, secret if seat < 3 else None) for seat in seats})
    r.reveal(*seats)
    r.attest(*seats)
    r.finalise()
    assert r.points()[5] <= 500 // 6


def test_nothing_is_submitted_once_the_models_are_known(running: New, expect_revert: Any) -> None:
    """The average of the others, handed in last; or another digest than before."""
    r = running(4)
    r.submit(0, 1, 2)
    average = keccak(text="average")
    with expect_revert("TrainingRounds_BadMask"):
        r.send(r.seats[0], "submit", 0b0001, [average], b"")
    r.pass_deadline()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.send(r.seats[3], "submit", 0b1000, [average], b"")


def test_the_slice_is_not_opened_before_the_models_are_fixed(
    running: New, expect_revert: Any
) -> None:
    """A requester that colludes with a provider could let it train on the evaluation set."""
    r = running(3)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.open_slice()


@pytest.mark.parametrize("other", ["round", "request", "contract", "chain"])
def test_a_signature_from_elsewhere_submits_nothing(
    running: New, expect_revert: Any, other: str
) -> None:
    """Of an earlier round, another request, another deployment or another chain."""
    r = running(3, maxRounds=2)
    r.post()
    here, digest = r.domain, r.digest(1)
    domain, request, round_ = here, r.id, r.facts.round
    if other == "round":
        round_ -= 1
    elif other == "request":
        request += 1
    elif other == "contract":
        domain = Domain(r.chain.chain_id, r.on.market.address)
    else:
        domain = Domain(r.chain.chain_id + 1, r.on.rounds.address)
    packed = signed(r, 1, domain.model(request, round_, digest))
    with expect_revert("SeatSignatures_NotSigned"):
        r.send(r.stranger, "submit", 0b010, [digest], packed)
    r.send(r.stranger, "submit", 0b010, [digest], signed(r, 1, here.model(r.id, 2, digest)))


def test_strangers_take_no_members_step(running: New, expect_revert: Any) -> None:
    """Whoever has no seat posts what members signed, and nothing of its own."""
    r = running(3)
    thief = r.stranger
    with expect_revert("SeatSignatures_Short"):
        r.send(thief, "submit", 0b001, [r.digest(0)], b"")
    r.submit(0, 1, 2)
    with expect_revert("TrainingRounds_NotOpener"):
        r.send(thief, "openSlice", [], thief.address, SLICE_KEY, b"")
    r.open_slice()
    with expect_revert("SeatSignatures_Short"):
        r.send(thief, "commitVotes", 0b001, [keccak(text="vote")], b"")
    r.commit(0, 1, 2)
    r.reveal(0, 1, 2)
    with expect_revert("SeatSignatures_Short"):
        r.send(thief, "attest", 0b001, r.global_digest, 900, b"")


def prepared(r: Rounds, step: str) -> Callable[[], Any]:
    """A round before its last member's step; returns that step."""
    first, last = (0, 1), 2
    if step == "submit":
        r.submit(*first)
        return lambda: r.submit(last)
    r.submit(*first, last)
    r.open_slice()
    if step == "commit":
        r.commit(*first)
        return lambda: r.commit(last)
    r.commit(*first, last)
    if step == "reveal":
        r.reveal(*first)
        return lambda: r.reveal(last)
    r.reveal(*first, last)
    r.attest(*first)
    return lambda: r.attest(last)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", ["submit", "commit", "reveal", "attest"])
def test_a_step_counts_in_the_last_second_and_not_in_the_next(
    running: New, expect_revert: Any, step: str, *, late: bool
) -> None:
    r = running(3)
    act = prepared(r, step)
    r.chain.next_at(r.facts.deadline + late)
    if not late:
        act()
        return
    with expect_revert("TrainingRounds_WrongPhase"):
        act()


def test_sixteen_play_the_most_rounds_as_one(running: New) -> None:
    """At the limits: a committee of sixteen, one of a thousand rounds, then nobody acts."""
    r = running(16, maxRounds=1_000)
    r.post()
    assert sum(r.points()) <= 10_000
    assert all(r.points())
    while r.facts.phase != 9:
        r.pass_deadline()
        r.close()
    assert (r.outcome.paidRounds, r.outcome.finalRounds) == (1, 1)
    assert mask_of(r.faults()) == mask_of(range(16))
