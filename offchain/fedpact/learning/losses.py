"""Losses of models with one layer of outputs, and the public parameters that shift them.

A model gives raw outputs, (n, outputs): logits of labels, or one value. Their link gives
probabilities or the predicted value, the loss' derivative is the error by which an example's
features enter its gradient. Every row is computed by itself.
"""

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.data.dataset import Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import MAX_WEIGHT
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.types.document import Document
from fedpact.types.specification import Specification

LARGEST_RATE = 1e6
"""Of a Poisson regression, in units of the output's scale."""
Share = Annotated[float, Field(gt=0, lt=1)]
Values = NDArray[np.float64]


class LossParameters(Document):
    """What a requester may know or want beforehand; all of it is public.

    `class_weights`: the loss of an example counts as often as its label's weight, one a label.
    Predicted probabilities are those of the data as they are: the weights are taken off again.
    `priors`: each label's share, or what a regression predicts at first, in the output's own unit:
    the first model says nothing else. `loss` of a regression: `squared`, `quantile` (the pinball
    loss of `quantile`; 0.5 gives the mean absolute error) or `poisson` (of counts, with the
    logarithm as link).
    """

    loss: Literal["squared", "quantile", "poisson"] = "squared"
    quantile: Share = 0.5
    class_weights: tuple[Annotated[float, Field(ge=1e-3, le=1e3)], ...] = ()
    priors: tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...] = ()


def check_loss(spec: Specification, asked: LossParameters) -> None:
    """Raise SpecificationError for parameters that do not fit the task."""
    where = f"family {spec.family.name}"
    if spec.task == "regression":
        if asked.class_weights:
            raise SpecificationError(f"{where}: class_weights are for classifications")
        if len(asked.priors) > 1:
            raise SpecificationError(f"{where}: priors of a regression are one value")
        if asked.loss == "poisson" and asked.priors and asked.priors[0] <= 0:
            raise SpecificationError(f"{where}: a Poisson regression starts above 0")
        return
    if "loss" in spec.family.parameters or "quantile" in spec.family.parameters:
        raise SpecificationError(f"{where}: loss and quantile are for regressions")
    for name, values in (("class_weights", asked.class_weights), ("priors", asked.priors)):
        if values and len(values) != len(spec.labels):
            raise SpecificationError(
                f"{where}: {name} has {len(values)} entries for {len(spec.labels)} labels"
            )
    if asked.priors and not (min(asked.priors) > 0 and abs(math.fsum(asked.priors) - 1) < 1e-3):
        raise SpecificationError(f"{where}: priors are shares above 0 that add up to 1")


def first_outputs(spec: Specification, asked: LossParameters) -> Values:
    """Raw outputs, (outputs,), of the first model."""
    if spec.output is not None:
        value = asked.priors[0] if asked.priors else 0.0
        if asked.loss != "poisson":
            return np.array([value / spec.output.scale])
        # Of a quotient the logarithm might be that of 0.
        return np.array([math.log(value) - math.log(spec.output.scale) if asked.priors else 0.0])
    shares = np.array(asked.priors or (1.0,) * spec.outputs)
    logits = np.log(shares) + np.log(_weights(spec, asked))
    return np.asarray(logits - logits.mean())


def check_first(spec: Specification, values: Values) -> None:
    """Raise SpecificationError for a first model with these values, if no model may have them."""
    if np.abs(values).max() > MAX_WEIGHT:
        raise SpecificationError(
            f"family {spec.family.name}: with these priors and this scale the first model has "
            f"values of {np.abs(values).max():.3g}; {MAX_WEIGHT:g} is the most"
        )


def weighted(spec: Specification, asked: LossParameters, raw: Values) -> Values:
    """What the loss compares with the truth: probabilities as the class weights make them, (n,
    labels), or values, (n, 1)."""
    if spec.task == "classification":
        return softmax_probabilities(raw)
    if asked.loss == "poisson":
        return np.asarray(np.exp(np.minimum(raw, math.log(LARGEST_RATE))))
    return raw


def predicted(spec: Specification, asked: LossParameters, found: Values) -> Values:
    """What the model predicts of what `weighted` gives: probabilities without the class weights,
    or the values."""
    if not asked.class_weights:
        return found
    shares = found / _weights(spec, asked)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def output_errors(spec: Specification, asked: LossParameters, found: Values, y: Targets) -> Values:
    """Derivatives of the examples' losses by their raw outputs, (n, outputs), of what `weighted`
    gives of these."""
    if spec.task == "classification":
        errors = found.copy()
        errors[np.arange(len(y)), y] -= 1.0
        return np.asarray(errors * _weights(spec, asked)[y][:, None])
    off = found - y.astype(np.float64)[:, None]
    if asked.loss == "quantile":
        return np.asarray(np.where(off > 0, 1.0, 0.0) - asked.quantile)
    return off


def _weights(spec: Specification, asked: LossParameters) -> Values:
    return np.array(asked.class_weights or (1.0,) * spec.outputs)
