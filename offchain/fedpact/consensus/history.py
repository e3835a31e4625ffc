"""The facts of a request that its replay needs, from any source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.types.requests import seats_of
from fedpact.types.specification import Specification


class History(Protocol):
    """What is known of a request. Rounds count from 1; every method may raise what its backend
    raises for missing or wrong content (Retryable, ContentError)."""

    @property
    def spec(self) -> Specification: ...

    def initial_model(self) -> Model:
        """The global model before the first round."""

    def samples(self, seat: int) -> int:
        """Declared samples of a member."""

    def submitted(self, number: int) -> Sequence[int]:
        """Seats that submitted a model in a round, ascending."""

    def valid(self, number: int) -> Sequence[int]:
        """Seats whose model counted as valid in the tally of a round."""

    def included(self, number: int) -> Sequence[int]:
        """Seats whose model a tallied round aggregates."""

    def model(self, number: int, seat: int) -> Model | None:
        """A submitted local model; None where what was published is no model, or came too late."""

    def published(self, number: int) -> Mapping[int, Model]:
        """The valid models of a round, by seat, against which the next round looks for copies."""

    def evaluation(self, number: int) -> Dataset | None:
        """A round's evaluation slice; None where it was not opened."""

    def final_model(self, number: int) -> Model | None:
        """The global model after a round, where it is known; None to have it computed."""

    def record(self, number: int) -> ContributionRecord | None:
        """The contribution record after a round, where it is known; None to have it computed."""


@dataclass
class InMemoryHistory:
    """A request that is played in this process: whoever plays it notes each round's facts."""

    spec: Specification
    initial: Model
    declared: Mapping[int, int]
    """Declared samples by seat."""
    models: dict[int, dict[int, Model | None]] = field(default_factory=dict)
    """Submitted models by round and seat."""
    slices: dict[int, Dataset | None] = field(default_factory=dict)
    """Evaluation slices by round."""
    sums: dict[int, dict[int, Sequence[int]]] = field(default_factory=dict)
    """Of secure sums: whose vectors are in a seat's sum, by round and seat."""
    masks: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By tallied round: the seats whose model is valid, and those whose model is included."""

    def initial_model(self) -> Model:
        return self.initial

    def samples(self, seat: int) -> int:
        return self.declared[seat]

    def submitted(self, number: int) -> Sequence[int]:
        return sorted(self.models[number])

    def valid(self, number: int) -> Sequence[int]:
        return seats_of(self.masks[number][0])

    def included(self, number: int) -> Sequence[int]:
        return seats_of(self.masks[number][1])

    def model(self, number: int, seat: int) -> Model | None:
        return self.models[number][seat]

    def summed(self, number: int, seat: int) -> Sequence[int]:
        return self.sums[number].get(seat, ())

    def published(self, number: int) -> Mapping[int, Model]:
        models = self.models[number]
        return {seat: one for seat in self.valid(number) if (one := models[seat]) is not None}

    def evaluation(self, number: int) -> Dataset | None:
        return self.slices[number]

    def final_model(self, number: int) -> Model | None:
        return None

    def record(self, number: int) -> ContributionRecord | None:
        return None

    def forget(self, before_round: int) -> None:
        """Drop the models and slices of earlier rounds."""
        for kept in (self.models, self.slices):
            for number in [one for one in kept if one < before_round]:
                del kept[number]
