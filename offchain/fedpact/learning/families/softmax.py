"""Softmax regression: one dense layer."""

from fedpact.learning.families.dense import DenseFamily, DenseParameters
from fedpact.types.specification import Specification


class SoftmaxRegression(DenseFamily[DenseParameters]):
    """Multinomial logistic regression, started from zero."""

    name = "softmax-regression"
    tasks = frozenset({"classification"})
    schema = DenseParameters

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        return ()
