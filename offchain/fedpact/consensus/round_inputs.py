"""What the scores of a round follow from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpact.consensus.public_updates import PublicUpdates
from fedpact.data.dataset import Dataset
from fedpact.learning.aggregation.base import Vector
from fedpact.learning.artefact import Model
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class RoundInputs:
    """What the scores of a round follow from, besides the contribution record.

    Mappings are by seat. Every member that holds the same inputs and record gets the same scores.
    """

    spec: Specification
    round_number: int
    """From 1."""
    start: Model
    """The global model that the round began from."""
    models: Mapping[int, Model | None]
    """The submitted local models; None where one is missing or does not fit the template."""
    samples: Mapping[int, int]
    """Declared samples of the same seats."""
    evaluation: Dataset | None
    """The round's evaluation slice. Without it (it was not opened in time), all valid models get
    the same score."""
    starts: Mapping[int, Model] = field(default_factory=dict)
    """Where the strategy had each seat's local training start, from which its update is measured;
    `start` for seats left out."""
    published: Mapping[int, Model] = field(default_factory=dict)
    """The valid models of the previous round: a member that submits one of them again did not
    train."""
    public: PublicUpdates = field(default_factory=PublicUpdates)
    """Earlier updates and movements, against which updates are to be new."""
    movement: Vector | None = None
    """How the last round moved the global model, (d,); None in the first round."""
    sums: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Of secure sums: the members whose vectors are in the sum that a seat's model is of, of seats
    that have one."""
