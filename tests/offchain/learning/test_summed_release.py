"""A member's release as integers, and the model of a group's sum."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.consensus.aggregate import global_model
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.learning import summed_release
from fedpact.learning.artefact import Model
from fedpact.learning.calibration import noise_for
from fedpact.learning.checks import check_published
from fedpact.learning.families import LocalModels, SummedFamily, family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.summed_release import (
    check_summed,
    group_model,
    member_integers,
    plausible_group,
    summed_values,
)
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.accounting import cost
from fedpact.privacy.noise import SeededNoise, from_half_steps
from fedpact.privacy.releases import of_request
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost
from fedpact.privacy_audit.constructed import Silent
from fedpact.types.local_training import LocalApp
from fedpact.types.specification import Specification
from tests.support.specifications import BLANK_SLICE, SOUND, specification
from tests.support.summing import SECURE, secure_specification
from tests.support.text_examples import LABELS, text_dataset

ALONE = specification(privacy=SOUND)
FOUR = [40] * 4
"""Declared by the members of a group."""
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
    found = group_model(spec, 1, start, integers, [40])
    assert {name: values.tobytes() for name, values in found.items()} == {
        name: values.tobytes() for name, values in alone.items()
    }


def test_of_a_group_it_is_the_mean_of_what_its_members_would_submit() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    total = sum(member_integers(training(spec, seed, start)) for seed in range(4))
    models = [train_local(training(ALONE, seed, start)) for seed in range(4)]
    found = group_model(spec, 1, start, np.asarray(total), FOUR)
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
        group_model(spec, 1, start, integers[1:], [40])


def test_an_honest_group_moves_no_further_than_it_can() -> None:
    spec = secure_specification()
    start = family_of(spec).initial(spec, 0)
    for seed in range(20):
        total = sum(member_integers(training(spec, 4 * seed + one, start)) for one in range(4))
        model = group_model(spec, 1, start, np.asarray(total), FOUR)
        assert plausible_group(spec, 1, start, model, FOUR)
    far = group_model(spec, 1, start, np.full(9, 2**52), FOUR)
    assert not plausible_group(spec, 1, start, far, FOUR)


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


CONSTRUCTED = {
    "text-statistics": ({"bits": 11}, "class-sums"),
    "random-forest": ({"trees": 7, "depth": 2, "bits": 11}, "union"),
}


def constructed(name: str, **privacy: Any) -> Specification:
    """Of four members whose texts are summed."""
    parameters, aggregation = CONSTRUCTED[name]
    fields = {
        **secure_specification().model_dump(mode="json"),
        "labels": list(LABELS),
        "features": {"kind": "text", "shape": []},
        "family": {"name": name, "parameters": parameters},
        "local": {"construction_seed": 1},
        "rounds": 1,
        "evaluation": [BLANK_SLICE],
        "aggregation": {"name": aggregation},
        "privacy": {**SOUND, **SECURE, "clipping_norm": None, **privacy},
    }
    return specification(**fields)


def texts_of(spec: Specification, seed: int, examples: int = 30) -> LocalTraining:
    start = family_of(spec).initial(spec, 0)
    held = replace(text_dataset(examples, seed), declared_units=30)
    return LocalTraining(spec, start, held, noise=SeededNoise(seed), round_and_seat=(1, 0))


def summed_family(spec: Specification) -> SummedFamily[Any]:
    found = family_of(spec)
    assert isinstance(found, SummedFamily)
    return found


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_the_sum_of_constructed_models_is_that_of_all_their_texts(name: str) -> None:
    """Before noise, to the last bit; noise adds to the stated variance."""
    spec = constructed(name)
    check_published(spec)
    family, parts = summed_family(spec), [texts_of(spec, seed).dataset for seed in range(4)]
    together = Dataset(
        np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]), ()
    )
    sums = np.sum([family.summed(spec, part) for part in parts], axis=0)
    assert sums.tobytes() == family.summed(spec, together).tobytes()

    total = sum(member_integers(texts_of(spec, seed)) for seed in range(4))
    assert len(total) == summed_values(spec, 1) == sums.size
    start = family.initial(spec, 0)
    model = group_model(spec, 1, start, np.asarray(total), [30] * 4)
    assert plausible_group(spec, 1, start, model, [30] * 4)
    np.testing.assert_allclose(model["variance"], 4 * family.sum_std(spec) ** 2, rtol=1e-6)
    off = from_half_steps(np.asarray(total), family.sum_std(spec)) - sums
    assert off.std() == pytest.approx(2 * family.sum_std(spec), rel=0.2)
    far = group_model(spec, 1, start, np.full(sums.size, 2**52), [30] * 4)
    assert not plausible_group(spec, 1, start, far, [30] * 4)


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_text_moves_the_sum_by_what_its_noise_is_for(name: str) -> None:
    """In every unit of the noise, with several texts of one unit as well."""
    spec = constructed(name)
    family, held = summed_family(spec), texts_of(spec, 1).dataset
    sensitivity = family.sum_std(spec) / (spec.privacy.noise_multiplier or 0)
    whole = family.summed(spec, held)
    for row in range(len(held)):
        left = [index for index in range(len(held)) if index != row]
        less = family.summed(spec, Dataset(held.x[left], held.y[left], ()))
        moved = float(np.linalg.norm(whole - less))
        assert 0.99 * sensitivity < moved <= sensitivity
    several = replace(held, units=(*held.units[:-3], *[held.units[-3]] * 3))
    shown = replace(texts_of(spec, 1), dataset=several, noise=Silent())
    gone = Dataset(held.x[:-3], held.y[:-3], held.units[:-3], 30)
    less = replace(shown, dataset=gone)
    moved = from_half_steps(member_integers(shown) - member_integers(less), family.sum_std(spec))
    assert np.linalg.norm(moved) <= sensitivity


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_no_texts_give_noise(name: str) -> None:
    spec = constructed(name)
    integers = member_integers(texts_of(spec, 1, 0))
    assert abs(integers / 2.0**33).std() == pytest.approx(0.6, abs=0.2)


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_sums_of_groups_are_added_once_each(name: str) -> None:
    """Four members submit one model: it counts once, and with the noise of four."""
    spec = constructed(name)
    family = family_of(spec)
    start = family.initial(spec, 0)
    integers = [member_integers(texts_of(spec, seed)) for seed in range(8)]
    halves = [
        group_model(spec, 1, start, np.sum(integers[first::2], axis=0), [30] * 4)
        for first in range(2)
    ]
    models = {seat: halves[seat % 2] for seat in range(8)}
    known = Globals(initial=start, start=start, before=None)
    weights = dict.fromkeys(range(8), 30)
    found = global_model(spec, 1, known, models, weights, range(8))
    local = LocalModels(start, dict(enumerate(halves)), weights)
    expected = family.combine(spec, local)
    assert {one: values.tobytes() for one, values in found.items()} == {
        one: values.tobytes() for one, values in expected.items()
    }
    most = 8 * summed_family(spec).sum_std(spec) ** 2 * (1 + 1e-6)
    assert (found["variance"] <= most).all()
    assert found["variance"].max() > 0.5 * most


def test_what_cannot_be_added_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = constructed("random-forest")
    one_by_one = SimpleNamespace(name="random-forest")
    monkeypatch.setattr(summed_release, "family_of", lambda _: one_by_one)
    with pytest.raises(SpecificationError, match="cannot be added to what others construct"):
        check_summed(spec)
    app = spec.model_copy(update={"local": LocalApp(groups=2, seconds=5)})
    with pytest.raises(SpecificationError, match="an app measures a slice as a whole"):
        check_summed(app)


def test_grown_trees_are_refused() -> None:
    """They bound nothing that a unit adds."""
    fields = constructed("random-forest").model_dump(mode="json")
    with pytest.raises(SpecificationError, match="cannot bound what one unit adds"):
        check_published(specification(**{**fields, "family": {"name": "decision-tree"}}))


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
