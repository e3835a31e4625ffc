"""Random requests of a requester who wants to learn about one record: extreme, but allowed."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedpact.errors import InvalidInput, SpecificationError
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
from fedpact.learning.artefact import LARGEST, MAX_WEIGHT, Model
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of
from fedpact.learning.families.oblivious_trees import LEAVES
from fedpact.privacy.attacks import AuditedMode
from fedpact.types.columns import ColumnSchema
from fedpact.types.document import canonical_json
from fedpact.types.parts import ordered, shape_of
from fedpact.types.series import Series, SeriesWindows
from fedpact.types.specification import Specification

TINY = 5e-324
"""The least positive number."""
LABELS = ("a", "b", "c")
"""Declared by the provider."""
ODD_LABELS = ("", "nan", "1e5", "d", "A", "\u202ea", "\u00e9")
COLUMNS = ("age", "income", "code", "note")
"""Plain numbers of the provider's table."""
TYPED = (
    ColumnSchema(name="visits", type="integer", range=(0, 100)),
    ColumnSchema(name="amount", range=(-1e3, 1e3), measure="EUR", missing="constant", constant=0.0),
    ColumnSchema(
        name="colour", type="category", values=("red", "green", "blue"), missing="indicator"
    ),
    ColumnSchema(name="grade", type="ordinal", values=("low", "middle", "high")),
    ColumnSchema(name="member", type="boolean", missing="indicator"),
    ColumnSchema(name="since", type="timestamp", range=(9.4e8, 1.9e9)),
    ColumnSchema(name="remark", type="text", encoding="words", buckets=64),
)
"""Its other columns."""
SERIES = Series(by="unit", order="since")
"""Declared where units have several examples."""

_FORMS: dict[str, tuple[list[int], dict[str, Any]]] = {
    "softmax-regression": ([], {}),
    "linear-regression": ([], {}),
    "mlp": ([], {"hidden": [5, 3]}),
    "cnn": ([8, 8], {"form": "mnist", "channels": [2], "hidden": [3]}),
    "scattering-linear": ([8, 8], {}),
    "char-lstm": ([5], {"embedding": 2, "hidden": 3, "layers": 1}),
    "network-linear": (
        [8, 8],
        {"network": EFFICIENTNET_LITE0.name, "digest": EFFICIENTNET_LITE0.digest, "side": 32},
    ),
    "text-statistics": ([], {"bits": 11}),
    "network-statistics": (
        [],
        {"network": MINILM.name, "digest": MINILM.digest, "bits": 11},
    ),
    "oblivious-trees": ([], {"trees": 5, "depth": 3}),
    "generalised-linear": ([], {}),
    "random-forest": ([], {"trees": 3, "depth": 2, "bits": 11}),
}
"""Shape of an example (none: columns of a table, or texts) and small parameters."""
TEXT_FAMILIES = {
    "text-statistics": "class-sums",
    "network-statistics": "class-sums",
    "random-forest": "union",
}
"""Those that construct a model from texts, and how they aggregate."""
STRATEGIES: dict[str, dict[str, tuple[float, float]]] = {
    "fedavg": {},
    "fedavgm": {"momentum": (TINY, 1 - 2**-53), "learning_rate": (TINY, 1e6)},
    "fedprox": {"mu": (TINY, 1e6)},
    "ditto": {"lam": (TINY, 1e6)},
    "dlmu": {"tau": (TINY, 1e6)},
}
"""Those of families that descend a gradient, with the bounds of their parameters."""
CENTRED = ("scattering-linear", "network-linear")
"""Those whose first round gathers statistics."""
DENSE = ("softmax-regression", "linear-regression", "mlp", "generalised-linear")
"""Those of dense layers, which may scale each example."""
TABULAR = ("oblivious-trees", "generalised-linear")
"""Those whose losses have parameters, and which do regressions as well."""
REGRESSIONS = ("squared", "quantile", "poisson")
"""Their losses."""
_SAMPLED = (50.0, 0.5)
"""Noise multiplier and rate: the accountant takes seconds for little noise."""
_ATTEMPTS = 1000


@dataclass(frozen=True)
class HostileRequest:
    spec: Specification
    start: Model
    """The model from which the round starts."""
    round: int


def hostile_request(
    name: str, random: np.random.Generator, mode: AuditedMode = AuditedMode.SOUND
) -> HostileRequest:
    """A request for a family that a requester could publish, with the model of its last round's
    start.

    mode: `sound`, `adaptive` (the clipping norm follows a quantile) or `secure`.

    Raises InvalidInput for a family of which no requests are known here.
    """
    if name not in _FORMS:
        raise InvalidInput(f"family {name}: no hostile requests are known, one of {list(_FORMS)}")
    for _ in range(_ATTEMPTS):
        try:
            spec = Specification.decode(canonical_json(_fields(name, random, mode)))
            check_published(spec)
        except SpecificationError:
            continue
        return HostileRequest(
            spec, _first_model(spec, random), int(random.integers(spec.rounds)) + 1
        )
    raise InvalidInput(f"family {name}: no request that may be published was found")


def _fields(
    name: str, random: np.random.Generator, mode: AuditedMode = AuditedMode.SOUND
) -> dict[str, Any]:
    shape, parameters = _FORMS[name]
    texts, regression = name in TEXT_FAMILIES, name == "linear-regression"
    if name in TABULAR:
        regression = random.random() < 0.6
    rounds = 2 if name in CENTRED else 1
    labels = [] if regression else _labels(random)
    fields: dict[str, Any] = {
        "title": "hostile",
        "category": "test",
        "labels": labels,
        "features": {"kind": "text", "shape": []},
        "family": {"name": name, "parameters": _parameters(name, parameters, len(labels), random)},
        "local": {"construction_seed": int(random.integers(2**32))} if texts else _local(random),
        "rounds": rounds,
        "min_providers": 2,
        "max_providers": 2,
        "score": "model",
        "max_error": 10_000,
        "privacy": {
            "mode": "sound",
            "epsilon": 1.0,
            "delta": 1e-5,
            "noise_multiplier": float(random.choice([1.0, 3.0, 50.0, 1000.0])),
        },
        "evaluation": [{"cid": "", "sha256": "", "examples": 1}] * rounds,
        "initial_model": "",
        "windows": dict.fromkeys(
            ("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 600
        ),
    }
    if not texts:
        fields["features"] = _features(shape, random, 1 if regression else 0)
    if name == "char-lstm":
        fields["features"]["scale"] = 1.0
    if regression:
        left = [one for one in COLUMNS if one not in fields["features"].get("columns", ())]
        output = str(random.choice(left if left and random.random() < 0.9 else COLUMNS))
        cap = None if random.random() < 0.5 else _extreme(random, 1e-6, 1e12)
        fields |= {
            "task": "regression",
            "output": {"column": output, "scale": _extreme(random, 1e-6, 1e12), "cap": cap},
        }
    if texts:
        fields["aggregation"] = {"name": TEXT_FAMILIES[name]}
    else:
        privacy = fields["privacy"]
        privacy["clipping_norm"] = _extreme(random, 1e-6, 1e6)
        fields["strategy"] = _strategy(random, mode)
        if mode is AuditedMode.ADAPTIVE:
            privacy["adaptive_clipping"] = {
                "quantile": _extreme(random, 0.01, 0.99),
                "learning_rate": _extreme(random, 1e-3, 1),
                "count_share": min(_extreme(random, 1e-4, 0.9), 0.9),
            }
            fields["local"]["steps"] = 2
        if name in CENTRED:
            privacy["statistics_multiplier"] = 10.0
            fields["local"]["sampling_rate"] = 1.0
        if fields["local"]["sampling_rate"] != 1:
            privacy["noise_multiplier"], fields["local"]["sampling_rate"] = _SAMPLED
    if mode is AuditedMode.SECURE:
        _sum_up(fields, random)
    return fields


def _sum_up(fields: dict[str, Any], random: np.random.Generator) -> None:
    """Ask for secure sums, of groups of any size."""
    group = int(random.integers(4, 17))
    honest = int(random.integers(2, group + 1))
    colluders = int(random.integers(0, min(group - honest, 14) + 1))
    fields["privacy"] |= {
        "sum": "secure",
        "group": group,
        "honest": honest,
        "colluders": colluders,
    }
    if "steps" in fields["local"]:
        fields["local"] |= {"steps": 1, "sampling_rate": 1.0}
    fields |= {
        "min_providers": group,
        "max_providers": 16,
        "score": "contribution",
        "max_error": 5000,
    }


def _strategy(random: np.random.Generator, mode: AuditedMode) -> dict[str, Any]:
    known = [one for one in STRATEGIES if mode is not AuditedMode.SECURE or "fedavg" in one]
    name = str(random.choice(known))
    return {
        "name": name,
        "parameters": {one: _extreme(random, *ends) for one, ends in STRATEGIES[name].items()},
    }


def _labels(random: np.random.Generator) -> list[str]:
    """Some declared labels, some that nobody has, in any order; two at least."""
    known = [label for label in LABELS if random.random() < 0.7]
    odd = [label for label in ODD_LABELS if random.random() < 0.2]
    found = random.permutation([*known, *odd]).tolist()
    return found if len(found) > 1 and known else [*LABELS]


def _features(shape: list[int], random: np.random.Generator, spare: int) -> dict[str, Any]:
    """`spare`: columns that are left for an output."""
    scale = _extreme(random, 1e-6, 1e12)
    if shape:
        return {"shape": shape, "scale": scale}
    if random.random() < 0.5:
        return _typed([_asked(TYPED[index], random) for index in _some(len(TYPED), random)], random)
    columns = [COLUMNS[index] for index in _some(len(COLUMNS) - spare, random)]
    if random.random() < 0.05:
        columns[0] = "nothing of the kind"
    return _rows(random, len(columns)) | {"columns": columns, "scale": scale}


def _some(count: int, random: np.random.Generator) -> list[int]:
    """Indices below `count`, one at least, in any order."""
    return [int(one) for one in random.permutation(count)[: random.integers(1, count + 1)]]


def _typed(table: list[ColumnSchema], random: np.random.Generator) -> dict[str, Any]:
    """Declared columns: of rows, or of windows with some columns, and all texts, once each."""
    series = None
    if random.random() < 0.3:
        once = [one.name for one in table if one.type == "text" or random.random() < 0.4]
        static = () if len(once) == len(table) else tuple(once)
        series = _windows(random, static)
    ordered_ = ordered(table, () if series is None else series.static)
    return {
        "shape": list(shape_of(ordered_, series)),
        "table": [column.model_dump(mode="json") for column in ordered_],
        **({} if series is None else {"series": series.model_dump(mode="json")}),
    }


def _windows(random: np.random.Generator, static: tuple[str, ...] = ()) -> SeriesWindows:
    window, stride = int(random.integers(1, 5)), int(random.integers(1, 4))
    return SeriesWindows(**SERIES.model_dump(), window=window, stride=stride, static=static)


def _rows(random: np.random.Generator, width: int) -> dict[str, Any]:
    """Examples of one row, or of windows of rows."""
    if random.random() < 0.7:
        return {"shape": [width]}
    series = _windows(random)
    return {"shape": [series.window, width], "series": series.model_dump(mode="json")}


def _asked(own: ColumnSchema, random: np.random.Generator) -> ColumnSchema:
    """A declared column as a request may ask for it: with a range, values and a rule for missing
    values of its own."""
    fields = own.model_dump(mode="json") | {"missing": "omit", "constant": None}
    if own.range is not None and random.random() < 0.5:
        centre, half = _extreme(random, 1e-6, 1e9), _extreme(random, 1e-6, 1e9)
        fields["range"] = (centre - half, centre + half)
    if own.values and random.random() < 0.5:
        fields["values"] = [*random.permutation(own.values).tolist()[:2], "nobody's"]
    if own.type == "text":
        fields |= {"buckets": int(random.choice([64, 128])), "weight": _extreme(random, 1e-3, 1e3)}
    elif random.random() < 0.5:
        fields["missing"] = str(random.choice(["indicator", "constant"]))
    if fields["missing"] == "constant":
        constants = fields.get("values", fields.get("range", (0.0, 1.0)))
        fields["constant"] = constants[-1]
    return ColumnSchema.model_validate_json(json.dumps(fields))


def _parameters(
    name: str, known: dict[str, Any], labels: int, random: np.random.Generator
) -> dict[str, Any]:
    found = dict(known)
    if name in DENSE and random.random() < 0.3:
        found["example_norm"] = _extreme(random, 1e-300, 1e6)
    if name == "mlp":
        found["hidden"] = random.integers(1, 6, random.integers(1, 4)).tolist()
    if name == "cnn":
        found |= _of_convolutions(random)
    if name == "char-lstm":
        found |= {one: int(random.integers(1, 4)) for one in ("embedding", "hidden", "layers")}
    if name == "oblivious-trees":
        found |= _of_questions(random)
    if name in TABULAR:
        found |= _of_labels(labels, random) if labels else _of_values(random)
    if name in CENTRED:
        found["mirrored"] = int(random.integers(2))
    if name == "network-linear":
        found["side"] = int(random.integers(32, 49))
    if name in TEXT_FAMILIES:
        found["bits"] = int(random.choice([11, 12, 13]))
    if name == "random-forest":
        found |= {one: int(random.integers(1, 5)) for one in ("trees", "depth")}
    if TEXT_FAMILIES.get(name) == "class-sums":
        weights = ("count_weight", "dense_weight")
        found |= {one: _extreme(random, 1e-3, 1e3) for one in weights}
        if "network" in known:
            found["windows"] = int(random.integers(1, 4))
    return found


def _of_convolutions(random: np.random.Generator) -> dict[str, Any]:
    """One or two convolutions of pictures of 8 x 8."""
    layers = int(random.integers(1, 3))
    return {
        "channels": random.integers(1, 4, layers).tolist(),
        "kernels": random.choice([3, 5], layers).tolist(),
        "strides": random.choice([1, 2], layers).tolist(),
        "hidden": random.integers(1, 4, random.integers(1, 3)).tolist(),
        "activation": str(random.choice(["relu", "tanh"])),
    }


def _of_questions(random: np.random.Generator) -> dict[str, Any]:
    """How many trees, which questions they ask, and what the products of these weigh."""
    found: dict[str, Any] = {
        "trees": int(random.integers(1, 6)),
        "depth": int(random.integers(1, 5)),
        "questions": str(random.choice(["any", "pairs"])),
        "interaction": _extreme(random, 1e-3, 1),
        "lowest": min(-_extreme(random, 1e-3, 1e6), 1 - 2**-53),
        "seed": int(random.integers(2**32)),
    }
    if random.random() < 0.5:
        found["numbers"] = float(random.choice([TINY, 0.5, 1 - 2**-53]))
    return found


def _of_labels(labels: int, random: np.random.Generator) -> dict[str, Any]:
    """Class weights and priors of a classification."""
    found: dict[str, Any] = {}
    if random.random() < 0.5:
        found["class_weights"] = [_extreme(random, 1e-3, 1e3) for _ in range(labels)]
    if random.random() < 0.5:
        rare = [_extreme(random, TINY, 1e-3) for _ in range(labels - 1)]
        found["priors"] = random.permutation([*rare, max(1.0 - sum(rare), TINY)]).tolist()
    return found


def _of_values(random: np.random.Generator) -> dict[str, Any]:
    """Loss, quantile and prior of a regression."""
    found: dict[str, Any] = {"loss": str(random.choice(REGRESSIONS))}
    if random.random() < 0.5:
        found["quantile"] = float(random.choice([TINY, 0.1, 0.5, 1 - 2**-53]))
    if random.random() < 0.5:
        sign = 1 if found["loss"] == "poisson" else int(random.choice([-1, 1]))
        found["priors"] = [sign * _extreme(random, TINY, 1e12)]
    return found


def _local(random: np.random.Generator) -> dict[str, Any]:
    return {
        "steps": int(random.integers(1, 3)),
        "learning_rate": _extreme(random, 1e-9, 1e6),
        "momentum": float(random.choice([0.0, 0.9999])),
        "sampling_rate": float(random.choice([1.0, 0.5])),
    }


def _extreme(random: np.random.Generator, low: float, high: float) -> float:
    """One end, a moderate number, or anything between the ends on a scale of magnitudes."""
    between = float(10 ** random.uniform(np.log10(low), np.log10(high)))
    return float(random.choice([low, high, 1.0, min(max(between, low), high)]))


def _first_model(spec: Specification, random: np.random.Generator) -> Model:
    """Zeros, the family's own, or weights up to the largest allowed, equal ones among them."""
    family = family_of(spec)
    template = family.template(spec)
    kind = random.integers(4)
    if kind == 0 or template.largest == LARGEST:
        return family.initial(spec, 0)
    largest = 10 ** random.uniform(0, np.log10(MAX_WEIGHT))
    found: Model = {}
    for name, shape in template.tensors:
        values = random.uniform(-1, 1, shape) * largest
        if kind == 1:
            values = random.choice([-MAX_WEIGHT, MAX_WEIGHT], shape)
        elif kind == 2:  # outputs that are equal but for last bits
            one = values[..., :1] if name == LEAVES else values[:1]
            values = np.broadcast_to(one, shape) * (1 + 1e-7 * random.random(shape))
        found[name] = np.clip(values, -MAX_WEIGHT, MAX_WEIGHT).astype(np.float32)
    return found
