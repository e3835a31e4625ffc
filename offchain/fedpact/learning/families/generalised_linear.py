"""Generalised linear models: logistic, least squares, quantile and Poisson regression."""

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import Model
from fedpact.learning.families.dense import OUTPUT, DenseFamily, DenseParameters
from fedpact.learning.losses import (
    LossParameters,
    check_first,
    check_loss,
    first_outputs,
    output_errors,
    predicted,
    weighted,
)
from fedpact.types.local_training import LocalEpochs
from fedpact.types.specification import Specification


class GeneralisedLinearParameters(DenseParameters, LossParameters):
    """Those of the loss, and `example_norm`."""


class GeneralisedLinear(DenseFamily[GeneralisedLinearParameters]):
    """One dense layer under a loss of the requester's choice, started from its priors."""

    name = "generalised-linear"
    tasks = frozenset({"classification", "regression"})
    schema = GeneralisedLinearParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if isinstance(spec.local, LocalEpochs):
            raise SpecificationError(f"family {self.name}: local steps are needed, not epochs")
        asked = self.parameters(spec)
        check_loss(spec, asked)
        check_first(spec, first_outputs(spec, asked))

    def hidden(self, spec: Specification) -> tuple[int, ...]:
        return ()

    def initial(self, spec: Specification, seed: int) -> Model:
        """The priors alone, whatever the seed."""
        found = super().initial(spec, seed)
        first = first_outputs(spec, self.parameters(spec))
        return {**found, f"{OUTPUT}.bias": first.astype(np.float32)}

    def predict(
        self, spec: Specification, model: Model, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        return predicted(spec, self.parameters(spec), super().predict(spec, model, x))

    def predictions(self, spec: Specification, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return predicted(spec, self.parameters(spec), self._linked(spec, raw))

    def _linked(self, spec: Specification, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = weighted(spec, self.parameters(spec), raw.reshape(-1, raw.shape[-1]))
        return flat.reshape(raw.shape)

    def _output_errors(
        self, spec: Specification, predicted: NDArray[np.float64], y: Targets
    ) -> NDArray[np.float64]:
        return output_errors(spec, self.parameters(spec), predicted, y)
