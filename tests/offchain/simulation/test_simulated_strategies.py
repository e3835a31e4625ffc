"""The simulator with strategies, families and epochs: small requests, worked through by hand."""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import encode
from fedpact.learning.families import family
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.strategies.dlmu import DLMU
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, simulate
from tests.support.specifications import specification

EPOCHS = {"epochs": 1, "batch_size": 8, "learning_rate": 0.2, "momentum": 0.5}
CENTRES = np.array([[0, 3], [3, 0], [-3, -3]], np.float32)


def part(seed, n=30):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, n)
    return Dataset((CENTRES[y] + generator.normal(size=(n, 2))).astype(np.float32), y, ())


def run(spec, providers=3):
    seats = [Seat(number, part(number), SimulatedProvider()) for number in range(providers)]
    slices = [part(100 + number) for number in range(spec.rounds)]
    return simulate(spec, seats, slices, lambda who, when: SeededNoise(0))


def spec_of(**changes):
    fields = {"rounds": 3, "score": "model", "max_error": 9000, "local": EPOCHS}
    return specification(**{**fields, **changes})


@pytest.mark.parametrize("name", ["fedavg", "fedavgm", "dlmu"])
def test_each_published_strategy_learns(name):
    result = run(spec_of(strategy={"name": name}))
    assert len(result.rounds) == 3
    assert family("softmax-regression").error(spec_of(), result.model, *held_out()) < 2000


def held_out():
    data = part(999, 300)
    return data.x, data.y


def test_dlmu_starts_each_provider_by_its_own_models():
    spec = spec_of(strategy={"name": "dlmu"}, rounds=2)
    found = run(spec)
    first = family("softmax-regression").initial(spec, seed=0)
    own = [
        train_local(LocalTraining(spec, first, part(seat), noise=None, round_and_seat=(1, seat)))
        for seat in range(3)
    ]
    after_one = run(spec_of(strategy={"name": "dlmu"}, rounds=1)).model
    memories = [DLMU().remember(Globals(first, first), None, one, 1.0) for one in own]
    starts = [DLMU().local(Globals(first, after_one), one).start for one in memories]
    again = [
        train_local(LocalTraining(spec, start, part(seat), noise=None, round_and_seat=(2, seat)))
        for seat, start in enumerate(starts)
    ]
    for name in first:
        mean = sum(one[name].astype(np.float64) * 30 for one in again) / 90
        assert np.array_equal(found.model[name], mean.astype(np.float32))
    assert encode(found.model) != encode(run(spec_of(rounds=2)).model)


def test_a_strategy_that_cannot_run_through_the_chain_is_not_simulated_as_a_request():
    with pytest.raises(SpecificationError, match="simulations"):
        run(spec_of(strategy={"name": "scaffold"}))
