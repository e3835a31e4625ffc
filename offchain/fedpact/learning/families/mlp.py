"""Multi-layer perceptron with tanh units, which suit clipped gradients (Papernot et al. 2021)."""

from typing import Annotated

from pydantic import Field

from fedpact.learning.families.dense import DenseFamily, DenseParameters
from fedpact.types.specification import Specification

MAX_LAYERS = 8
MAX_WIDTH = 65_536

Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]


class MLPParameters(DenseParameters):
    """`hidden`: widths of the hidden layers."""

    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=MAX_LAYERS)] = (32,)


class MLP(DenseFamily[MLPParameters]):
    """Started from zero biases and the weights of Glorot & Bengio 2010."""

    name = "mlp"
    tasks = frozenset({"classification", "regression"})
    schema = MLPParameters

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        return self.parameters(spec).hidden
