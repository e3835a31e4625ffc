"""Texts without privacy: a linear model over hashed words and pairs of words.

Trained in rounds over providers, or centrally with scikit-learn's linear support vector machine on
the same rows. The strength C = 1 was chosen on every fifth training document, held out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.preprocessing import normalize

from fedpact.features.text.hashing import HashedBag
from fedpact.learning import sparse_linear
from fedpact.learning.sparse_linear import Weights
from lab.text_training.task import Clock, Seconds, TextRun, TextTask, refuse_epsilon

BAG = HashedBag(bits=20, common=0.0, cap=1.0, bigrams=True)
"""Unweighted; words are weighted by the providers' document frequencies instead."""
STRENGTH = 1.0


@dataclass(frozen=True)
class GradientRounds:
    """A linear SVM: gradient sums from the providers, L-BFGS at the server."""

    rounds: int = 30
    strength: float = STRENGTH

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """At most `rounds` rounds, after a round 0 of document frequencies."""
        refuse_epsilon(epsilon, "gradient-rounds")
        rows = _Rows.of(task)
        shards = [(one, task.labels(seat)) for seat, one in enumerate(rows.train)]
        labels = len(task.source.labels)
        curve: list[float] = []
        judging = Clock()

        def note(weights: Weights) -> None:
            with judging:
                right = np.asarray(rows.test @ weights).argmax(axis=1) == task.source.y_test
                curve.append(float(right.mean()))

        with Clock() as clock:
            weights = sparse_linear.train(
                shards,
                rows.test.shape[1],
                labels,
                self.rounds,
                strength=self.strength,
                on_round=note,
            )
        # Time is split by each provider's share of the documents; the server's step is negligible.
        spent = clock.seconds - judging.seconds
        shares = [one.shape[0] / len(task.source.train) for one in rows.train]
        return TextRun(
            np.asarray(rows.test @ weights),
            Seconds(rows.seconds, [spent * share for share in shares], rows.agreeing),
            curve=curve,
            details={"rounds": len(curve), "buckets": int(rows.test.shape[1])},
        )


@dataclass(frozen=True)
class CentralMachine:
    """Baseline: scikit-learn's LinearSVC on all documents together."""

    strength: float = STRENGTH

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """The same rows and model, however the documents are split."""
        from sklearn.svm import LinearSVC

        refuse_epsilon(epsilon, "central-svm")
        rows = _Rows.of(task)
        train = sparse.vstack(rows.train, format="csr")
        y = np.concatenate([task.labels(seat) for seat in range(len(task.parts))])
        with Clock() as clock:
            fitted = LinearSVC(C=self.strength).fit(train, y)
        decided = np.asarray(fitted.decision_function(rows.test))
        scores = np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided
        together = [sum(rows.seconds)]
        return TextRun(scores, Seconds(together, [clock.seconds], rows.agreeing))


@dataclass(frozen=True)
class _Rows:
    """Rows of norm 1 over the buckets used by any training document, weighted by
    ln((1 + n) / (1 + df)) + 1 with the document frequencies of all providers together."""

    train: list[sparse.csr_matrix]
    test: sparse.csr_matrix
    seconds: list[float]
    """Seconds of each provider."""
    agreeing: float
    """Seconds to agree on buckets and weights."""

    @classmethod
    def of(cls, task: TextTask) -> "_Rows":
        BAG.weights()  # the public table is loaded before any clock runs
        plain, seconds = [], []
        for seat in range(len(task.parts)):
            with Clock() as clock:
                plain.append(BAG.rows(task.texts(seat)))
            seconds.append(clock.seconds)
        with Clock() as agreeing:
            indices = np.concatenate([one.indices for one in plain])
            frequency = np.bincount(indices, minlength=BAG.width)
            used = np.flatnonzero(frequency)
            weights = np.log((1 + len(task.source.train)) / (1 + frequency[used])) + 1
        train = []
        for seat, one in enumerate(plain):
            with Clock() as clock:
                train.append(_weighted(one, used, weights))
            seconds[seat] += clock.seconds
        test = _weighted(BAG.rows(task.source.test), used, weights)
        return cls(train, test, seconds, agreeing.seconds)


def _weighted(
    rows: sparse.csr_matrix, used: NDArray[np.int64], weights: NDArray[np.float64]
) -> sparse.csr_matrix:
    return normalize(rows[:, used].multiply(weights).tocsr())
