"""Partitions of examples across providers, for experiments; each goes to exactly one."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

Partition = list[NDArray[np.int64]]
"""Indices of each provider's examples, in ascending order."""
SHARDS_EACH = 2
"""Shards of a provider in the label-sorted partition (McMahan et al. 2017, section 3)."""
NAMES = "iid, dir<alpha>, class<k>, sorted, group"

_NAME = re.compile(r"(?P<kind>iid|sorted|group)|dir(?P<alpha>\d*\.?\d+)|class(?P<classes>\d+)")


def named(
    name: str,
    y: NDArray[Any],
    providers: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Partition:
    """The partition of that name: `iid`, `dir0.5`, `class2`, `sorted` or `group`.

    Raises DataError for an unknown name, a partition by labels of a regression, `group` without
    groups, and a partition that is impossible.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise DataError(f"no partition {name!r}; there are {NAMES}")
    if found["kind"] == "iid":
        return iid(y, providers, seed)
    if found["kind"] == "sorted":
        return shards(y, providers, SHARDS_EACH, seed)
    if found["kind"] == "group":
        if groups is None:
            raise DataError("partition group: the data set has no groups; use another partition")
        return by_group(groups, providers, seed)
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"partition {name}: a regression has no labels; use iid, sorted or group")
    if found["alpha"]:
        return dirichlet(y, providers, float(found["alpha"]), seed)
    return classes(y, providers, int(found["classes"]), seed)


def check_labels(parts: Partition, y: NDArray[np.int64]) -> None:
    """Raise DataError if a part is empty, or has only one of several labels.

    From a single label a provider cannot learn to tell labels apart.
    """
    several = len(np.unique(y)) > 1
    for number, part in enumerate(parts, start=1):
        held = np.unique(y[part])
        if not len(held):
            raise DataError(f"provider {number} has no examples")
        if several and len(held) == 1:
            raise DataError(
                f"provider {number} has examples of only one label; choose another seed or "
                "partition, or allow it"
            )


def iid(y: NDArray[Any], providers: int, seed: int) -> Partition:
    """Uniformly at random, in parts whose sizes differ by at most one."""
    _check(y, providers)
    order = np.random.default_rng(seed).permutation(len(y))
    return _sorted(np.array_split(order, providers))


def dirichlet(y: NDArray[np.int64], providers: int, alpha: float, seed: int) -> Partition:
    """Each label's examples in proportions drawn from Dir(alpha, ..., alpha) (Hsu et al. 2019).

    Redrawn until every provider has an example; raises DataError after a thousand draws.
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


def classes(y: NDArray[np.int64], providers: int, per_provider: int, seed: int) -> Partition:
    """`per_provider` labels for each provider, each label at the same number of providers.

    A label's examples are split evenly among the providers that have it. Raises DataError unless
    providers * per_provider is a multiple of the number of labels.
    """
    _check(y, providers)
    labels = np.unique(y)
    if not 1 <= per_provider <= len(labels) or providers * per_provider % len(labels):
        raise DataError(
            f"{per_provider} of {len(labels)} labels cannot be split across {providers} providers "
            "so that each label is at the same number of them"
        )
    generator = np.random.default_rng(seed)
    # In rotation: consecutive labels are distinct, so a provider's labels are too.
    rotation = np.tile(generator.permutation(labels), providers * per_provider // len(labels))
    owned = rotation.reshape(providers, per_provider)
    parts: list[list[int]] = [[] for _ in range(providers)]
    for label in labels:
        examples = generator.permutation(np.flatnonzero(y == label))
        owners = [provider for provider in range(providers) if label in owned[provider]]
        for owner, piece in zip(owners, np.array_split(examples, len(owners)), strict=True):
            parts[owner].extend(piece.tolist())
    return _sorted([np.array(part, dtype=np.int64) for part in parts])


def shards(y: NDArray[Any], providers: int, per_provider: int, seed: int) -> Partition:
    """Sorted by label and cut into equal shards, `per_provider` for each (McMahan et al. 2017).

    A regression's values are sorted likewise. Raises DataError if a shard would be empty.
    """
    _check(y, providers)
    count = providers * per_provider
    if per_provider < 1 or count > len(y):
        raise DataError(f"{len(y)} examples cannot be cut into {count} shards")
    generator = np.random.default_rng(seed)
    # Shuffle first, so that a label's examples fall into its shards at random.
    shuffled = generator.permutation(len(y))
    pieces = np.array_split(shuffled[np.argsort(y[shuffled], kind="stable")], count)
    deal = generator.permutation(count).reshape(providers, per_provider)
    return _sorted([np.concatenate([pieces[shard] for shard in owned]) for owned in deal])


def by_group(groups: NDArray[np.int64], providers: int, seed: int) -> Partition:
    """Whole groups (engines, writers, roles) at random, in numbers that differ by at most one."""
    _check(groups, providers)
    present = np.unique(groups)
    if len(present) < providers:
        raise DataError(f"{len(present)} groups cannot be split across {providers} providers")
    dealt = np.array_split(np.random.default_rng(seed).permutation(present), providers)
    return [np.flatnonzero(np.isin(groups, owned)) for owned in dealt]


def _sorted(parts: list[NDArray[np.int64]]) -> Partition:
    return [np.sort(part) for part in parts]


def _check(y: NDArray[Any], providers: int) -> None:
    if not 1 <= providers <= len(y):
        raise DataError(f"{len(y)} examples cannot be split across {providers} providers")
