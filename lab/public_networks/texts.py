"""Class sums of words and of a public network's rows over 20 Newsgroups, released once.

Buckets of words, the weight of the network's rows and the discriminant's constants were chosen on
held-out training posts (every fifth), with the noise of the whole collection.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition
from fedpact.data.dataset import Dataset
from fedpact.data.texts import TextSource
from fedpact.features.networks.pinned import MINILM
from fedpact.features.networks.sentences import sentence_features
from fedpact.learning.families import family_of
from fedpact.learning.families.base import LocalModels
from fedpact.learning.families.network_statistics import with_rows
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from fedpact.requester.draft import Draft
from fedpact.types.specification import Specification
from lab.image_requests.request import FEATURES
from lab.text_training.collections import TextMeasures, collection, measured

DATA, PARTITION, PROVIDERS = "20newsgroups", "sorted", 9
DELTA = 1e-5


@dataclass(frozen=True)
class Plan:
    bits: int
    dense_weight: float


PLANS = {1: Plan(12, 1.6), 2: Plan(12, 0.8), 5: Plan(14, 0.5)}
"""By epsilon: the more noise, the fewer buckets, and the more of the precision for the network's
rows."""


@lru_cache(maxsize=1)
def _source(windows: int) -> tuple[TextSource, NDArray[np.void], NDArray[np.void]]:
    """The posts, and those for training and for testing with their rows."""
    source = collection(DATA)
    train, test = (
        with_rows(list(texts), sentence_features(texts, FEATURES, windows))
        for texts in (source.train, source.test)
    )
    return source, train, test


def specification(epsilon: float, windows: int) -> Specification:
    plan = asdict(PLANS[int(epsilon)])
    parameters = {"network": MINILM.name, "digest": MINILM.digest, "windows": windows, **plan}
    return Draft(
        {
            "title": "Which newsgroup a post is from",
            "category": "texts/newsgroups",
            "labels": list(collection(DATA).labels),
            "features": {"kind": "text", "shape": []},
            "family": {"name": "network-statistics", "parameters": parameters},
            "aggregation": {"name": "class-sums"},
            "local": {"construction_seed": 0},
            "privacy": {"mode": "sound", "epsilon": epsilon, "delta": DELTA},
            "rounds": 1,
            "min_providers": PROVIDERS,
            "max_providers": PROVIDERS,
            "score": "contribution",
            "max_error": 9500,
        },
        on_chain=False,
    ).specification


def run(epsilon: float, seed: int, windows: int) -> TextMeasures:
    """Quality on the test posts; partition and noise depend on the seed."""
    source, train, test = _source(windows)
    spec = specification(epsilon, windows)
    family = family_of(spec)
    start, models, weights = family.initial(spec, 0), {}, {}
    for seat, rows in enumerate(partition.named(PARTITION, source.y_train, PROVIDERS, seed)):
        given = LocalTraining(
            spec,
            start,
            Dataset(train[rows], source.y_train[rows], ()),
            noise=SeededNoise(1_000 * seed + seat),
            round_and_seat=(1, seat),
        )
        models[seat], weights[seat] = train_local(given), len(rows)
    model = family.combine(spec, LocalModels(start, models, weights))
    return measured(family.predict(spec, model, test), source.y_test)
