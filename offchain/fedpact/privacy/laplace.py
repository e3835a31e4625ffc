"""Mode `paper`: Laplace noise on data vectors and on a model (Lu et al. 2020, equations 3 to 5).

The paper adds Laplace(s / epsilon) to each coordinate of the vectors that are trained on, and again
to the model that is sent (equation 4), s being the largest L1 distance that a change of the data
makes (equation 5). It bounds neither: a vector of thousands of weights has no s of 1, and the
trained model has no known s at all. So **the epsilon is the paper's claim, not a guarantee**
(`types.privacy.CLAIM`). Numbers are drawn in floating point, by the textbook.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import NoiseSource
from fedpact.types.specification import Specification


def add_laplace(
    values: NDArray[np.floating[Any]],
    sensitivity: float,
    epsilon: float,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Equation 4: `values` plus independent Laplace noise of scale sensitivity / epsilon.

    Of vectors (n, d) as of a model (d,). It is epsilon-DP only where `sensitivity` bounds the L1
    distance of all that is noised between neighbouring data.
    """
    for name, value in (("sensitivity", sensitivity), ("epsilon", epsilon)):
        if not (math.isfinite(value) and value > 0):
            raise PrivacyError(f"{name} of Laplace noise must be positive, not {value!r}")
    if not np.isfinite(values).all():
        raise PrivacyError("cannot noise values that are not finite")
    return np.asarray(values + generator.laplace(0.0, sensitivity / epsilon, values.shape))


def scale_of(spec: Specification) -> tuple[float, float]:
    """(sensitivity, epsilon), which the schema has for this mechanism."""
    sensitivity, epsilon = spec.privacy.sensitivity, spec.privacy.epsilon
    if sensitivity is None or epsilon is None:
        raise PrivacyError(f"privacy {spec.privacy.statement} is not Laplace noise")
    return sensitivity, epsilon


def generator_of(noise: NoiseSource) -> np.random.Generator:
    """A generator seeded with the source's next bits."""
    return np.random.Generator(np.random.PCG64(noise.words(4).tolist()))
