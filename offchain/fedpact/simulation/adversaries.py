"""Ways in which a provider may cheat: its submissions and its votes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model, encode
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import LocalTask
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import NoiseSource
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class RoundTask:
    """A provider's inputs when it submits."""

    spec: Specification
    start: Model
    """The round's global model."""
    others: Mapping[int, Model]
    """The other members' models of the previous round, by seat; empty in the first."""
    dataset: Dataset
    noise: NoiseSource
    data_noise: NoiseSource
    """The same bits in all rounds, for mode `paper`'s noise on the data."""
    local: LocalTask
    """The strategy's start of local training, and its correction of the gradients."""
    round_and_seat: tuple[int, int]

    def train(self) -> Model:
        """The model from honest training on the data set."""
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


class SimulatedProvider:
    """An honest provider: trains as declared, votes what it measured, attests what it computed."""

    def submit(self, task: RoundTask) -> bytes:
        """The encoded local model."""
        return encode(task.train())

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        """The vote on the others' models, from the scores of all."""
        return {seat: score for seat, score in scores.items() if seat != own_seat}

    def attest(self, digest: bytes) -> bytes | None:
        """The digest that it attests, from that of the aggregate; None for no attestation."""
        return digest


class RandomWeights(SimulatedProvider):
    """Weights from N(0, 1)."""

    def submit(self, task: RoundTask) -> bytes:
        return encode(
            {
                name: task.noise.normal(values.shape, 1.0).astype(np.float32)
                for name, values in task.start.items()
            }
        )


class RandomUpdate(SimulatedProvider):
    """The global model plus as much noise as honest training would add: its norm is plausible."""

    def submit(self, task: RoundTask) -> bytes:
        empty = replace(task.dataset, x=np.zeros_like(task.dataset.x))
        return encode(replace(task, dataset=empty).train())


class NotANumber(SimulatedProvider):
    """A well-formed model, all values NaN."""

    def submit(self, task: RoundTask) -> bytes:
        return encode({name: np.full_like(one, np.nan) for name, one in task.start.items()})


class AverageOfOthers(SimulatedProvider):
    """A free rider: the mean of the others' last models, or the global model if there are none."""

    def submit(self, task: RoundTask) -> bytes:
        return encode(mean_of_others(task))


class LateAverage(AverageOfOthers):
    """A free rider that trains in the first round, so that it never submits the global model."""

    def submit(self, task: RoundTask) -> bytes:
        return super().submit(task) if task.others else SimulatedProvider.submit(self, task)


class NoisyAverage(SimulatedProvider):
    """A hidden free rider: the mean of the others' last models plus noise of plausible norm."""

    def submit(self, task: RoundTask) -> bytes:
        empty = replace(task.dataset, x=np.zeros_like(task.dataset.x))
        without = replace(task, dataset=empty, local=LocalTask(mean_of_others(task)))
        return encode(without.train())


class FalseLabels(SimulatedProvider):
    """Trains as declared, but on labels shifted by one."""

    def submit(self, task: RoundTask) -> bytes:
        shifted = (task.dataset.y + 1) % len(task.spec.labels)
        return super().submit(replace(task, dataset=replace(task.dataset, y=shifted)))


class OppositeUpdate(SimulatedProvider):
    """Trains honestly and submits the negated update: it ascends instead of descending."""

    def submit(self, task: RoundTask) -> bytes:
        honest = task.train()
        return encode({name: 2 * task.start[name] - honest[name] for name in honest})


class AdverseVotes(FalseLabels):
    """False labels, and votes every other model invalid, so that only its own might stay."""

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return {seat: INVALID for seat in scores if seat != own_seat}


class AdverseVotesOnly(SimulatedProvider):
    """An honest model, but votes every other one invalid, to be the only one paid."""

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return {seat: INVALID for seat in scores if seat != own_seat}


def mean_of_others(task: RoundTask) -> Model:
    """Unweighted mean of the others' last models; the start model if there are none."""
    if not task.others:
        return task.start
    return {
        name: np.mean(
            [model[name] for model in task.others.values()], axis=0, dtype=np.float64
        ).astype(np.float32)
        for name in task.start
    }


POISONS: dict[str, type[SimulatedProvider]] = {
    "random": RandomWeights,
    "nan": NotANumber,
    "average": AverageOfOthers,
    "adverse": AdverseVotes,
}
"""The kinds that the demo offers."""
FURTHER: dict[str, type[SimulatedProvider]] = {
    "adverse-votes-only": AdverseVotesOnly,
    "false-labels": FalseLabels,
    "random-update": RandomUpdate,
    "late-average": LateAverage,
    "noisy-average": NoisyAverage,
    "opposite-update": OppositeUpdate,
}
"""Further kinds; most keep the norm of their updates plausible."""
