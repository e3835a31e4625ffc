"""The two yardsticks of the demo's model: all data in one place, and each provider for itself."""

from collections.abc import Sequence

from fedpact.data.dataset import Dataset
from fedpact.experiments.simulation import accuracy
from fedpact.learning.families import family
from fedpact.learning.local import train_local
from fedpact.privacy.noise import SystemNoise
from fedpact.types.specification import (
    LocalSteps,
    Privacy,
    PrivacyMode,
    Specification,
)

CENTRAL_STEPS = 500
CENTRAL_BATCH = 2048
CENTRAL_MOMENTUM = 0.9


def central_accuracy(spec: Specification, train: Dataset, test: Dataset) -> float:
    """Test accuracy of the same family trained on all providers' records, without privacy."""
    central = spec.model_copy(
        update={
            "privacy": Privacy(mode=PrivacyMode.NONE),
            "local": LocalSteps(
                steps=CENTRAL_STEPS,
                sampling_rate=min(1.0, CENTRAL_BATCH / len(train)),
                learning_rate=spec.local.learning_rate,
                momentum=CENTRAL_MOMENTUM,
            ),
        }
    )
    start = family(spec.family.name).initial(spec, seed=0)
    return accuracy(central, train_local(central, start, train, noise=None), test)


def best_single_accuracy(spec: Specification, parts: Sequence[Dataset], test: Dataset) -> float:
    """The best that one provider reaches alone: as many steps, at the same privacy."""
    return max(_alone(spec, part, test) for part in parts)


def _alone(spec: Specification, part: Dataset, test: Dataset) -> float:
    noise = SystemNoise() if spec.privacy.mode is PrivacyMode.SOUND else None
    model = family(spec.family.name).initial(spec, seed=0)
    for _ in range(spec.rounds):
        model = train_local(spec, model, part, noise=noise)
    return accuracy(spec, model, test)
