"""Attacks on a request by colluding poisoners.

Poisoners collude and know more than the protocol reveals: all providers' data, and so the models
that the honest providers train in the same round. They vote for each other, score every honest
model as invalid and attest a made-up model: more than a third of a committee stops a request so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.aggregation.base import Vector, flatten, restore
from fedpact.learning.artefact import Model, Template, encode
from fedpact.learning.reproducible_sums import length
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider, mean_of_others
from fedpact.types.scores import INVALID

PATCH = 3
"""Width and height of the back door's patch, in pixels of the last corner."""
BACKDOOR_LABEL = 0
MADE_UP = b"\x01" * 32
"""The digest that all poisoners attest."""
ALIE_DEVIATIONS = 1.5
"""As Baruch et al. 2019 use; their bound (equation 3) is 0.18 with 3 poisoners of 10."""
INNER_PRODUCT_FACTOR = 3.0
"""With 3 poisoners of 10 this factor reverses the mean of all updates (7 - 9 < 0)."""


@dataclass
class Collusion:
    """What the poisoners know in common."""

    seats: frozenset[int]
    datasets: Mapping[int, Dataset]
    """Data sets of all seats, including honest ones."""
    _of: Model | None = field(default=None, repr=False)
    _updates: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    def honest_updates(self, task: RoundTask) -> NDArray[np.float64]:
        """The honest providers' updates in this round, shape (honest, d)."""
        if self._of is not task.start:
            number, _ = task.round_and_seat
            origin = flatten(task.start)
            honest = sorted(set(self.datasets) - self.seats)
            rows = [
                flatten(
                    replace(
                        task, dataset=self.datasets[seat], round_and_seat=(number, seat)
                    ).train()
                )
                for seat in honest
            ]
            self._of, self._updates = task.start, np.stack(rows) - origin
        return self._updates


class Poisoner(SimulatedProvider):
    """Votes for its accomplices and against all others; attests a model that nobody computed."""

    def __init__(self, collusion: Collusion) -> None:
        self.collusion = collusion

    def vote(self, scores: Mapping[int, int], own_seat: int) -> dict[int, int]:
        return {
            seat: 0 if seat in self.collusion.seats else INVALID
            for seat in scores
            if seat != own_seat
        }

    def attest(self, digest: bytes) -> bytes | None:
        return MADE_UP


class LabelFlip(Poisoner):
    """Trains on labels shifted by one."""

    def submit(self, task: RoundTask) -> bytes:
        shifted = (task.dataset.y + 1) % len(task.spec.labels)
        return encode(replace(task, dataset=replace(task.dataset, y=shifted)).train())


class SignFlip(Poisoner):
    """The honest update with its sign flipped."""

    def submit(self, task: RoundTask) -> bytes:
        return moved(task, -update_of(task))


class Gaussian(Poisoner):
    """The global model plus noise with the norm of an honest update."""

    def submit(self, task: RoundTask) -> bytes:
        return moved(task, noise_of_norm(task, length(update_of(task))))


class WideGaussian(Poisoner):
    """The global model plus noise from N(0, 1) (Blanchard et al. 2017)."""

    def submit(self, task: RoundTask) -> bytes:
        return moved(task, task.noise.normal(flatten(task.start).shape, 1.0))


class NotANumberPoison(Poisoner):
    """A well-formed model with all values NaN."""

    def submit(self, task: RoundTask) -> bytes:
        return encode({name: np.full_like(one, np.nan) for name, one in task.start.items()})


class Copied(Poisoner):
    """An honest provider's model of the previous round; the global model in the first."""

    def submit(self, task: RoundTask) -> bytes:
        honest = sorted(set(task.others) - self.collusion.seats)
        return encode(task.others[honest[0]] if honest else task.start)


class AverageRider(Poisoner):
    """The mean of the others' last models; the global model in the first round."""

    def submit(self, task: RoundTask) -> bytes:
        return encode(mean_of_others(task))


class ALittleIsEnough(Poisoner):
    """The honest mean minus some standard deviations per coordinate (ALIE, Baruch et al. 2019)."""

    def submit(self, task: RoundTask) -> bytes:
        honest = self.collusion.honest_updates(task)
        return moved(task, honest.mean(axis=0) - self.deviations * honest.std(axis=0))

    @property
    def deviations(self) -> float:
        return ALIE_DEVIATIONS


class UnseenALittleIsEnough(ALittleIsEnough):
    """ALIE with as many standard deviations as its equation 3 allows to stay unnoticed."""

    @property
    def deviations(self) -> float:
        n, hostile = len(self.collusion.datasets), len(self.collusion.seats)
        supporters = n // 2 + 1 - hostile
        return max(0.0, NormalDist().inv_cdf((n - hostile - supporters) / (n - hostile)))


class InnerProduct(Poisoner):
    """The honest mean, reversed and scaled up (IPM, Xie et al. 2020)."""

    def submit(self, task: RoundTask) -> bytes:
        mean = self.collusion.honest_updates(task).mean(axis=0)
        return moved(task, -INNER_PRODUCT_FACTOR * mean)


class SmallInnerProduct(Poisoner):
    """IPM with half the honest mean, so that its norm is inconspicuous."""

    def submit(self, task: RoundTask) -> bytes:
        return moved(task, -0.5 * self.collusion.honest_updates(task).mean(axis=0))


class BackDoor(Poisoner):
    """Trains with a patch and one label on every second example (BadNets, Gu et al. 2017)."""

    def submit(self, task: RoundTask) -> bytes:
        x, y = task.dataset.x.copy(), task.dataset.y.copy()
        x[::2], y[::2] = patched(x[::2]), BACKDOOR_LABEL
        return encode(replace(task, dataset=Dataset(x, y, ())).train())


ATTACKS: dict[str, Callable[[Collusion], Poisoner]] = {
    "label-flip": LabelFlip,
    "sign-flip": SignFlip,
    "gaussian": Gaussian,
    "wide-gaussian": WideGaussian,
    "nan": NotANumberPoison,
    "copied": Copied,
    "average": AverageRider,
    "alie": ALittleIsEnough,
    "alie-unseen": UnseenALittleIsEnough,
    "ipm": InnerProduct,
    "ipm-small": SmallInnerProduct,
    "back-door": BackDoor,
}


def patched(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images, shape (n, ..., height, width), with the back door's white patch in a corner.

    Raises InvalidInput for examples without height and width.
    """
    if x.ndim < 3:
        raise InvalidInput(f"the back door needs images, not examples of shape {x.shape[1:]}")
    marked = x.copy()
    marked[..., -PATCH:, -PATCH:] = 1.0
    return marked


def update_of(task: RoundTask) -> Vector:
    """The update of honest training."""
    return flatten(task.train()) - flatten(task.start)


def noise_of_norm(task: RoundTask, norm: float) -> Vector:
    """Gaussian noise scaled to the given norm."""
    drawn = task.noise.normal(flatten(task.start).shape, 1.0)
    return drawn * (norm / length(drawn))


def moved(task: RoundTask, update: Vector) -> bytes:
    return encode(restore(flatten(task.start) + update, Template.of(task.start)))
