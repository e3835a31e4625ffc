"""The interface of model families: everything the protocol needs of a model except its bytes."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import fsum, inf, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from fedpact.content.store import ContentStore
from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.errors import SpecificationError
from fedpact.features.networks.pinned import MINILM, check_pinned
from fedpact.learning import metrics
from fedpact.learning.aggregation import aggregate, check_aggregation
from fedpact.learning.artefact import Model, Template
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.privacy.noise import NoiseSource
from fedpact.types.columns import ColumnSchema
from fedpact.types.document import Document
from fedpact.types.local_training import LocalConstruction, LocalEpochs, LocalSteps
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import STATISTICS_ROUND, Specification
from fedpact.types.validation import every_error

if TYPE_CHECKING:
    import torch

Weights = dict[str, NDArray[np.float64]]
P = TypeVar("P", bound=Document)
MAX_SQUARE = 1e300
"""Of a tensor's norm: a sum of larger ones might overflow."""
MIN_BUCKET_BITS = 11
"""Of hashed words: with fewer buckets each holds so many words that none would be rare."""


@dataclass(frozen=True)
class LocalModels:
    """Local models of one round, and what combining them takes."""

    start: Model
    """The global model that the round began from."""
    models: Mapping[int, Model]
    """By seat; at least one."""
    weights: Mapping[int, int]
    """By seat: the declared samples, capped. May name more seats than `models`."""


@dataclass(frozen=True)
class Construction:
    """What a provider constructs its local model from."""

    start: Model
    """The global model that the round begins from."""
    dataset: Dataset
    round_and_seat: tuple[int, int]
    """Fix, with the specification's seed, the draws that are not noise."""
    noise: NoiseSource | None
    """None without privacy."""
    data_noise: NoiseSource | None
    """Of mode `paper`: the same bits in all rounds."""


class ModelFamily(ABC, Generic[P]):
    """A family of models; every method is a function of the specification and a model.

    Local training is of one of two forms: `GradientFamily` descends, `ConstructedFamily` makes a
    model in one go.
    """

    name: ClassVar[str]
    tasks: ClassVar[frozenset[str]]
    """Tasks of a specification that the family supports."""
    unit: ClassVar[str]
    """The privacy unit in words, if the data do not define one."""
    sound: ClassVar[bool]
    """Whether it can bound a unit's contribution to a release, as privacy mode `sound` needs."""
    inputs: ClassVar[frozenset[str]] = frozenset({"numbers"})
    """Kinds of examples that it accepts (the specification's `features.kind`)."""
    balanced: ClassVar[bool] = True
    """Whether skewed labels are judged by balanced accuracy where the request names no metric."""
    predicts: ClassVar[bool] = True
    """Whether it predicts; otherwise it only measures models (`error`), and `predict` raises."""
    moves: ClassVar[bool] = True
    """Whether a local model is the global one plus an update, so that a coalition's value follows
    from its updates; otherwise it follows from the model that the coalition combines to."""
    statistics: ClassVar[tuple[str, ...]] = ()
    """Tensors that the first round sets to means over the examples, from `statistics_sum`; later
    rounds do not change them. Empty: every round trains."""
    statistics_norm: ClassVar[float] = 1.0
    """Public bound of an example's contribution to `statistics_sum`, over all tensors together."""
    schema: type[P]
    """Schema of the specification's family.parameters, with defaults."""

    def parameters(self, spec: Specification) -> P:
        """The specification's parameters; raises SpecificationError if the schema refuses them."""
        try:
            return self.schema.model_validate(spec.family.parameters)
        except ValidationError as error:
            raise SpecificationError(f"family {self.name}: {every_error(error)}") from error

    def on(self, device: str) -> Self:
        """The family with gradients and predictions computed on that device of torch's; by default
        all of it stays on the processor. Votes and aggregates use the family as it is: others
        recompute them, and two kinds of processor round differently."""
        return self

    def check_sound(self, spec: Specification, device: str) -> str:
        """Try on a device what privacy mode `sound` rests on, if the specification asks for it; in
        words what was tried. By default there is nothing to try.

        Raises DeviceUnfit with what failed, or why it could not be tried, and TrainingFailed where
        there is no memory for it now."""
        return "nothing was tried: all of this family stays on the processor"

    def check(self, spec: Specification) -> None:
        """Raise SpecificationError if this family does not support the specification."""
        if spec.task not in self.tasks:
            raise SpecificationError(
                f"family {self.name}: no {spec.task}; it does {', '.join(sorted(self.tasks))}"
            )
        if spec.privacy.mode is PrivacyMode.SOUND and not self.sound:
            raise SpecificationError(
                f"family {self.name} cannot bound what one unit adds to a release, which privacy "
                "mode sound needs"
            )
        if spec.features.kind not in self.inputs:
            raise SpecificationError(
                f"family {self.name} takes {', '.join(sorted(self.inputs))}: features of kind "
                f"{spec.features.kind} need another family"
            )
        for column in _sentences(spec):
            check_pinned(MINILM, MINILM.name, column.digest or "")
        self.parameters(spec)
        asked = spec.privacy.statistics_multiplier is not None
        if spec.privacy.mode is PrivacyMode.SOUND and asked != bool(self.statistics):
            raise SpecificationError(
                f"family {self.name}: "
                + ("needs a" if self.statistics else "takes no")
                + " privacy.statistics_multiplier"
            )

    def network(self, spec: Specification) -> tuple[str, str] | None:
        """Name (or CID) and hex sha-256 of the trained network that the family stands on, or that
        reads the texts among its columns."""
        return (MINILM.name, MINILM.digest) if _sentences(spec) else None

    def uncovered(self, spec: Specification) -> str:
        """What the family stands on that no promise of privacy covers, in words; empty: nothing."""
        return MINILM.statement if _sentences(spec) else ""

    def obtain(self, spec: Specification, store: ContentStore) -> None:
        """Have on this machine what the family needs of the content store; by default nothing.

        Raises DataError for content that is refused, and what the store raises."""

    def gathers(self, round_number: int) -> bool:
        """Whether a round gathers statistics: its models are aggregated but not scored, and the
        strategy is not applied."""
        return bool(self.statistics) and round_number == STATISTICS_ROUND

    def moved(self, spec: Specification, round_number: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors that a local model of that round may change."""
        gathers = self.gathers(round_number)
        tensors = self.template(spec).tensors
        return {name: shape for name, shape in tensors if (name in self.statistics) == gathers}

    def represented(self, spec: Specification, x: Inputs, folder: Path | None = None) -> Inputs:
        """Examples in the form that is fastest for training and prediction; all methods accept both
        forms. Expensive results are cached in `folder`, if one is given."""
        return x

    def represents(self, spec: Specification, examples: int) -> bool:
        """Whether so many examples are brought into that form; all by default. Of private data the
        number is the declared one, so that no record decides how long a training takes."""
        return True

    def check_examples(self, spec: Specification, x: Inputs) -> None:
        """Raise DataError for examples that the family cannot use; by default it accepts any."""

    def check_slice(self, spec: Specification, first: Model, x: Inputs, y: Targets) -> None:
        """Raise DataError for an evaluation slice on which the first model cannot be judged, before
        a request is paid; by default any can."""

    def usable(self, spec: Specification, x: Inputs, y: Targets) -> NDArray[np.bool_]:
        """Which examples, (n,), can take part in training under `sound`; the others count as zero.
        A function of each example alone."""
        if spec.task == "regression":
            return np.isfinite(y)
        return (y >= 0) & (y < spec.outputs)

    @abstractmethod
    def template(self, spec: Specification) -> Template:
        """Names and shapes of the tensors; raises SpecificationError for unknown parameters."""

    @abstractmethod
    def initial(self, spec: Specification, seed: int) -> Model:
        """The first global model."""

    @abstractmethod
    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """Probabilities, (n, labels), or values, (n, 1), for examples of shape (n, *shape)."""

    @abstractmethod
    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """The aggregate of the local models, byte for byte the same for all who compute it."""

    def coalition(self, spec: Specification, local: LocalModels, players: Collection[int]) -> Model:
        """The model by which a coalition, some of `players`, is judged; for families that do not
        move. The aggregate of its models, unless their share among all players differs."""
        return self.combine(spec, local)

    def plausible(self, spec: Specification, start: Model, model: Model, samples: int) -> bool:
        """Whether a provider with `samples` examples can have produced this local model from
        `start`; checked in addition to the bounds on its norm."""
        return True

    def error(self, spec: Specification, model: Model, x: Inputs, y: Targets) -> int:
        """The error that a vote reports, 1/10,000, by the specification's metric; needs at least
        one example."""
        return metrics.error(spec.measure, self.predict(spec, model, x), y)

    def example_errors(
        self, spec: Specification, model: Model, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        """An error per example, (n,), as `metrics.example_errors` says."""
        return metrics.example_errors(spec.measure, self.predict(spec, model, x), y)


class GradientFamily(ModelFamily[P]):
    """A family that descends the gradient of its loss, in steps or epochs.

    Loss: cross-entropy of a classification, half the squared error of a regression.
    """

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if not isinstance(spec.local, LocalSteps | LocalEpochs):
            raise SpecificationError(
                f"family {self.name} descends a gradient: local needs steps or epochs"
            )
        check_aggregation(spec.aggregation, spec.min_providers)

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """By the specification's aggregation rule."""
        return aggregate(spec.aggregation, local.models, local.weights, local.start)

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

        Clipped, an example whose gradient is not finite counts as zero, and no example changes what
        another one adds but for the rounding of its block.

        Of all tensors but `statistics`. Values and norms are float64; the norm is over all tensors
        together.
        """

    def gradient_norms(
        self, spec: Specification, weights: Weights, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        """Norms, (n,), of the examples' gradients over all tensors together.

        One pass an example; families that know the norms in closed form do better.
        """
        one = (slice(index, index + 1) for index in range(len(y)))
        return np.array(
            [weights_norm(self.gradient_sum(spec, weights, x[at], y[at], None)) for at in one],
            dtype=np.float64,
        )

    def statistics_sum(self, spec: Specification, x: Inputs, bound: float | None) -> Weights:
        """Sum over the examples of the tensors `statistics`; each example clipped to `bound`, if
        given."""
        raise NotImplementedError

    @abstractmethod
    def module(self, spec: Specification) -> "torch.nn.Module":
        """The network in torch, with the template's tensor names; it takes (n, *shape) float32
        and returns what `predictions` takes, (n, outputs)."""

    def predictions(self, spec: Specification, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `predict` gives them, of what the module gives: of logits, (n, labels), or of the
        values themselves, (n, 1)."""
        return softmax_probabilities(raw) if spec.task == "classification" else raw

    def loaded(
        self, spec: Specification, model: Model | Weights, device: str = "cpu"
    ) -> "torch.nn.Module":
        """The module with a model's values, in their type, on a device.

        Convolutions keep their channels last: on a processor they then take about half the time.
        Not beside one of a single pixel with a stride: its gradient then corrupts memory (torch
        2.13, few channels, 32 bits).
        """
        import torch

        with torch.device("meta"):
            module = self.module(spec)
        state = {name: torch.tensor(values, device=device) for name, values in model.items()}
        module.load_state_dict(state, assign=True)
        strided = any(
            isinstance(one, torch.nn.Conv2d) and one.kernel_size == (1, 1) and one.stride != (1, 1)
            for one in module.modules()
        )
        for one in module.parameters():
            if one.dim() == 4 and not strided:
                one.data = one.data.contiguous(memory_format=torch.channels_last)
        return module.requires_grad_()


class ConstructedFamily(ModelFamily[P]):
    """A family that builds a local model in one go, and has its own aggregation."""

    moves = False
    paper: ClassVar[bool] = False
    """Whether it supports mode `paper`'s Laplace noise."""
    aggregation: ClassVar[str]
    """The only aggregation that the specification may name."""
    strategies: ClassVar[tuple[str, ...]]
    """Strategies that it supports."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if not isinstance(spec.local, LocalConstruction):
            raise SpecificationError(
                f"family {self.name} descends no gradient: local needs construction_seed alone"
            )
        if spec.aggregation.name != self.aggregation or spec.aggregation.parameters:
            raise SpecificationError(
                f"family {self.name} aggregates by {self.aggregation!r} without parameters, not by "
                f"{spec.aggregation.name!r}"
            )
        if spec.privacy.mode is PrivacyMode.PAPER and not self.paper:
            raise SpecificationError(f"family {self.name} does not support privacy mode paper")
        if spec.strategy.name not in self.strategies:
            raise SpecificationError(
                f"family {self.name}: strategy {spec.strategy.name!r} moves weights; it knows "
                f"{', '.join(self.strategies)}"
            )

    @abstractmethod
    def construct(self, spec: Specification, given: Construction) -> Model:
        """The local model of a provider."""


class SummedFamily(ConstructedFamily[P]):
    """A constructed family whose release under `sound` is one noised sum of what the examples add:
    under a secure sum those of several providers are added up (docs/adr/0048)."""

    @abstractmethod
    def sum_size(self, spec: Specification) -> int:
        """How many values a sum has."""

    @abstractmethod
    def sum_std(self, spec: Specification) -> float:
        """Standard deviation of the noise that a provider adds to each value."""

    @abstractmethod
    def summed(self, spec: Specification, dataset: Dataset) -> NDArray[np.float64]:
        """The sum over examples, one a unit, before noise: (sum_size,); of none zeros. One example
        moves it by `sum_std` over the noise multiplier at most, in L2."""

    @abstractmethod
    def of_sum(self, spec: Specification, values: NDArray[np.float64], members: int) -> Model:
        """The model of the noised sums of so many providers together, (sum_size,)."""

    @abstractmethod
    def plausible_sum(self, spec: Specification, model: Model, members: int, samples: int) -> bool:
        """Whether so many providers, of `samples` units in all, can have this sum together: no
        value is too large. An honest sum fails with probability 10^-9 a bound at most."""


class AppFamily(ModelFamily[P]):
    """A family whose models an app of a third party trains, in a process apart."""

    @abstractmethod
    def trained(self, spec: Specification, given: Construction) -> Model:
        """The local model of a provider: from `given.start` by the app's updates."""


def _sentences(spec: Specification) -> list[ColumnSchema]:
    """Texts among a table's columns that the public network reads."""
    return [column for column in spec.features.table if column.encoding == "sentences"]


def weights_norm(weights: Weights) -> float:
    """L2 norm over all tensors together; infinite where it overflows, or is no number."""
    squares = [float((values**2).sum()) for values in weights.values()]
    return sqrt(fsum(squares)) if all(one < MAX_SQUARE for one in squares) else inf


def loss(
    spec: Specification, outputs: "torch.Tensor", y: "torch.Tensor", reduction: str = "mean"
) -> "torch.Tensor":
    """The family's loss of a module's outputs, (n, outputs), over the examples' `y`, (n,)."""
    from torch.nn import functional

    if spec.task == "classification":
        return functional.cross_entropy(outputs, y, reduction=reduction)
    return functional.mse_loss(outputs[:, 0], y.to(outputs.dtype), reduction=reduction) / 2
