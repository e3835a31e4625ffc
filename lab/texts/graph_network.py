"""Text GCN (Yao et al. 2019), Lu et al.'s benchmark: a graph network over words and documents.

All documents, those to test without their labels, and all words are nodes of one graph. A word and
a document are joined by TF-IDF, two words by their positive pointwise mutual information over
windows of WINDOW words. Two layers, as in the paper: WIDTH values a node, dropout 0.5, Adam with a
rate of 0.02, at most EPOCHS epochs, ended early by a tenth of the training documents. Words of
fewer than MIN_COUNT occurrences and stop words are left out. Reimplemented from the paper: the
tokens are ours, the stop words scikit-learn's.
"""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from fedpact.data.texts import TextSource
from lab.text_training.task import Clock, Seconds, TextRun, TextTask, refuse_epsilon

WINDOW = 20
MIN_COUNT = 5
WIDTH = 200
DROPOUT = 0.5
LEARNING_RATE = 0.02
EPOCHS = 200
PATIENCE = 10
"""Epochs whose mean loss the held-out documents' loss must not exceed."""
HELD_OUT = 10
"""One training document in so many decides when to stop."""
WINDOWS_AT_ONCE = 200_000
_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class TextGraphNetwork:
    """Trained in one place on all providers' documents together."""

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """The same graph, however the documents are split."""
        refuse_epsilon(epsilon, "text-gcn")
        source = task.source
        with Clock() as building:
            graph = _graph([*source.train, *source.test])
        with Clock() as training:
            scores, epochs = _trained(graph, source, task.seed)
        return TextRun(
            scores,
            Seconds([building.seconds], [training.seconds], 0.0),
            details={"nodes": graph.shape[0], "edges": int(graph.nnz), "epochs": epochs},
        )


def _graph(texts: Sequence[str]) -> sparse.csr_matrix:
    """The normalised adjacency matrix, documents first: D^-1/2 A D^-1/2, float32."""
    documents = _coded(texts)
    words = 1 + max((int(one.max()) for one in documents if len(one)), default=0)
    counts = sparse.csr_matrix(
        (
            np.ones(sum(map(len, documents)), np.float32),
            np.concatenate(documents),
            np.cumsum([0, *map(len, documents)]),
        ),
        shape=(len(texts), words),
    )
    counts.sum_duplicates()
    frequency = np.bincount(counts.indices, minlength=words)
    weighted = counts.multiply(np.log(len(texts) / frequency)).tocsr()
    joined = sparse.bmat([[None, weighted], [weighted.T, _information(documents, words)]])
    adjacency = (joined + sparse.identity(joined.shape[0])).tocsr()
    inverse = sparse.diags(1 / np.sqrt(np.asarray(adjacency.sum(axis=1))[:, 0]))
    return (inverse @ adjacency @ inverse).tocsr().astype(np.float32)


def _coded(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Each text as numbers of its words, the rare ones and stop words left out."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    tokens = [_TOKEN.findall(text.lower()) for text in texts]
    counted = Counter(word for one in tokens for word in one)
    kept = sorted(
        word
        for word, count in counted.items()
        if count >= MIN_COUNT and word not in ENGLISH_STOP_WORDS
    )
    number = {word: index for index, word in enumerate(kept)}
    return [np.array([number[word] for word in one if word in number], np.int64) for one in tokens]


def _information(documents: Sequence[NDArray[np.int64]], words: int) -> sparse.csr_matrix:
    """Positive pointwise mutual information of two words, over windows; none of a word with
    itself."""
    together = sparse.csr_matrix((words, words), dtype=np.float32)
    windows = 0
    rows: list[NDArray[np.int64]] = []

    def counted() -> sparse.csr_matrix:
        there = sparse.csr_matrix(
            (
                np.ones(sum(map(len, rows)), np.float32),
                np.concatenate(rows),
                np.cumsum([0, *map(len, rows)]),
            ),
            shape=(len(rows), words),
        )
        return together + there.T @ there

    for document in documents:
        if not len(document):
            continue
        if len(document) <= WINDOW:
            rows.append(np.unique(document))
        else:
            seen = np.lib.stride_tricks.sliding_window_view(document, WINDOW)
            rows += [np.unique(one) for one in seen]
        if len(rows) >= WINDOWS_AT_ONCE:
            together, windows, rows = counted(), windows + len(rows), []
    if rows:
        together, windows = counted(), windows + len(rows)
    alone = together.diagonal()
    pairs = together.tocoo()
    shared = np.log(pairs.data * windows / (alone[pairs.row] * alone[pairs.col]))
    kept = (shared > 0) & (pairs.row != pairs.col)
    return sparse.csr_matrix(
        (shared[kept].astype(np.float32), (pairs.row[kept], pairs.col[kept])), shape=(words, words)
    )


class _Spread(torch.autograd.Function):
    """A x, of a symmetric sparse matrix A; torch's own would differentiate by A as well."""

    @staticmethod
    def forward(context: Any, adjacency: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        context.adjacency = adjacency
        return adjacency @ x

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return None, context.adjacency @ gradients[0]


def _trained(
    graph: sparse.csr_matrix, source: TextSource, seed: int
) -> tuple[NDArray[np.float64], int]:
    """Probabilities of the test documents, (n, labels), and the number of epochs."""
    generator = torch.Generator().manual_seed(seed)
    adjacency = _tensor(graph)
    y = torch.from_numpy(source.y_train)
    order = torch.randperm(len(y), generator=generator)
    held, used = order[: len(y) // HELD_OUT], order[len(y) // HELD_OUT :]
    nodes, labels = graph.shape[0], len(source.labels)
    weights = [_drawn(generator, nodes, WIDTH), _drawn(generator, WIDTH, labels)]
    optimiser = torch.optim.Adam(weights, lr=LEARNING_RATE)

    def logits(keep: bool) -> torch.Tensor:
        first, second = weights
        if not keep:
            first = first * _mask(generator, (nodes, 1))
        a = torch.relu(_spread(adjacency, first))
        if not keep:
            a = a * _mask(generator, tuple(a.shape))
        return _spread(adjacency, a @ second)

    losses: list[float] = []
    for _ in range(EPOCHS):
        optimiser.zero_grad()
        torch.autograd.backward(
            torch.nn.functional.cross_entropy(logits(keep=False)[used], y[used])
        )
        optimiser.step()
        with torch.no_grad():
            found = logits(keep=True)
        losses.append(float(torch.nn.functional.cross_entropy(found[held], y[held])))
        before = losses[-(PATIENCE + 1) : -1]
        if len(before) == PATIENCE and losses[-1] > sum(before) / PATIENCE:
            break
    tested = found[len(source.train) : len(source.train) + len(source.test)]
    return torch.softmax(tested.double(), dim=1).numpy(), len(losses)


def _tensor(matrix: sparse.csr_matrix) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data),
            matrix.shape,
            check_invariants=True,
        )


def _spread(adjacency: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    spread: torch.Tensor = _Spread.apply(adjacency, x)  # type: ignore[no-untyped-call]
    return spread


def _drawn(generator: torch.Generator, rows: int, columns: int) -> torch.Tensor:
    """Uniform (Glorot and Bengio 2010)."""
    bound = (6 / (rows + columns)) ** 0.5
    drawn: torch.Tensor = (2 * torch.rand(rows, columns, generator=generator) - 1) * bound
    return drawn.requires_grad_()


def _mask(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    kept: torch.Tensor = torch.rand(shape, generator=generator) >= DROPOUT
    return kept.float() / (1 - DROPOUT)
