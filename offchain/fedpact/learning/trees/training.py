"""Trees grown from a provider's own rows: a decision tree, a random forest, boosted trees.

Targets are classes, or, in a regression, values: `labels` is then None, and a leaf holds one value.

scikit-learn grows the single trees, which are kept and shared as arrays (`ensemble`). Boosting is
the project's own loop, Lu et al.'s distributed GBDT as far as the paper describes it: each step
fits one tree to the residuals y - p of all classes together (a leaf has one value per class, as in
Zhang & Jung 2021), with Friedman's (2001) Newton value in each leaf, and can continue from any
received model. In a regression the residuals are y - output, whose Newton value is their mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError
from fedpact.learning.trees.ensemble import Ensemble, empty, heap, union
from fedpact.privacy.linear_sums import softmax_probabilities

SMOOTHING = 1.0
"""Added to a leaf's sum of p (1 - p), or in a regression to its number of rows, so that a handful
of documents makes no large step."""
Targets = NDArray[np.int64] | NDArray[np.float64]


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
    rows: sparse.csr_matrix, y: Targets, labels: int | None, growth: Growth, seed: int
) -> Ensemble:
    """One tree that sees all features; leaves hold the shares of the classes, or the mean value."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    _check(rows, y, labels)
    kind = DecisionTreeRegressor if labels is None else DecisionTreeClassifier
    fitted = kind(
        max_depth=growth.depth, min_samples_leaf=growth.least_in_leaf, random_state=seed
    ).fit(rows, y)
    return _grown_of([fitted.tree_], _columns(fitted, labels), growth.depth)


def random_forest(
    rows: sparse.csr_matrix,
    y: Targets,
    labels: int | None,
    trees: int,
    growth: Growth,
    seed: int,
) -> Ensemble:
    """Breiman's (2001) forest; leaves hold the classes' shares, or the mean value, divided by the
    number of trees, so that the output is the mean over the trees."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    _check(rows, y, labels)
    kind = RandomForestRegressor if labels is None else RandomForestClassifier
    fitted = kind(
        n_estimators=trees,
        max_depth=growth.depth,
        min_samples_leaf=growth.least_in_leaf,
        max_features=growth.features,
        random_state=seed,
    ).fit(rows, y)
    grown = [one.tree_ for one in fitted.estimators_]
    return _grown_of(grown, _columns(fitted, labels), growth.depth).scaled(1 / trees)


def boost(
    start: Ensemble,
    rows: sparse.csr_matrix,
    y: Targets,
    labels: int | None,
    trees: int,
    growth: Growth,
    seed: int,
) -> Ensemble:
    """`trees` more trees on top of `start`; returns only the new ones.

    The model's output is start + new: one score per class (softmax gives probabilities), or the
    value.
    """
    from sklearn.tree import DecisionTreeRegressor

    _check(rows, y, labels)
    columns = sparse.csc_matrix(rows, dtype=np.float32)
    scores = start.output(rows)
    target = y[:, None].astype(np.float64) if labels is None else np.eye(labels)[y]
    outputs = target.shape[1]
    grown = empty(growth.depth, outputs)
    seeds = np.random.SeedSequence(seed).generate_state(trees)
    for step in range(trees):
        residual, curvature = _residual(target, scores, labels)
        fitted = DecisionTreeRegressor(
            max_depth=growth.depth,
            min_samples_leaf=growth.least_in_leaf,
            max_features=growth.features,
            random_state=int(seeds[step]),
        ).fit(columns, residual)
        features, thresholds, nodes = _heap_of(fitted.tree_, growth.depth)
        one = Ensemble(
            features[None], thresholds[None], np.zeros((1, len(nodes), outputs), np.float32)
        )
        leaf = one.leaves(rows)[:, 0]
        values = growth.learning_rate * _newton(residual, curvature, leaf, len(nodes))
        one = Ensemble(one.feature, one.threshold, values[None].astype(np.float32))
        scores += one.value[0][leaf]
        grown = union([grown, one], [1.0, 1.0])
    return grown


def _residual(
    target: NDArray[np.float64], scores: NDArray[np.float64], labels: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The loss's negative gradient by the scores and its second derivative, each (n, outputs)."""
    if labels is None:
        return target - scores, np.ones_like(target)
    likely = softmax_probabilities(scores)
    return target - likely, likely * (1 - likely)


def _newton(
    residual: NDArray[np.float64],
    curvature: NDArray[np.float64],
    leaf: NDArray[np.int64],
    leaves: int,
) -> NDArray[np.float64]:
    """Of each leaf and output, (leaves, K): (K - 1) / K * sum residual / (sum curvature +
    SMOOTHING), for the K classes' residuals sum to 0; without the factor for a single value."""
    member = sparse.csr_matrix(
        (np.ones(len(leaf)), (leaf, np.arange(len(leaf)))), shape=(leaves, len(leaf))
    )
    outputs = residual.shape[1]
    factor = (outputs - 1) / outputs if outputs > 1 else 1.0
    return np.asarray(factor * (member @ residual) / (member @ curvature + SMOOTHING))


def _columns(fitted: object, labels: int | None) -> tuple[NDArray[np.int64], int] | None:
    """The columns of a leaf's values that a fitted classifier knows, of how many; None: values."""
    return None if labels is None else (fitted.classes_, labels)  # type: ignore[attr-defined]


def _grown_of(
    trees: "list[object]", columns: tuple[NDArray[np.int64], int] | None, depth: int
) -> Ensemble:
    """Leaves hold each class's share of their examples, or the mean value."""
    features, thresholds, values = [], [], []
    for tree in trees:
        feature, threshold, nodes = _heap_of(tree, depth)
        value = tree.value[nodes, 0, :]  # type: ignore[attr-defined]
        if columns is not None:
            classes, labels = columns
            counts = np.zeros((len(nodes), labels))
            counts[:, classes] = value
            value = counts / counts.sum(axis=1, keepdims=True)
        features.append(feature)
        thresholds.append(threshold)
        values.append(value)
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


def _check(rows: sparse.csr_matrix, y: Targets, labels: int | None) -> None:
    if len(y) == 0 or rows.shape[0] != len(y):
        raise DataError(f"trees: {rows.shape[0]} rows of {len(y)} targets")
    if labels is None:
        if not np.isfinite(y).all():
            raise DataError(f"trees: {np.sum(~np.isfinite(y))} of {len(y)} values are not finite")
    elif y.min() < 0 or y.max() >= labels:
        raise DataError(f"trees: classes {y.min()} to {y.max()} of {labels}")
