"""The bounds on a round's points, in the contract and in its mirror."""

import json
from pathlib import Path

import pytest

from fedpact.consensus.large_rounds import words
from fedpact.errors import InvalidInput

FILE = Path(__file__).parents[2] / "vectors" / "large_rounds.json"
VECTORS = json.loads(FILE.read_text())["points"]


@pytest.fixture(scope="session")
def check(session_chain, accounts):
    return session_chain.deploy("PoolPointsHarness", accounts[0]).functions.check


def packed(points):
    lanes = [points[i : i + 16] for i in range(0, len(points), 16)]
    return [sum(own << 16 * i for i, own in enumerate(part)) for part in lanes]


def seats(judges):
    return sum(index << 16 * seat for seat, index in enumerate(judges)), len(judges)


@pytest.mark.parametrize("case", VECTORS, ids=[one["name"] for one in VECTORS])
def test_points_within_their_bounds_are_added_up(check, case):
    given = [int(word, 16) for word in case["words"]]
    assert words(case["points"], case["judges"]) == given
    assert check(given, len(case["points"]), *seats(case["judges"])).call() == case["total"]


@pytest.mark.parametrize("lane", range(16))
def test_each_lane_has_its_bound(check, expect_revert, lane):
    points = [0] * 32
    points[lane] = 1_000
    assert check(packed(points), 32, *seats([31])).call() == 1_000
    for too_many in (1_001, 2_000, 0x8000, 0xFFFF):
        points[lane] = too_many
        with expect_revert("PoolPoints_TooMany", 0):
            check(packed(points), 32, *seats([31])).call()
        with pytest.raises(InvalidInput, match=f"member {lane} has {too_many}"):
            words(points, [31])
    points = [0] * 16 + points[:16]
    with expect_revert("PoolPoints_TooMany", 1):
        check(packed(points), 32, *seats([0])).call()


@pytest.mark.parametrize(("members", "given"), [(16, 2), (17, 1), (17, 3), (15, 0), (1_024, 63)])
def test_there_is_a_word_for_every_sixteen(check, expect_revert, members, given):
    with expect_revert("PoolPoints_WrongLength", given, members):
        check([0] * given, members, *seats([0])).call()


@pytest.mark.parametrize("members", [1, 15, 17, 31])
def test_nobody_beyond_the_last_member_has_points(check, expect_revert, members):
    whole = packed([0] * members)
    whole[-1] |= 1 << 16 * (members % 16)
    with expect_revert("PoolPoints_WrongLength", len(whole), members):
        check(whole, members, *seats([0])).call()


@pytest.mark.parametrize("members", [20, 1_024])
def test_a_round_gives_a_hundred_a_member_on_average(check, expect_revert, members):
    points = [100] * members
    points[0] = 0
    points[1] = 200
    assert check(packed(points), members, *seats([0])).call() == 100 * members
    points[2] += 1
    with expect_revert("PoolPoints_TooManyInAll", 100 * members + 1, 100 * members):
        check(packed(points), members, *seats([0])).call()
    with pytest.raises(InvalidInput, match="points in all"):
        words(points, [0])


@pytest.mark.parametrize("given", [80, 1])
def test_the_judges_have_a_tenth_of_what_the_round_gives(check, expect_revert, given):
    """Of a full round and of one that gives hardly anything."""
    judges = list(range(0, 64, 4))
    points = [4 * given // 3 if index % 4 else 0 for index in range(64)]
    trainers = sum(points)
    for seat, index in enumerate(judges):
        points[index] = trainers // 9 // 16 + (seat < trainers // 9 % 16)
    own = trainers // 9
    assert check(packed(points), 64, *seats(judges)).call() == trainers + own
    for index in judges:
        points[index] += 1
        with expect_revert("PoolPoints_TooManyInAll", own + 1, (trainers + own + 1) // 10):
            check(packed(points), 64, *seats(judges)).call()
        with pytest.raises(InvalidInput, match=f"judges have {own + 1} points"):
            words(points, judges)
        points[index] -= 1


def test_where_no_trainer_has_points_no_judge_has(check, expect_revert):
    points = [0] * 12
    points[4] = 1
    with expect_revert("PoolPoints_TooManyInAll", 1, 0):
        check(packed(points), 12, *seats([4, 7])).call()
    with pytest.raises(InvalidInput, match="of the 1 that the round gives they may have 0"):
        words(points, [4, 7])
