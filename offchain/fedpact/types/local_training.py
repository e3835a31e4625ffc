"""A specification's local training: what a provider computes in one round."""

import math
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from fedpact.types.bounds import LearningRate, Momentum, SamplingRate
from fedpact.types.document import Document

READING_SECONDS = 30.0
"""Set aside in a round for reading the records, before an app is started."""
START_SECONDS = 120.0
"""Set aside in a round for an app's process: Python and the app's imports (torch, datasets)."""
SLACK_SECONDS = 5.0
"""Of an app's turn, besides its own time: to hand over the records, to fork, and to end and remove
what it leaves."""
STAGE_SHARE = 0.6
"""Of a window that an app may take; the rest is for one that begins late, and for transactions. A
daemon gives a training up at 0.75."""


class _Descent(Document):
    learning_rate: LearningRate
    momentum: Momentum = 0.0
    """Its velocity is zero at the start of each round."""


class LocalSteps(_Descent):
    """A provider's work in one round: `steps` steps along sums of examples' gradients."""

    steps: Annotated[int, Field(ge=1, le=10_000)]
    sampling_rate: SamplingRate = 1.0
    """Poisson sampling rate of a step; 1: full batch."""

    def steps_for(self, samples: int) -> int:
        """Steps of a provider with `samples` examples."""
        return self.steps

    @property
    def noised_sums(self) -> tuple[float, int]:
        """Sampling rate and number of the noised sums of a round, under `sound`."""
        return self.sampling_rate, self.steps


class LocalEpochs(_Descent):
    """A provider's work in one round: `epochs` passes over its examples in shuffled batches."""

    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    shuffle_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Fixes the batches, with round and seat, so that the training can be repeated."""

    def steps_for(self, samples: int) -> int:
        """Steps of a provider with `samples` examples; the last batch of a pass may be smaller."""
        return self.epochs * -(-samples // self.batch_size)

    @property
    def noised_sums(self) -> None:
        """None: no sums are noised."""
        return None


class LocalConstruction(Document):
    """A provider's work in one round: a model built from its examples in one go (class sums,
    trees), by families that do not descend a gradient."""

    construction_seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes, with round and seat, the draws that are not noise (a tree's candidate features)."""

    def steps_for(self, samples: int) -> int:
        """One."""
        return 1

    @property
    def noised_sums(self) -> tuple[float, int]:
        """Sampling rate and number of the noised sums of a round, under `sound`."""
        return 1.0, 1


class LocalApp(Document):
    """A provider's work in one round: an app trains, once for each of `groups` disjoint groups of
    its units, on models of its own."""

    groups: Annotated[int, Field(ge=1, le=1000)]
    seconds: Annotated[float, Field(gt=0, le=86_400)]
    """Most that the app may take for one group, or to measure a model; longer counts as failed."""

    def steps_for(self, samples: int) -> int:
        """One."""
        return 1

    @property
    def noised_sums(self) -> tuple[float, int]:
        """Sampling rate and number of the noised sums of a round, under `sound`."""
        return 1.0, 1

    @property
    def turn(self) -> float:
        """Seconds in which a group's training begins and ends, whatever the app does."""
        return self.seconds + SLACK_SECONDS

    @property
    def longest(self) -> float:
        """Seconds that a round's training takes at most, with any records."""
        return READING_SECONDS + START_SECONDS + self.groups * self.turn

    def windows(self, members: int) -> dict[str, int]:
        """Least seconds of the windows in which members train, each measures the models of all
        `members`, and each measures the model that is made of them."""
        longest = {
            "submit": self.longest,
            "commit": START_SECONDS + members * self.turn,
            "propose": START_SECONDS + self.turn,
        }
        return {name: math.ceil(seconds / STAGE_SHARE) for name, seconds in longest.items()}


def _form_of_training(value: Any) -> str:
    for form, tag in (
        ("epochs", "epochs"),
        ("construction_seed", "construction"),
        ("groups", "app"),
    ):
        if form in value if isinstance(value, dict) else hasattr(value, form):
            return tag
    return "steps"


LocalTraining = Annotated[
    Annotated[LocalSteps, Tag("steps")]
    | Annotated[LocalEpochs, Tag("epochs")]
    | Annotated[LocalConstruction, Tag("construction")]
    | Annotated[LocalApp, Tag("app")],
    Discriminator(_form_of_training),
]


def fixed_time(local: LocalTraining) -> float:
    """Seconds that a round's training takes at most, with any records; 0: nothing limits it."""
    return local.longest if isinstance(local, LocalApp) else 0.0
