"""What a strategy decides: where local training starts, what bends it, what the server does.

A strategy is a few pure functions. What it must know of the past is handed in: of the server the
round's global models, of a provider its memory. Strategies marked `published` remember nothing but
submitted and attested models, so that whoever holds those can work the memory out again: they run
through the chain.
"""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fedpact.learning.artefact import Model
from fedpact.types.specification import Document


@dataclass(frozen=True)
class Memory:
    """What one provider, or the server, keeps from round to round."""

    models: Mapping[str, Model] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Globals:
    """What all know when a round begins."""

    initial: Model
    """W^0."""
    start: Model
    """The round's global model."""
    before: Model | None = None
    """The one before that; None in the first round."""
    server: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Correction:
    """Added to each step's gradient at w: proximal * (w - anchor) + shift."""

    proximal: float = 0.0
    anchor: Model | None = None
    """Needed where `proximal` is not zero."""
    shift: Model | None = None


@dataclass(frozen=True)
class LocalTask:
    """One provider's training in one round."""

    start: Model
    correction: Correction | None = None


class Strategy(Document, ABC):
    """FedAvg, where a method is not overridden; the fields are the strategy's parameters."""

    name: ClassVar[str]
    published: ClassVar[bool] = True
    """Whether it remembers only what providers and committees publish anyway."""
    remembers: ClassVar[bool] = False
    """Whether its providers have a memory."""

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        """A provider's training; `memory` None where it has not trained yet."""
        return LocalTask(globals_.start)

    def remember(
        self, globals_: Globals, memory: Memory | None, model: Model, factors: float
    ) -> Memory | None:
        """A provider's memory after it submitted `model`.

        Of a published strategy it follows from the first and the last submission.
        `factors`: by how much a constant gradient of 1 would have moved the model, the learning
        rate times the steps where there is no momentum.
        """
        return None

    def personal(self, globals_: Globals, memory: Memory | None) -> LocalTask | None:
        """A training of its own for a model that stays with the provider; None: there is none."""
        return None

    def keep(self, memory: Memory | None, model: Model) -> Memory:
        """A provider's memory with its personal model, where `personal` asked for one."""
        return memory or Memory()

    def aggregated(
        self, round_number: int, seats: Sequence[int], included: Sequence[int]
    ) -> list[int]:
        """Of the seats that the votes left in, those whose models are aggregated; at least one.

        Args:
            seats: all that submitted.
            included: at least one.
        """
        return list(included)

    def server(
        self,
        globals_: Globals,
        aggregate: Model,
        changes: Mapping[int, tuple[Memory | None, Memory]],
        providers: int,
    ) -> tuple[Model, Memory]:
        """The next global model and the server's memory.

        Args:
            changes: (memory before, memory after) of those who trained and remember.
            providers: the federation's number, sampled this round or not.
        """
        return aggregate, globals_.server


def combine(*terms: tuple[float, Model]) -> Model:
    """Sum of factor * model, value by value in float64 in the order given, then float32."""
    found: Model = {}
    for name in sorted(terms[0][1]):
        values = np.zeros(terms[0][1][name].shape, dtype=np.float64)
        for factor, model in terms:
            values += factor * model[name].astype(np.float64)
        found[name] = values.astype(np.float32)
    return found
