"""A small draft, an evaluation set and an account, for tests of the requester alone."""

from typing import Any

import numpy as np
from eth_account import Account

from fedpact.chain.keystore import AccountKeys
from fedpact.data.dataset import Dataset
from fedpact.requester.draft import Draft


def account(number: int = 1) -> AccountKeys:
    return AccountKeys(Account.from_key(number.to_bytes(32, "big")))


def draft(**changes: Any) -> Draft:
    """Three rounds over two features and three labels."""
    fields = {
        "title": "Three clusters",
        "category": "test/clusters",
        "labels": ["red", "green", "blue"],
        "features": {"shape": [2], "scale": 2.0},
        "family": {"name": "softmax-regression"},
        "local": {"steps": 2, "learning_rate": 0.5},
        "rounds": 3,
        "min_providers": 2,
        "max_providers": 4,
        "score": "model",
        "max_error": 9000,
        "privacy": {"mode": "none"},
        **changes,
    }
    return Draft(fields)


def evaluation(counts: tuple[int, ...] = (10, 12, 30), seed: int = 0) -> Dataset:
    """`counts[k]` distinct examples of label k."""
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    return Dataset(generator.normal(size=(len(y), 2)).astype(np.float32), y, ())
