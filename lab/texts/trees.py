"""Trees on texts: Lu et al.'s boosted trees on graph vectors, forests, and sound random splits.

Modes: none; `paper`, Laplace noise of scale 1 / epsilon on the vectors (drawn once) and on the leaf
values, where epsilon is the paper's claim without a guarantee; `sound`, random splits and noised
counts. In the first two the graphs' terms are chosen from the training texts and not charged; the
sound forest uses only public words.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.features.text.graphs import serialised, vocabulary
from fedpact.features.text.hashing import HashedBag
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import Ensemble, empty, union
from fedpact.learning.trees.random_splits import (
    RandomForestLayout,
    noised_counts,
    term_chances,
    voting,
)
from fedpact.learning.trees.training import Growth
from fedpact.privacy.accounting import PrivacyCost, calibrate, gaussian_cost
from fedpact.privacy.laplace import add_laplace
from fedpact.privacy.linear_sums import softmax_probabilities
from lab.text_training.task import (
    DELTA,
    Clock,
    Seconds,
    TextRun,
    TextTask,
    paper_privacy,
)
from lab.texts.algorithm_one import (
    BoostingParticipant,
    EnsembleParticipant,
    PaperNoise,
    Reading,
    algorithm_one,
)

TERMS = 256
NEVER = 2.0
"""An unreachable accuracy, so that all iterations are run."""


@dataclass(frozen=True)
class BoostedTreesRun:
    """Algorithm 1 with boosted trees on graph vectors; with an epsilon in mode `paper`."""

    reading: Reading = "parallel"
    terms: int = TERMS
    iterations: int = 10
    trees: int = 2
    """Trees that a provider adds per iteration."""
    depth: int = Growth.depth
    features: float = Growth.features
    learning_rate: float = Growth.learning_rate

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """All iterations; the curve is the accuracy after each."""
        growth = Growth(depth=self.depth, features=self.features, learning_rate=self.learning_rate)
        graphs = _Graphs.of(task, self.terms)
        labels = len(task.source.labels)
        participants = []
        for seat, rows in enumerate(graphs.train):
            with Clock() as clock:  # the paper's noise on the vectors is drawn here
                participant = BoostingParticipant(
                    rows,
                    task.labels(seat),
                    labels,
                    trees=self.trees,
                    growth=growth,
                    seed=task.own_seed(seat),
                    noise=None if epsilon is None else PaperNoise(epsilon),
                )
            participants.append(_Timed(participant, clock))
        curve: list[float] = []

        def accuracy(model: Ensemble) -> float:
            right = model.output(graphs.test).argmax(axis=1) == task.source.y_test
            curve.append(float(right.mean()))
            return curve[-1]

        found = algorithm_one(
            participants,
            empty(growth.depth, labels),
            accuracy,
            reading=self.reading,
            threshold=NEVER,
            iterations=self.iterations,
        )
        return TextRun(
            softmax_probabilities(found.model.output(graphs.test)),
            Seconds(
                graphs.seconds,
                [one.clock.seconds for one in participants],
                graphs.agreeing,
                in_turn=self.reading == "sequential",
            ),
            {"mode": "none"} if epsilon is None else paper_privacy(epsilon),
            curve,
            {"trees": found.model.trees},
        )


@dataclass(frozen=True)
class GrownTrees:
    """One union of forests, or of single decision trees; with an epsilon in mode `paper`."""

    trees: int = 60
    """Number of trees of the whole forest; with one per provider each tree sees all features."""
    single: bool = False
    """Whether each provider grows one decision tree instead."""
    terms: int = TERMS
    depth: int = Growth.depth
    features: float = Growth.features

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """Each provider grows its trees, once; the union weighs them by numbers of documents."""
        growth = Growth(depth=self.depth, features=self.features)
        graphs = _Graphs.of(task, self.terms)
        models, seconds = [], []
        for seat, rows in enumerate(graphs.train):
            generator = np.random.default_rng(task.own_seed(seat))
            with Clock() as clock:
                if epsilon is not None:
                    noised = add_laplace(rows.toarray(), 1.0, epsilon, generator)
                    rows = sparse.csr_matrix(noised.astype(np.float32))
                model = self._grown(task, seat, rows, growth)
                if epsilon is not None:
                    values = add_laplace(model.value, 1 / model.trees, epsilon, generator)
                    model = Ensemble(model.feature, model.threshold, values.astype(np.float32))
            models.append(model)
            seconds.append(clock.seconds)
        with Clock() as clock:
            shares = [len(indices) / len(task.source.train) for indices in task.parts]
            whole = union(models, shares)
        return TextRun(
            whole.output(graphs.test),
            Seconds(graphs.seconds, seconds, graphs.agreeing + clock.seconds),
            {"mode": "none"} if epsilon is None else paper_privacy(epsilon),
            details={"trees": whole.trees},
        )

    def _grown(
        self, task: TextTask, seat: int, rows: sparse.csr_matrix, growth: Growth
    ) -> Ensemble:
        y, labels, seed = task.labels(seat), len(task.source.labels), task.own_seed(seat)
        if self.single:
            return training.decision_tree(rows, y, labels, growth, seed)
        each = max(1, self.trees // len(task.parts))
        return training.random_forest(rows, y, labels, each, growth, seed)


@dataclass(frozen=True)
class SoundForestRun:
    """Random splits that no data choose, noised counts in the leaves: mode `sound`."""

    trees: int = 1_000
    depth: int = 3
    bits: int = HashedBag.bits

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """One release per provider; without noise if `epsilon` is None."""
        bag = HashedBag(self.bits)
        bag.weights()  # the public table is loaded before any clock runs
        layout = RandomForestLayout(self.trees, self.depth, len(task.source.labels), task.seed)
        with Clock() as drawing:
            splits = layout.splits(term_chances(bag))
        multiplier = 0.0 if epsilon is None else calibrate(epsilon, DELTA, 1, 1.0)
        released, representation, seconds = [], [], []
        for seat in range(len(task.parts)):
            with Clock() as clock:
                rows = bag.rows(task.texts(seat))
            representation.append(clock.seconds)
            with Clock() as clock:
                one = noised_counts(
                    layout,
                    splits,
                    rows,
                    task.labels(seat),
                    noise_multiplier=multiplier,
                    noise=task.noise(seat) if multiplier else None,
                )
            released.append(one)
            seconds.append(clock.seconds)
        with Clock() as clock:
            model = voting(layout, released, multiplier)
        return TextRun(
            _scores(model, bag.rows(task.source.test)),
            Seconds(representation, seconds, drawing.seconds + clock.seconds),
            {"mode": "none"} if not multiplier else {"mode": "sound", **asdict(_cost(multiplier))},
            details={"noise_multiplier": multiplier},
        )


def _scores(model: Ensemble, rows: sparse.csr_matrix) -> NDArray[np.float64]:
    """Votes minus their mean over the classes."""
    votes = model.output(rows)
    return np.asarray(votes - votes.mean(axis=1, keepdims=True))


def _cost(multiplier: float) -> PrivacyCost:
    return gaussian_cost(1 / multiplier, DELTA, replacement=math.sqrt(2))


class _Timed:
    """A participant whose processor seconds are measured."""

    def __init__(self, participant: EnsembleParticipant, clock: Clock) -> None:
        self._participant = participant
        self.clock = clock

    def construct(self, received: Ensemble, iteration: int) -> Ensemble:
        with self.clock:
            return self._participant.construct(received, iteration)


@dataclass(frozen=True)
class _Graphs:
    """Serialised graphs over terms chosen from all training texts together."""

    train: list[sparse.csr_matrix]
    test: sparse.csr_matrix
    seconds: list[float]
    """Seconds of each provider."""
    agreeing: float
    """Seconds to agree on the terms."""

    @classmethod
    def of(cls, task: TextTask, terms: int) -> "_Graphs":
        with Clock() as agreeing:
            chosen = vocabulary(task.source.train, terms)
        train, seconds = [], []
        for seat in range(len(task.parts)):
            with Clock() as clock:
                train.append(serialised(task.texts(seat), chosen))
            seconds.append(clock.seconds)
        return cls(train, serialised(task.source.test, chosen), seconds, agreeing.seconds)
