"""How long a round's training takes on this machine, from a slice of it on made-up examples.

Before it joins, a daemon must not look at its records (docs/privacy.md, "What a daemon's behaviour
shows"). So the slice is the same whatever they are: numbers from a fixed seed, of the form that the
request asks for, as many as the schema declares or fewer.
"""

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from fedpact.data.dataset import Dataset, Targets
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of, represented
from fedpact.learning.strategies import LocalTask
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.device import PROCESSOR
from fedpact.types.local_training import LocalApp, LocalConstruction, LocalEpochs, LocalSteps
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

SMALLEST = 64
"""Examples of a step in the first run: two blocks, by which some families compute."""
GROWTH = 4
"""How many times as many the next run has."""
STEPS = 3
"""That a run measures, after its first one, which also sets up."""
ENOUGH_SECONDS = 5.0
"""Seconds after which no larger run is begun, and a run goes on to its next step no more."""
MOST_BYTES = 2**26
"""Of made-up examples."""
SURE_SPEED = 1e5
"""Products of examples, steps and parameters that any machine gets through in a second: so little
is not measured."""


@dataclass(frozen=True)
class Work:
    """One round's training, as far as it is known before any record is read."""

    spec: Specification
    start: Model
    """The request's first model."""
    examples: int
    """The most that may be trained on."""
    per_unit: int
    """The most of one privacy unit."""

    @classmethod
    def of(cls, spec: Specification, start: Model, samples: int, per_unit: int) -> "Work":
        """`samples`: with which the request is joined; `per_unit`: as the schema declares."""
        one = spec.privacy.mode is not PrivacyMode.SOUND or isinstance(
            spec.local, LocalConstruction
        )
        per_unit = 1 if one else per_unit
        return cls(spec, start, samples * per_unit, per_unit)

    @property
    def steps(self) -> int:
        return self.spec.local.steps_for(self.examples)

    def is_tried(self, seconds: float) -> bool:
        """Whether there is anything to measure for a training that may take so many seconds.

        Not of an app, whose longest time is fixed and which its windows hold; not of texts, since
        nothing declares how long they are.
        """
        if isinstance(self.spec.local, LocalApp) or self.spec.features.kind == "text":
            return False
        parameters = sum(values.size for values in self.start.values())
        inputs = math.prod(self.spec.features.shape)
        return self.examples * self.steps * (parameters + inputs) > SURE_SPEED * seconds


def round_seconds(work: LocalWork, asked: Work) -> float:
    """Seconds that one round's training takes, without what is computed once a data set.

    A few steps are measured on more and more examples. If the last run has fewer than a step of the
    whole work, a line through the last two gives that step's time. Of wall and processor time the
    lesser counts, so that other work on the machine hardly does.
    """
    local = asked.spec.local
    most = asked.examples
    if isinstance(local, LocalEpochs):
        most = min(most, local.batch_size)
    size = min(
        most, math.ceil(SMALLEST / (local.sampling_rate if isinstance(local, LocalSteps) else 1))
    )
    largest = max(size, MOST_BYTES // (4 * math.prod(asked.spec.features.shape)))
    _step_seconds(work, asked, size, steps=0)  # the first run of a process loads libraries
    began, shorter, took = time.monotonic(), 0, 0.0
    slope = 0.0
    while True:
        before, took = took, _step_seconds(work, asked, size, STEPS)
        if shorter:
            slope = max(0.0, (took - before) / (size - shorter))
        spent = GROWTH * (time.monotonic() - began)
        if size >= min(most, largest) or (shorter and spent > ENOUGH_SECONDS):
            return asked.steps * (took + slope * (most - size))
        shorter, size = size, min(GROWTH * size, most, largest)


class _Enough(Exception):
    """Ends a run whose steps have been measured."""


def _step_seconds(work: LocalWork, asked: Work, examples: int, steps: int) -> float:
    """Of a step on so many examples: the mean of `steps` after the first one, or of as many as
    there are; where there is but one, of that."""
    spec = asked.spec
    dataset = made_up_examples(spec, examples, asked.per_unit)
    whole = replace(dataset, declared_units=-(-asked.examples // asked.per_unit))
    dataset = replace(represented(spec, whole), declared_units=dataset.declared_units)
    round_number = 2 if family_of(spec).gathers(1) else 1
    task = TrainingTask(
        spec, round_number, asked.start, LocalTask(asked.start), dataset, 0, {}, data_seed=0
    )
    at = [_now()]

    def on_step(step: int, _: int) -> None:
        at.append(_now())
        if step > steps or at[-1][0] - at[0][0] > ENOUGH_SECONDS:
            raise _Enough

    with suppress(_Enough):
        work.train(task, on_step)
    if len(at) == 1:  # it is made in one go
        at.append(_now())
    first, last = at[1 if len(at) > 2 else 0], at[-1]
    took = [after - before for before, after in zip(first, last, strict=True)]
    # The processor waits while another device computes.
    return (min(took) if work.device == PROCESSOR else took[0]) / max(1, len(at) - 2)


def _now() -> tuple[float, float]:
    """Wall and processor time, in seconds."""
    return time.monotonic(), time.process_time()


def made_up_examples(spec: Specification, examples: int, per_unit: int) -> Dataset:
    """Examples of the form that a specification asks for, always the same."""
    draw = np.random.default_rng(0)
    x = draw.random((examples, *spec.features.shape), dtype=np.float32)
    y: Targets = np.arange(examples) % max(1, len(spec.labels))
    if spec.output is not None:
        y = draw.random(examples, dtype=np.float32)
    if not family_of(spec).usable(spec, x, y).all():  # it takes indices
        x = np.rint(x)
    units = tuple((row // per_unit).to_bytes(32, "big") for row in range(examples))
    return Dataset(x, y, units, -(-examples // per_unit))
