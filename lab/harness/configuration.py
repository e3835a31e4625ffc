"""Experiments as TOML files, and the cases of an experiment.

A file says what is compared (methods, partitions, a grid of further settings), on which data, at
which scales, and what a paper reports for the same setting. Settings are merged from general to
specific: those of the file, the scale, the method and the grid point. Tables are merged key by
key; other values are replaced. docs/experiments.md explains a file line by line.
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedpact.errors import InvalidInput
from fedpact.types.document import canonical_json
from fedpact.types.validation import first_error

SUFFIX = ".toml"
LABORATORY = Path(__file__).parents[1]
PROVIDERS = "providers"
"""The grid axis that sets the number of providers instead of a setting."""


class Scale(StrEnum):
    """`small`: two cores, minutes. `medium`: the paper's rounds, epochs, batches and providers on
    fewer examples and a smaller network; two cores, hours. `full`: the paper's own setting."""

    SMALL = "small"
    MEDIUM = "medium"
    FULL = "full"


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(_Table):
    """One of the methods that are compared."""

    settings: dict[str, Any] = {}
    partitions: tuple[str, ...] = ()
    """Partitions on which it runs; all if empty."""
    scales: tuple[Scale, ...] = tuple(Scale)


class ScaleSetting(_Table):
    providers: Annotated[int, Field(ge=1)]
    seeds: Annotated[int, Field(ge=1)] = 3
    partitions: tuple[str, ...] = ()
    """Partitions at this scale; all of the file if empty."""
    grid: dict[str, tuple[Any, ...]] = {}
    """Replaces axes of the file's grid."""
    settings: dict[str, Any] = {}
    not_run: str = ""
    """Why the report has no results at this scale; shown until there are some."""


class PaperFigure(_Table):
    """A paper's figure for the same metric, between 0 and 1."""

    partition: str
    method: str
    metric: str
    value: Annotated[float, Field(ge=0, le=1)]
    source: str
    """Table or figure."""


class Gap(_Table):
    """Mean over the rounds of |curve of `method` - curve of `base`|, seed by seed."""

    metric: str
    """Name of the result."""
    curve: str
    method: str
    base: str


class Claim(_Table):
    """A paper's claim about two methods; the report compares it with our paired difference."""

    text: str
    partition: str
    metric: str
    curve: str = ""
    """Curve that shows from which round the claim holds; none if empty."""
    method: str
    base: str
    paper_difference: Annotated[float, Field(ge=-1, le=1)] | None = None
    """`method` - `base` in the paper."""
    source: str


class Unit(_Table):
    """How tables show a metric: value * factor, with the unit's name."""

    name: str
    factor: Annotated[float, Field(gt=0)]


class Experiment(_Table):
    """One file. `metrics` name what is summarised, `curves` what is drawn over the rounds."""

    name: str
    title: str
    kind: str
    dataset: str
    partitions: Annotated[tuple[str, ...], Field(min_length=1)]
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    curves: tuple[str, ...] = ()
    settings: dict[str, Any] = {}
    methods: Annotated[dict[str, Method], Field(min_length=1)]
    grid: dict[str, tuple[Any, ...]] = {}
    """Further settings with their values; every combination is a case. The axis `providers`
    replaces the scale's number."""
    scales: Annotated[dict[Scale, ScaleSetting], Field(min_length=1)]
    paper: tuple[PaperFigure, ...] = ()
    gaps: tuple[Gap, ...] = ()
    claims: tuple[Claim, ...] = ()
    units: dict[str, Unit] = {}
    """By metric or curve; percent by default."""
    notes: tuple[str, ...] = ()
    """Shown above the tables: what is measured and how it differs from a paper's setting."""

    @model_validator(mode="after")
    def _names_known(self) -> "Experiment":
        for partition in itertools.chain(
            (one.partition for one in self.paper),
            (one.partition for one in self.claims),
            *(method.partitions for method in self.methods.values()),
            *(scale.partitions for scale in self.scales.values()),
        ):
            if partition not in self.partitions:
                raise ValueError(f"partition {partition!r} is not among {self.partitions}")
        compared = [(one.metric, one.method, one.base) for one in self.gaps]
        compared += [(one.metric, one.method, one.base) for one in self.claims]
        for metric, *methods in compared:
            if unknown := set(methods) - self._labels():
                raise ValueError(f"{metric!r} compares the unknown methods {sorted(unknown)}")
        for scale in self.scales.values():
            if strange := set(scale.grid) - set(self.grid):
                raise ValueError(f"a scale's grid names {sorted(strange)}, the file's does not")
        for grid in (self.grid, *(scale.grid for scale in self.scales.values())):
            for count in grid.get(PROVIDERS, ()):
                if not isinstance(count, int) or count < 1:
                    raise ValueError(f"a grid's number of providers is {count!r}")
        return self

    def _labels(self) -> set[str]:
        """How results name the methods, at every grid point of any scale."""
        grids = [{**self.grid, **scale.grid} for scale in self.scales.values()]
        points = [point for grid in grids for point in grid_points(grid)]
        return {label(name, point) for name in self.methods for point in points}


@dataclass(frozen=True)
class Case:
    """One run: everything that its result depends on, except the device and the code."""

    experiment: str
    kind: str
    scale: Scale
    dataset: str
    partition: str
    providers: int
    method: str
    """Name of the method, followed by the grid point if there is one."""
    seed: int
    settings: Mapping[str, Any]
    device: Device = Device.CPU

    @property
    def identity(self) -> str:
        """Hex digest of all fields; a result with another identity belongs to another case."""
        return sha256(canonical_json(self.described())).hexdigest()

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def name(self) -> str:
        return f"{self.experiment}: {self.partition} {self.method} seed {self.seed}"

    def at(self, axis: str) -> Any:
        """The case's value on a grid axis."""
        return self.providers if axis == PROVIDERS else self.settings[axis]

    @property
    def state_path(self) -> Path:
        """Path of its saved state in the folder of results, while it is unfinished."""
        words = f"{self.partition} {self.method}".replace("/", "-").replace("=", "-")
        slug = "-".join(words.split())
        return Path(self.scale.value, self.experiment, f"{slug}-seed{self.seed}.checkpoint")

    def described(self) -> dict[str, Any]:
        """The fields that make up its identity."""
        return {
            "experiment": self.experiment,
            "kind": self.kind,
            "scale": self.scale.value,
            "dataset": self.dataset,
            "partition": self.partition,
            "providers": self.providers,
            "method": self.method,
            "seed": self.seed,
            "settings": dict(self.settings),
        }


def names() -> list[str]:
    """The names of all experiments in the studies' folders."""
    return sorted(_files())


def load(name: str) -> Experiment:
    """The experiment with that name, or in the file at that path.

    Raises InvalidInput for an unknown name, an unreadable file or an invalid field.
    """
    if name.endswith(SUFFIX):
        try:
            return parse(Path(name).stem, Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{name} cannot be read: {error}") from error
    files = _files()
    if name not in files:
        raise InvalidInput(
            f"experiment {name!r} is unknown: one of {', '.join(sorted(files))}, or a {SUFFIX} file"
        )
    return parse(name, files[name].read_text(encoding="utf-8"))


def _files() -> dict[str, Path]:
    """The configuration files in the studies' folders, by name."""
    return {path.stem: path for path in LABORATORY.glob(f"*/*{SUFFIX}")}


def parse(name: str, text: str) -> Experiment:
    """An experiment from the text of its file; raises InvalidInput naming the invalid field."""
    try:
        return Experiment.model_validate({"name": name, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"experiment {name}: {error}") from error
    except ValidationError as error:
        raise InvalidInput(f"experiment {name}: {first_error(error, 'file')}") from error


def cases(
    experiment: Experiment, scale: Scale, seeds: int | None = None, device: Device = Device.CPU
) -> Iterator[Case]:
    """All cases at a scale, ordered by seed, so that compared cases finish together.

    Args:
        seeds: number of seeds, starting at 0; the scale's own number if None.

    Raises InvalidInput if the experiment does not have this scale.
    """
    if scale not in experiment.scales:
        known = ", ".join(experiment.scales)
        raise InvalidInput(f"experiment {experiment.name} has no scale {scale}: only {known}")
    chosen = experiment.scales[scale]
    points = list(grid_points({**experiment.grid, **chosen.grid}))
    for seed in range(seeds or chosen.seeds):
        for partition in chosen.partitions or experiment.partitions:
            for name, method in experiment.methods.items():
                if scale not in method.scales:
                    continue
                if method.partitions and partition not in method.partitions:
                    continue
                for point in points:
                    layers = (experiment.settings, chosen.settings, method.settings, point)
                    settings = merged(layers)
                    providers = settings.pop(PROVIDERS, chosen.providers)
                    yield Case(
                        experiment.name,
                        experiment.kind,
                        scale,
                        experiment.dataset,
                        partition,
                        providers,
                        label(name, point),
                        seed,
                        settings,
                        device,
                    )


def grid_points(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of one value per axis; one empty point if there is no axis."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def label(method: str, point: Mapping[str, Any]) -> str:
    """The name of a method at a grid point in results."""
    return " ".join([method, *(f"{key}={value}" for key, value in point.items())])


def merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The layers merged, later ones winning; tables are merged key by key."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping):
                result[key] = merged((below, value))
            else:
                result[key] = value
    return result
