"""Trees grown from a provider's own rows: a decision tree, a random forest, boosted trees.

scikit-learn grows the single trees, which are kept and shared as arrays (`ensemble`). Boosting is
the project's own loop, Lu et al.'s distributed GBDT as far as the paper describes it: each step
fits one tree to the residuals y - p of all classes together (a leaf has one value per class, as in
Zhang & Jung 2021), with Friedman's (2001) Newton value in each leaf, and can continue from any
received model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError
from fedpact.learning.trees.ensemble import Ensemble, empty, heap, softmax, union

SMOOTHING = 1.0
"""Added to a leaf's sum of p (1 - p), so that a handful of documents makes no large step."""


@dataclass(frozen=True)
class Growth:
    """How trees grow."""

    depth: int = 6
    least_in_leaf: int = 2
    features: float = 0.1
    """Share of the features that a split may choose among."""
    learning_rate: float = 0.3
    """Of boosting."""


def decision_tree(
    rows: sparse.csr_matrix, y: NDArray[np.int64], labels: int, growth: Growth, seed: int
) -> Ensemble:
    """One tree that sees all features; leaves hold the shares of the classes."""
    from sklearn.tree import DecisionTreeClassifier

    _check(rows, y, labels)
    fitted = DecisionTreeClassifier(
        max_depth=growth.depth, min_samples_leaf=growth.least_in_leaf, random_state=seed
    ).fit(rows, y)
    return _shares_of([fitted.tree_], fitted.classes_, labels, growth.depth)


def random_forest(
    rows: sparse.csr_matrix,
    y: NDArray[np.int64],
    labels: int,
    trees: int,
    growth: Growth,
    seed: int,
) -> Ensemble:
    """Breiman's (2001) forest; leaves hold the classes' shares divided by the number of trees,
    so that the output is the mean over the trees."""
    from sklearn.ensemble import RandomForestClassifier

    _check(rows, y, labels)
    fitted = RandomForestClassifier(
        n_estimators=trees,
        max_depth=growth.depth,
        min_samples_leaf=growth.least_in_leaf,
        max_features=growth.features,
        random_state=seed,
    ).fit(rows, y)
    grown = [one.tree_ for one in fitted.estimators_]
    return _shares_of(grown, fitted.classes_, labels, growth.depth).scaled(1 / trees)


def boost(
    start: Ensemble,
    rows: sparse.csr_matrix,
    y: NDArray[np.int64],
    labels: int,
    trees: int,
    growth: Growth,
    seed: int,
) -> Ensemble:
    """`trees` more trees on top of `start`; returns only the new ones.

    The model's output is start + new, one score per class (softmax gives probabilities).
    """
    from sklearn.tree import DecisionTreeRegressor

    _check(rows, y, labels)
    columns = sparse.csc_matrix(rows, dtype=np.float32)
    scores = start.output(rows)
    target = np.eye(labels)[y]
    grown = empty(growth.depth, labels)
    seeds = np.random.SeedSequence(seed).generate_state(trees)
    for step in range(trees):
        likely = softmax(scores)
        residual = target - likely
        fitted = DecisionTreeRegressor(
            max_depth=growth.depth,
            min_samples_leaf=growth.least_in_leaf,
            max_features=growth.features,
            random_state=int(seeds[step]),
        ).fit(columns, residual)
        features, thresholds, nodes = _heap_of(fitted.tree_, growth.depth)
        one = Ensemble(
            features[None], thresholds[None], np.zeros((1, len(nodes), labels), np.float32)
        )
        leaf = one.leaves(rows)[:, 0]
        values = growth.learning_rate * _newton(residual, likely, leaf, len(nodes))
        one = Ensemble(one.feature, one.threshold, values[None].astype(np.float32))
        scores += one.value[0][leaf]
        grown = union([grown, one], [1.0, 1.0])
    return grown


def _newton(
    residual: NDArray[np.float64],
    likely: NDArray[np.float64],
    leaf: NDArray[np.int64],
    leaves: int,
) -> NDArray[np.float64]:
    """(K - 1) / K * sum r / (sum p (1 - p) + SMOOTHING) of each leaf and class; (leaves, K)."""
    labels = residual.shape[1]
    member = sparse.csr_matrix(
        (np.ones(len(leaf)), (leaf, np.arange(len(leaf)))), shape=(leaves, len(leaf))
    )
    curvature = member @ (likely * (1 - likely)) + SMOOTHING
    return np.asarray((labels - 1) / labels * (member @ residual) / curvature)


def _shares_of(
    trees: "list[object]", classes: NDArray[np.int64], labels: int, depth: int
) -> Ensemble:
    features, thresholds, values = [], [], []
    for tree in trees:
        feature, threshold, nodes = _heap_of(tree, depth)
        counts = np.zeros((len(nodes), labels))
        counts[:, classes] = tree.value[nodes, 0, :]  # type: ignore[attr-defined]
        features.append(feature)
        thresholds.append(threshold)
        values.append(counts / counts.sum(axis=1, keepdims=True))
    return Ensemble(np.stack(features), np.stack(thresholds), np.stack(values).astype(np.float32))


def _heap_of(
    tree: object, depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """A scikit-learn `Tree` in heap order."""
    return heap(
        tree.children_left,  # type: ignore[attr-defined]
        tree.children_right,  # type: ignore[attr-defined]
        tree.feature,  # type: ignore[attr-defined]
        tree.threshold,  # type: ignore[attr-defined]
        depth,
    )


def _check(rows: sparse.csr_matrix, y: NDArray[np.int64], labels: int) -> None:
    if len(y) == 0 or rows.shape[0] != len(y):
        raise DataError(f"trees: {rows.shape[0]} rows of {len(y)} classes")
    if y.min() < 0 or y.max() >= labels:
        raise DataError(f"trees: classes {y.min()} to {y.max()} of {labels}")
