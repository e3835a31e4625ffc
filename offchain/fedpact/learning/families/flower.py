"""Apps of Flower as a family: their ClientApp trains and measures.

What an app does inside its training is not known, so it cannot be clipped there. A provider's units
are dealt at random into disjoint groups, the app trains once for each group from the round's global
arrays, and each group's whole update is clipped. A unit is in one group, so it moves the sum of
the groups' updates by at most twice the clipping norm (docs/adr/0063).
"""

import logging
import math
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import (
    DataError,
    InvalidInput,
    ModelError,
    PrivacyError,
    SpecificationError,
    TrainingFailed,
)
from fedpact.learning.aggregation import aggregate, check_aggregation
from fedpact.learning.aggregation.base import Vector, flatten, restore
from fedpact.learning.artefact import (
    MAX_WEIGHT,
    Model,
    Template,
    bounded,
    clipped,
    decode,
)
from fedpact.learning.families.base import AppFamily, Construction, LocalModels
from fedpact.learning.flower.app_host import host_of
from fedpact.learning.flower.jobs import (
    App,
    AppFailed,
    AppRecords,
    Array,
    Evaluate,
    Train,
    arrays_of,
    config_of,
    share_of,
    template_of,
)
from fedpact.learning.flower.parameters import FlowerParameters, described
from fedpact.learning.reproducible_sums import clipping_factor
from fedpact.privacy.noise import rounding_sensitivity
from fedpact.types.local_training import START_SECONDS, LocalApp
from fedpact.types.privacy import PrivacyMode
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import ScoreKind, Specification

log = logging.getLogger(__name__)
T = TypeVar("T")

CLIPPING_MARGIN = 1e-6
"""Part of the clipping norm left unused, for the rounding of the sum."""
STRATEGIES = ("fedavg", "fedavgm")
"""Those that neither change nor repeat a local training."""


class FlowerFamily(AppFamily[FlowerParameters]):
    """An installed app of Flower."""

    name = "flower"
    tasks = frozenset({"classification", "regression"})
    unit = "a record"
    sound = True
    predicts = False
    schema = FlowerParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        given, local = self.parameters(spec), spec.local
        if not isinstance(local, LocalApp):
            raise SpecificationError("family flower: local needs groups and seconds")
        refusals = {
            f"privacy mode {spec.privacy.mode}": spec.privacy.mode is PrivacyMode.PAPER,
            f"score {spec.score}: an app measures a whole slice, not its examples; use model": (
                spec.score is not ScoreKind.MODEL
            ),
            "a metric of its own: the app measures, name family.parameters.measure": (
                spec.metric is not None
            ),
            f"strategy {spec.strategy.name}, only {' and '.join(STRATEGIES)}": (
                spec.strategy.name not in STRATEGIES
            ),
            "features.table: an app takes numbers as they are, name features.columns": bool(
                spec.features.table
            ),
            "pictures: examples are (height, width) or (1 or 3, height, width)": (
                bool(given.pictures) and not _is_picture(spec.features.shape)
            ),
        }
        for reason, broken in refusals.items():
            if broken:
                raise SpecificationError(f"family flower takes no {reason}")
        for name, least in local.windows(spec.max_providers).items():
            if (window := getattr(spec.windows, name)) < least:
                raise SpecificationError(
                    f"family flower: {window} s of windows.{name} are too few for {local.groups} "
                    f"groups of {local.seconds:g} s and {spec.max_providers} providers: {least}"
                )
        check_aggregation(spec.aggregation, spec.min_providers)
        self._arrays(spec)
        _said(lambda: (config_of(given.run_config), config_of(given.train_config)))

    def uncovered(self, spec: Specification) -> str:
        if spec.privacy.mode is not PrivacyMode.SOUND or not isinstance(spec.local, LocalApp):
            return ""
        return (
            f"each unit is in one of {spec.local.groups} groups, and the whole update of each group"
            " is clipped: it holds only if the app learns a group's update from nothing but the "
            "round's arrays and that group's records, and leaves other processes alone"
        )

    def template(self, spec: Specification) -> Template:
        return template_of(self._arrays(spec), MAX_WEIGHT)

    def initial(self, spec: Specification, seed: int) -> Model:
        """What the ServerApp starts from. Raises SpecificationError."""
        found = described(self.parameters(spec).server, _app(spec), seed)
        if found.arrays != self._arrays(spec):
            raise SpecificationError(
                "family flower: the ServerApp starts from other arrays than parameters.arrays"
            )
        return bounded(found.model, MAX_WEIGHT)

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """Raises ModelError: an app measures, it has no entry for predictions."""
        raise ModelError(
            "a Flower app gives no predictions: load the fetched arrays into the app's own model "
            "(safetensors, by the app's names)"
        )

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """By the specification's aggregation rule."""
        return aggregate(spec.aggregation, local.models, local.weights, local.start)

    def error(self, spec: Specification, model: Model, x: Inputs, y: Targets) -> int:
        """From the metric that the app's own evaluation gives on the slice, 1/10,000; the largest
        where it fails on this model, or gives no number from 0 to 1. Raises TrainingFailed where
        the app cannot be started."""
        try:
            return MAX_SCORE - round(MAX_SCORE * self._measured(spec, model, x, y))
        except AppFailed as failure:
            log.warning("the model counts as the worst, the app cannot measure it: %s", failure)
            return MAX_SCORE

    def check_slice(self, spec: Specification, first: Model, x: Inputs, y: Targets) -> None:
        """See the base class: all models would count as the worst."""
        try:
            self._measured(spec, first, x, y)
        except (AppFailed, TrainingFailed) as failure:
            raise DataError(
                f"evaluation set: the app cannot measure its first arrays on it: {failure}; see"
                " measure, label and inputs in family.parameters"
            ) from failure

    def _measured(self, spec: Specification, model: Model, x: Inputs, y: Targets) -> float:
        """The metric that the app's own evaluation gives, from 0 to 1. Raises AppFailed, and
        TrainingFailed where the app cannot be started."""
        given = self.parameters(spec)
        job = Evaluate(
            self._arrays(spec),
            model,
            given.measure,
            1,
            _records(spec, given, x, y),
            0,
            _local(spec).seconds,
        )
        return share_of(host_of(_app(spec)).ask(job))

    def example_errors(
        self, spec: Specification, model: Model, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        """Raises ModelError: an app measures a slice as a whole."""
        raise ModelError("a Flower app measures a slice as a whole, not its examples")

    def trained(self, spec: Specification, given: Construction) -> Model:
        """The local model: from the start by the mean of the groups' updates, each clipped, and
        noised under `sound`.

        Under `sound` a group for which the app fails counts as zero, as does one without records,
        and one whose turn is over: when each turn ends is fixed before a record is seen, so that no
        record makes a training too long. Otherwise raises AppFailed. Raises TrainingFailed where
        the app cannot be started.
        """
        local, noise, dataset = _local(spec), given.noise, given.dataset
        template, start = self.template(spec), bounded(given.start, MAX_WEIGHT)
        dealt, seeds = _dealt(given, local.groups)
        usable, bound = self.usable(spec, dataset.x, dataset.y), _bound(spec, template)
        total, late = np.zeros(template.parameters), 0
        begun = monotonic() if noise is not None else math.inf
        if usable.any():
            host_of(_app(spec)).start()
        for group, seed in enumerate(seeds):
            rows = np.flatnonzero(usable & (dealt == group))
            turn_ends = begun + START_SECONDS + (group + 1) * local.turn
            is_late = monotonic() > turn_ends - local.turn
            late += is_late
            if not len(rows) or is_late:
                continue
            update = self._update(spec, given, start, rows, seed, turn_ends)
            if update is not None:
                total += update if bound is None else clipping_factor(update, bound) * update
        if late:
            log.warning("%d of %d groups count as zero: they missed their turn", late, len(seeds))
        if noise is not None:
            total = noise.add(total, _std(spec))
        moved = restore(flatten(start) + total / local.groups, template)
        return {name: clipped(values, MAX_WEIGHT) for name, values in moved.items()}

    def usable(self, spec: Specification, x: Inputs, y: Targets) -> NDArray[np.bool_]:
        """See the base class; values have to be numbers as well."""
        numbers = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
        return np.asarray(super().usable(spec, x, y) & numbers)

    def _update(
        self,
        spec: Specification,
        given: Construction,
        start: Model,
        rows: NDArray[np.int64],
        seed: int,
        turn_ends: float,
    ) -> Vector | None:
        """What the app makes of the start from one group's examples, less the start; None, under
        `sound`, where it fails."""
        parameters, assigned = self.parameters(spec), given.round_and_seat
        job = Train(
            self._arrays(spec),
            start,
            parameters.train_config,
            assigned[0],
            _records(spec, parameters, given.dataset.x[rows], given.dataset.y[rows]),
            seed,
            _local(spec).seconds,
        )
        try:
            answer = host_of(_app(spec)).ask(job, turn_ends)
            found = decode(answer, self.template(spec))
        except (AppFailed, ModelError, TrainingFailed) as failure:
            if spec.privacy.mode is not PrivacyMode.SOUND:
                raise
            if isinstance(failure, TrainingFailed):
                log.error("a group counts as zero, its app cannot be started again: %s", failure)
            return None  # of the app's failures nothing is said: they may follow from a record
        return flatten(found) - flatten(start)

    def _arrays(self, spec: Specification) -> tuple[Array, ...]:
        return _said(lambda: arrays_of(self.parameters(spec).arrays))


def _dealt(given: Construction, groups: int) -> tuple[NDArray[np.int64], list[int]]:
    """Each example's group, (n,), and a seed for each group.

    Under `sound` each unit draws its group by itself, so that no other unit's depends on whether
    it is there.
    """
    dataset, noise = given.dataset, given.noise
    if noise is not None:
        drawn = (noise.words(dataset.unit_count) % np.uint64(groups)).astype(np.int64)
        seeds = noise.words(groups) >> np.uint64(1)
    else:
        generator = np.random.Generator(np.random.PCG64([*given.round_and_seat]))
        drawn = generator.integers(groups, size=dataset.unit_count)
        seeds = generator.integers(2**63, size=groups, dtype=np.uint64)
    return drawn[dataset.unit_numbers], [int(seed) for seed in seeds]


def _bound(spec: Specification, template: Template) -> float | None:
    """To what a group's update is clipped, with room for rounding; None without privacy. Raises
    PrivacyError for noise too coarse for that."""
    norm = spec.privacy.clipping_norm
    if norm is None:
        return None
    # A unit moves the sum by twice the bound: its group's update with it may point the other way.
    room = rounding_sensitivity(template.parameters, _std(spec)) / 2
    bound = norm * (1 - CLIPPING_MARGIN) - room
    if bound <= 0:
        raise PrivacyError(
            f"noise for {template.parameters} values is too coarse for a norm of {norm:g}"
        )
    return bound


def _std(spec: Specification) -> float:
    """Of the noise on each value of the sum over groups; its sensitivity is twice the norm."""
    norm, multiplier = spec.privacy.clipping_norm, spec.privacy.noise_multiplier
    if norm is None or multiplier is None:
        raise InvalidInput("noise needs a clipping norm and a multiplier")
    return 2 * norm * multiplier


def _records(spec: Specification, given: FlowerParameters, x: Inputs, y: Targets) -> AppRecords:
    columns = spec.features.columns if len(spec.features.shape) == 1 else ()
    values = x.astype(np.float64) * spec.features.scale
    return AppRecords(values, y, columns, given.inputs, given.label, bool(given.pictures))


def _app(spec: Specification) -> App:
    given = FlowerParameters.model_validate(spec.family.parameters)
    return App(given.app, given.run_config, spec.family.package)


def _local(spec: Specification) -> LocalApp:
    if not isinstance(spec.local, LocalApp):
        raise SpecificationError("family flower: local needs groups and seconds")
    return spec.local


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def _said(read: Callable[[], T]) -> T:
    try:
        return read()
    except InvalidInput as error:
        raise SpecificationError(f"family flower: {error}") from error
