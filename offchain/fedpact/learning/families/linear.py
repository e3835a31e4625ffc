"""Linear regression: one dense layer with one output."""

from fedpact.learning.families.dense import DenseFamily, DenseParameters
from fedpact.types.specification import Specification


class LinearRegression(DenseFamily[DenseParameters]):
    """Least squares by gradient descent, started from zero."""

    name = "linear-regression"
    tasks = frozenset({"regression"})
    schema = DenseParameters

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        return ()
