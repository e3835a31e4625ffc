"""Random examples of a request's form, to try a family with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Targets
from fedpact.data.documents import documents
from fedpact.learning.families.base import ModelFamily
from fedpact.types.specification import Specification

WORDS = [chr(ord("a") + one) * 3 for one in range(26)]
LONGER = 4
"""Words that each text has more than the one before it."""
LONGEST = 8
"""Texts after which lengths start over."""


def drawn_examples(
    family: ModelFamily[Any], spec: Specification, count: int, seed: int
) -> tuple[NDArray[np.float32], Targets]:
    """What the family makes of numbers from 0 to 1, (count, *shape), or of texts of random words;
    and random labels, or normal values."""
    random = np.random.default_rng(seed)
    if spec.features.kind == "text":
        sizes = [1 + LONGER * (row % LONGEST) for row in range(count)]
        drawn = documents([" ".join(random.choice(WORDS, size)) for size in sizes])
    else:
        drawn = random.random((count, *spec.features.shape)).astype(np.float32)
    x = family.represented(spec, drawn).astype(np.float32, copy=False)
    if spec.task == "classification":
        return x, random.integers(0, spec.outputs, count)
    return x, random.normal(size=count).astype(np.float32)
