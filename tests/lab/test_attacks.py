"""Hostile committees and free riders on digits: what they submit and what they earn."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from fedpact.errors import DataError, InvalidInput
from fedpact.learning.aggregation.base import flatten
from fedpact.learning.artefact import Template, decode
from fedpact.learning.families import family_of
from fedpact.learning.strategies import Globals, strategy
from fedpact.privacy.noise import SeededNoise
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider
from fedpact.types.scores import INVALID
from lab.committees.attacks import (
    ATTACKS,
    BackDoor,
    Collusion,
    Copied,
    InnerProduct,
    SignFlip,
    UnseenALittleIsEnough,
    patched,
)
from lab.committees.data import SMALL, committee_data
from lab.contribution.committee import (
    leave_one_out,
    quality_case,
    rider_case,
    truncated_shapley,
)
from lab.contribution.votes import votes_case
from lab.robustness.committee import RULES, run_case

TINY = replace(SMALL, examples_each=90, rounds=3, slice_examples=100, test_examples=360)


@cache
def case():
    return committee_data("digits", "class2", 0, TINY)


@cache
def start():
    return family_of(case().spec).initial(case().spec, seed=0)


def task(seat=9, others=None):
    local = strategy(case().spec.strategy).local(Globals(start(), start()), None)
    noises = SeededNoise(1), SeededNoise(2)
    return RoundTask(
        case().spec, start(), others or {}, case().parts[seat], *noises, local, (1, seat)
    )


def collusion():
    return Collusion(frozenset({7, 8, 9}), dict(enumerate(case().parts)))


def update(artefact):
    return flatten(decode(artefact, Template.of(start()))) - flatten(start())


def test_sign_flip_reverses_the_honest_update():
    honest = update(SimulatedProvider().submit(task()))
    assert update(SignFlip(collusion()).submit(task())) == pytest.approx(-honest, abs=1e-6)


def test_the_inner_product_attack_reverses_the_mean_of_all():
    honest = np.stack([update(SimulatedProvider().submit(task(seat))) for seat in range(7)])
    hostile = update(InnerProduct(collusion()).submit(task()))
    assert hostile == pytest.approx(-3 * honest.mean(axis=0), abs=1e-5)
    assert (honest.sum(axis=0) + 3 * hostile) @ honest.mean(axis=0) < 0


def test_the_deviations_of_alie_follow_from_the_committee_by_hand():
    # n = 10, m = 3: s = 6 - 3 = 3 supporters, phi(z) = (10 - 3 - 3) / (10 - 3) = 4/7.
    assert UnseenALittleIsEnough(collusion()).deviations == pytest.approx(0.1800, abs=1e-4)


def test_a_copy_is_an_honest_providers_last_model():
    others = {8: start(), 4: case_model(1.0), 5: case_model(2.0)}
    assert (update(Copied(collusion()).submit(task(others=others))) == 1.0).all()
    assert (update(Copied(collusion()).submit(task())) == 0.0).all()


def case_model(value):
    return {name: np.full_like(one, value) for name, one in start().items()}


def test_the_patch_is_white_and_in_one_corner():
    images = np.zeros((2, 1, 5, 6), np.float32)
    marked = patched(images)
    assert marked.sum() == 2 * 9
    assert (marked[:, :, 2:, 3:] == 1).all()
    assert images.sum() == 0


def test_the_back_door_needs_images():
    with pytest.raises(InvalidInput, match="images"):
        BackDoor(collusion()).submit(task())


def test_poisoners_vote_for_each_other_and_against_all_others_and_attest_another_model():
    for make in ATTACKS.values():
        poisoner = make(collusion())
        assert poisoner.attest(bytes(32)) == make(collusion()).attest(b"\2" * 32) != bytes(32)
        voted = poisoner.vote(dict.fromkeys(range(10), 4000), 9)
        assert voted == {**dict.fromkeys(range(7), INVALID), 7: 0, 8: 0}


@pytest.mark.parametrize("attack", ["label-flip", "alie", "average"])
def test_the_default_rule_excludes_poison_and_pays_it_nothing(attack):
    found = run_case(attack, "poq", 0.3, "iid", 0, TINY, "digits")
    assert found["difference"] >= -0.03
    assert found["points"][7:] == [0, 0, 0]
    assert found["excluded"][:7] == [0] * 7
    assert not found["stalled"]


def test_an_attack_that_the_default_rule_withstands_breaks_the_plain_mean():
    assert run_case("ipm", "weighted-mean", 0.3, "iid", 0, TINY, "digits")["difference"] < -0.1
    assert run_case("ipm", "poq", 0.3, "iid", 0, TINY, "digits")["difference"] >= -0.03


def test_four_hostile_of_ten_stop_the_request_but_do_not_change_the_model():
    found = run_case("label-flip", "poq", 0.4, "iid", 0, TINY, "digits")
    assert found["stalled"]
    assert found["rounds"] == 0
    assert found["points"][6:] == [0] * 4


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"poq"}))
def test_every_rule_runs_without_votes(rule):
    found = run_case("nan", rule, 0.3, "iid", 0, TINY, "digits")
    assert found["accuracy"] > 0.5
    assert found["points"] == []


def test_unknown_names_and_shares_out_of_range_are_refused():
    for attack, rule, share in (("x", "poq", 0.1), ("nan", "x", 0.1), ("nan", "poq", 1.0)):
        with pytest.raises(InvalidInput):
            run_case(attack, rule, share, "iid", 0, TINY, "digits")
    with pytest.raises(InvalidInput, match="unknown free rider"):
        rider_case("x", "iid", 0, TINY, "digits")


def test_a_data_set_too_small_for_the_scale_is_refused():
    with pytest.raises(DataError, match="too few for 10 providers"):
        committee_data("digits", "iid", 0, replace(TINY, examples_each=900))
    with pytest.raises(DataError, match="too few evaluation examples: 270 of each label"):
        committee_data("digits", "iid", 0, replace(TINY, slice_examples=900))


# ---------------------------------------------------------------------- contribution


WITHOUT_DATA = [
    "global",
    "global-noise",
    "average",
    "extrapolated",
    "extrapolated-declared-noise",
    "updates-declared-noise",
]


@pytest.mark.parametrize("rider", WITHOUT_DATA)
def test_a_free_rider_earns_less_than_a_quarter_of_the_honest(rider):
    found = rider_case(rider, "class2", 0, TINY, "digits")
    assert found["pay"] <= 0.25
    assert found["least_honest"] > found["pay"]


FEW = replace(SMALL, providers=4, examples_each=250, rounds=6, slice_examples=40, test_examples=360)


@pytest.mark.parametrize(
    ("epsilon", "rider", "most"),
    [
        # Before updates were compared with public ones: 1.29, 0.68, 0.65, 0.64, 0.77, 0.20.
        (None, "replayed", 0.2),  # trains in one round of six
        (None, "extrapolated", 0.05),
        (None, "updates-declared-noise", 0.05),
        (8.0, "replayed", 0.2),
        (8.0, "extrapolated", 0.05),
        (8.0, "updates-declared-noise", 0.3),
    ],
)
def test_repeating_what_is_public_does_not_pay(epsilon, rider, most):
    found = rider_case(rider, "iid", 0, replace(FEW, epsilon=epsilon), "digits")
    assert found["pay"] <= most
    assert found["least_honest"] > 0.6


def test_points_follow_the_share_of_right_labels():
    found = quality_case("iid", 0, TINY, "digits")
    assert found["rank_correlation"]["points"] > 0.7
    assert len(found["leave_one_out"]) == len(found["truncated_shapley"]) == 10


def test_for_additive_errors_both_values_are_the_summands():
    parts = np.array([0.5, -0.25, 1.0, 0.0])

    def error(coalition):
        return 5.0 - sum(parts[seat] for seat in coalition)

    assert leave_one_out(error, 4) == pytest.approx(parts)
    generator = np.random.default_rng(0)
    found = truncated_shapley(error, 4, generator)
    # An order is left once less than 0.05 is to come: only the last, of 0, can be lost.
    assert found == pytest.approx(parts)


@pytest.mark.parametrize("epsilon", [None, 8.0])
def test_a_vote_copied_from_earlier_rounds_is_adverse(epsilon):
    # With running means as scores: the last medians in 0.40 and in none, the mean in all and none.
    size = replace(SMALL, examples_each=100, rounds=6, slice_examples=40, test_examples=360)
    found = votes_case("iid", 0, replace(size, epsilon=epsilon), "digits")["adverse"]
    assert found["last"] > 0.7
    assert found["mean"] > 0.7
