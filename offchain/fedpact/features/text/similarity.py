"""Two Jaccard distances of weighted vectors.

Between rows a and b, none negative:

* *weighted*: 1 - sum_j min(a_j, b_j) / sum_j max(a_j, b_j) (Ruzicka's), a metric.
* *support-weighted*: the weights of entries that only one of the two has, over all weights,
  sum over j in exactly one support of (a_j + b_j) / sum_j (a_j + b_j) (Lu et al. 2020, equation 1,
  without its physical distance). It ignores how much of a shared term each has.

Two empty rows are at distance 0, an empty and another at 1.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def weighted_jaccard(a: sparse.csr_matrix, b: sparse.csr_matrix) -> NDArray[np.float64]:
    """Distances (n, m) between the rows of `a` (n, width) and of `b` (m, width)."""
    mass_a, mass_b = _masses(a), _masses(b)
    shared = np.zeros((a.shape[0], b.shape[0]))
    a = sparse.csr_matrix(a, dtype=np.float64)
    for index in range(b.shape[0]):
        row = np.zeros(b.shape[1])
        one = slice(b.indptr[index], b.indptr[index + 1])
        row[b.indices[one]] = b.data[one]
        lesser = np.minimum(a.data, row[a.indices])
        shared[:, index] = np.add.reduceat(np.append(lesser, 0.0), a.indptr[:-1]) * (
            np.diff(a.indptr) > 0
        )
    union = mass_a[:, None] + mass_b[None, :] - shared
    return _distance(shared, union)


def support_weighted_jaccard(a: sparse.csr_matrix, b: sparse.csr_matrix) -> NDArray[np.float64]:
    """Distances (n, m) by equation 1 between the rows of `a` (n, width) and of `b` (m, width)."""
    shared = np.asarray((_float(a) @ _support(b).T + _support(a) @ _float(b).T).todense())
    return _distance(shared, _masses(a)[:, None] + _masses(b)[None, :])


def _distance(shared: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    likeness = np.divide(shared, whole, out=np.ones_like(shared), where=whole > 0)
    return np.asarray(np.clip(1 - likeness, 0.0, 1.0))


def _masses(rows: sparse.csr_matrix) -> NDArray[np.float64]:
    return np.asarray(_float(rows).sum(axis=1), dtype=np.float64).reshape(-1)


def _float(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(rows, dtype=np.float64)


def _support(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(rows != 0, dtype=np.float64)
