"""What is asked of an app's process, and the answers."""

import json
import tomllib
from dataclasses import dataclass
from typing import Any, TypeVar

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import FedpactError, InvalidInput
from fedpact.learning.artefact import Model, Template
from fedpact.types.specification import FamilyPackage

T = TypeVar("T")
ROUNDING = 1e-6
"""By which a measure may exceed 1: that of a mean of float32."""
MAX_SIDES = 32
"""Of an array, as numpy has it."""
Config = dict[str, int | float | str | bool | list[int] | list[float] | list[str]]
"""A run's or a message's settings, as Flower has them."""


class AppFailed(FedpactError):
    """The app raised, took too long, was killed, or answered with something else than asked for."""


@dataclass(frozen=True)
class App:
    """An app's entry point, `module:attribute`, with its settings and package."""

    client: str
    run_config: str
    """See `config_of`."""
    package: FamilyPackage | None = None
    """What has to be installed when its process starts; None: whatever is."""


@dataclass(frozen=True)
class Array:
    """One of a Flower model's arrays."""

    name: str
    dtype: str
    """As the app has it; between parties arrays are float32."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class AppRecords:
    """Examples, and under which names an app finds them."""

    x: Inputs
    """(n, *shape), as in the data: not scaled."""
    y: Targets
    """(n,)."""
    columns: tuple[str, ...]
    """Of a table; empty: one column `inputs`."""
    inputs: str
    label: str
    pictures: bool
    """Whether `inputs` holds pictures (PIL), of values from 0 to 255."""


@dataclass(frozen=True)
class Describe:
    """Asks the ServerApp for its first arrays; the answer is JSON of `ServerStart`, a line break,
    then the encoded model."""

    server: str
    seed: int
    seconds: float


@dataclass(frozen=True)
class Train:
    """Asks the ClientApp for the arrays that it makes of `model`; the answer is an encoded
    model."""

    arrays: tuple[Array, ...]
    model: Model
    config: str
    round: int
    records: AppRecords
    seed: int
    seconds: float


@dataclass(frozen=True)
class Evaluate:
    """Asks the ClientApp for one of its metrics; the answer is JSON of a number."""

    arrays: tuple[Array, ...]
    model: Model
    metric: str
    round: int
    records: AppRecords
    seed: int
    seconds: float


Job = Describe | Train | Evaluate


@dataclass(frozen=True)
class ServerStart:
    """What a ServerApp starts from."""

    arrays: tuple[Array, ...]
    train_config: str
    model: Model


def config_of(text: str) -> Config:
    """The settings that a text names: those of a TOML inline table, `lr = 0.1, penalty = "l2"`. One
    in a table of its own has that in its name, `params.eta`, as Flower has it.

    Raises InvalidInput.
    """
    try:
        read = tomllib.loads("c = {" + text + "}")
        if len(read) > 1:
            raise ValueError("more than one table")
        found = _flat(read["c"])
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"settings {text[:200]!r}: {error}; as in 'lr = 0.1, penalty = \"l2\"'"
        ) from error
    for name, value in found.items():
        every = value if isinstance(value, list) else [value]
        kinds = {type(one) for one in every}
        if len(kinds) > 1 or not kinds <= {bool, int, float, str}:
            raise InvalidInput(f"setting {name}: {value!r} is not a number, text or list of either")
        if int in kinds and not all(-(2**63) <= one < 2**63 for one in every):
            raise InvalidInput(f"setting {name}: a whole number of more than 64 bits")
    return found


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        inner = _flat(value, f"{before}{name}.") if isinstance(value, dict) else {}
        found |= inner or {before + name: value}
    return found


def config_text(config: Config) -> str:
    """What `config_of` reads."""
    return ", ".join(f"{_written(key)} = {_written(value)}" for key, value in config.items())


def _written(value: object) -> str:
    """A value in TOML: JSON, but for characters beyond 16 bits, which JSON may escape as two
    surrogates, U+007F, which it need not escape, and floats that are not finite."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, float):
        return float.__repr__(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def arrays_text(arrays: tuple[Array, ...]) -> str:
    """As a specification names them: JSON, in the app's order."""
    return json.dumps([[one.name, one.dtype, one.shape] for one in arrays], separators=(",", ":"))


def arrays_of(text: str) -> tuple[Array, ...]:
    """What `arrays_text` wrote; raises InvalidInput for anything else."""
    try:
        found = tuple(
            Array(_text(name), _text(dtype), tuple(_is(side, int) for side in shape))
            for name, dtype, shape in json.loads(text)
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"arrays: not [[name, dtype, shape], ...] in JSON ({error})") from error
    names = [one.name for one in found]
    if not found or len(set(names)) != len(names) or "__metadata__" in names:
        raise InvalidInput(f"arrays: needs arrays of distinct names, not {names}")
    for one in found:
        if one.dtype not in ("float16", "float32", "float64"):
            raise InvalidInput(
                f"array {one.name!r} is {one.dtype}: an update is a difference of floats, which "
                "counts and encoded bytes (a tree ensemble) do not have"
            )
        if len(one.shape) > MAX_SIDES or not all(1 <= side < 2**31 for side in one.shape):
            raise InvalidInput(f"array {one.name!r}: shape {str(list(one.shape))[:100]}")
    return found


def template_of(arrays: tuple[Array, ...], largest: float) -> Template:
    return Template(tuple(sorted((one.name, one.shape) for one in arrays)), largest)


def share_of(answer: bytes) -> float:
    """The number from 0 to 1 that an app measured. Raises AppFailed for anything else, which its
    process may send."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise AppFailed("its answer is not a number") from error
    if type(value) not in (int, float) or not 0 <= value <= 1 + ROUNDING:
        raise AppFailed(f"it measures {str(value)[:40]}, not a number from 0 to 1")
    return float(min(value, 1))


def _text(value: object) -> str:
    _is(value, str).encode()  # JSON may hold halves of characters, which no file of a model can
    return str(value)


def _is(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value
