"""Texts without privacy: a linear model over hashed words and pairs of words, in rounds.

Three (or more) providers with label-sorted shards; beside it scikit-learn's linear support vector
machine on the same rows in one place. The strength C = 1 was chosen on every fifth training
document, held out.

    python -m fedpact.experiments.text_rounds 20newsgroups r8 --rounds 30 --json FILE
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

from fedpact.experiments.text_collections import collection, label_sorted, measured
from fedpact.features.text.hashing import HashedBag
from fedpact.learning import sparse_linear
from fedpact.learning.sparse_linear import Weights

BAG = HashedBag(bits=20, common=0.0, cap=1.0, bigrams=True)
"""Words unweighted: the providers' document frequencies weigh them."""
STRENGTH = 1.0
TEXT_GCN = {"20newsgroups": 0.8634, "r8": 0.9707}
"""Accuracy of Text GCN as published (Yao et al. 2019, table 2)."""


def run_case(
    data: str, providers: int, seed: int, rounds: int, *, held_out: bool = False
) -> dict[str, Any]:
    """One federation of at most `rounds` rounds; quality on the test documents, and over rounds."""
    source = collection(data, held_out=held_out)
    train, test = _rows(data, held_out)
    parts = label_sorted(source.y_train, providers, seed)
    shards = [(train[places], source.y_train[places]) for places in parts]
    curve: list[float] = []

    def note(weights: Weights) -> None:
        curve.append(float((np.asarray(test @ weights).argmax(axis=1) == source.y_test).mean()))

    began = time.process_time()
    weights = sparse_linear.train(
        shards, train.shape[1], len(source.labels), rounds, strength=STRENGTH, on_round=note
    )
    seconds = time.process_time() - began
    quality = measured(np.asarray(test @ weights), source.y_test)
    return {
        "data": data,
        "providers": providers,
        "seed": seed,
        "metrics": asdict(quality),
        "curves": {"accuracy": curve},
        "privacy": {"mode": "none"},
        "details": {
            "rounds": len(curve),
            "bag": asdict(BAG),
            "processor_seconds": seconds,
            "text_gcn_accuracy": TEXT_GCN.get(data),
        },
    }


def central_svm(data: str, *, held_out: bool = False) -> float:
    """Accuracy of scikit-learn's LinearSVC on the same rows in one place."""
    from sklearn.svm import LinearSVC

    source = collection(data, held_out=held_out)
    train, test = _rows(data, held_out)
    fitted = LinearSVC(C=STRENGTH).fit(train, source.y_train)
    return float((fitted.predict(test) == source.y_test).mean())


@lru_cache(maxsize=2)
def _rows(data: str, held_out: bool) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Rows of norm 1 over the buckets that any training document uses, weighted by
    ln((1 + n) / (1 + df)) + 1: without privacy the providers' document frequencies are summed in
    a round 0."""
    source = collection(data, held_out=held_out)
    train, test = BAG.rows(source.train), BAG.rows(source.test)
    used = np.unique(train.indices)
    train, test = train[:, used], test[:, used]
    frequency = np.bincount(train.indices, minlength=len(used))
    weights = np.log((1 + len(source.train)) / (1 + frequency)) + 1
    return normalize(train.multiply(weights).tocsr()), normalize(test.multiply(weights).tocsr())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fedpact.experiments.text_rounds")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--providers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true", help="test on training documents")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args()
    results = []
    for data in given.data:
        svm = central_svm(data, held_out=given.held_out)
        case = run_case(data, given.providers, given.seed, given.rounds, held_out=given.held_out)
        case["details"]["central_svm_accuracy"] = svm
        results.append(case)
        curve = [round(one, 4) for one in case["curves"]["accuracy"][4::5]]
        last = {name: round(one, 4) for name, one in case["metrics"].items()}
        print(data, last, "each fifth round", curve, f"central SVM {svm:.4f}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
