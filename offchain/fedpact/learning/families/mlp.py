"""Multi-layer perceptron with tanh units, which suit clipped gradients (Papernot et al. 2021)."""

import numpy as np

from fedpact.errors import SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.families.dense import EXAMPLE_NORM, ModelFamily, check_parameters
from fedpact.types.specification import Specification

DEFAULT_HIDDEN = (32,)
MAX_LAYERS = 8
MAX_WIDTH = 65_536


class MLP(ModelFamily):
    """Parameter `hidden`: widths of the hidden layers, by default (32,)."""

    name = "mlp"

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        check_parameters(spec, frozenset({EXAMPLE_NORM, "hidden"}))
        widths = spec.family.parameters.get("hidden", DEFAULT_HIDDEN)
        if (
            not isinstance(widths, tuple)
            or not 1 <= len(widths) <= MAX_LAYERS
            or not all(1 <= width <= MAX_WIDTH for width in widths)
        ):
            raise SpecificationError(
                f"family mlp: hidden must be 1 to {MAX_LAYERS} widths from 1 to {MAX_WIDTH}, "
                f"not {widths!r}"
            )
        return widths

    def initial(self, spec: Specification, seed: int) -> Model:
        """Biases zero; weights uniform, |w|^2 <= 6 / (inputs + outputs) (Glorot & Bengio 2010)."""
        generator = np.random.Generator(np.random.PCG64(seed))
        model: Model = {}
        for name, shape in self.template(spec).tensors:
            if name.endswith(".bias"):
                model[name] = np.zeros(shape, np.float32)
            else:
                limit = np.sqrt(6 / sum(shape))
                model[name] = ((2 * generator.random(shape) - 1) * limit).astype(np.float32)
        return model
