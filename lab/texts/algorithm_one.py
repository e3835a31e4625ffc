"""Lu et al.'s Algorithm 1, "differential private federated learning", in both of its readings.

The pseudocode leaves open whether participants learn side by side or one after another: line 7
trains "with previously received models", line 11 averages, M = (1/k) sum m_i, and the text says
that P_{i+1} trains on from what P_i sent and that M is the union of the m_i. So:

* *parallel*: in every iteration all train from the same M, and the mean of their models is added;
* *sequential*: each continues from the model that its predecessor sent, in the order of the
  retrieval tables; an iteration is one pass through all of them.

In both, noise is added to the vectors once, at iteration 0, and the noised vectors are kept (line
4); iteration continues "until the performance of the federated model achieves the threshold or the
training time runs out". The paper's noise and its epsilon are `fedpact.privacy.laplace`'s: the
paper's claim, not a guarantee.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import InvalidInput
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import Ensemble, union
from fedpact.learning.trees.training import Growth
from fedpact.privacy.laplace import add_laplace

Reading = Literal["parallel", "sequential"]


class EnsembleParticipant(Protocol):
    """A provider that holds data and adds to a model."""

    def construct(self, received: Ensemble, iteration: int) -> Ensemble:
        """The trees that it adds to the received model, m_i, as sent."""


@dataclass(frozen=True)
class PaperNoise:
    """Laplace noise of scale sensitivity / epsilon, on vectors and on leaf values (equation 4)."""

    epsilon: float
    sensitivity: float = 1.0


class BoostingParticipant:
    """Boosted trees on a provider's vectors, with or without the paper's noise.

    rows: (n, width). trees: number added in each iteration. The noise on the vectors is drawn here,
    once.
    """

    def __init__(
        self,
        rows: sparse.csr_matrix,
        y: NDArray[np.int64],
        labels: int,
        *,
        trees: int,
        growth: Growth,
        seed: int,
        noise: PaperNoise | None = None,
    ) -> None:
        self._y, self._labels, self._trees, self._growth = y, labels, trees, growth
        self._seed, self._noise = seed, noise
        self._generator = np.random.default_rng(seed)
        self._rows = rows
        if noise is not None:
            self._rows = sparse.csr_matrix(self._noised(rows.toarray(), noise))

    def construct(self, received: Ensemble, iteration: int) -> Ensemble:
        seed = int(np.random.SeedSequence([self._seed, iteration]).generate_state(1)[0])
        grown = training.boost(
            received, self._rows, self._y, self._labels, self._trees, self._growth, seed
        )
        if self._noise is None:
            return grown
        return Ensemble(grown.feature, grown.threshold, self._noised(grown.value, self._noise))

    def _noised(self, values: NDArray[np.float32], noise: PaperNoise) -> NDArray[np.float32]:
        noised = add_laplace(values, noise.sensitivity, noise.epsilon, self._generator)
        return noised.astype(np.float32)


@dataclass(frozen=True)
class IterationResult:
    """Accuracy and time after an iteration."""

    iteration: int
    accuracy: float
    seconds: float
    """Since the start."""


@dataclass(frozen=True)
class AlgorithmOneResult:
    model: Ensemble
    progress: tuple[IterationResult, ...]
    reached: bool
    """Whether the threshold was reached."""


def algorithm_one(
    participants: Sequence[EnsembleParticipant],
    start: Ensemble,
    accuracy: Callable[[Ensemble], float],
    *,
    reading: Reading,
    threshold: float,
    iterations: int,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> AlgorithmOneResult:
    """Iterate until `accuracy(M)` >= threshold, or `iterations` or `seconds` are used up.

    participants: in the order of the retrieval tables. start: usually `ensemble.empty`.
    Raises InvalidInput without participants or with fewer than one iteration.
    """
    if not participants or iterations < 1:
        raise InvalidInput(f"{len(participants)} participants and {iterations} iterations")
    step = _parallel if reading == "parallel" else _sequential
    model, progress, began = start, list[IterationResult](), clock()
    for iteration in range(iterations):
        model = step(participants, model, iteration)
        progress.append(IterationResult(iteration, accuracy(model), clock() - began))
        if progress[-1].accuracy >= threshold or progress[-1].seconds >= seconds:
            break
    return AlgorithmOneResult(model, tuple(progress), progress[-1].accuracy >= threshold)


def _parallel(
    participants: Sequence[EnsembleParticipant], model: Ensemble, iteration: int
) -> Ensemble:
    sent = [one.construct(model, iteration) for one in participants]
    return union([model, *sent], [1.0] + [1 / len(sent)] * len(sent))


def _sequential(
    participants: Sequence[EnsembleParticipant], model: Ensemble, iteration: int
) -> Ensemble:
    for one in participants:
        model = union([model, one.construct(model, iteration)], [1.0, 1.0])
    return model
