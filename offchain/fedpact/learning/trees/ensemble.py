"""Ensembles of decision trees as arrays of fixed shape.

Every tree is complete and has the same depth, its inner nodes in heap order (the children of node i
are 2 i + 1 and 2 i + 2), so that the shapes, and every byte of an artefact's header, follow from
the number of trees alone: a tree that stops early continues to the left by a threshold that no
value exceeds. Node i sends a row x to the right if x[feature_i] > threshold_i. Each leaf holds
one value a class; the ensemble's output is the sum over trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import ModelError
from fedpact.learning.artefact import Model, Template

LARGEST = float(np.finfo(np.float32).max)
"""Threshold of a node that sends every row to the left."""
MAX_DEPTH = 12
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Ensemble:
    """T trees of depth d over rows of some width, K values per leaf."""

    feature: NDArray[np.int64]
    """Shape (T, 2^d - 1)."""
    threshold: NDArray[np.float32]
    """Shape (T, 2^d - 1)."""
    value: NDArray[np.float32]
    """Shape (T, 2^d, K)."""

    @property
    def trees(self) -> int:
        return len(self.value)

    @property
    def depth(self) -> int:
        return int(self.value.shape[1]).bit_length() - 1

    def model(self) -> Model:
        """As float32 tensors."""
        return {
            "feature": self.feature.astype(np.float32),
            "threshold": self.threshold,
            "value": self.value,
        }

    @classmethod
    def of(cls, model: Model, width: int) -> "Ensemble":
        """From tensors that fit `template`; ModelError for a feature that rows do not have."""
        feature = model["feature"]
        if ((feature < 0) | (feature >= width) | (feature != np.floor(feature))).any():
            raise ModelError(f"trees: a node asks for a feature outside the {width} of its rows")
        return cls(feature.astype(np.int64), model["threshold"], model["value"])

    def leaves(self, rows: sparse.csr_matrix) -> NDArray[np.int64]:
        """Leaf, 0 to 2^d - 1, of each row (n, width) in each tree; shape (n, T)."""
        used, index = np.unique(self.feature, return_inverse=True)
        index = index.reshape(self.feature.shape)
        columns = sparse.csc_matrix(rows)[:, used].tocsr()
        found = np.empty((rows.shape[0], self.trees), dtype=np.int64)
        tree = np.arange(self.trees)
        for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
            values = columns[start : start + _ROWS_AT_ONCE].toarray()
            row = np.arange(len(values))[:, None]
            node = np.zeros((len(values), self.trees), dtype=np.int64)
            for _ in range(self.depth):
                right = values[row, index[tree, node]] > self.threshold[tree, node]
                node = 2 * node + 1 + right
            found[start : start + _ROWS_AT_ONCE] = node - (2**self.depth - 1)
        return found

    def output(self, rows: sparse.csr_matrix) -> NDArray[np.float64]:
        """Sum over the trees of the leaves' values; shape (n, K), float64, trees in order."""
        total = np.zeros((rows.shape[0], self.value.shape[2]))
        leaves = self.leaves(rows)
        for tree in range(self.trees):
            total += self.value[tree, leaves[:, tree]]
        return total

    def scaled(self, factor: float) -> "Ensemble":
        """The same trees, their leaves times `factor`."""
        return Ensemble(self.feature, self.threshold, (self.value * factor).astype(np.float32))


def template(trees: int, depth: int, values: int) -> Template:
    """Tensors of an ensemble; raises ModelError for sizes out of range."""
    if trees < 0 or not 1 <= depth <= MAX_DEPTH or values < 1:
        raise ModelError(
            f"trees: {trees} of depth {depth} with {values} values per leaf are out of range"
        )
    inner, leaves = 2**depth - 1, 2**depth
    return Template(
        (
            ("feature", (trees, inner)),
            ("threshold", (trees, inner)),
            ("value", (trees, leaves, values)),
        )
    )


def empty(depth: int, values: int) -> Ensemble:
    """No trees: output 0."""
    shapes = dict(template(0, depth, values).tensors)
    return Ensemble(
        np.zeros(shapes["feature"], np.int64),
        np.zeros(shapes["threshold"], np.float32),
        np.zeros(shapes["value"], np.float32),
    )


def union(ensembles: Sequence[Ensemble], weights: Sequence[float]) -> Ensemble:
    """All trees of `ensembles`, in order, leaves multiplied by their ensemble's weight.

    With weights 1/k it is the mean of the ensembles' outputs: Algorithm 1's M = (1/k) sum m_i.
    Raises ModelError for none, or for trees of different depths or classes.
    """
    if not ensembles or len(ensembles) != len(weights):
        raise ModelError(f"union of {len(ensembles)} ensembles with {len(weights)} weights")
    if len({one.value.shape[1:] for one in ensembles}) != 1:
        raise ModelError("union of trees of different depths or numbers of classes")
    scaled = [one.scaled(weight) for one, weight in zip(ensembles, weights, strict=True)]
    return Ensemble(
        np.concatenate([one.feature for one in scaled]),
        np.concatenate([one.threshold for one in scaled]),
        np.concatenate([one.value for one in scaled]),
    )


def heap(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    feature: NDArray[np.int64],
    threshold: NDArray[np.float64],
    depth: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """One tree with child pointers (-1 at leaves, as scikit-learn has them) in heap order.

    Returns features and thresholds (2^depth - 1,) and the node of each leaf
    (2^depth,). The tree must not be deeper than `depth`.
    """
    inner = 2**depth - 1
    node = np.zeros(2 * inner + 1, dtype=np.int64)
    features, thresholds = np.zeros(inner, np.int64), np.full(inner, LARGEST, np.float32)
    for level in range(depth):
        indices = np.arange(2**level - 1, 2 ** (level + 1) - 1)
        here = node[indices]
        split = left[here] >= 0
        features[indices[split]] = feature[here[split]]
        thresholds[indices[split]] = _rounded_down(threshold[here[split]])
        node[2 * indices + 1] = np.where(split, left[here], here)
        node[2 * indices + 2] = np.where(split, right[here], here)
    return features, thresholds, node[inner:]


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """As float32, rounded down: a float32 value exceeds both or neither."""
    nearest = thresholds.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.asarray(np.where(nearest > thresholds, below, nearest), dtype=np.float32)
