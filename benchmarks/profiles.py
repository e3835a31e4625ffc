"""What a noised profile leaks, finds and costs: docs/results/profiles.json.

    FEDPACT_DATA=... python -m benchmarks.profiles --json docs/results/profiles.json

Leak: providers of documents of two groups of 20 Newsgroups (test part); a dictionary of public
words (wordfreq) and, as an insider, all words of the training part besides; what share of a
provider's 100 topical words, and of the words of one of its documents alone, 32 guesses name.

Finding: 400 providers of 500 documents each, by Dirichlet mixtures (0.1) over the 28 topics of
20 Newsgroups' test part and R8; queries are 20 documents by other mixtures (0.05). Truth is the
exhaustive weighted Jaccard of plain signatures, edges among them; published are noised ones.
Similarity ratio: mean true likeness of the ten found over that of the true ten.

The form of the signature (terms without edges where there is noise) was chosen on 20 Newsgroups'
training part. Seconds are processor time on one thread.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.data.newsgroups import newsgroups
from fedpact.data.reuters import r8
from fedpact.data.texts import TextSource
from fedpact.features.text.frequencies import public_words
from fedpact.features.text.tokens import tokenise
from fedpact.privacy.noise import SeededNoise, SystemNoise
from fedpact.retrieval.profiles.clusters import context_view
from fedpact.retrieval.profiles.composition import context_rows, data_part, term_rows
from fedpact.retrieval.profiles.leak import attacked, words_of_provider
from fedpact.retrieval.profiles.release import exact_sum, noised_sum, release_for, unit_means
from fedpact.retrieval.signature import Signature, likeness, stacked

DELTA = 1e-5
EPSILONS = (2.0, 1.0)
GUESSES = 32
REPEATS = 10
PROVIDERS, DOCUMENTS, QUERIES, QUERY_DOCUMENTS = 400, 500, 200, 20
SEEDS = (0, 1, 2)
FOUND = 10
RELEASED_DOCUMENTS = 10_000


def leak(source: TextSource, documents: int) -> list[dict[str, Any]]:
    """Mean over REPEATS providers of `documents` documents of two groups each."""
    public = public_words()[0]
    insider = np.unique(np.concatenate([public, tokenise(source.train).hashes]))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for repeat in range(REPEATS):
        generator = np.random.default_rng(repeat)
        groups = generator.choice(len(source.labels), 2, replace=False)
        indices = np.flatnonzero(np.isin(source.y_test, groups))
        texts = [source.test[p] for p in generator.choice(indices, documents, replace=False)]
        words = words_of_provider(texts)
        total = exact_sum(term_rows(texts))
        signatures: dict[str, Signature | None] = {"none": None, "plain": data_part(total)}
        for epsilon in EPSILONS:
            release = release_for(epsilon, DELTA)
            noised = noised_sum(total, release, SeededNoise(repeat))
            signatures[f"epsilon {epsilon:g}"] = data_part(noised)
        for name, dictionary in (("public", public), ("insider", insider)):
            for seen, signature in signatures.items():
                one = attacked(words, signature, dictionary, GUESSES)
                found.setdefault((name, seen), []).append((one.topical, one.rare))
    return [
        {
            "documents": documents,
            "dictionary": name,
            "signature": seen,
            "topical": round(float(np.mean([one[0] for one in values])), 4),
            "rare": round(float(np.mean([one[1] for one in values])), 4),
        }
        for (name, seen), values in found.items()
    ]


def finding(collections: list[TextSource], seed: int) -> list[dict[str, Any]]:
    """Similarity ratio and recall of ten for queries, by plain and noised signatures."""
    generator = np.random.default_rng(seed)
    texts = [text for one in collections for text in one.test]
    first = np.cumsum([0, *(len(one.labels) for one in collections)])
    topics = np.concatenate([one.y_test + at for one, at in zip(collections, first, strict=False)])
    members = [np.flatnonzero(topics == topic) for topic in range(int(first[-1]))]
    plain, terms = context_rows(texts), term_rows(texts)
    providers = _mixed(members, PROVIDERS, DOCUMENTS, 0.1, len(texts), generator)
    asked = _mixed(members, QUERIES, QUERY_DOCUMENTS, 0.05, len(texts), generator)
    queries = [data_part(total) for total in np.asarray((asked @ plain).todense())]
    truth = _scores(queries, [data_part(t) for t in np.asarray((providers @ plain).todense())])
    sums = np.asarray((providers @ terms).todense())
    results = []
    noise = SeededNoise(seed)
    for epsilon in (None, *EPSILONS):
        published = [
            data_part(
                total if epsilon is None else noised_sum(total, release_for(epsilon, DELTA), noise)
            )
            for total in sums
        ]
        results.append({"epsilon": epsilon, **_compared(truth, _scores(queries, published))})
    order = generator.permuted(np.tile(np.arange(PROVIDERS), (QUERIES, 1)), axis=1)
    results.append({"epsilon": "random choice", **_compared(truth, -order.astype(np.float64))})
    return results


def cost(source: TextSource) -> dict[str, float]:
    """Processor seconds of a profile of RELEASED_DOCUMENTS documents, part by part."""
    texts = source.train[:RELEASED_DOCUMENTS]
    units = [str(index).encode() for index in range(len(texts))]
    public_words()
    at = [time.process_time()]
    total = exact_sum(unit_means(term_rows(texts), units))
    data_part(noised_sum(total, release_for(2.0, DELTA), SystemNoise()))
    at.append(time.process_time())
    context_view(texts)
    at.append(time.process_time())
    return {
        "documents": len(texts),
        "signature_seconds": round(at[1] - at[0], 2),
        "graph_and_clusters_seconds": round(at[2] - at[1], 2),
        "seconds": round(at[2] - at[0], 2),
        "target_seconds": 20.0,
    }


def _mixed(
    members: list[NDArray[np.intp]],
    count: int,
    documents: int,
    concentration: float,
    width: int,
    generator: np.random.Generator,
) -> sparse.csr_matrix:
    """(count, width): how often each document is one of each provider's."""
    rows, columns = [], []
    mixtures = generator.dirichlet(np.full(len(members), concentration), size=count)
    for index, mixture in enumerate(mixtures):
        for topic, number in enumerate(generator.multinomial(documents, mixture)):
            rows += [index] * number
            columns += generator.choice(members[topic], number).tolist()
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, width))


def _scores(queries: list[Signature], published: list[Signature]) -> NDArray[np.float64]:
    held = stacked(published)
    return np.stack([likeness(query, *held) for query in queries])


def _compared(truth: NDArray[np.float64], seen: NDArray[np.float64]) -> dict[str, Any]:
    best = np.argsort(-truth, axis=1, kind="stable")[:, :FOUND]
    found = np.argsort(-seen, axis=1, kind="stable")[:, :FOUND]
    ratio = np.take_along_axis(truth, found, 1).mean() / np.take_along_axis(truth, best, 1).mean()
    recall = [
        len(set(a) & set(b)) / FOUND for a, b in zip(best.tolist(), found.tolist(), strict=True)
    ]
    return {"similarity_ratio": round(float(ratio), 4), "recall": round(float(np.mean(recall)), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the results")
    arguments = parser.parse_args()
    source, stories = newsgroups(), r8()
    runs = [finding([source, stories], seed) for seed in SEEDS]
    result = {
        "machine": platform.processor() or platform.machine(),
        "delta": DELTA,
        "guesses": GUESSES,
        "leak": [*leak(source, 500), *leak(source, 1)],
        "finding": [
            {
                "epsilon": same[0]["epsilon"],
                **{
                    name: round(float(np.mean([one[name] for one in same])), 4)
                    for name in ("similarity_ratio", "recall")
                },
                "least_similarity_ratio": min(one["similarity_ratio"] for one in same),
                "seeds": len(SEEDS),
            }
            for same in zip(*runs, strict=True)
        ],
        "cost": cost(source),
    }
    text = json.dumps(result, indent=2) + "\n"
    if arguments.json is None:
        print(text, end="")
    else:
        arguments.json.write_text(text)


if __name__ == "__main__":
    main()
