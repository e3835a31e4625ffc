"""Two baselines of a federation's model: each provider alone, and all data together."""

from collections.abc import Callable, Sequence

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of, represented
from fedpact.learning.local_training import train_local
from fedpact.learning.server_step import next_global
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining, without_privacy
from fedpact.privacy.noise import NoiseSource
from fedpact.types.specification import Specification


def alone(
    spec: Specification,
    part: Dataset,
    noise_of: Callable[[int], NoiseSource | None],
    seat: int = 0,
) -> Model:
    """One provider's model without the others: the same rounds, training, privacy and server steps.

    `noise_of`: the noise of a round, 0 for noise on the data; may be None under mode `none`.
    """
    part = represented(spec, part)
    first = family_of(spec).initial(spec, seed=0)
    globals_ = Globals(first, first)
    for number in range(1, spec.rounds + 1):
        start = globals_.start
        model = train_local(
            LocalTraining(
                spec,
                start,
                part,
                noise=noise_of(number),
                data_noise=noise_of(0),
                round_and_seat=(number, seat),
            )
        )
        model, server = next_global(spec, number, globals_, model, {}, 1)
        globals_ = Globals(first, model, start, server)
    return globals_.start


def central(spec: Specification, parts: Sequence[Dataset]) -> Model:
    """The model from all providers' records together, without privacy: the same rounds of training.

    It is a model of `without_privacy(spec)`, which in some families has another form.
    """
    everything = Dataset(
        np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]), ()
    )
    return alone(without_privacy(spec), everything, lambda _: None)
