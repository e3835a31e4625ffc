"""The demo's draft of a request for a classifier, and the split of its data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.consensus.scoring import NEUTRAL
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import hold_out, public_slice
from fedpact.errors import DataError
from fedpact.types.privacy import PrivacyMode

CATEGORY = "images/digits"
PROVIDERS = 4
EPSILON = 4.0
DELTA = 1e-5
ROUNDS = 10
STEPS = 4
LEARNING_RATE = 2.0
MOMENTUM = 0.5
CLIPPING_NORM = 1.0
EXAMPLE_NORM = 3.0
VOTE_BAND = 50
EVALUATION_SHARE = 0.25
"""Largest share of the training records for the requester's evaluation set."""
SLICE_EXAMPLES = 100
"""Most examples of one slice."""
WINDOWS = {
    "join": 120,
    "start": 30,
    "submit": 120,
    "commit": 60,
    "reveal": 60,
    "propose": 30,
    "deliver": 60,
}


def draft(
    source: TrainTestData,
    providers: int = PROVIDERS,
    rounds: int | None = None,
    epsilon: float | None = EPSILON,
) -> dict[str, Any]:
    """The draft of a request for a classifier of `source`: a specification without the
    fields that follow from its evaluation set.

    `epsilon` None asks for privacy mode `none`; `rounds` None is ROUNDS.
    """
    privacy: dict[str, Any] = {"mode": PrivacyMode.NONE.value}
    if epsilon is not None:
        privacy = {
            "mode": PrivacyMode.SOUND.value,
            "epsilon": epsilon,
            "delta": DELTA,
            "clipping_norm": CLIPPING_NORM,
        }
    return {
        "title": f"A classifier of {source.name}",
        "category": CATEGORY,
        "labels": list(source.labels),
        "features": {"shape": list(source.shape), "scale": source.scale},
        "family": {"name": "softmax-regression", "parameters": {"example_norm": EXAMPLE_NORM}},
        "local": {"steps": STEPS, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM},
        "rounds": ROUNDS if rounds is None else rounds,
        "min_providers": providers,
        "max_providers": providers,
        "score": "contribution",
        "max_error": NEUTRAL,
        "vote_band": VOTE_BAND,
        "privacy": privacy,
        "windows": dict(WINDOWS),
    }


def split(
    source: TrainTestData, rounds: int, seed: int, public: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training examples: (the providers' records, the requester's evaluation set).

    The set has every label equally often: EVALUATION_SHARE of the records, SLICE_EXAMPLES per
    round, or half of the rarest label's records, whichever is least, but at least one example of
    each label per round. `public`: number of records declared public; the set is drawn from them,
    and providers get none. Where groups are privacy units, whole groups are held out instead.
    Raises DataError if the set needs more than half of a label's records.
    """
    if source.grouped_units:
        return hold_out(source, EVALUATION_SHARE, seed)
    among = np.arange(len(source.y_train))
    if public:
        among, private = public_slice(len(source.y_train), public)
    y = source.y_train[among]
    labels, counts = np.unique(y, return_counts=True)
    wanted = min(EVALUATION_SHARE * len(source.y_train), SLICE_EXAMPLES * rounds)
    each = max(rounds, min(round(wanted / len(labels)), int(counts.min()) // 2))
    if 2 * each > counts.min():
        raise DataError(
            f"{source.name}: {rounds} rounds need {each} evaluation examples of each label, more "
            f"than half of the rarest's {counts.min()}"
        )
    generator = np.random.default_rng(seed)
    chosen = np.concatenate(
        [generator.permutation(np.flatnonzero(y == one))[:each] for one in labels]
    )
    if public:
        return private, np.sort(among[chosen])
    kept = np.ones(len(source.y_train), dtype=bool)
    kept[chosen] = False
    return np.flatnonzero(kept), np.sort(chosen)
