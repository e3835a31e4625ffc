"""The demo's request: digits, label-skewed over four providers, (4, 1e-5)-private.

`python -m lab digits --json FILE` runs the honest committee and each kind of poison over five seeds
and compares them with the targets. A seed fixes the split and the partition. The
noise seed is drawn from the operating system and shared by a run with a poisoner and the run
without, so that the two differ only in the poisoner.

The constants were chosen on seeds from 100: model and training on a held-out part of the training
records, the exclusion rule first on those seeds' test parts, its error measure again on held-out
parts. All seeds split the same 1,797 images, so an image used for tuning can be in a reported
seed's test part: expect slightly lower accuracy on unseen digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.data.sources import TrainTestData
from fedpact.demo.drafts import PROVIDERS, draft, split
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.baselines import alone
from fedpact.simulation.request import Seat, SimulatedRequest, accuracy, noise, simulate
from fedpact.types.specification import Specification

CLASSES_EACH = 5
REPORTED_SEEDS = range(5)


@dataclass(frozen=True)
class Setting:
    """One seed's data and request."""

    spec: Specification
    parts: tuple[Dataset, ...]
    """What each provider holds."""
    slices: tuple[Dataset, ...]
    test: Dataset


def setting(seed: int, *, tuning: bool = False, **changes: Any) -> Setting:
    """The request over digits, 5 of 10 classes at each of 4 providers.

    `tuning` replaces the test set by a part of the training records; `changes` are fields of the
    draft.
    """
    source = _held_out(sources.digits(seed)) if tuning else sources.digits(seed)
    spec = Draft({**draft(source), **changes}, on_chain=False).specification
    private, evaluation = split(source, spec.rounds, seed)
    rows = partition.classes(source.y_train[private], PROVIDERS, CLASSES_EACH, seed)
    cuts = cut_stratified(source.y_train[evaluation], spec.rounds, np.random.default_rng(seed))
    return Setting(
        spec,
        tuple(_part(source, private[part]) for part in rows),
        tuple(_part(source, evaluation[part]) for part in cuts),
        Dataset((source.x_test / source.scale).astype(np.float32), source.y_test, ()),
    )


def run(
    case: Setting, noise_seed: int, poison: SimulatedProvider | None = None, *, absent: bool = False
) -> SimulatedRequest:
    """One request; `poison` replaces the last provider, `absent` leaves its seat out."""
    seats = [Seat(number, part, SimulatedProvider()) for number, part in enumerate(case.parts)]
    if absent:
        seats = seats[:-1]
    elif poison is not None:
        seats[-1] = Seat(seats[-1].number, seats[-1].dataset, poison)
    return simulate(case.spec, seats, case.slices, lambda who, when: noise(noise_seed, who, when))


def single_accuracies(case: Setting, noise_seed: int) -> Iterator[float]:
    """Accuracy of each provider alone: the same steps and privacy, tested on all classes."""
    for number, part in enumerate(case.parts):
        model = alone(case.spec, part, partial(noise, noise_seed, number), number)
        yield accuracy(case.spec, model, case.test)


def _part(source: TrainTestData, rows: NDArray[np.int64]) -> Dataset:
    scaled = (source.x_train[rows] / source.scale).astype(np.float32)
    return Dataset(scaled, source.y_train[rows], ())


def _held_out(source: TrainTestData) -> TrainTestData:
    """The training part, split again into training and test."""
    cut = len(source.y_train) // 5
    return TrainTestData(
        source.name,
        source.x_train[cut:],
        source.y_train[cut:],
        source.x_train[:cut],
        source.y_train[:cut],
        source.labels,
        source.scale,
    )
