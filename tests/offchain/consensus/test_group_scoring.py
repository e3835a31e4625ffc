"""Scores of the members of secure sums: by their groups, over the rounds."""

from dataclasses import replace

import numpy as np
import pytest

from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.group_scoring import score_groups
from fedpact.consensus.groups import GroupScore, groups, worths
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import EVEN_SHARE, NEUTRAL, UNJUDGED
from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost
from fedpact.types.scores import INVALID
from tests.support.summing import secure_specification

SPEC = secure_specification(8, noise_multiplier=0.1)
START = family_of(SPEC).initial(SPEC, 0)
X = np.array([[1, 0], [-1, 0], [0, 1]] * 20, dtype=np.float32)
Y = np.array([0, 1, 2] * 20)
SLICE = Dataset(X, Y, ())
A, B = (0, 2, 4, 6), (1, 3, 5, 7)


def moved(towards: float) -> Model:
    """START with weights that answer the slice (1), or answer it wrongly (-1)."""
    weight = np.array([[1, 0], [-1, 0], [0, 1]], dtype=np.float32) * np.float32(towards)
    return {name: START[name] + weight if START[name].ndim == 2 else START[name] for name in START}


def inputs(first: Model | None, second: Model | None, number: int = 1) -> RoundInputs:
    models = {seat: first if seat in A else second for seat in range(8)}
    sums = {seat: A if seat in A else B for seat in range(8)}
    return RoundInputs(SPEC, number, START, models, dict.fromkeys(range(8), 50), SLICE, sums=sums)


def test_equal_groups_share_alike() -> None:
    scores, record = score_groups(inputs(moved(0.1), moved(0.1)), ContributionRecord())
    assert scores == dict.fromkeys(range(8), NEUTRAL - EVEN_SHARE)
    assert len(record.groups) == 1


def test_a_group_that_does_harm_is_left_out() -> None:
    scores, _ = score_groups(inputs(moved(0.1), moved(-0.3)), ContributionRecord())
    assert all(scores[seat] < NEUTRAL for seat in A)
    assert all(scores[seat] == NEUTRAL + 1 for seat in B)


def test_a_gain_shows_before_an_answer_changes() -> None:
    """Both sums answer the whole slice rightly, one of them more surely."""
    scores, _ = score_groups(inputs(moved(0.1), moved(0.2)), ContributionRecord())
    assert all(scores[seat] > scores[seat + 1] for seat in A)


def test_what_is_no_sum_is_invalid() -> None:
    """Without a record, not in its own sum, or moved further than its members can have."""
    without, _ = score_groups(inputs(moved(0.1), None), ContributionRecord())
    assert all(without[seat] == INVALID for seat in B)
    given = inputs(moved(0.1), moved(0.1))
    other = replace(given, sums={**given.sums, 7: (1, 3, 5)})
    assert score_groups(other, ContributionRecord())[0][7] == INVALID
    far, _ = score_groups(inputs(moved(0.1), moved(100)), ContributionRecord())
    assert all(far[seat] == INVALID for seat in B)


@pytest.mark.parametrize("members", [(0, 2, 4), A])
def test_two_sums_of_one_group_are_that_groups_fault(members: tuple[int, ...]) -> None:
    """Of other members, or of the same: nobody can tell which is the true one."""
    given = inputs(moved(0.1), moved(0.1))
    models = {**given.models, 0: moved(0.2)}
    twice = replace(given, models=models, sums={**given.sums, 0: members})
    scores, record = score_groups(twice, ContributionRecord())
    assert all(scores[seat] == INVALID for seat in A)
    assert all(scores[seat] < NEUTRAL for seat in B)
    assert [score.members for score in record.groups[0]] == [B]


def test_without_a_slice_all_sums_are_equal() -> None:
    given = replace(inputs(moved(0.1), moved(-0.1)), evaluation=None)
    scores, record = score_groups(given, ContributionRecord())
    assert set(scores.values()) == {UNJUDGED}
    assert record == ContributionRecord()


def test_a_poisoner_is_told_apart_over_the_rounds() -> None:
    """Its groups gain less; its companions change."""
    record, scores = ContributionRecord(), dict[int, int]()
    for number in range(12):
        drawn = groups(number.to_bytes(32, "big"), 8)
        sums = {seat: group for group in drawn for seat in group}
        models = {seat: moved(0.0 if 3 in group else 0.1) for seat, group in sums.items()}
        given = RoundInputs(SPEC, 1, START, models, dict.fromkeys(range(8), 50), SLICE, sums=sums)
        scores, record = score_groups(given, record)
    assert max(scores, key=scores.__getitem__) == 3
    assert all(scores[3] > scores[seat] + 100 for seat in range(8) if seat != 3)


@pytest.mark.parametrize("made", [(), ((GroupScore(A, 120), GroupScore(B, -7)),)])
def test_a_record_is_read_as_it_was_written(made: tuple[tuple[GroupScore, ...], ...]) -> None:
    record = ContributionRecord(groups=made)
    assert ContributionRecord.from_json(record.to_json()) == record


# ------------------------------------------------------ without opening a part (docs/adr/0065)

PARTS = 8


def poisoned(number: int, record: ContributionRecord) -> tuple[dict[int, int], ContributionRecord]:
    """A round in which member 0 makes the sum of its group do harm."""
    drawn = groups(bytes([number]), PARTS)
    sums = {seat: members for members in drawn for seat in members}
    models = {seat: moved(-0.3 if 0 in members else 0.1) for seat, members in sums.items()}
    given = RoundInputs(SPEC, number, START, models, dict.fromkeys(models, 50), SLICE, sums=sums)
    return score_groups(given, record)


def test_a_poisoner_is_told_apart_and_unpaid_though_no_part_is_opened() -> None:
    """Its group is left out with it in each round. From the fourth round on its worth is the
    lowest, and below zero, so that it earns nothing even where its group does no harm. It takes 30
    rounds of such harm until all others' are above zero: some of them earn nothing until then."""
    record = ContributionRecord()
    for number in range(1, 31):
        scores, record = poisoned(number, record)
        [harmed] = [one for one in groups(bytes([number]), PARTS) if 0 in one]
        assert all(scores[seat] == NEUTRAL + 1 for seat in harmed)
        found = worths(record.groups, PARTS)
        if number >= 4:
            assert found[0] < min(0, *found[1:])
    assert min(found[1:]) > 0
    scores, _ = score_groups(inputs(moved(0.1), moved(0.1), 31), record)
    assert scores[0] == NEUTRAL
    assert all(scores[seat] < NEUTRAL for seat in range(1, PARTS))


def test_who_chooses_the_slice_could_have_any_part_opened() -> None:
    """The attack on disputes that open what does harm: with false answers on its slice, a requester
    makes honest sums look harmful, all of them and in any round."""
    false = Dataset(X, (Y + 1) % 3, ())
    given = replace(inputs(moved(0.3), moved(0.3)), evaluation=false)
    scores, _ = score_groups(given, ContributionRecord())
    assert scores == dict.fromkeys(range(PARTS), NEUTRAL + 1)


@pytest.mark.parametrize("honest", [2, 3, 9])
def test_an_opened_part_costs_as_much_as_the_sums_of_other_rounds(honest: int) -> None:
    """What a dispute saves, one round of one group, costs each opened member the epsilon of
    `honest` - 1 further rounds: one at least."""
    terms = SumTerms(honest + 1, 0, 1)
    assert terms.honest == honest
    disputed = sum_cost((SumRelease(terms, 2.0, 20, disputes=3),), 1e-5)
    longer = sum_cost((SumRelease(terms, 2.0, 20 + 3 * (honest - 1)),), 1e-5)
    assert disputed.epsilon == pytest.approx(longer.epsilon, rel=1e-12)
    assert disputed.epsilon > sum_cost((SumRelease(terms, 2.0, 20),), 1e-5).epsilon
