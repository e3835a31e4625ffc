"""Groups of a round, and the worth of members by the scores of their groups."""

from collections import Counter
from fractions import Fraction

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.consensus.groups import GroupScore, groups, worths
from fedpact.errors import InvalidInput


def seed(number: int) -> bytes:
    return keccak(number.to_bytes(32, "big"))


@given(st.binary(min_size=32, max_size=32), st.integers(4, 60))
def test_everybody_is_in_one_group_of_at_least_four(drawn: bytes, members: int) -> None:
    found = groups(drawn, members)
    assert sorted(member for group in found for member in group) == list(range(members))
    assert {len(group) for group in found} <= {members // len(found), -(-members // len(found))}
    assert min(map(len, found)) >= 4
    assert found == groups(drawn, members)


def test_the_groups_of_a_fixed_seed() -> None:
    assert groups(bytes(32), 8) == ((2, 3, 5, 7), (0, 1, 4, 6))
    with pytest.raises(InvalidInput, match="3 members make no group"):
        groups(bytes(32), 3)


def test_two_members_meet_as_often_as_any_two() -> None:
    met = Counter(
        pair
        for number in range(1000)
        for group in groups(seed(number), 8)
        for pair in ((a, b) for a in group for b in group if a < b)
    )
    assert len(met) == 28
    assert all(350 < times < 510 for times in met.values())  # of 1000 * 3 / 7


def test_a_worth_by_hand() -> None:
    # Mean 5 a member; surpluses +4 and -4. With the ridge of 1 both members of a group get s of the
    # surplus d: (2 + 1) s = d, so s = 4/3 and worths are 5 + 4/3 and 5 - 4/3.
    scores = [GroupScore((0, 1), 14), GroupScore((2, 3), 6)]
    assert worths([scores], 4) == (6333, 6333, 3667, 3667)
    assert worths([], 2) == (0, 0)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=8, max_size=9))
def test_scores_that_add_up_give_the_worths_back(true: list[int]) -> None:
    rounds = [
        [
            GroupScore(group, sum(true[member] for member in group))
            for group in groups(seed(number), len(true))
        ]
        for number in range(150)
    ]
    found = worths(rounds, len(true))
    assert all(abs(Fraction(one, 1000) - two) < 1 for one, two in zip(found, true, strict=True))


def test_who_is_in_no_group_counts_as_an_average_member() -> None:
    scores = [GroupScore((0, 1, 2, 3), 20), GroupScore((4, 5, 6, 7), 12)]
    assert worths([scores] * 3, 9)[8] == 4000


def test_a_member_is_in_one_group_a_round() -> None:
    for wrong in ([GroupScore((0, 1), 1), GroupScore((1, 2), 1)], [GroupScore((0, 4), 1)]):
        with pytest.raises(InvalidInput, match="round 1"):
            worths([wrong], 4)


def test_renaming_members_renames_their_worths() -> None:
    rounds = [
        [GroupScore(group, 3 * group[0] - group[-1]) for group in groups(seed(number), 8)]
        for number in range(10)
    ]
    renamed = [
        [
            GroupScore(tuple(sorted(7 - one for one in score.members)), score.gain)
            for score in scores
        ]
        for scores in rounds
    ]
    assert worths(renamed, 8) == worths(rounds, 8)[::-1]
