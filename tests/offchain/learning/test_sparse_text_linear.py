import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import LinearSVC

from fedpact.errors import DataError, InvalidInput
from fedpact.learning.sparse_linear import loss_and_gradient, train


def documents(count: int, seed: int) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, count)
    rows = generator.random((count, 30)) * (generator.random((count, 30)) < 0.3)
    rows[np.arange(count), y] += 0.4
    return sparse.csr_matrix(rows), y


def test_loss_and_gradient_by_hand() -> None:
    # One row x = 2 of class 0, weights (0.25, -1): scores 0.5, -2; hinges 0.5 and 0.
    loss, gradient = loss_and_gradient(
        np.array([[0.25, -1.0]]), sparse.csr_matrix([[2.0]]), np.array([0])
    )
    assert loss == 0.25
    np.testing.assert_array_equal(gradient, [[-2.0, 0.0]])


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    rows, y = documents(20, 0)
    weights = np.random.default_rng(1).normal(size=(30, 3))
    _, gradient = loss_and_gradient(weights, rows, y)
    step = np.zeros_like(weights)
    step[4, 1] = 1e-6
    slope = (
        loss_and_gradient(weights + step, rows, y)[0]
        - loss_and_gradient(weights - step, rows, y)[0]
    )
    assert gradient[4, 1] == pytest.approx(slope / 2e-6, rel=1e-4)


def test_thirty_rounds_of_sorted_shards_reach_the_central_machine() -> None:
    rows, y = documents(400, 2)
    order = np.argsort(y, kind="stable")
    shards = [(rows[part], y[part]) for part in np.array_split(order, 3)]
    rounds: list[float] = []
    found = train(shards, 30, 3, 30, on_round=lambda weights: rounds.append(0.0))
    fresh, _ = documents(400, 3)
    central = LinearSVC(fit_intercept=False).fit(rows, y).predict(fresh)
    ours = np.asarray(fresh @ found).argmax(axis=1)
    assert len(rounds) <= 30
    assert (ours == central).mean() > 0.97


def test_rounds_end_when_they_are_used_up() -> None:
    rounds: list[float] = []
    train([documents(50, 4)], 30, 3, 4, on_round=lambda weights: rounds.append(0.0))
    assert len(rounds) == 4


def test_what_does_not_fit_is_refused() -> None:
    rows, y = documents(5, 0)
    with pytest.raises(DataError):
        loss_and_gradient(np.zeros((29, 3)), rows, y)
    with pytest.raises(InvalidInput):
        train([], 30, 3, 10)
