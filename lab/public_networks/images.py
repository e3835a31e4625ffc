"""A request for a linear model on a public network's features of CIFAR-10's images.

The step was chosen on 4,000 of the 5,000 training images that are declared public, tested on the
other 1,000, with the noise that the mean gradient has in the private run.
"""

from functools import lru_cache

from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.types.specification import Specification
from lab.image_requests import request
from lab.image_requests.request import Plan, Rows

SIDE = 224
"""The network's own."""
PLANS = {1: Plan(20, 800.0), 2: Plan(40, 400.0), 3: Plan(40, 400.0), 5: Plan(40, 400.0)}
"""By epsilon."""


@lru_cache(maxsize=1)
def _rows() -> Rows:
    return Rows.of(SIDE, mirrored=True)


def specification(epsilon: float) -> Specification:
    parameters = {
        "network": EFFICIENTNET_LITE0.name,
        "digest": EFFICIENTNET_LITE0.digest,
        "side": SIDE,
        "mirrored": 1,
    }
    return request.specification(parameters, PLANS[int(epsilon)], epsilon)


def run(epsilon: float, seed: int) -> float:
    """Accuracy on the test images; partition, evaluation set and noise depend on the seed."""
    return request.run(specification(epsilon), _rows(), seed)
