"""The measure by which a request's models are judged, and the task that it is for."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from fedpact.types.document import Document


class MetricName(StrEnum):
    """Of classifications: the first six; of regressions: the last three."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced-accuracy"
    MACRO_F1 = "macro-f1"
    LOG_LOSS = "log-loss"
    BRIER = "brier"
    AUC = "auc"
    MAE = "mae"
    RMSE = "rmse"
    PINBALL = "pinball"


OF_VALUES = frozenset({MetricName.MAE, MetricName.RMSE, MetricName.PINBALL})
"""Metrics of regressions."""
BY_LABEL = frozenset({MetricName.BALANCED_ACCURACY, MetricName.MACRO_F1, MetricName.AUC})
"""Metrics in which every label counts alike, however many examples it has."""


class Metric(Document):
    """A metric by name. In a document also the bare name: `metric = "auc"`."""

    name: MetricName
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of `pinball`: the quantile that the model is to predict."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _quantile(self) -> Self:
        if (self.name is MetricName.PINBALL) != (self.quantile is not None):
            needs = "needs a" if self.quantile is None else "has no"
            raise ValueError(f"metric {self.name} {needs} quantile")
        return self

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        fields: dict[str, Any] = handler(self)
        return fields if self.quantile is not None else fields["name"]

    @property
    def task(self) -> str:
        return "regression" if self.name in OF_VALUES else "classification"

    @property
    def by_label(self) -> bool:
        """Whether every label counts alike, however many examples it has."""
        return self.name in BY_LABEL

    def __str__(self) -> str:
        return self.name.value if self.quantile is None else f"{self.name} at {self.quantile:g}"


def are_skewed(counts: Sequence[int]) -> bool:
    """Whether the rarest label has less than half of an even share of the examples; `counts`: of
    each label. Where nobody says otherwise, balanced accuracy then takes accuracy's place."""
    return 2 * len(counts) * min(counts) < sum(counts)


ACCURACY = Metric(name=MetricName.ACCURACY)
BALANCED_ACCURACY = Metric(name=MetricName.BALANCED_ACCURACY)
MEAN_ABSOLUTE_ERROR = Metric(name=MetricName.MAE)
