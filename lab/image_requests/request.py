"""A request for a linear model on a frozen network's features of CIFAR-10's images.

`simulate` runs what the daemons run, in one process: drafted noise, the statistics round, updates
bounded by their mechanism, votes on the evaluation set, the error ceiling and server momentum. The
5,000 training images that are declared public are held by no provider; the evaluation set is drawn
from them.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import PUBLIC_EXAMPLES
from fedpact.demo.drafts import draft, split
from fedpact.features.networks.images import image_features
from fedpact.features.networks.named import NamedNetwork
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy, noise, simulate
from fedpact.types.specification import Specification

DATA, PARTITION, PROVIDERS = "cifar10", "class2", 10
FEATURES = Path(".cache/features")
"""Folder of computed features, in the working folder."""


@dataclass(frozen=True)
class Plan:
    rounds: int
    learning_rate: float
    clipping_norm: float = 0.1
    momentum: float = 0.9


@dataclass(frozen=True)
class Rows:
    """The images, and the network's rows of those for training and of those for testing."""

    source: TrainTestData
    train: NDArray[np.float16]
    test: NDArray[np.float16]

    @classmethod
    def of(cls, side: int, mirrored: bool, named: NamedNetwork | None = None) -> "Rows":
        """Kept in FEATURES; see `image_features`."""
        source = sources.load(DATA)

        def rows(images: NDArray[np.generic]) -> NDArray[np.float16]:
            values = images.astype(np.float32) / np.float32(source.scale)
            return image_features(
                values.reshape(-1, *source.shape), side, mirrored, FEATURES, named
            )

        return cls(source, rows(source.x_train), rows(source.x_test))


def specification(parameters: dict[str, Any], plan: Plan, epsilon: float) -> Specification:
    """`parameters`: of the family `network-linear`."""
    fields: dict[str, Any] = draft(sources.load(DATA), PROVIDERS, plan.rounds, epsilon)
    fields["privacy"]["clipping_norm"] = plan.clipping_norm
    return Draft(
        fields
        | {
            "family": {"name": "network-linear", "parameters": parameters},
            "local": {"steps": 1, "learning_rate": plan.learning_rate},
            "strategy": {"name": "fedavgm", "parameters": {"momentum": plan.momentum}},
        },
        on_chain=False,
    ).specification


def run(spec: Specification, rows: Rows, seed: int) -> float:
    """Accuracy on the test images; partition, evaluation set and noise depend on the seed."""
    source = rows.source
    private, chosen = split(source, spec.rounds, seed, PUBLIC_EXAMPLES)

    def part(index: NDArray[np.int64]) -> Dataset:
        return Dataset(rows.train[index], source.y_train[index].astype(np.int64), ())

    parts = partition.named(PARTITION, source.y_train[private], PROVIDERS, seed)
    cuts = cut_stratified(source.y_train[chosen], spec.rounds, np.random.default_rng(seed))
    found = simulate(
        spec,
        [
            Seat(number, part(private[index]), SimulatedProvider())
            for number, index in enumerate(parts)
        ],
        [part(chosen[cut]) for cut in cuts],
        lambda provider, number: noise(seed, provider, number),
    )
    return accuracy(spec, found.model, Dataset(rows.test, source.y_test.astype(np.int64), ()))


def about(
    dataset: str, network: str, partition: str, providers: int, epsilon: float
) -> dict[str, Any]:
    """The fields of a result that say what was measured."""
    return {
        "dataset": dataset,
        "network": network,
        "partition": partition,
        "providers": providers,
        "privacy": "sound",
        "epsilon": epsilon,
    }


def figures(metric: str, values: list[float]) -> dict[str, Any]:
    """Those that say what was found, over seeds."""
    return {
        "metric": metric,
        "mean": round(mean(values), 5),
        "std": round(stdev(values), 5),
        "seeds": len(values),
    }
