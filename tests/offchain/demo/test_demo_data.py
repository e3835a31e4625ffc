"""The demo's options: drafts, providers' files, and refusals before anything runs."""

import os
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.readers import read_dataset
from fedpact.demo.data import prepare
from fedpact.demo.options import DemoOptions
from fedpact.demo.recipes import CONSTRUCTION, PAPER_EPOCHS, RECIPES, named
from fedpact.errors import FedpactError, InvalidInput
from fedpact.learning.families import FAMILIES
from fedpact.types.privacy import PaperMechanism

DATA = os.environ.get("FEDPACT_DATA")


def test_every_family_has_a_recipe():
    assert set(RECIPES) == set(FAMILIES)


@pytest.mark.parametrize("family", ["softmax-regression", "mlp", "cnn", "scattering-linear"])
@pytest.mark.parametrize("epsilon", [4.0, None])
def test_digits_are_split_in_the_form_of_each_family(family, epsilon, tmp_path):
    options = DemoOptions(family=family, epsilon=epsilon, rounds=2, strategy="fedprox:mu=0.5")
    data = prepare(options, tmp_path)
    spec = data.draft.specification
    assert spec.family.name == family
    assert (spec.strategy.name, spec.strategy.parameters) == ("fedprox", {"mu": 0.5})
    for file, part in zip(data.files, data.parts, strict=True):
        assert np.array_equal(read_dataset(file, spec).x, part.x)
    assert data.test.x.shape[1:] == data.evaluation.x.shape[1:] == spec.features.shape
    held = [set(part.y.tolist()) for part in data.parts]
    assert all(len(one) == 5 for one in held)


@pytest.mark.parametrize(
    ("family", "local"),
    [("softmax-regression", PAPER_EPOCHS)]
    + [(name, CONSTRUCTION) for name in ("decision-tree", "random-forest", "boosted-trees")],
)
def test_lus_laplace_noise_is_offered_for_descent_and_for_trees(family, local, tmp_path):
    options = DemoOptions(family=family, epsilon=10.0, mechanism=PaperMechanism.LAPLACE)
    found = prepare(options, tmp_path).draft
    assert found.fields["local"] == local
    assert found.specification.privacy.mechanism is PaperMechanism.LAPLACE


@pytest.mark.skipif(not DATA, reason="FEDPACT_DATA names no folder of data sets")
@pytest.mark.parametrize(
    ("data", "family"), [("cmapss-fd001", "mlp"), ("shakespeare", "char-lstm")]
)
def test_windows_stay_with_the_provider_of_their_group(data, family, tmp_path):
    found = prepare(DemoOptions(data=data, epsilon=None, rounds=2, providers=3), tmp_path)
    assert found.draft.fields["family"]["name"] == family
    units = [set(part.units) for part in found.parts]
    assert not units[0] & units[1] | units[0] & units[2] | units[1] & units[2]
    assert all(len(part) <= (RECIPES[family].records or len(part)) for part in found.parts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "nothing"}, "no data set 'nothing'"),
        ({"family": "forest"}, "model family 'forest' is unknown"),
        ({"family": "linear-regression"}, "no classification"),
        ({"family": "char-lstm"}, "windows of indices"),
        ({"strategy": "scaffold"}, "simulations only"),
        ({"strategy": "dlmu:tau=much"}, "strategy dlmu: tau"),
        ({"strategy": "dlmu:beta=1"}, "beta"),
        ({"aggregation": "vote"}, "aggregation 'vote' is unknown"),
        ({"partition": "group"}, "the data set has no groups"),
        ({"partition": "classes"}, "no partition 'classes'"),
    ],
)
def test_invalid_options_are_refused_before_a_chain_is_started(changes, said, tmp_path: Path):
    with pytest.raises(FedpactError, match=said):
        prepare(DemoOptions(**changes), tmp_path)


def test_parameters_are_numbers_by_name():
    assert named("multi-krum:byzantine=1,kept=3", "") == {
        "name": "multi-krum",
        "parameters": {"byzantine": 1, "kept": 3},
    }
    assert named("fedavg", "") == {"name": "fedavg", "parameters": {}}
    with pytest.raises(InvalidInput, match="write a name"):
        named("dlmu:", "--strategy")
