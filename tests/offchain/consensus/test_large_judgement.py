"""What a committee's votes on a whole pool come to."""

from hypothesis import given
from hypothesis import strategies as st

from fedpact.consensus.large_rounds import MEAN, MOST, judge, words
from fedpact.types.scores import INVALID

MEMBERS, JUDGES, MODELS = 6, (4, 1), (0, 2, 3, 5)


def board(*sheets, members=MEMBERS, models=MODELS, judges=JUDGES):
    votes = {
        seat: None if sheet is None else dict(zip(models, sheet, strict=True))
        for seat, sheet in enumerate(sheets)
    }
    return judge(votes, models, judges, members, max_error=5_000, vote_band=50)


def test_quality_follows_from_how_far_a_model_is_below_the_ceiling():
    found = board((4_000, 3_000, 5_000, 6_000), (4_000, 3_000, 5_000, 6_000))
    assert found.medians == {0: 4_000, 2: 3_000, 3: 5_000, 5: 6_000}
    assert (found.included, found.valid) == ((0, 2, 3), MODELS)
    # 540 for 1,000 and 2,000 below the ceiling; a ninth of that in equal parts.
    assert found.points == (180, 30, 360, 0, 30, 0)
    assert not found.blind


def test_a_judge_far_from_the_medians_earns_nothing():
    far, near = (4_000, 9_000, 9_000, 9_000), (4_000, 3_000, 2_000, 1_000)
    found = board(near, far, near, judges=(1, 4, 6), members=7)
    assert found.points[4] == 0
    assert found.points[1] == found.points[6] > 0


def test_a_round_that_most_do_not_see_pays_all_alike():
    found = board(None, None)
    assert found.blind
    assert (found.included, found.medians) == (MODELS, {})
    assert found.points == (135, 30, 135, 135, 30, 135)
    # One of two cannot compare anything.
    assert board((1, 2, 3, 4), None).points == found.points


def test_a_minority_that_does_not_see_is_left_out():
    sheet = (4_000, 3_000, 5_000, 6_000)
    found = board(sheet, None, sheet, judges=(1, 4, 6), members=7)
    assert not found.blind
    assert found.points[4] == 0


def test_a_round_without_a_valid_model_gives_nothing():
    found = board((INVALID,) * 4, (INVALID,) * 4)
    assert (found.included, found.points) == ((), (0,) * MEMBERS)


def test_models_above_the_ceiling_share_alike_where_none_is_below():
    found = board((6_000, 7_000, INVALID, 9_000), (6_000, 7_000, INVALID, 9_000))
    assert found.included == (0, 2, 5)
    assert found.points == (180, 30, 180, 0, 30, 180)


def test_nobody_has_more_than_a_member_may():
    found = board((1, INVALID, INVALID, INVALID), (1, INVALID, INVALID, INVALID), members=40)
    assert max(found.points) == found.points[0] == MOST


@given(st.data())
def test_the_contract_takes_whatever_votes_come_to(data):
    members = data.draw(st.integers(3, 40))
    order = data.draw(st.permutations(range(members)))
    judges = order[: data.draw(st.integers(2, min(16, members - 1)))]
    models = [one for one in order[len(judges) :] if data.draw(st.booleans())]
    score = st.integers(0, 10_000) | st.just(INVALID)
    sheets = st.none() | st.fixed_dictionaries(dict.fromkeys(models, score))
    votes = {seat: data.draw(sheets) for seat in range(len(judges)) if data.draw(st.booleans())}
    found = judge(votes, models, judges, members, max_error=5_000, vote_band=50)
    words(found.points, judges)  # raises for what it refuses
    assert sum(found.points) <= MEAN * members
