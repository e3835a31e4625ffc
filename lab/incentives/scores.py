"""Real scores: requests over digits whose last member trains in one of several ways."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedpact.demo.drafts import EPSILON
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider
from fedpact.simulation.request import Seat
from lab.committees.data import CommitteeSize, committee_data
from lab.committees.riders import FREE_RIDERS

MEMBERS = 5
DEVIATOR = MEMBERS - 1
SIZE = CommitteeSize(
    providers=MEMBERS,
    examples_each=200,
    rounds=10,
    slice_examples=40,
    test_examples=360,
    family={"name": "softmax-regression", "parameters": {"example_norm": 3.0}},
    local={"steps": 4, "learning_rate": 2.0, "momentum": 0.5},
    epsilon=EPSILON,
)
LAZY_SHARE = 10
"""A lazy member trains on one of so many of its examples."""


class Lazy(SimulatedProvider):
    """Trains on a tenth of its examples, and declares all of them: the others, without a valid
    label, count as zero."""

    def submit(self, task: RoundTask) -> bytes:
        y = np.asarray(task.dataset.y)
        used = np.arange(len(y)) % LAZY_SHARE == 0
        dataset = replace(task.dataset, y=np.where(used, y, -1).astype(y.dtype))
        return super().submit(replace(task, dataset=dataset))


TRAININGS: Mapping[str, Callable[[], SimulatedProvider]] = {
    "honest": SimulatedProvider,
    "lazy": Lazy,
    "no data, noise": FREE_RIDERS["global-noise"],
    "last movement again": FREE_RIDERS["extrapolated-declared-noise"],
    "own first update again": FREE_RIDERS["replayed-declared-noise"],
}


@dataclass(frozen=True)
class Recorded:
    """One request's scores, 1/10,000, lower is better: by round and seat."""

    scores: list[list[int]]
    max_error: int
    vote_band: int


def record(training: str, partition: str, seed: int) -> Recorded:
    """Ten rounds with four honest members and one that trains in this way; all vote honestly.

    Every member of a request computes the same scores, so the medians are the scores.
    """
    case = committee_data("digits", partition, seed, SIZE)
    seats = [
        Seat(seat, part, TRAININGS[training]() if seat == DEVIATOR else SimulatedProvider())
        for seat, part in enumerate(case.parts)
    ]
    request = case.run(seats)
    return Recorded(
        [list(one.medians) for one in request.rounds],
        case.spec.max_error,
        case.spec.vote_band,
    )
