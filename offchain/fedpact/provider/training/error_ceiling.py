"""Whether a request's training could pass its ceiling, tried on made-up examples.

Before it joins, a daemon must not look at its records (docs/privacy.md, "What a daemon's behaviour
shows"). So the examples are made up, always the same, of the form that the request asks for, and
easy to learn: those of a label lie close together, and all labels are as frequent. A training
whose noise is too large for these has hardly a model within the ceiling. That is an estimate, not a
bound: where one label is frequent, a model that knows no other may pass, and near the limit the
noise of the trial decides. Of a training that passes, nothing is known.
"""

import math

import numpy as np

from fedpact.data.dataset import Dataset, Targets
from fedpact.learning.artefact import Model, Template, decode
from fedpact.learning.families import family_of, represented
from fedpact.learning.strategies import LocalTask
from fedpact.provider.training.time_trial import MOST_BYTES, Work
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.local_training import LocalApp
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import ScoreKind, Specification

ROUNDS = 20
"""Most rounds without noise: weights grow over a request's rounds, and noise weighs less."""
REPEATS = 3
"""Rounds with noise, from the first model that passes and from the last; the best counts."""
TRAININGS = ROUNDS + 2 * REPEATS
"""Of a trial at most."""
JUDGED = 500
"""Made-up examples on which the models are judged."""
SPREAD = 0.2
"""How far examples of one label lie apart, as a part of the whole range."""


def is_tried(asked: Work) -> bool:
    """Whether a trial could tell anything of a request's ceiling.

    Not of contributions, whose scores are shares and no errors; without noise; of secure sums,
    whose noise the members share; of apps and texts, for which nothing is made up; and of more
    examples than a trial takes.
    """
    spec, size = asked.spec, 4 * asked.examples * math.prod(asked.spec.features.shape)
    return (
        spec.score is ScoreKind.MODEL
        and spec.privacy.mode is PrivacyMode.SOUND
        and spec.privacy.sum is None
        and not isinstance(spec.local, LocalApp)
        and spec.features.kind != "text"
        and size <= MOST_BYTES
    )


def least_error(work: LocalWork, asked: Work) -> int | None:
    """The least error, 1/10,000, of models that a round's training makes with the request's noise,
    from models that pass without any. None: none passes even so, which says nothing."""
    spec = asked.spec
    none = {"mode": PrivacyMode.NONE, "noise_multiplier": None, "statistics_multiplier": None}
    quiet = spec.model_copy(update={"privacy": spec.privacy.model_copy(update=none)})
    own = represented(spec, easy_examples(spec, asked.examples, asked.per_unit, seed=1))
    judged = represented(spec, easy_examples(spec, JUDGED, 1, seed=2))
    family, model = family_of(spec), asked.start

    def error(one: Model) -> int:
        return family.error(spec, one, judged.x, judged.y)

    passing: list[tuple[int, Model]] = []
    for number in range(1, min(spec.rounds, ROUNDS) + 1):
        model = _trained(work, quiet, model, own, number)
        if not family.gathers(number) and error(model) <= spec.max_error:
            passing = [*passing[:1], (number, model)]
    return min(
        (
            error(_trained(work, spec, one, own, number + 1))
            for number, one in passing
            for _ in range(REPEATS)
        ),
        default=None,
    )


def _trained(
    work: LocalWork, spec: Specification, start: Model, own: Dataset, number: int
) -> Model:
    task = TrainingTask(spec, number, start, LocalTask(start), own, 0, {}, data_seed=0)
    return decode(work.train(task), Template.of(start))


def easy_examples(spec: Specification, examples: int, per_unit: int, seed: int) -> Dataset:
    """Examples of the form that a specification asks for, close to one of each label; of numbers to
    predict, close to a line between two. Equal seeds give equal ones; all have the same centres."""
    centres, draw = np.random.default_rng(0), np.random.default_rng(seed)
    labels, shape = max(2, len(spec.labels)), spec.features.shape
    at = centres.random((labels, *shape), dtype=np.float32)
    spread = SPREAD * draw.random((examples, *shape), dtype=np.float32)
    y: Targets = draw.integers(0, labels, examples)
    if spec.output is None:
        x = (1 - SPREAD) * at[y] + spread
    else:
        y = draw.random(examples, dtype=np.float32)
        part = y.reshape(-1, *(1 for _ in shape))
        x = (1 - SPREAD) * (part * at[0] + (1 - part) * at[1]) + spread
    x = x.astype(np.float32)
    if not family_of(spec).usable(spec, x, y).all():  # it takes indices
        x = np.rint(x)
    units = tuple((row // per_unit).to_bytes(32, "big") for row in range(examples))
    return Dataset(x, y, units, -(-examples // per_unit))
