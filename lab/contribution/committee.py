"""Simulates requests that show whether points follow the worth of data, and free riders' pay."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.consensus.shapley import Game
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.artefact import Model, Template, decode
from fedpact.learning.units import samples_of
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider
from fedpact.simulation.request import Seat, accuracy
from lab.committees.data import SMALL, CommitteeData, CommitteeSize, committee_data
from lab.committees.riders import FREE_RIDERS

WORST_LABELS = 0.9
"""Largest share of wrong labels; the shares are spaced evenly from 0."""
PERMUTATIONS = 10
"""Permutations that truncated Shapley draws per round; equals the number of providers."""
TRUNCATION = 0.01
"""A permutation is cut off when the rest can change the error by less than this share of it."""


@dataclass
class Recorded(SimulatedProvider):
    """An honest provider that records the start model and its own model of each round."""

    starts: list[Model] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)

    def submit(self, task: RoundTask) -> bytes:
        artefact = super().submit(task)
        self.starts.append(task.start)
        self.models.append(decode(artefact, Template.of(task.start)))
        return artefact


def quality_case(
    partition: str, seed: int, scale: CommitteeSize = SMALL, dataset: str = "mnist"
) -> dict[str, Any]:
    """Honest providers with a growing share of wrong labels.

    Returns:
        `quality`: share of right labels by seat; `points` by seat; `rank_correlation` (Spearman)
        of the quality with `points`, with `leave_one_out` (the increase of the mean's error without
        the seat) and with `truncated_shapley` (Ghorbani & Zou 2019, algorithm 1), both summed over
        the rounds of the same request; `accuracy` of its model.

    Raises:
        DataMissing: the data set's files are missing.
    """
    case = committee_data(dataset, partition, seed, scale)
    generator = np.random.default_rng([seed, 1])
    wrong = np.linspace(0.0, WORST_LABELS, scale.providers)
    quality = (1.0 - wrong)[generator.permutation(scale.providers)]
    labels = len(case.spec.labels)
    recorded = [Recorded() for _ in case.parts]
    seats = [
        Seat(seat, _mislabelled(part, 1.0 - right, labels, generator), provider)
        for seat, (part, right, provider) in enumerate(
            zip(case.parts, quality, recorded, strict=True)
        )
    ]
    request = case.run(seats)
    left_out, shapley = _other_values(case, recorded, generator)
    return {
        "quality": quality.tolist(),
        "points": request.points,
        "leave_one_out": left_out.tolist(),
        "truncated_shapley": shapley.tolist(),
        "rank_correlation": {
            "points": _spearman(np.array(request.points, float), quality),
            "leave_one_out": _spearman(left_out, quality),
            "truncated_shapley": _spearman(shapley, quality),
        },
        "accuracy": accuracy(case.spec, request.model, case.test),
    }


def rider_case(
    rider: str, partition: str, seed: int, scale: CommitteeSize = SMALL, dataset: str = "mnist"
) -> dict[str, Any]:
    """One free rider in the last seat; all others are honest.

    Returns:
        `pay`: the rider's points divided by the honest providers' mean; `least_honest`: the same
        for the worst paid honest provider; `points` and `excluded` by seat; `accuracy`.

    Raises:
        InvalidInput: unknown free rider.
        DataMissing: the data set's files are missing.
    """
    if rider not in FREE_RIDERS:
        raise InvalidInput(f"unknown free rider {rider!r}: one of {', '.join(FREE_RIDERS)}")
    case = committee_data(dataset, partition, seed, scale)
    last = len(case.parts) - 1
    seats = [
        Seat(seat, part, FREE_RIDERS[rider]() if seat == last else SimulatedProvider())
        for seat, part in enumerate(case.parts)
    ]
    request = case.run(seats)
    honest = float(np.mean(request.points[:last]))
    return {
        "pay": request.points[last] / honest,
        "least_honest": min(request.points[:last]) / honest,
        "points": request.points,
        "excluded": [request.times_excluded(seat) for seat in range(len(seats))],
        "accuracy": accuracy(case.spec, request.model, case.test),
    }


def honest_case(
    partition: str, seed: int, scale: CommitteeSize = SMALL, dataset: str = "digits"
) -> dict[str, Any]:
    """Honest providers alone: what the checks of novelty and harm cost them.

    Returns:
        `invalid` and `excluded`: shares of their models, over all rounds; `least_honest`: points of
        the worst paid divided by the mean; `points` by seat; `accuracy`.

    Raises:
        DataMissing: the data set's files are missing.
    """
    case = committee_data(dataset, partition, seed, scale)
    request = case.run(
        [Seat(seat, part, SimulatedProvider()) for seat, part in enumerate(case.parts)]
    )
    seats = range(len(case.parts))
    models = len(request.rounds) * len(seats)
    return {
        "invalid": sum(not one.valid >> seat & 1 for one in request.rounds for seat in seats)
        / models,
        "excluded": sum(request.times_excluded(seat) for seat in seats) / models,
        "least_honest": min(request.points) / float(np.mean(request.points)),
        "points": request.points,
        "accuracy": accuracy(case.spec, request.model, case.test),
    }


def leave_one_out(error: Callable[[frozenset[int]], float], seats: int) -> NDArray[np.float64]:
    """Increase of the error when each seat is left out."""
    everybody = frozenset(range(seats))
    return np.array([error(everybody - {seat}) - error(everybody) for seat in range(seats)])


def truncated_shapley(
    error: Callable[[frozenset[int]], float], seats: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Shapley values from random permutations, cut off once the rest hardly matters (TMC-Shapley,
    Ghorbani & Zou 2019, algorithm 1)."""
    before, after = error(frozenset()), error(frozenset(range(seats)))
    values = np.zeros(seats)
    for _ in range(PERMUTATIONS):
        joined: frozenset[int] = frozenset()
        reached = before
        for seat in generator.permutation(seats).tolist():
            if joined and abs(reached - after) < TRUNCATION * before:
                break
            joined |= {seat}
            moved = error(joined)
            values[seat] += (reached - moved) / PERMUTATIONS
            reached = moved
    return values


def _other_values(
    case: CommitteeData, recorded: list[Recorded], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave-one-out and truncated Shapley values by seat, summed over the rounds."""
    seats = len(recorded)
    weights = {seat: samples_of(case.spec, part) for seat, part in enumerate(case.parts)}
    left_out, shapley = np.zeros(seats), np.zeros(seats)
    for number in range(len(recorded[0].models)):
        models = {seat: one.models[number] for seat, one in enumerate(recorded)}
        start = recorded[0].starts[number]
        game = Game(case.spec, start, models, weights, case.slices[number])
        left_out += leave_one_out(game.error_of_mean, seats)
        shapley += truncated_shapley(game.error_of_mean, seats, generator)
    return left_out, shapley


def _mislabelled(
    part: Dataset, share: float, labels: int, generator: np.random.Generator
) -> Dataset:
    """The examples with a share of the labels replaced by others, drawn uniformly."""
    y = part.y.astype(np.int64)
    chosen = generator.permutation(len(y))[: round(share * len(y))]
    y[chosen] = (y[chosen] + generator.integers(1, labels, len(chosen))) % labels
    return replace(part, y=y)


def _spearman(values: NDArray[np.float64], quality: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(values, quality).statistic)
