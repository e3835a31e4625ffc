"""Scores as the contracts pack them: sixteen 14-bit lanes a word, seat i at bit 14 * i.

A score is an error in 1/10,000; lower is better. INVALID marks a model that could not be scored.
Mirrors contracts/libraries/Scores.sol.
"""

from collections.abc import Mapping

from fedpact.errors import InvalidInput

SCORE_BITS = 14
MAX_SCORE = 10_000
INVALID = (1 << SCORE_BITS) - 1
MAX_SEATS = 16


def is_score(value: int) -> bool:
    """Whether a lane may hold this value: 0 to 10,000, or INVALID."""
    return 0 <= value <= MAX_SCORE or value == INVALID


def lane(word: int, seat: int) -> int:
    """The value of one seat's lane."""
    return word >> SCORE_BITS * seat & INVALID


def pack_scores(scores: Mapping[int, int]) -> int:
    """Packs scores by seat into one word; seats that are left out get an empty lane.

    Raises:
        InvalidInput: a seat outside 0..15, or a value that is neither a score nor INVALID.
    """
    word = 0
    for seat, score in scores.items():
        if not 0 <= seat < MAX_SEATS:
            raise InvalidInput(f"seat {seat} is outside 0..{MAX_SEATS - 1}")
        if not is_score(score):
            raise InvalidInput(
                f"score {score} of seat {seat} is neither in 0..{MAX_SCORE} nor {INVALID} (invalid)"
            )
        word |= score << SCORE_BITS * seat
    return word


def median_score(scores: list[int]) -> int:
    """The median of scores as the contracts take it.

    Odd count: the middle one. Even count: the mean of the middle two, rounded up, or the lower one
    if the upper is INVALID: it takes more than half of the votes to make a model invalid. No
    scores: INVALID.
    """
    if not scores:
        return INVALID
    lower, upper = _middle_two(scores)
    return lower if upper == INVALID else (lower + upper + 1) // 2


def median_error(errors: list[int]) -> int:
    """The median of the approvers' errors of a global model (Quorum.sol).

    As for scores, but INVALID (not measured) if the upper of the middle two is: no target counts as
    reached if half of the members did not measure.
    """
    lower, upper = _middle_two(errors)
    return INVALID if upper == INVALID else (lower + upper + 1) // 2


def _middle_two(values: list[int]) -> tuple[int, int]:
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
