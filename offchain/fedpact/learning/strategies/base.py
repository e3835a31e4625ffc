"""A strategy decides where local training starts, what corrects it, and what the server does.

It is a few pure functions. All that they may know of the past is in their arguments: the round's
global models and a provider's memory. Strategies marked `published` remember only submitted and
attested models, so that anyone who has those can recompute the memory; only these run through the
chain.
"""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fedpact.learning.artefact import Model
from fedpact.types.document import Document


@dataclass(frozen=True)
class Memory:
    """State that a provider, or the server, keeps between rounds."""

    models: Mapping[str, Model] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Globals:
    """Models known to everybody when a round begins."""

    initial: Model
    """W^0."""
    start: Model
    """The round's global model."""
    before: Model | None = None
    """The previous round's global model; None in the first round."""
    server: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Correction:
    """Added to each step's gradient at w: proximal * (w - anchor) + shift."""

    proximal: float = 0.0
    anchor: Model | None = None
    """Required if `proximal` is not zero."""
    shift: Model | None = None


@dataclass(frozen=True)
class LocalTask:
    """One provider's training in one round."""

    start: Model
    correction: Correction | None = None


class Strategy(Document, ABC):
    """FedAvg, except for overridden methods; the fields are the strategy's parameters."""

    name: ClassVar[str]
    published: ClassVar[bool] = True
    """Whether its memory consists only of models that are published anyway."""
    remembers: ClassVar[bool] = False
    """Whether a provider's training depends on what it remembers."""
    personalises: ClassVar[bool] = False
    """Whether `personal` asks each provider for a model of its own."""

    def local(self, globals_: Globals, memory: Memory | None) -> LocalTask:
        """A provider's training; `memory` is None if it has not trained yet."""
        return LocalTask(globals_.start)

    def remember(
        self, globals_: Globals, memory: Memory | None, model: Model, factors: float
    ) -> Memory | None:
        """A provider's memory after it submitted `model` in the round of `globals_`.

        For a published strategy the first and the last valid submission must determine it: a
        replay may skip those in between.

        Args:
            globals_: of the round in which the model was submitted.
            factors: by how much a constant gradient of 1 would have moved the model; without
                momentum, the learning rate times the steps.
        """
        return None

    def personal(self, globals_: Globals, memory: Memory | None) -> LocalTask | None:
        """Training of a personal model, which stays with the provider; None if there is none.

        The first one starts from the initial model; `memory` is what `keep` made of the last."""
        return None

    def keep(self, memory: Memory | None, model: Model) -> Memory:
        """A provider's memory with its personal model, if `personal` asked for one."""
        return memory or Memory()

    def aggregated(
        self, round_number: int, seats: Sequence[int], included: Sequence[int]
    ) -> list[int]:
        """The included seats whose models are aggregated; at least one.

        Args:
            seats: all seats that submitted.
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
            changes: (memory before, memory after) of the providers that trained and remember.
            providers: number of providers, sampled this round or not.
        """
        return aggregate, globals_.server


def combine(*terms: tuple[float, Model]) -> Model:
    """Sum of factor * model, value by value, in float64 and in the given order, then float32."""
    found: Model = {}
    for name in sorted(terms[0][1]):
        values = np.zeros(terms[0][1][name].shape, dtype=np.float64)
        for factor, model in terms:
            values += factor * model[name].astype(np.float64)
        found[name] = values.astype(np.float32)
    return found
