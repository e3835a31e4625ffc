"""See revealVote.tree."""

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.support.scenario import COMMIT, INVALID, REVEAL, SALT, TALLY, Scenario, pack


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    return stage().revealing()


@pytest.fixture(scope="module")
def open_commits(stage: Any) -> Scenario:
    """Seats 0, 1, 2 have submitted, seat 3 has not; nobody has committed."""
    scenario = stage(4).running()
    for seat in range(3):
        scenario.submit(seat)
    scenario.pass_deadline()
    return scenario


def commit_to(s: Scenario, word: int, seat: int = 0) -> None:
    """The seat commits to exactly this word, the others to their usual votes."""
    for other in s.submitted:
        if other == seat:
            commitment = s.commitment(seat, word)
            s.rounds_call(s.providers[seat], "commitVote", s.id, seat, commitment)
        else:
            s.commit(other)


def reveal_word(s: Scenario, word: int, seat: int = 0, salt: bytes = SALT) -> Any:
    return s.rounds_call(s.providers[seat], "revealVote", s.id, seat, word, salt)


def test_it_is_refused_during_the_commits(open_commits: Scenario, expect_revert: Any) -> None:
    s = open_commits
    s.commit(0)
    with expect_revert("TrainingRounds_WrongPhase", s.id, COMMIT, REVEAL):
        s.reveal(0)


def test_it_is_refused_after_the_window(s: Scenario, expect_revert: Any) -> None:
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_WrongPhase", s.id, TALLY, REVEAL):
        s.reveal(0)


def test_another_members_seat_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("TrainingRounds_NotSeatOwner", s.id, 0, s.stranger.address):
        s.rounds_call(s.stranger, "revealVote", s.id, 0, s.vote(0), SALT)


def test_a_seat_that_did_not_commit_cannot_reveal(
    open_commits: Scenario, expect_revert: Any
) -> None:
    s = open_commits
    s.commit(0)
    s.commit(1)
    s.chain.next_at(s.facts.deadline + 1)
    with expect_revert("TrainingRounds_NoPart", s.id, 1, 2):
        s.reveal(2)


def test_a_second_reveal_is_refused(s: Scenario, expect_revert: Any) -> None:
    s.reveal(0)
    with expect_revert("TrainingRounds_AlreadyActed", s.id, 1, 0):
        s.reveal(0)


def test_other_scores_or_another_salt_are_refused(s: Scenario, expect_revert: Any) -> None:
    stored = kept(s.commitment(0, s.vote(0)))
    for word, salt in [(s.vote(0) + (1 << 14), SALT), (s.vote(0), bytes(32))]:
        with expect_revert(
            "TrainingRounds_CommitmentMismatch", stored, s.commitment(0, word, salt)
        ):
            reveal_word(s, word, salt=salt)


@pytest.mark.parametrize("foreign", ["member", "round", "request", "contract", "chain"])
def test_a_commitment_made_elsewhere_does_not_open(
    scenario: Any, foreign: str, expect_revert: Any
) -> None:
    s = scenario().committing()
    word = s.vote(0)
    fields: dict[str, Any] = {
        "chain": s.chain.chain_id,
        "contract": s.rounds.address,
        "request": s.id,
        "round": 1,
        "member": s.providers[0].address,
    }
    assert s.commitment(0, word) == commitment_of(fields, word)
    other = s.market.address if foreign in ("member", "contract") else fields[foreign] + 1
    commitment = commitment_of({**fields, foreign: other}, word)
    s.rounds_call(s.providers[0], "commitVote", s.id, 0, commitment)
    s.commit(1)
    s.commit(2)
    with expect_revert(
        "TrainingRounds_CommitmentMismatch", kept(commitment), s.commitment(0, word)
    ):
        s.reveal(0)


def kept(commitment: bytes) -> bytes:
    """What is stored of a commitment of seat 0: its lower 224 bits, without its own lane."""
    number = int.from_bytes(commitment[4:], "big") & ~INVALID
    return number.to_bytes(32, "big")


def commitment_of(fields: dict[str, Any], word: int) -> bytes:
    kinds = ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"]
    return keccak(encode(kinds, [*fields.values(), word, SALT]))


@pytest.mark.parametrize(
    ("word", "lane", "value"),
    [
        (pack({1: 10_001}), 1, 10_001),
        (pack({1: 500, 2: 16_382}), 2, 16_382),
        (pack({0: 1, 1: 500}), 0, 1),
        (pack({0: INVALID}), 0, INVALID),
        (pack({3: 500}), 3, 500),
        (pack({15: 500}), 15, 500),
        (1 << 224, 16, 1),
        (1 << 255, 16, 1 << 31),
    ],
)
def test_an_invalid_lane_is_refused(
    open_commits: Scenario, word: int, lane: int, value: int, expect_revert: Any
) -> None:
    commit_to(open_commits, word)
    with expect_revert("TrainingRounds_BadScore", lane, value):
        reveal_word(open_commits, word)


def test_the_scores_are_stored_and_announced(s: Scenario) -> None:
    event = s.event("VoteRevealed", s.reveal(1))
    assert event == {"requestId": s.id, "round": 1, "seat": 1, "packedScores": s.vote(1)}
    assert s.member(1).lanes == s.vote(1)
    assert (s.facts.revealed, s.facts.phase) == (0b010, REVEAL)


@pytest.mark.parametrize("word", [0, pack({1: 10_000, 2: INVALID}), pack({1: INVALID, 2: 0})])
def test_the_whole_range_of_scores_is_accepted(open_commits: Scenario, word: int) -> None:
    commit_to(open_commits, word)
    reveal_word(open_commits, word)


def test_the_last_reveal_makes_the_tally_due(s: Scenario) -> None:
    for seat in range(3):
        s.reveal(seat)
    assert (s.facts.phase, s.facts.start, s.facts.deadline) == (TALLY, s.chain.now, 0)
