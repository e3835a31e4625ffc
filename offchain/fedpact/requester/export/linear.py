"""A fetched linear model as an estimator of scikit-learn."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import ModelError
from fedpact.learning.artefact import Model as Weights
from fedpact.learning.families import family_of
from fedpact.requester.queries import queries_of
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.requester.thresholds import Decisions

LINEAR = ("softmax-regression", "linear-regression", "generalised-linear")


def linear_pipeline(
    spec: Specification,
    weights: Weights,
    decisions: "Decisions | None",
    labels: NDArray[Any],
) -> Any:
    """What `Model.to_sklearn` describes. `labels`: typed, in the specification's order. Raises
    ModelError for a model that is not linear in its inputs."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    if spec.family.name not in LINEAR:
        raise ModelError(
            f"family {spec.family.name} has no equivalent in scikit-learn; there are "
            f"{', '.join(LINEAR)}"
        )
    asked: Any = family_of(spec).parameters(spec)
    if asked.example_norm or getattr(asked, "class_weights", ()):
        raise ModelError(
            "a model with example_norm or class_weights has no equivalent in scikit-learn"
        )
    if getattr(asked, "loss", "squared") == "poisson":
        raise ModelError(
            "a Poisson regression with a bounded rate has no equivalent in scikit-learn"
        )
    weight = weights["output.weight"].astype(np.float64)
    bias = weights["output.bias"].astype(np.float64)
    if spec.output is not None:
        estimator = _regressor(weight * spec.output.scale, bias * spec.output.scale)
    else:
        estimator = _classifier(weight, bias, decisions, labels)
    inputs = FunctionTransformer(_inputs, kw_args={"spec": spec})
    return Pipeline([("inputs", inputs), ("model", estimator)])


def _inputs(given: Any, spec: Specification) -> NDArray[np.float64]:
    x = queries_of(given, spec).x
    return np.asarray(x.reshape(len(x), -1), dtype=np.float64)


def _regressor(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> Any:
    from sklearn.linear_model import LinearRegression

    found = LinearRegression()
    found.coef_, found.intercept_ = weight[0], float(bias[0])
    found.n_features_in_ = weight.shape[1]
    return found


def _classifier(
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    decisions: "Decisions | None",
    labels: NDArray[Any],
) -> Any:
    """Calibration is a slope and an offset of the logits, so it is in the coefficients."""
    from sklearn.linear_model import LogisticRegression

    if decisions is not None:
        weight, bias = weight * decisions.slope, bias * decisions.slope + decisions.offsets
    order = np.argsort(labels, kind="stable")
    weight, bias = weight[order], bias[order]
    if len(labels) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    found = LogisticRegression()
    found.classes_, found.coef_, found.intercept_ = labels[order], weight, bias
    found.n_features_in_, found.n_iter_ = weight.shape[1], np.array([0], dtype=np.int32)
    return found
