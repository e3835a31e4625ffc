"""What a provider computes in a round: the interface between daemon and learning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.strategies import LocalTask
from fedpact.types.device import PROCESSOR
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.privacy.noise import NoiseSource


@dataclass(frozen=True)
class TrainingTask:
    """One round's local training. `start` is the round's first global model; `local` says where the
    strategy begins to train and how it corrects the steps."""

    spec: Specification
    round: int
    start: Model
    local: LocalTask
    dataset: Dataset
    own_seat: int
    others: Mapping[int, Model | None]
    """The members' models of the previous round, by seat (empty in round 1)."""
    data_seed: int
    """Seed of mode `paper`'s noise on the data: a secret, the same in all rounds of a request."""


class LocalWork:
    """Trains and votes as the protocol requires."""

    device = PROCESSOR

    def __init__(self, device: str = PROCESSOR) -> None:
        """`device`: torch's name of the one for training; votes are computed on the processor."""
        self.device = device

    def try_device(self, spec: Specification) -> None:
        """Raise DeviceUnfit where a request's privacy would not hold on the device."""
        from fedpact.learning.families import family_of

        family_of(spec).check_sound(spec, self.device)

    def train(self, task: TrainingTask, on_step: Callable[[int, int], None] | None = None) -> bytes:
        """The encoded local model; of a secure sum the own integers, 8 bytes each.

        Noise is drawn from the operating system; mode `paper`'s noise
        on the data follows from `data_seed`."""
        from fedpact.learning.artefact import encode
        from fedpact.learning.local_training import train_local
        from fedpact.learning.summed_release import member_integers
        from fedpact.learning.training_inputs import LocalTraining
        from fedpact.privacy.noise import SeededNoise

        private = task.spec.privacy.mode is not PrivacyMode.NONE
        training = LocalTraining(
            task.spec,
            task.local.start,
            task.dataset,
            noise=self.noise() if private else None,
            data_noise=SeededNoise(task.data_seed),
            round_and_seat=(task.round, task.own_seat),
            correction=task.local.correction,
            device=self.device,
        )
        if task.spec.privacy.sum is not None:
            return member_integers(training).astype("<i8").tobytes()
        return encode(train_local(training, on_step=on_step))

    def noise(self) -> "NoiseSource":
        """Where the noise of a training comes from: the operating system."""
        from fedpact.privacy.noise import SystemNoise

        return SystemNoise()

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        """The scores to commit, by seat, without this member's own; 1/10,000, lower is better."""
        return {seat: score for seat, score in scores.items() if seat != own_seat}
