"""A request for a linear model of CIFAR-10's images on features that were learnt from dead leaves.

The steps were chosen by `tuned` on the 5,000 training images that are declared public.
"""

import logging
import math
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from fedpact.data.splitting import PUBLIC_EXAMPLES, public_slice
from fedpact.features.networks import named
from fedpact.features.networks.allowed import ImageForm
from fedpact.features.networks.named import NamedNetwork
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.linear_sums import (
    CentredFeatures,
    feature_sum,
    noised,
    softmax_gradient_sum,
)
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.cid import Cid
from fedpact.types.specification import Specification
from lab.image_requests import request
from lab.image_requests.request import Plan, Rows
from lab.synthetic_features.leaves import SIDE, dead_leaves
from lab.synthetic_features.patches import Size, learnt_network

log = logging.getLogger(__name__)

FOLDER = Path(".cache/synthetic-features")
"""Of the network, in the working folder."""
LEAVES, SEED = 5_000, 0
MIRRORED = False
"""Whether images and their mirror images count as one, for twice the time."""
DELTA = 1e-5
CENTRING_MULTIPLIER = 20.0
PUBLIC_TRAINING_SHARE = 0.8
PLANS = {
    2: Plan(20, 600.0),
    3: Plan(20, 1200.0, momentum=0.6),
    5: Plan(20, 1200.0, momentum=0.6),
    10: Plan(20, 2500.0, momentum=0.6),
}
"""By epsilon."""


@lru_cache(maxsize=1)
def network() -> NamedNetwork:
    """The network, which is made where FOLDER has none of these settings, in under a minute."""
    os.environ.setdefault(named.FOLDER_VARIABLE, str(FOLDER / "kept"))
    path = FOLDER / f"network-{_made_by()}.onnx"
    if not path.is_file():
        log.info("drawing %d images, then learning from them", LEAVES)
        content = learnt_network(dead_leaves(LEAVES, SEED), Size(), SEED)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    content = path.read_bytes()
    form, digest = named.keep(content)
    assert isinstance(form, ImageForm)
    return NamedNetwork(Cid.of(content), digest, form)


def _made_by() -> str:
    """A name for the programs that make the network, with their settings."""
    folder = Path(__file__).parent
    programs = [(folder / name).read_bytes() for name in ("leaves.py", "patches.py")]
    return sha256(b"".join([*programs, f"{LEAVES} {SEED}".encode()])).hexdigest()[:12]


@lru_cache(maxsize=1)
def _rows() -> Rows:
    return Rows.of(SIDE, MIRRORED, network())


def specification(epsilon: float) -> Specification:
    known = network()
    parameters = {
        "network": str(known.cid),
        "digest": known.digest,
        "side": SIDE,
        "width": known.form.width,
        "mirrored": int(MIRRORED),
    }
    return request.specification(parameters, PLANS[int(epsilon)], epsilon)


def run(epsilon: float, seed: int) -> float:
    """Accuracy on the test images; partition, evaluation set and noise depend on the seed."""
    return request.run(specification(epsilon), _rows(), seed)


def tuned(epsilon: float, plan: Plan, seed: int) -> float:
    """Accuracy of a plan on 1,000 of the public images if it trains on the other 4,000, with the
    noise that the mean gradient has in the private run."""
    rows = _rows()
    labels = rows.source.y_train.astype(np.int64)
    public, private = public_slice(len(labels), PUBLIC_EXAMPLES)
    order = np.random.default_rng(seed).permutation(public)
    fit, held_out = np.split(order, [int(PUBLIC_TRAINING_SHARE * len(order))])
    scale = math.sqrt(request.PROVIDERS) * len(fit) / len(private)
    centring = GaussianRelease(CENTRING_MULTIPLIER, 1.0, 1)
    multiplier = calibrate(epsilon, DELTA, plan.rounds - 1, 1.0, (centring,)) * scale
    noise = SeededNoise(seed)
    total = noised(feature_sum(rows.train[fit], 1.0), 1.0, CENTRING_MULTIPLIER * scale, noise)
    centre = (total / len(fit)).astype(np.float32)
    centred = CentredFeatures.of(rows.train[fit], centre)
    weights = np.zeros((len(rows.source.labels), centre.size))
    velocity = np.zeros_like(weights)
    for _ in range(plan.rounds - 1):
        clipped = softmax_gradient_sum(
            centred, weights.astype(np.float32), labels[fit], plan.clipping_norm
        )
        found = noised(clipped, plan.clipping_norm, multiplier, noise) / len(fit)
        velocity = plan.momentum * velocity + found
        weights -= plan.learning_rate * velocity
    tested = rows.train[held_out].astype(np.float32) - centre
    return float(((tested @ weights.T).argmax(axis=1) == labels[held_out]).mean())
