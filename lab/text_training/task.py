"""Shared by the text experiments: a collection split across providers, and a run's outcome."""

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
    """A collection split across providers."""

    source: TextSource
    parts: list[NDArray[np.int64]]
    """Indices of each provider's training documents."""
    seed: int

    @classmethod
    def cut(cls, source: TextSource, name: str, providers: int, seed: int) -> "TextTask":
        """Split by a named partition, see `data.partition.named`."""
        return cls(source, partition.named(name, source.y_train, providers, seed), seed)

    def texts(self, seat: int) -> list[str]:
        return [self.source.train[row] for row in self.parts[seat]]

    def labels(self, seat: int) -> NDArray[np.int64]:
        return self.source.y_train[self.parts[seat]]

    def own_seed(self, seat: int) -> int:
        """Seed of a provider's random choices."""
        return 1_000 * self.seed + seat

    def noise(self, seat: int) -> SeededNoise:
        """Repeatable noise; it protects nothing, as the texts are public."""
        return SeededNoise(self.own_seed(seat))


@dataclass(frozen=True)
class Seconds:
    """Processor seconds of one thread, from raw text to the global model."""

    representation: list[float]
    """From raw text to vectors, per provider."""
    training: list[float]
    """Training and noise over all rounds, per provider."""
    aggregation: float
    """Work done once: aggregation, solving, agreeing on a vocabulary."""
    in_turn: bool = False
    """Whether providers train one after the other."""

    @property
    def slowest_training(self) -> float:
        """Training and aggregation, from vectors to the global model."""
        waited = sum(self.training) if self.in_turn else max(self.training)
        return waited + self.aggregation

    @property
    def running(self) -> float:
        """From raw text to the global model, with one core per provider."""
        if self.in_turn:
            return max(self.representation) + self.slowest_training
        each = [sum(two) for two in zip(self.representation, self.training, strict=True)]
        return max(each) + self.aggregation

    @property
    def processor(self) -> float:
        """Total over all providers."""
        return sum(self.representation) + sum(self.training) + self.aggregation


@dataclass(frozen=True)
class TextRun:
    """The outcome of one federation."""

    scores: NDArray[np.float64]
    """Scores of the test documents, (n, labels): probabilities or any ranking."""
    seconds: Seconds
    privacy: Mapping[str, Any] = field(default_factory=lambda: {"mode": "none"})
    curve: list[float] = field(default_factory=list)
    """Accuracy on the test documents after each round; not used for any choice."""
    details: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """A method of learning from texts; its fields are settings of a configuration."""

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """One federation; without privacy if `epsilon` is None.

        Raises InvalidInput if the family does not support epsilon.
        """


class Clock:
    """Adds up the processor seconds of all `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> "Clock":
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._began


def refuse_epsilon(epsilon: float | None, family: str) -> None:
    """Raise InvalidInput if epsilon is given, for families without privacy."""
    if epsilon is not None:
        raise InvalidInput(f"{family} has no privacy: leave out epsilon {epsilon:g}")


def paper_privacy(epsilon: float) -> dict[str, Any]:
    """A result's privacy under the noise of Lu et al. 2020."""
    return {
        "mode": "paper",
        "epsilon": epsilon,
        "delta": 0.0,
        "guaranteed": False,
        "accountant": "claimed by the paper: Laplace noise of scale 1 / epsilon a coordinate",
    }
