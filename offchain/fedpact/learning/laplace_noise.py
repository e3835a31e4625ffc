"""Lu et al.'s noise in training, mode `paper`: Laplace on the data vectors, then on the model.

Scale and epsilon are the paper's claim (`privacy.laplace`).
"""

from dataclasses import replace

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.errors import PrivacyError
from fedpact.learning.artefact import Model
from fedpact.privacy.laplace import add_laplace, generator_of, scale_of
from fedpact.privacy.noise import NoiseSource
from fedpact.types.specification import Specification


def noised_data(spec: Specification, dataset: Dataset, noise: NoiseSource | None) -> Dataset:
    """Lu et al.'s data vectors with Laplace noise, which they draw once for all iterations."""
    if noise is None:
        raise PrivacyError("the paper's noise on the data needs a source that all rounds share")
    scale = scale_of(spec)
    noised = add_laplace(dataset.x, *scale, generator_of(noise)).astype(np.float32)
    return replace(dataset, x=noised)


def noised_model(spec: Specification, model: Model, noise: NoiseSource) -> Model:
    """Lu et al.'s model with Laplace noise on each weight."""
    scale, generator = scale_of(spec), generator_of(noise)
    return {
        name: add_laplace(model[name], *scale, generator).astype(np.float32)
        for name in sorted(model)
    }
