"""What the text experiments have in common: a collection over providers, and what one run gives."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition
from fedpact.data.texts import TextSource
from fedpact.errors import InvalidInput
from fedpact.privacy.noise import SeededNoise

DELTA = 1e-5


@dataclass(frozen=True)
class TextTask:
    """A collection cut over providers."""

    source: TextSource
    parts: list[NDArray[np.int64]]
    """Places of each provider's training documents."""
    seed: int

    @classmethod
    def cut(cls, source: TextSource, name: str, providers: int, seed: int) -> "TextTask":
        """By the partition of that name, see `data.partition.named`."""
        return cls(source, partition.named(name, source.y_train, providers, seed), seed)

    def texts(self, seat: int) -> list[str]:
        return [self.source.train[place] for place in self.parts[seat]]

    def labels(self, seat: int) -> NDArray[np.int64]:
        return self.source.y_train[self.parts[seat]]

    def own_seed(self, seat: int) -> int:
        """Of a provider's random choices."""
        return 1_000 * self.seed + seat

    def noise(self, seat: int) -> SeededNoise:
        """That can be drawn again: the texts are public, so nothing is protected by it."""
        return SeededNoise(self.own_seed(seat))


@dataclass(frozen=True)
class Seconds:
    """Processor seconds of one thread, from raw text to the global model."""

    representation: list[float]
    """From raw text to vectors, each provider's."""
    training: list[float]
    """Training and noise, each provider's, over all rounds."""
    aggregation: float
    """What is done once for all: aggregation, solving, a vocabulary agreed on."""
    in_turn: bool = False
    """Whether providers train one after the other."""

    @property
    def slowest_training(self) -> float:
        """Training and aggregation, from vectors to the global model."""
        waited = sum(self.training) if self.in_turn else max(self.training)
        return waited + self.aggregation

    @property
    def running(self) -> float:
        """Until the global model is there, each provider on a core of its own."""
        if self.in_turn:
            return max(self.representation) + self.slowest_training
        each = [sum(two) for two in zip(self.representation, self.training, strict=True)]
        return max(each) + self.aggregation

    @property
    def processor(self) -> float:
        """Of all providers together."""
        return sum(self.representation) + sum(self.training) + self.aggregation


@dataclass(frozen=True)
class TextRun:
    """What one federation gives."""

    scores: NDArray[np.float64]
    """Of the test documents, (n, labels): probabilities, or whatever ranks them."""
    seconds: Seconds
    privacy: Mapping[str, Any] = field(default_factory=lambda: {"mode": "none"})
    curve: list[float] = field(default_factory=list)
    """Accuracy on the test documents after each round; nothing is chosen by it."""
    details: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """A way of learning from texts; its fields are the settings of a configuration."""

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """One federation; `epsilon` None without privacy.

        Raises InvalidInput for an epsilon that the family has no use for.
        """


class Clock:
    """Processor seconds of what happens within it, each time added."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> "Clock":
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._began


def refuse_epsilon(epsilon: float | None, family: str) -> None:
    """For families that have no privacy."""
    if epsilon is not None:
        raise InvalidInput(f"{family} has no privacy: epsilon {epsilon:g} means nothing to it")


def paper_privacy(epsilon: float) -> dict[str, Any]:
    """How a result names the noise of Lu et al. 2020."""
    return {
        "mode": "paper",
        "epsilon": epsilon,
        "delta": 0.0,
        "guaranteed": False,
        "accountant": "claimed by the paper: Laplace noise of scale 1 / epsilon a coordinate",
    }
