"""Data and requests of the committees that the studies of robustness and contribution simulate."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.data.sources import TrainTestData
from fedpact.demo.drafts import draft
from fedpact.errors import DataError, InvalidInput
from fedpact.requester.draft import Draft
from fedpact.simulation.request import Seat, SimulatedRequest, noise, simulate
from fedpact.types.specification import Specification
from lab.harness.configuration import Case


@dataclass(frozen=True)
class CommitteeSize:
    """The size of a simulated request."""

    providers: int
    examples_each: int
    rounds: int
    slice_examples: int
    """Examples in one round's evaluation slice, balanced over the labels."""
    test_examples: int
    family: dict[str, Any]
    local: dict[str, Any]
    epsilon: float | None = None
    """Of mode `sound`, at the demo's delta; None for no privacy."""
    privacy: dict[str, Any] = field(default_factory=dict)
    """Further fields of its privacy."""


def settings_of(case: Case, *names: str) -> tuple[list[Any], CommitteeSize]:
    """The named settings of a case, and the size that all its other settings describe.

    Raises InvalidInput for a missing or unknown setting.
    """
    rest = dict(case.settings)
    try:
        named = [rest.pop(name) for name in names]
        return named, CommitteeSize(providers=case.providers, **rest)
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"{case.name}: settings: {error}") from error


SMALL = CommitteeSize(
    providers=10,
    examples_each=600,
    rounds=10,
    slice_examples=100,
    test_examples=5000,
    family={"name": "softmax-regression", "parameters": {"example_norm": 3.0}},
    local={"steps": 4, "learning_rate": 2.0, "momentum": 0.5},
)
FULL = CommitteeSize(
    providers=10,
    examples_each=5000,
    rounds=30,
    slice_examples=200,
    test_examples=10_000,
    family={"name": "mlp", "parameters": {"example_norm": 3.0, "hidden": (128,)}},
    local={"epochs": 1, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5},
)
SCALES = {"small": SMALL, "full": FULL}


@dataclass(frozen=True)
class CommitteeData:
    """One seed's data and request."""

    spec: Specification
    parts: tuple[Dataset, ...]
    slices: tuple[Dataset, ...]
    test: Dataset
    seed: int

    def run(self, seats: list[Seat], *, voting: bool = True, **changes: Any) -> SimulatedRequest:
        """Simulate the request with these seats; `changes` are fields of the specification."""
        spec = self.spec.model_copy(update=changes)
        return simulate(
            spec,
            seats,
            self.slices,
            lambda who, when: noise(self.seed, who, when),
            voting=voting,
        )


def committee_data(dataset: str, split: str, seed: int, scale: CommitteeSize) -> CommitteeData:
    """Providers' parts, evaluation slices and test set of a classification, drawn with `seed`.

    Args:
        dataset: a name of `sources`.
        split: a name of `partition`.

    Raises:
        DataError: too few examples for the scale, or a regression.
        DataMissing: the data set's files are missing.
    """
    source = sources.load(dataset, seed)
    if source.task != "classification":
        raise DataError(f"{dataset}: committees are scored on labels; this is a regression")
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(source.y_train))
    evaluation = _balanced(source.y_train, order, scale.rounds * scale.slice_examples, dataset)
    kept = order[~np.isin(order, evaluation)][: scale.providers * scale.examples_each]
    if len(kept) < scale.providers * scale.examples_each:
        raise DataError(
            f"{dataset}: {len(kept)} examples are too few for {scale.providers} providers with "
            f"{scale.examples_each} each"
        )
    rows = partition.named(split, source.y_train[kept], scale.providers, seed)
    cuts = cut_stratified(source.y_train[evaluation], scale.rounds, generator)
    tested = generator.permutation(len(source.y_test))[: scale.test_examples]
    drafted = draft(source, scale.providers, scale.rounds, scale.epsilon)
    fields = {
        **drafted,
        "privacy": {**drafted["privacy"], **scale.privacy},
        "family": scale.family,
        "local": scale.local,
    }
    return CommitteeData(
        Draft(fields, on_chain=False).specification,
        tuple(_train_part(source, kept[part]) for part in rows),
        tuple(_train_part(source, evaluation[cut]) for cut in cuts),
        Dataset(
            (source.x_test[tested] / source.scale).astype(np.float32), source.y_test[tested], ()
        ),
        seed,
    )


def _balanced(
    y: NDArray[Any], order: NDArray[np.int64], wanted: int, name: str
) -> NDArray[np.int64]:
    """The first rows in `order`, balanced over the labels: `wanted`, or a few more."""
    labels = np.unique(y)
    each = -(-wanted // len(labels))
    chosen = [order[y[order] == label][:each] for label in labels]
    if min(map(len, chosen)) < each:
        raise DataError(f"{name}: too few evaluation examples: {each} of each label are needed")
    return np.concatenate(chosen)


def _train_part(source: TrainTestData, rows: NDArray[np.int64]) -> Dataset:
    return Dataset(
        (source.x_train[rows] / source.scale).astype(np.float32), source.y_train[rows], ()
    )
