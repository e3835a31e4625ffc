"""How a provider may cheat: what it submits and how it votes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model, encode
from fedpact.learning.local import train_local
from fedpact.learning.strategies import LocalTask
from fedpact.learning.training import LocalTraining
from fedpact.privacy.noise import NoiseSource
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class RoundTask:
    """What a provider has at hand when it must submit."""

    spec: Specification
    start: Model
    """The round's global model."""
    others: Mapping[int, Model]
    """The other members' models of the round before, by seat; empty in the first."""
    dataset: Dataset
    noise: NoiseSource
    data_noise: NoiseSource
    """The same bits in all rounds, for what mode `paper` keeps on the data."""
    local: LocalTask
    """Where the strategy has local training start, and what it adds to the gradients."""
    round_and_seat: tuple[int, int]

    def train(self) -> Model:
        """The model that honest training on the data set gives."""
        return train_local(
            LocalTraining(
                self.spec,
                self.local.start,
                self.dataset,
                noise=self.noise,
                data_noise=self.data_noise,
                round_and_seat=self.round_and_seat,
                correction=self.local.correction,
            )
        )


class Provider:
    """An honest one: trains as declared, votes what it measured."""

    approves = True
    """Whether it attests the aggregate that the included models give."""

    def submit(self, task: RoundTask) -> bytes:
        """The encoded local model."""
        return encode(task.train())

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        """The vote on the others' models, from the scores of all."""
        return {seat: score for seat, score in scores.items() if seat != own_seat}


class RandomWeights(Provider):
    """Weights from N(0, 1), whatever the model was."""

    def submit(self, task: RoundTask) -> bytes:
        return encode(
            {
                name: task.noise.normal(values.shape, 1.0).astype(np.float32)
                for name, values in task.start.items()
            }
        )


class RandomUpdate(Provider):
    """The global model plus as much noise as honest training would add: its norm is plausible."""

    def submit(self, task: RoundTask) -> bytes:
        empty = replace(task.dataset, x=np.zeros_like(task.dataset.x))
        return encode(replace(task, dataset=empty).train())


class NotANumber(Provider):
    """The right form, all values NaN."""

    def submit(self, task: RoundTask) -> bytes:
        return encode({name: np.full_like(one, np.nan) for name, one in task.start.items()})


class AverageOfOthers(Provider):
    """A free rider: the mean of the others' last models, the global model where there are none."""

    def submit(self, task: RoundTask) -> bytes:
        return encode(mean_of_others(task))


class LateAverage(AverageOfOthers):
    """A free rider that trains in the first round, so that the others' mean is no global model."""

    def submit(self, task: RoundTask) -> bytes:
        return super().submit(task) if task.others else Provider.submit(self, task)


class NoisyAverage(Provider):
    """A free rider that hides: the mean of the others' last models and noise of plausible norm."""

    def submit(self, task: RoundTask) -> bytes:
        empty = replace(task.dataset, x=np.zeros_like(task.dataset.x))
        beside = replace(task, dataset=empty, local=LocalTask(mean_of_others(task)))
        return encode(beside.train())


class FalseLabels(Provider):
    """Trains as declared, but on labels shifted by one."""

    def submit(self, task: RoundTask) -> bytes:
        shifted = (task.dataset.y + 1) % len(task.spec.labels)
        return super().submit(replace(task, dataset=replace(task.dataset, y=shifted)))


class OppositeUpdate(Provider):
    """Trains honestly and submits the update turned round: it climbs where it should descend."""

    def submit(self, task: RoundTask) -> bytes:
        honest = task.train()
        return encode({name: 2 * task.start[name] - honest[name] for name in honest})


class AdverseVotes(FalseLabels):
    """False labels, and every rival's model voted invalid, so that only the own one might stay."""

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return {seat: INVALID for seat in scores if seat != own_seat}


class AdverseVotesOnly(Provider):
    """An honest model, and every rival's voted invalid, to be the only one that is paid."""

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return {seat: INVALID for seat in scores if seat != own_seat}


def mean_of_others(task: RoundTask) -> Model:
    """Unweighted mean of the others' last models; the start model where there are none."""
    if not task.others:
        return task.start
    return {
        name: np.mean(
            [model[name] for model in task.others.values()], axis=0, dtype=np.float64
        ).astype(np.float32)
        for name in task.start
    }


POISONS: dict[str, type[Provider]] = {
    "random": RandomWeights,
    "nan": NotANumber,
    "average": AverageOfOthers,
    "adverse": AdverseVotes,
}
"""The kinds that the targets name."""
FURTHER: dict[str, type[Provider]] = {
    "adverse-votes-only": AdverseVotesOnly,
    "false-labels": FalseLabels,
    "random-update": RandomUpdate,
    "late-average": LateAverage,
    "noisy-average": NoisyAverage,
    "opposite-update": OppositeUpdate,
}
"""Kinds that go further: most keep the norm of their updates plausible."""
