"""What a request may reach, estimated before anything is paid: the request in one process, on the
requester's own evaluation set in place of the providers' data.

Half of the examples stand in for the providers' records, drawn again until each provider has as
many as it is expected to have; the other half tests the model. So the noise weighs as much as it
will, but a provider's records that differ from the evaluation set are not foreseen, and examples
that are drawn several times teach less than different ones.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_at_random, cut_stratified
from fedpact.errors import DataError
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of, represented
from fedpact.learning.training_inputs import without_privacy
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, noise, simulate
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Specification

Rows = NDArray[np.int64]
RUNS = 4
"""Simulated requests, each with records and noise of its own."""
LEAST_EXAMPLES = 20
"""Of an evaluation set: half of fewer would tell nothing."""
LEAST_GAIN = 0.02
"""Of a model over the one that knows nothing but what is usual, in the metric's unit."""
DEVIATIONS = 2.0
"""Standard errors by which the mean gain must exceed LEAST_GAIN."""


@dataclass(frozen=True)
class Expectation:
    """Errors of a simulated request by its metric, 0 to 1, lower is better."""

    error: float
    """Mean over the runs."""
    deviation: float
    """Standard deviation of a run's error."""
    first: float
    """Of the first model, which has seen no data; of a guess."""
    without_privacy: float
    """Of the same request without clipping and noise, one run."""
    runs: int
    providers: int
    units: int
    """Privacy units of each provider, one example each."""
    seconds: float
    """Mean time of one provider's training in a round, on this machine."""
    preparing: float
    """Seconds that a provider of `units` takes before its first round, for what is computed once a
    data set, such as a network's features."""
    judging: float
    """The same of the evaluation slice of one round."""

    @property
    def learns(self) -> bool:
        """Whether the model without privacy is better than the first one."""
        return self.first - self.without_privacy > LEAST_GAIN

    @property
    def reaches(self) -> bool:
        """Whether the model is better than the first one by more than chance."""
        margin = DEVIATIONS * self.deviation / math.sqrt(self.runs)
        return self.first - self.error > LEAST_GAIN + margin


def expected(
    spec: Specification,
    evaluation: Dataset,
    providers: int,
    units: int,
    *,
    seed: int = 0,
    on_run: Callable[[int], None] = lambda _: None,
) -> Expectation:
    """Simulate a request RUNS times, with `providers` of `units` examples each; as a function of
    its arguments always the same, but for the time.

    `on_run`: called with the number of each run that is over. Raises DataError for an evaluation
    set that is too small to halve.
    """
    _require_halves(spec, evaluation)
    began = time.perf_counter()
    evaluation = represented(spec, evaluation)
    reading = time.perf_counter() - began
    began, errors, firsts = time.perf_counter(), list[float](), list[float]()
    for run in range(RUNS):
        first, error = _simulated(spec, evaluation, providers, units, (seed, run))
        firsts.append(first)
        errors.append(error)
        on_run(run + 1)
    seconds = (time.perf_counter() - began) / (RUNS * spec.rounds * providers)
    _, open_error = _simulated(without_privacy(spec), evaluation, providers, units, (seed, 0))
    return Expectation(
        float(np.mean(errors)),
        float(np.std(errors, ddof=1)),
        float(np.mean(firsts)),
        open_error,
        RUNS,
        providers,
        units,
        seconds,
        reading * units / len(evaluation),
        reading / spec.rounds,
    )


def _simulated(
    spec: Specification, evaluation: Dataset, providers: int, units: int, seed: tuple[int, int]
) -> tuple[float, float]:
    """Errors of the first model and of the last."""
    random = np.random.default_rng(seed)
    drawn, tested = _halves(spec, evaluation, random)
    seats = [
        Seat(number, _of(evaluation, random.choice(drawn, units)), SimulatedProvider())
        for number in range(providers)
    ]
    test = _of(evaluation, tested)
    noise_seed = int(random.integers(2**63))
    result = simulate(
        spec,
        seats,
        [test] * spec.rounds,
        lambda provider, round_: noise(noise_seed, provider, round_),
        voting=False,
    )
    family = family_of(spec)

    def error(model: Model) -> float:
        return family.error(spec, model, test.x, test.y) / MAX_SCORE

    return error(family.initial(spec, seed=0)), error(result.model)


def _halves(
    spec: Specification, evaluation: Dataset, random: np.random.Generator
) -> tuple[Rows, Rows]:
    if spec.task == "classification":
        drawn, tested = cut_stratified(evaluation.y, 2, random)
    else:
        drawn, tested = cut_at_random(len(evaluation), 2, random)
    return drawn, tested


def _of(evaluation: Dataset, rows: Rows) -> Dataset:
    return Dataset(evaluation.x[rows], evaluation.y[rows], ())


def _require_halves(spec: Specification, evaluation: Dataset) -> None:
    if len(evaluation) < LEAST_EXAMPLES:
        raise DataError(
            f"evaluation set: {len(evaluation)} examples: what to expect is estimated from "
            f"{LEAST_EXAMPLES} at least"
        )
    for label, name in enumerate(spec.labels):
        count = int((evaluation.y == label).sum())
        if count < 2:
            raise DataError(
                f"evaluation set: label {name!r} has {count} examples: each needs two at least"
            )
