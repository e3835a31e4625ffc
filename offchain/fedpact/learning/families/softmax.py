"""Softmax regression: one dense layer."""

import numpy as np

from fedpact.learning.artefact import Model
from fedpact.learning.families.dense import EXAMPLE_NORM, ModelFamily, check_parameters
from fedpact.types.specification import Specification


class SoftmaxRegression(ModelFamily):
    """Multinomial logistic regression, started from zero."""

    name = "softmax-regression"

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        check_parameters(spec, frozenset({EXAMPLE_NORM}))
        return ()

    def initial(self, spec: Specification, seed: int) -> Model:
        """All zeros, whatever the seed."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.template(spec).tensors}
