"""A provider's personal model: what its own records make of a published global model, without
giving anything away.

Ditto (Li et al. 2021) asks for the v that minimises the own loss + lambda / 2 * |v - w|^2, where w
is the global model. Its algorithm 1 trains v beside w, round by round; but w does not depend on v.
Here w is known when v is trained, so v starts from it, and one global model is enough.
"""

from collections.abc import Callable

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError, SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals, LocalTask, Memory, Strategy, strategy
from fedpact.learning.strategies.base import combine
from fedpact.learning.training_inputs import LocalTraining, without_privacy
from fedpact.types.device import PROCESSOR
from fedpact.types.specification import Specification

PASSES = 20
"""Local trainings, each as the request asks for in a round."""
AVERAGED = 10
"""The personal model is the mean of what the last so many of them end with (Polyak & Juditsky
1992): with few records a single one depends on its last batches."""


def personalising(spec: Specification) -> Strategy:
    """The specification's strategy; raises SpecificationError if it makes no personal models."""
    plan = strategy(spec.strategy)
    if not plan.personalises:
        raise SpecificationError(
            f"strategy {spec.strategy.name} makes no personal models: only a request with the"
            " strategy ditto does"
        )
    return plan


def personal_model(
    spec: Specification,
    global_model: Model,
    dataset: Dataset,
    on_pass: Callable[[int], None] | None = None,
    device: str = PROCESSOR,
) -> Model:
    """PASSES local trainings that begin at the global model and are drawn towards it; the mean of
    the last AVERAGED.

    No record's contribution is clipped and nothing is noised, whatever the request's privacy says
    of what is released.

    Args:
        dataset: represented as the family takes it (`families.represented`).
        on_pass: called with the number of finished passes.
        device: torch's name of the one to train on.

    Raises SpecificationError for a strategy without personal models, and DataError for records that
    the family cannot be trained on and for a model that is no longer finite.
    """
    plan, fixed = personalising(spec), Globals(global_model, global_model)
    openly = without_privacy(spec)
    memory: Memory | None = None
    last: list[tuple[float, Model]] = []
    for number in range(1, PASSES + 1):
        task = plan.personal(fixed, memory)
        assert task is not None
        model = _trained(openly, number, task, dataset, device)
        memory = plan.keep(memory, model)
        if number > PASSES - AVERAGED:
            last.append((1 / AVERAGED, model))
        if on_pass is not None:
            on_pass(number)
    return combine(*last)


def _trained(
    spec: Specification, number: int, task: LocalTask, dataset: Dataset, device: str
) -> Model:
    # Number and seat only order the batches.
    model = train_local(
        LocalTraining(
            spec,
            task.start,
            dataset,
            noise=None,
            round_and_seat=(number, 0),
            correction=task.correction,
            device=device,
        )
    )
    if not all(np.isfinite(values).all() for values in model.values()):
        raise DataError(
            "the personal model is no longer finite: the request's learning rate is too large for"
            " a training without clipping"
        )
    return model
