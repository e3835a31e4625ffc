"""What the aggregation rules share: their interface, and models as vectors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import ModelError
from fedpact.learning.artefact import Model, Template
from fedpact.types.document import Document

Vector = NDArray[np.float64]
"""All values of a model in the order of its template, shape (d,)."""


class Rule(Document, ABC):
    """An aggregation rule; its fields are the parameters that a specification gives."""

    name: ClassVar[str]
    capped: ClassVar[bool] = True
    """Whether the weights that it is given are capped, so that a declared size buys little."""

    @abstractmethod
    def combine(
        self, models: Mapping[int, Model], weights: Mapping[int, int], start: Model
    ) -> Model:
        """The aggregate of at least one model, however many the votes leave in.

        Args:
            models: by seat, all of one template.
            weights: by seat, not negative; seats without a model are ignored.
            start: the global model that the round began from.

        Raises:
            ModelError: no models, models of several templates, bad weights.
        """

    def check(self, providers: int) -> None:
        """Raises SpecificationError if no `providers` models can meet the parameters."""


def common_template(models: Mapping[int, Model]) -> Template:
    """The models' common template; raises ModelError for no models, and for several templates."""
    templates = {Template.of(model) for model in models.values()}
    if len(templates) != 1:
        raise ModelError(f"cannot aggregate {len(models)} models of {len(templates)} templates")
    return templates.pop()


def total_weight(models: Mapping[int, Model], weights: Mapping[int, int]) -> int:
    """Sum of the models' weights; raises ModelError for a negative one, and for a sum of 0."""
    total = sum(weights[seat] for seat in models)
    if total <= 0 or any(weights[seat] < 0 for seat in models):
        raise ModelError("the weights of a mean must not be negative, nor all zero")
    return total


def flatten(model: Model) -> Vector:
    """A model's values as one vector, tensors by name."""
    return np.concatenate([model[name].ravel() for name in sorted(model)], dtype=np.float64)


def restore(values: Vector, template: Template) -> Model:
    """The model with these values, rounded to float32."""
    model: Model = {}
    start = 0
    for name, shape in template.tensors:
        size = prod(shape)
        model[name] = values[start : start + size].reshape(shape).astype(np.float32)
        start += size
    return model
