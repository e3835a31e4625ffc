"""A member's release as integers, and the model of a group's sum."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.bounds import update_norm
from fedpact.learning.calibration import noise_for
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.summed import group_model, largest_move, member_integers, summed_values
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.accounting import cost
from fedpact.privacy.mechanisms import of_request
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification
from tests.support.summing import SECURE, secure_specification

ALONE = specification(privacy=SOUND)
FIXED = {
    "family": {"name": "scattering-linear"},
    "features": {"shape": [28, 28], "scale": 255.0},
    "labels": [str(label) for label in range(10)],
}


def data(seed: int, examples: int = 40) -> Dataset:
    drawn = np.random.default_rng(seed)
    x = drawn.normal(size=(examples, 2)).astype(np.float32)
    return Dataset(x, drawn.integers(0, 3, examples), (), examples)


def training(spec: Specification, seed: int, start: Model) -> LocalTraining:
    noise = SeededNoise(seed)
    return LocalTraining(spec, start, data(seed), noise=noise, round_and_seat=(1, 0))


def test_of_one_member_it_is_what_that_member_would_submit() -> None:
    """With the same noise, bit for bit: a sum of one is a local model."""
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    integers = member_integers(training(spec, 1, start))
    alone = train_local(training(ALONE, 1, start))
    found = group_model(spec, 1, start, integers, 40)
    assert {name: values.tobytes() for name, values in found.items()} == {
        name: values.tobytes() for name, values in alone.items()
    }


def test_of_a_group_it_is_the_mean_of_what_its_members_would_submit() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    total = sum(member_integers(training(spec, seed, start)) for seed in range(4))
    models = [train_local(training(ALONE, seed, start)) for seed in range(4)]
    found = group_model(spec, 1, start, np.asarray(total), 160)
    for name, values in found.items():
        mean = np.mean([one[name].astype(np.float64) for one in models], axis=0)
        np.testing.assert_allclose(values, mean, atol=1e-6)


def test_no_records_give_noise() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    empty = replace(training(spec, 1, start), dataset=replace(data(1, 0), declared_units=40))
    integers = member_integers(empty)
    assert integers.any()
    assert len(integers) == summed_values(spec, 1) == 9
    with pytest.raises(InvalidInput, match="a round's has 9"):
        group_model(spec, 1, start, integers[1:], 40)


def test_an_honest_group_moves_no_further_than_it_can() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    for seed in range(20):
        total = sum(member_integers(training(spec, 4 * seed + one, start)) for one in range(4))
        moved = update_norm(start, group_model(spec, 1, start, np.asarray(total), 160))
        assert moved <= largest_move(spec, 1, 4, 160)
    far = group_model(spec, 1, start, np.full(9, 2**52), 160)
    assert update_norm(start, far) > largest_move(spec, 1, 4, 160)


def test_nobody_trains_alone_under_a_secure_sum() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    with pytest.raises(InvalidInput, match="no member trains alone"):
        train_local(training(spec, 1, start))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"local": {"steps": 2, "learning_rate": 1.0}}, "one step of all units"),
        ({"local": {"steps": 1, "learning_rate": 1.0, "sampling_rate": 0.5}}, "one step of all"),
        ({"strategy": {"name": "scaffold"}}, "strategy scaffold"),
        ({"aggregation": {"name": "coordinate-median"}}, "aggregation coordinate-median"),
        ({"score": "model"}, "groups are judged"),
        ({"min_providers": 3}, "make no group of 4"),
    ],
)
def test_what_is_no_sum_is_refused(changes: dict[str, Any], reason: str) -> None:
    fields = {**secure_specification().model_dump(mode="json"), **changes}
    with pytest.raises(SpecificationError, match=reason):
        check_published(specification(**fields))


def test_families_without_gradients_are_refused() -> None:
    fields = {
        **secure_specification().model_dump(mode="json"),
        "family": {"name": "random-forest"},
        "local": {"construction_seed": 1},
        "aggregation": {"name": "forest"},
        "privacy": {**SOUND, **SECURE, "clipping_norm": None},
    }
    with pytest.raises(SpecificationError, match=r"not one sum|forest"):
        check_published(specification(**fields))


@pytest.mark.parametrize(("honest", "colluders", "rounds"), [(2, 1, 1), (3, 1, 20), (9, 2, 300)])
@pytest.mark.parametrize("statistics", [False, True])
def test_what_is_charged_is_the_accountants_for_the_honest_minimum(
    honest: int, colluders: int, rounds: int, statistics: bool
) -> None:
    """Two ways to one figure: the ledger's events, and the sums of `secure_sum.terms`."""
    if statistics and rounds == 1:
        pytest.skip("a statistics round alone trains nothing")
    privacy = {**SOUND, **SECURE, "honest": honest, "colluders": colluders, "group": 11}
    if statistics:
        privacy["statistics_multiplier"] = 1.0
    fields = {"privacy": privacy, "rounds": rounds, "min_providers": 11, "max_providers": 16}
    spec = specification(**fields, **(FIXED if statistics else {}))
    given = spec.model_dump(mode="json")["privacy"] | {"statistics_multiplier": None}
    if not statistics:
        given.pop("statistics_multiplier")
    noise = noise_for(
        spec.model_copy(
            update={"privacy": spec.privacy.model_copy(update={"statistics_multiplier": None})}
        )
    )
    spec = specification(**fields | {"privacy": privacy | noise}, **(FIXED if statistics else {}))
    event = of_request(spec)
    assert event is not None
    terms = SumTerms(honest + colluders, 0, colluders)
    assert terms.honest == honest
    multiplier = spec.privacy.noise_multiplier or 0.0
    made = [SumRelease(terms, multiplier, rounds - statistics)]
    if statistics:
        made.append(SumRelease(terms, spec.privacy.statistics_multiplier or 0.0, 1))
    counted = sum_cost(tuple(made), 1e-5)
    charged = cost(event, 1e-5)
    assert charged.epsilon == pytest.approx(counted.epsilon, rel=1e-12)
    assert charged.epsilon_replacement == pytest.approx(counted.epsilon_replacement, rel=1e-12)
    assert 3.98 < charged.epsilon <= 4.0


def test_the_noise_of_a_sum_is_that_of_its_honest_members() -> None:
    """A second audit, of draws: the values of a sum of as few members as may be opened, less what
    colluders know, vary as much as one release that costs the stated epsilon."""
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    honest = spec.privacy.honest or 0
    empty = replace(data(1, 0), declared_units=40)
    draws = np.array(
        [
            sum(
                member_integers(
                    replace(training(spec, honest * one + part, start), dataset=empty)
                ).astype(float)
                for part in range(honest)
            )
            for one in range(1500)
        ]
    )
    half_step = (spec.privacy.noise_multiplier or 0) * (spec.privacy.clipping_norm or 0) * 2.0**-33
    std = (draws * half_step).std()
    expected = (spec.privacy.noise_multiplier or 0) * honest**0.5
    assert std == pytest.approx(expected, rel=0.03)  # 13,500 values: five standard errors
