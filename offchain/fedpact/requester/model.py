"""A fetched model that answers queries, with the conventions of scikit-learn."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import InvalidInput, ModelError
from fedpact.learning.devices import resolved
from fedpact.requester import model_file
from fedpact.requester.queries import Queries, queries_of
from fedpact.types.device import PROCESSOR
from fedpact.types.names import label_key
from fedpact.types.paths import path_of
from fedpact.types.scores import MAX_SCORE

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model as Weights
    from fedpact.requester.thresholds import Decisions
    from fedpact.types.specification import Specification


class Model:
    """The model that a request delivered, from its file.

    It stands in for a fitted classifier or regressor of scikit-learn: in metrics, scorers, plots
    and inspection. `X` is a data frame of pandas, polars or pyarrow (columns are matched by name,
    in any order, and further ones are ignored, with one warning in the log); an array of examples,
    if the request was made for arrays; a list of texts; or the `Path` of a file. Values are as in
    the data: units, ranges and missing values are treated as the request's schema says.
    """

    def __init__(self, path: Path | str, device: str = PROCESSOR) -> None:
        """`path`: the `.safetensors` file; its description, `.json`, lies beside it. `device`: on
        which networks of torch predict, as the setting of that name; another one than the
        processor may give other last digits.

        Raises NotReady if it does not exist, ModelError if it is not such a model, InvalidInput for
        anything but a path, SettingsError for a device that is not here.
        """
        self.path, self.device = path, device
        self._device = resolved(device)
        file = path_of("path", path)
        self._spec, self._weights = model_file.read(file)
        self._error = model_file.measured_error(file)
        self._decisions = model_file.decisions(file, len(self._spec.labels))
        self._told: set[tuple[str, ...]] = set()

    @property
    def specification(self) -> "Specification":
        """What was asked for."""
        return self._spec

    @property
    def weights(self) -> "Weights":
        """The tensors by name, float32."""
        return self._weights

    @property
    def decisions(self) -> "Decisions | None":
        """Calibration and thresholds that were fitted to the requester's evaluation set; None where
        that was too small."""
        return self._decisions

    @property
    def error(self) -> float | None:
        """Error of the request's metric on the last round's evaluation slice, the median of what
        the committee measured; from 0 to 1, of a regression in the output's unit. None: none was
        measured."""
        if self._error is None:
            return None
        output = self._spec.output
        return self._error / MAX_SCORE * (1.0 if output is None else output.scale)

    # Conventions of scikit-learn

    @cached_property
    def classes_(self) -> NDArray[Any]:
        """The labels, sorted as scikit-learn sorts them, (classes,). Labels that are all whole
        numbers are integers, and those that are true and false booleans, as in a data frame.
        AttributeError for a regression."""
        self._require_labels("classes_")
        return np.sort(_typed(self._spec.labels))

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The columns that a data frame needs. AttributeError for arrays and texts."""
        if not self._spec.features.names:
            raise AttributeError("the model takes arrays or texts: its inputs have no names")
        return np.array(self._spec.features.names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Columns of a data frame, values of an array's example, or 1 for texts."""
        features = self._spec.features
        return len(features.names) or int(np.prod(features.shape, dtype=np.int64))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Labels, as in `classes_`, or values in the output's own unit, (n,).

        The label is the most probable one, unless thresholds were fitted (`decisions`). Raises
        DataError for queries that the model cannot take.
        """
        raw = self.raw(self.queries(X).x)
        if self._spec.output is not None:
            return raw
        return np.asarray(_typed(self._spec.labels)[self.decided(raw)])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Calibrated probabilities, (n, classes), a column for each of `classes_`. AttributeError
        for a regression, DataError as `predict`."""
        self._require_labels("predict_proba")
        raw = self.raw(self.queries(X).x)
        return raw[:, np.argsort(_typed(self._spec.labels), kind="stable")]

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """As scikit-learn's: accuracy, or the coefficient of determination of a regression."""
        from sklearn.metrics import accuracy_score, r2_score

        measure = accuracy_score if self._spec.output is None else r2_score
        return float(measure(y, self.predict(X)))

    def fit(self, X: Any, y: Any = None) -> "Model":  # noqa: N803
        """Raises ModelError: a request is what fits a model."""
        raise ModelError("a fetched model is not fitted again: publish another request")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"path": self.path, "device": self.device}

    def set_params(self, **params: Any) -> "Model":
        """Load another model, or use another device. InvalidInput for other parameters."""
        known = self.get_params()
        if set(params) - set(known):
            raise InvalidInput(
                f"a model has the parameters path and device, not {', '.join(sorted(params))}"
            )
        if params:
            self.__dict__.clear()
            Model.__init__(self, **(known | params))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        labels = bool(self._spec.labels)
        return Tags(
            estimator_type="classifier" if labels else "regressor",
            target_tags=TargetTags(required=False),
            classifier_tags=ClassifierTags(multi_class=len(self._spec.labels) > 2)
            if labels
            else None,
            regressor_tags=None if labels else RegressorTags(),
            input_tags=InputTags(string=self._spec.features.kind == "text", allow_nan=True),
            requires_fit=False,
        )

    def __repr__(self) -> str:
        asked = self._spec
        return f"Model({asked.title!r}, {asked.family.name}, {str(self.path)!r})"

    # For other programs

    def to_onnx(self, path: Path | str) -> Path:
        """Write an ONNX file that any runtime can run without fedpact; returns it.

        Inputs: a table's columns by name, (n, 1): numbers as float64 (a boolean 0 or 1, a timestamp
        in seconds since 1970, UTC, NaN for a missing value), categories as text; or `x` of arrays,
        (n, *shape), float64, as in the data. A value that the schema does not declare counts as
        missing; where nothing takes its place the outputs are NaN. Outputs: `label` (n,) and
        `probabilities` (n, classes), as `predict` and `predict_proba` give them, or `value` (n,) of
        a regression; probabilities differ by at most 1e-5.

        Raises ModelError for a family that ONNX has no operators for, SettingsError without onnx.
        """
        from fedpact.requester.export.onnx import write_onnx

        written, labels = path_of("path", path), _typed(self._spec.labels)
        write_onnx(written, self._spec, self._weights, self._decisions, labels)
        return written

    def to_torch(self, path: Path | str) -> Path:
        """Write the network as a program of torch.export (`torch.export.load`), to train it on or
        to run it elsewhere; returns its file.

        It takes examples in the form of the training data, `model.queries(X).x`, float32
        (n, *shape), and returns logits, (n, labels), in the specification's order, or values in the
        unit of its output's scale, (n, 1): without class weights, calibration and thresholds.
        Raises ModelError for a family that is more than a torch network.
        """
        from fedpact.requester.export.torch_program import write_program

        written = path_of("path", path)
        write_program(written, self._spec, self._weights)
        return written

    def to_sklearn(self) -> Any:
        """The model as a fitted pipeline of scikit-learn: the inputs as the schema says, then a
        LogisticRegression or a LinearRegression with the model's coefficients.

        Its probabilities are those of `predict_proba`; it decides for the most probable label,
        without thresholds. Raises ModelError for a model that is not linear in its inputs.
        """
        from fedpact.requester.export.linear import linear_pipeline

        labels = _typed(self._spec.labels)
        return linear_pipeline(self._spec, self._weights, self._decisions, labels)

    # For those that have queries in the model's own form

    def queries(self, X: Any) -> Queries:  # noqa: N803
        """What `predict` takes, in the form of the training data. Raises DataError."""
        return queries_of(X, self._spec, self._told)

    def raw(self, x: Any) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, labels), in the specification's order, or values in the
        output's unit, (n,), of examples in the form of the training data."""
        from fedpact.learning.families import family_of

        family = family_of(self._spec).on(self._device)
        predicted = family.predict(self._spec, self._weights, x)
        if self._spec.output is not None:
            return np.asarray(predicted[:, 0] * self._spec.output.scale)
        return predicted if self._decisions is None else self._decisions.calibrated(predicted)

    def decided(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index into the specification's labels, (n,), of what `raw` gives."""
        if self._decisions is None:
            return np.asarray(probabilities.argmax(axis=1))
        return self._decisions.labels(probabilities)

    def _require_labels(self, name: str) -> None:
        if not self._spec.labels:
            raise AttributeError(f"a regression has no {name}")


def _typed(labels: tuple[str, ...]) -> NDArray[Any]:
    """Names of labels as a data frame would hold them, (labels,)."""
    keys = [label_key(name) for name in labels]
    if all(key.lstrip("+-").isdecimal() for key in keys):
        return np.array([int(key) for key in keys])
    if set(keys) <= {"true", "false"}:
        return np.array([key == "true" for key in keys])
    return np.array(labels)
