"""The inputs of one local training."""

from dataclasses import KW_ONLY, dataclass

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.strategies import Correction
from fedpact.privacy.noise import NoiseSource
from fedpact.types.privacy import Privacy, PrivacyMode
from fedpact.types.specification import Specification


@dataclass(frozen=True)
class LocalTraining:
    """One provider's training in one round."""

    spec: Specification
    start: Model
    """The model that training starts from."""
    dataset: Dataset
    _: KW_ONLY
    noise: NoiseSource | None
    """Source of noise and sampling; None only under privacy mode `none`."""
    data_noise: NoiseSource | None = None
    """Source of mode `paper`'s Laplace noise on the data: the same bits in all rounds."""
    round_and_seat: tuple[int, int] | None = None
    """With the specification's seed, they fix the batches and all other draws that are not noise.
    Required for epochs and construction, and by families whose first round gathers statistics."""
    correction: Correction | None = None
    """What a strategy adds to each step's gradient, after clipping and noise."""
    device: str = "cpu"
    """Torch's name of the device on which networks of torch train; all else is on the processor."""


def without_privacy(spec: Specification) -> Specification:
    """The same request in mode `none`."""
    return spec.model_copy(update={"privacy": Privacy(mode=PrivacyMode.NONE)})
