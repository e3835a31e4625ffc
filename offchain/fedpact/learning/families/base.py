"""What a model family is: everything that the protocol asks of a model but its bytes."""

from abc import ABC, abstractmethod
from math import fsum
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from fedpact.data.dataset import Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import Model, Template
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Document, PrivacyMode, Specification

if TYPE_CHECKING:
    import torch

Weights = dict[str, NDArray[np.float64]]
P = TypeVar("P", bound=Document)


class ModelFamily(ABC, Generic[P]):
    """A family of models; everything is a function of the specification and a model.

    Loss: cross-entropy of a classification, half the squared error of a regression.
    """

    name: ClassVar[str]
    tasks: ClassVar[frozenset[str]]
    """The specification's tasks that the family can do."""
    unit: ClassVar[str]
    """What one unit of privacy is, in words."""
    sound: ClassVar[bool]
    """Whether `gradient_sum` can clip each example, which privacy mode `sound` needs."""
    balanced: ClassVar[bool] = True
    """Whether a classification is judged with every label alike often; else as labels come."""
    schema: type[P]
    """Of the specification's family.parameters, with their defaults."""

    def parameters(self, spec: Specification) -> P:
        """The parameters asked for; raises SpecificationError for what the schema refuses."""
        try:
            return self.schema.model_validate(spec.family.parameters)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise SpecificationError(f"family {self.name}: {field}: {first['msg']}") from error

    def check(self, spec: Specification) -> None:
        """Raise SpecificationError, before any work, for what this family cannot do."""
        if spec.task not in self.tasks:
            raise SpecificationError(
                f"family {self.name}: no {spec.task}; it does {', '.join(sorted(self.tasks))}"
            )
        if spec.privacy.mode is PrivacyMode.SOUND and not self.sound:
            raise SpecificationError(
                f"family {self.name} cannot clip each example's gradient, which privacy mode "
                "sound needs"
            )
        self.parameters(spec)

    def check_examples(self, spec: Specification, x: NDArray[np.float32]) -> None:
        """Raise DataError for own examples that the family cannot take; any will do here."""

    @abstractmethod
    def template(self, spec: Specification) -> Template:
        """Names and shapes of the tensors; raises SpecificationError for unknown parameters."""

    @abstractmethod
    def initial(self, spec: Specification, seed: int) -> Model:
        """The first global model."""

    @abstractmethod
    def predict(
        self, spec: Specification, model: Model, x: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Of examples of shape (n, *shape): probabilities, (n, labels), or values, (n, 1)."""

    @abstractmethod
    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: NDArray[np.float32],
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        """Sum over the examples of the loss gradients, each clipped to `clipping_norm` (or not).

        Values and norms are float64; the norm is over all tensors together.
        """

    @abstractmethod
    def module(self, spec: Specification) -> "torch.nn.Module":
        """The network in torch, with the template's tensor names; it takes (n, *shape) float32
        and returns logits, (n, labels), or values, (n, 1)."""

    def loaded(
        self, spec: Specification, model: Model | Weights, device: str = "cpu"
    ) -> "torch.nn.Module":
        """The module with a model's values, of their type, copied onto a device."""
        import torch

        with torch.device("meta"):
            module = self.module(spec)
        state = {name: torch.tensor(values, device=device) for name, values in model.items()}
        module.load_state_dict(state, assign=True)
        return module.requires_grad_()

    def error(self, spec: Specification, model: Model, x: NDArray[np.float32], y: Targets) -> int:
        """What a vote says of a model, 1/10,000, rounded half up; needs at least one example.

        Classification: 1 - accuracy. Regression: mean absolute error in units of the output's
        scale, at most 1.
        """
        predicted = self.predict(spec, model, x)
        if spec.task == "classification":
            wrong = int((predicted.argmax(axis=1) != y).sum())
            return (2 * MAX_SCORE * wrong + len(y)) // (2 * len(y))
        mean = fsum(_absolute_errors(predicted, y).tolist()) / len(y)
        return MAX_SCORE if mean >= 1 else int(MAX_SCORE * mean + 0.5)

    def example_errors(
        self, spec: Specification, model: Model, x: NDArray[np.float32], y: Targets
    ) -> NDArray[np.float64]:
        """One error an example, between 0 and 1, that moves with every step of training.

        Classification: see `label_errors`. Regression: the absolute error, at most 1.
        """
        predicted = self.predict(spec, model, x)
        if spec.task == "classification":
            return label_errors(predicted[np.arange(len(y)), y])
        return np.minimum(_absolute_errors(predicted, y), 1.0)


def loss(
    spec: Specification, outputs: "torch.Tensor", y: "torch.Tensor", reduction: str = "mean"
) -> "torch.Tensor":
    """The family's loss of a module's outputs, (n, outputs), over the examples' `y`, (n,)."""
    from torch.nn import functional

    if spec.task == "classification":
        return functional.cross_entropy(outputs, y, reduction=reduction)
    return functional.mse_loss(outputs[:, 0], y.to(outputs.dtype), reduction=reduction) / 2


def label_errors(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - p^(3/4) of each example, p the probability of its label.

    Between 1 - p, for which a sharp wrong guess weighs no more than a timid right one, so that an
    update turned round costs one class what it brings another, and -log p, which pays noise for
    damping others. Square roots are rounded alike everywhere, powers are not.
    """
    roots = np.sqrt(probabilities)
    return np.asarray(1.0 - roots * np.sqrt(roots))


def _absolute_errors(predicted: NDArray[np.float64], y: Targets) -> NDArray[np.float64]:
    """|prediction - y|; infinite where the prediction is no number."""
    errors = np.abs(predicted[:, 0] - y.astype(np.float64))
    return np.where(np.isnan(errors), np.inf, errors)
