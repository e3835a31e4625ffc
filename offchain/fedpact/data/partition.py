"""How examples are spread over providers in experiments; each goes to exactly one provider."""

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

Parts = list[NDArray[np.int64]]
"""Places of each provider's examples, ascending."""


def iid(y: NDArray[np.int64], providers: int, seed: int) -> Parts:
    """Uniformly at random, in parts that differ by one example at most."""
    _check(y, providers)
    order = np.random.default_rng(seed).permutation(len(y))
    return _sorted(np.array_split(order, providers))


def dirichlet(y: NDArray[np.int64], providers: int, alpha: float, seed: int) -> Parts:
    """Each label's examples in proportions drawn from Dir(alpha, ..., alpha) (Hsu et al. 2019).

    Drawn anew until every provider has an example; raises DataError when a thousand draws do not.
    """
    _check(y, providers)
    if not alpha > 0:
        raise DataError(f"Dirichlet concentration must be positive, not {alpha:g}")
    generator = np.random.default_rng(seed)
    for _ in range(1000):
        parts: list[list[int]] = [[] for _ in range(providers)]
        for label in np.unique(y):
            examples = generator.permutation(np.flatnonzero(y == label))
            shares = np.cumsum(generator.dirichlet(np.full(providers, alpha)))[:-1]
            cuts = np.rint(shares * len(examples)).astype(int)
            for part, piece in zip(parts, np.split(examples, cuts), strict=True):
                part.extend(piece.tolist())
        if all(parts):
            return _sorted([np.array(part, dtype=np.int64) for part in parts])
    raise DataError(f"Dir({alpha:g}) leaves one of {providers} providers without examples")


def classes(y: NDArray[np.int64], providers: int, per_provider: int, seed: int) -> Parts:
    """`per_provider` labels to each provider, every label at equally many providers.

    A label's examples are split evenly among the providers that have it. Raises DataError where
    providers * per_provider is no multiple of the number of labels.
    """
    _check(y, providers)
    labels = np.unique(y)
    if not 1 <= per_provider <= len(labels) or providers * per_provider % len(labels):
        raise DataError(
            f"{per_provider} of {len(labels)} labels cannot be dealt to {providers} providers so "
            "that every label is at equally many of them"
        )
    generator = np.random.default_rng(seed)
    # Dealt round and round: consecutive labels of one deal are distinct, so a provider's are too.
    deal = np.tile(generator.permutation(labels), providers * per_provider // len(labels))
    owned = deal.reshape(providers, per_provider)
    parts: list[list[int]] = [[] for _ in range(providers)]
    for label in labels:
        examples = generator.permutation(np.flatnonzero(y == label))
        owners = [provider for provider in range(providers) if label in owned[provider]]
        for owner, piece in zip(owners, np.array_split(examples, len(owners)), strict=True):
            parts[owner].extend(piece.tolist())
    return _sorted([np.array(part, dtype=np.int64) for part in parts])


def _sorted(parts: list[NDArray[np.int64]]) -> Parts:
    return [np.sort(part) for part in parts]


def _check(y: NDArray[np.int64], providers: int) -> None:
    if not 1 <= providers <= len(y):
        raise DataError(f"{len(y)} examples cannot be spread over {providers} providers")
