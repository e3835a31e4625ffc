"""Who sums with whom, and on which terms."""

from itertools import product

import pytest

from fedpact.consensus.artefacts import RoundRef
from fedpact.consensus.secure_sum_record import group_of, sum_groups, terms_of_sum
from fedpact.types.privacy import Privacy
from tests.support.specifications import SOUND

HERE = RoundRef(b"\1" * 32, 7, 2)
HISTORY, SEED = b"\2" * 32, bytes(32)


def privacy(group: int = 4, honest: int = 2, colluders: int = 1) -> Privacy:
    asked = {"sum": "secure", "group": group, "honest": honest, "colluders": colluders}
    return Privacy.model_validate({**SOUND, **asked}, strict=False)


@pytest.mark.parametrize("members", range(2, 17))
def test_no_sum_is_opened_without_its_honest_members(members: int) -> None:
    """Whatever is asked for, and however many take part."""
    for honest, colluders in product(range(2, 8), range(5)):
        if honest + colluders > 16:
            continue
        asked = privacy(max(4, honest + colluders), honest, colluders)
        terms = terms_of_sum(asked, members)
        if members < honest + colluders:
            assert terms is None
        if terms is None:
            continue
        assert terms.members == members
        assert terms.honest >= honest
        assert terms.least >= terms.threshold


@pytest.mark.parametrize(("members", "dropouts"), [(3, 0), (4, 1), (5, 1), (6, 2), (7, 2)])
def test_the_others_may_drop_out(members: int, dropouts: int) -> None:
    terms = terms_of_sum(privacy(), members)
    assert terms is not None
    assert terms.dropouts == dropouts


def test_every_seat_that_is_waited_for_is_in_one_group() -> None:
    expected = 0b1110111011101101
    drawn = sum_groups(privacy(), HERE, HISTORY, SEED, expected)
    seats = sorted(seat for group in drawn for seat in group.seats)
    assert seats == [seat for seat in range(16) if expected >> seat & 1]
    assert all(len(group.seats) >= 4 for group in drawn)
    assert group_of(drawn, 1) is None
    found = group_of(drawn, 0)
    assert found is not None
    assert 0 in found.seats


def test_each_round_draws_groups_of_its_own() -> None:
    full = (1 << 12) - 1
    first = sum_groups(privacy(), HERE, HISTORY, SEED, full)
    for other in (
        sum_groups(privacy(), HERE, b"\3" * 32, SEED, full),
        sum_groups(privacy(), HERE, HISTORY, b"\3" * 32, full),
    ):
        assert [one.seats for one in other] != [one.seats for one in first]
    assert len({one.context for one in first}) == 3


def test_what_is_left_of_a_group_is_one() -> None:
    """Three of four take part: still two honest ones beside a colluder. Two are too few."""
    [group] = sum_groups(privacy(), HERE, HISTORY, SEED, 0b1011)
    assert group.seats == (0, 1, 3)
    assert group.terms.dropouts == 0
    assert sum_groups(privacy(), HERE, HISTORY, SEED, 0b0011) == ()
    assert sum_groups(privacy(), HERE, HISTORY, SEED, 0) == ()


def test_a_mask_of_other_seats_names_nobody() -> None:
    [group] = sum_groups(privacy(), HERE, HISTORY, SEED, 0b1111)
    assert group.numbers_in(b"\x00\x0b") == {0, 1, 3}
    assert group.mask(frozenset({0, 1, 3})) == b"\x00\x0b"
    assert group.numbers_in(b"\x00\x1b") is None
