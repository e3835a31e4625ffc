"""Plain federated training without chain and votes, for the papers' learning curves.

In each round `sampled` providers train as the strategy says. Their models are aggregated by the
specification's rule, weighted by numbers of samples. Two accuracies are measured: the global
model's on the test set, and the mean over the trained providers of the local model's on the
distribution of its own examples. A run can be resumed: everything that later rounds depend on is
encoded as bytes between two rounds.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs
from fedpact.errors import DataError, InvalidInput
from fedpact.learning.aggregation import aggregate, check_aggregation
from fedpact.learning.artefact import Model
from fedpact.learning.checks import check_dataset, check_specification
from fedpact.learning.families import family_of, gradient_family_of, represented
from fedpact.learning.local_training import reach, train_local
from fedpact.learning.server_step import next_global
from fedpact.learning.strategies import Globals, LocalTask, Memory, strategy
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.units import samples_of
from fedpact.simulation.request import NoiseOf
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    import torch

EVALUATED_AT_ONCE = 1024
"""Examples per forward pass."""


@dataclass(frozen=True)
class Federation:
    """The specification, the data and the seed of all randomness."""

    spec: Specification
    parts: Sequence[Dataset]
    """One data set per provider."""
    sampled: int
    """Providers that train in each round."""
    seed: int
    device: str = "cpu"
    """torch device for training in epochs and for evaluation."""
    noise_of: NoiseOf | None = None
    """Noise of privacy modes `sound` and `paper`; round 0 is the noise on a provider's data."""
    mirrored: bool = False
    """Whether providers train on pictures of which half are mirrored, others in each round."""
    moved: int = 0
    """By how many pixels pictures are moved at most, otherwise in each round."""

    def __post_init__(self) -> None:
        check_specification(self.spec)
        if not 1 <= self.sampled <= len(self.parts):
            raise InvalidInput(
                f"cannot sample {self.sampled} of {len(self.parts)} providers per round"
            )
        check_aggregation(self.spec.aggregation, self.sampled)
        for number, part in enumerate(self.parts, start=1):
            try:
                check_dataset(self.spec, part)
            except DataError as error:
                raise DataError(f"provider {number}: {error}") from error

    def sample(self, round_number: int) -> list[int]:
        """The providers of a round, ascending."""
        seeds = np.random.SeedSequence([self.seed, round_number])
        generator = np.random.Generator(np.random.PCG64(seeds))
        chosen = generator.choice(len(self.parts), self.sampled, replace=False)
        return sorted(int(one) for one in chosen)


@dataclass(frozen=True)
class State:
    """Everything that later rounds depend on."""

    round: int
    """Number of finished rounds."""
    globals_: Globals
    memories: Mapping[int, Memory] = field(default_factory=dict)
    """By provider."""

    @classmethod
    def first(cls, federation: Federation) -> "State":
        model = family_of(federation.spec).initial(federation.spec, federation.seed)
        return cls(0, Globals(model, model))


@dataclass(frozen=True)
class TrainedRound:
    """The outcome of a round."""

    state: State
    locals: Mapping[int, Model]
    """For each provider that trained, the model that it would use itself: its personal model if
    the strategy has one, otherwise the one that it submitted."""


def train_round(federation: Federation, state: State) -> TrainedRound:
    """One round from `state`; raises DataError if a model is no longer finite."""
    spec, number = federation.spec, state.round + 1
    plan, globals_ = strategy(spec.strategy), state.globals_
    chosen = federation.sample(number)
    models: dict[int, Model] = {}
    own: dict[int, Model] = {}
    changes: dict[int, tuple[Memory | None, Memory]] = {}
    for provider in chosen:
        before = state.memories.get(provider)
        models[provider] = _train(federation, number, provider, plan.local(globals_, before))
        own[provider] = models[provider]
        factors = reach(spec, samples_of(spec, federation.parts[provider]))
        after = plan.remember(globals_, before, models[provider], factors)
        personal = plan.personal(globals_, before)
        if personal is not None:
            own[provider] = _train(federation, number, provider, personal)
            after = plan.keep(after, own[provider])
        if after is not None:
            changes[provider] = (before, after)
    weights = {provider: samples_of(spec, federation.parts[provider]) for provider in chosen}
    aggregated = aggregate(spec.aggregation, models, weights, globals_.start)
    model, server = next_global(spec, number, globals_, aggregated, changes, len(federation.parts))
    memories = {**state.memories, **{who: after for who, (_, after) in changes.items()}}
    following = Globals(globals_.initial, model, globals_.start, server)
    return TrainedRound(State(number, following, memories), own)


def _train(federation: Federation, number: int, provider: int, task: LocalTask) -> Model:
    noise_of, part = federation.noise_of, federation.parts[provider]
    if federation.mirrored:
        part = mirrored(part, np.random.SeedSequence([federation.seed, provider, number]))
    if federation.moved:
        seeds = np.random.SeedSequence([federation.seed, provider, number, federation.moved])
        part = moved(part, federation.moved, seeds)
    model = train_local(
        LocalTraining(
            federation.spec,
            task.start,
            part,
            noise=noise_of(provider, number) if noise_of else None,
            data_noise=noise_of(provider, 0) if noise_of else None,
            round_and_seat=(number, provider),
            correction=task.correction,
            device=federation.device,
        )
    )
    if not all(np.isfinite(values).all() for values in model.values()):
        raise DataError(
            f"round {number}: the model of provider {provider} is no longer finite: the learning "
            f"rate is too large, {federation.spec.local}"
        )
    return model


def mirrored(part: Dataset, seeds: np.random.SeedSequence) -> Dataset:
    """The pictures, (n, ..., height, width), each turned left to right or not, by a toss of a
    coin."""
    turned = np.random.default_rng(seeds).random(len(part)) < 0.5
    x = part.x.copy()
    x[turned] = x[turned][..., ::-1]
    return replace(part, x=x)


def moved(part: Dataset, most: int, seeds: np.random.SeedSequence) -> Dataset:
    """The pictures, (n, ..., height, width), each moved by at most `most` pixels in both
    directions; what comes in at the edge is zero."""
    height, width = part.x.shape[-2:]
    edges = [(0, 0)] * (part.x.ndim - 2) + [(most, most)] * 2
    x, around = part.x.copy(), np.pad(part.x, edges)
    drawn = np.random.default_rng(seeds).integers(0, 2 * most + 1, (len(part), 2))
    for row, (top, left) in enumerate(drawn):
        x[row] = around[row, ..., top : top + height, left : left + width]
    return replace(part, x=x)


# ---------------------------------------------------------------------- curves


@dataclass
class Curves:
    """One value per round: accuracy, or for a regression the mean absolute error in units of the
    output's scale."""

    global_: list[float] = field(default_factory=list)
    local: list[float] = field(default_factory=list)


def train_federation(
    federation: Federation,
    test: Dataset,
    own_tests: Sequence[Dataset] | None = None,
    *,
    resumed: bytes | None = None,
    on_round: Callable[[int, Callable[[], bytes]], None] | None = None,
) -> tuple[Model, Curves]:
    """Train all rounds of the specification; returns the last global model and the curves.

    Args:
        test: the global model's test set.
        own_tests: one test set per provider. By default local models are tested on `test`, with
            labels weighted as in the provider's own examples (for a regression unweighted).
        resumed: the state of an interrupted run of the same federation.
        on_round: called with (finished rounds, function that encodes the state) after each round.

    Raises InvalidInput for a state of another federation.
    """
    spec = federation.spec
    federation = replace(federation, parts=[represented(spec, one) for one in federation.parts])
    test = represented(spec, test)
    state, curves = decode_state(federation, resumed) if resumed else _fresh(federation)
    while state.round < federation.spec.rounds:
        outcome = train_round(federation, state)
        state = outcome.state
        curves.global_.append(measured(federation, state.globals_.start, test))
        local = [
            measured(federation, model, own_tests[provider])
            if own_tests
            else on_own_labels(federation, model, federation.parts[provider], test)
            for provider, model in outcome.locals.items()
        ]
        curves.local.append(float(np.mean(local)))
        if on_round is not None:
            on_round(state.round, lambda: encode_state(state, curves))  # noqa: B023
    return state.globals_.start, curves


def _fresh(federation: Federation) -> tuple[State, Curves]:
    return State.first(federation), Curves()


def measured(
    federation: Federation,
    model: Model,
    test: Dataset,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Accuracy of a classification, mean absolute error of a regression.

    `weights`: weights of the examples, shape (n,); equal if None.
    """
    predicted = predictions_of(federation, model, test.x)
    if federation.spec.task == "classification":
        each = (predicted.argmax(axis=1) == test.y).astype(np.float64)
    else:
        each = np.abs(predicted[:, 0] - test.y)
    return float(np.average(each, weights=weights))


def predictions_of(federation: Federation, model: Model, x: Inputs) -> NDArray[np.float64]:
    """Probabilities, (n, labels), or values, (n, 1), computed in float32 on the federation's
    device."""
    import torch

    spec, found = federation.spec, []
    module = gradient_family_of(spec).loaded(spec, model, federation.device).eval()
    with torch.no_grad():
        for first in range(0, len(x), EVALUATED_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(x[first : first + EVALUATED_AT_ONCE]))
            found.append(_numpy(module(part.to(federation.device))))
    raw = np.concatenate(found).astype(np.float64)
    return gradient_family_of(spec).predictions(spec, raw)


def _numpy(values: "torch.Tensor") -> NDArray[np.float32]:
    found: NDArray[np.float32] = values.cpu().numpy()
    return found


def on_own_labels(federation: Federation, model: Model, part: Dataset, test: Dataset) -> float:
    """Accuracy on `test`, with labels weighted by their shares in `part`. Labels that the provider
    or the test set lacks are ignored."""
    if federation.spec.task != "classification":
        return measured(federation, model, test)
    size = len(federation.spec.labels)
    own = np.bincount(part.y.astype(np.int64), minlength=size)
    there = np.bincount(test.y.astype(np.int64), minlength=size)
    share = own / np.where(there > 0, there, 1)
    weights = share[test.y]
    kept = weights > 0
    if not kept.any():
        raise DataError("the test set has none of a provider's labels")
    return measured(federation, model, Dataset(test.x[kept], test.y[kept], ()), weights[kept])


# ---------------------------------------------------------------------- state


def encode_state(state: State, curves: Curves) -> bytes:
    """The state and the curves so far, as the bytes of an npz file without pickles."""
    arrays: dict[str, NDArray[Any]] = {}
    numbers: dict[str, dict[str, float]] = {}

    def put(prefix: str, model: Model | None) -> None:
        for name, values in (model or {}).items():
            arrays[f"{prefix}/{name}"] = values

    put("initial", state.globals_.initial)
    put("start", state.globals_.start)
    put("before", state.globals_.before)
    kept = {"server": state.globals_.server} | {str(who): m for who, m in state.memories.items()}
    for who, memory in kept.items():
        numbers[who] = dict(memory.numbers)
        for name, model in memory.models.items():
            put(f"memory/{who}/{name}", model)
    about = {
        "round": state.round,
        "numbers": numbers,
        "global": curves.global_,
        "local": curves.local,
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def decode_state(federation: Federation, data: bytes) -> tuple[State, Curves]:
    """The state and curves that `encode_state` wrote; raises InvalidInput for anything else, and if
    the models do not have this federation's template."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        curves = Curves(list(about["global"]), list(about["local"]))
        memories = {
            who: Memory(_memory_models(arrays, who), dict(numbers))
            for who, numbers in about["numbers"].items()
        }
        server = memories.pop("server")
        initial, start = _model(arrays, "initial"), _model(arrays, "start")
        before = _model(arrays, "before") or None
        state = State(
            int(about["round"]),
            Globals(initial, start, before, server),
            {int(who): memory for who, memory in memories.items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        raise InvalidInput(f"not a state of a federation: {error}") from error
    shapes = {name: one.shape for name, one in State.first(federation).globals_.start.items()}
    if {name: one.shape for name, one in start.items()} != shapes:
        raise InvalidInput("a state of another federation: its models have other tensors")
    return state, curves


def _model(arrays: Mapping[str, NDArray[Any]], folder: str) -> Model:
    """The tensors whose names begin with `folder` and a slash."""
    prefix = f"{folder}/"
    return {name[len(prefix) :]: one for name, one in arrays.items() if name.startswith(prefix)}


def _memory_models(arrays: Mapping[str, NDArray[Any]], who: str) -> dict[str, Model]:
    prefix = f"memory/{who}/"
    names = {name[len(prefix) :].split("/")[0] for name in arrays if name.startswith(prefix)}
    return {name: _model(arrays, prefix + name) for name in sorted(names)}
