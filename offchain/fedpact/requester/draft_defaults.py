"""A draft from what a requester knows: which data it asks for, and how private it must be.

Families and settings are those of the project's own measurements on data of each kind
(docs/results/tables.json, the demo's digits and texts). They are a start: any field of a draft can
be given in their place.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedpact.data.dataset import Targets
from fedpact.errors import SpecificationError
from fedpact.types.columns import RANGED, ColumnSchema
from fedpact.types.parts import ordered, shape_of
from fedpact.types.privacy import PrivacyMode
from fedpact.types.schema import DataSchema

DELTA = 1e-5
ROUNDS = 10
MIN_PROVIDERS, MAX_PROVIDERS = 3, 16
MAX_ERROR = 5_000
"""The score of a contribution that neither helps nor harms."""
EIGHTHS = 8
"""A regression's errors are counted in this part of the output's public range."""
TREES = {"trees": 256, "depth": 3}
LEAST_SHARE = 0.01
"""Of a label that is rare or missing among the examples: a prior of 0 rules it out for good."""
MOMENTUM = {"name": "fedavgm", "parameters": {"momentum": 0.9}}


def proposal(schema: DataSchema, epsilon: float, output: Any = None) -> dict[str, Any]:
    """A draft's fields: sound for `epsilon` at DELTA for each provider's privacy unit over all
    rounds.

    Tables are learnt by random oblivious trees, arrays by softmax regression or, to predict a
    number, by trees, texts by statistics of their words. `output`: the column whose number is to
    be predicted, or a specification's `output`; None: the schema's labels. Raises
    SpecificationError for a schema that has neither.
    """
    if output is None and not schema.labels and schema.output is not None:
        output = schema.output.name
    given: dict[str, Any] = {
        "title": schema.category,
        "category": schema.category,
        "rounds": ROUNDS,
        "min_providers": MIN_PROVIDERS,
        "max_providers": MAX_PROVIDERS,
        "score": "contribution",
        "max_error": MAX_ERROR,
        "privacy": {"mode": PrivacyMode.SOUND.value, "epsilon": epsilon, "delta": DELTA},
        **(_values(schema, output) if output is not None else _labels(schema)),
    }
    if schema.kind == "text":
        given |= _texts()
    elif output is not None:
        given |= _trees(schema, output, rate=8.0)
        given["privacy"]["clipping_norm"] = 0.5
    elif schema.is_table:
        given |= _trees(schema, None, rate=60.0)
        given["privacy"]["clipping_norm"] = 0.3
    else:
        given |= _softmax(schema)
        given["privacy"]["clipping_norm"] = 1.0
    return given


def shares(y: Targets, labels: int) -> list[float]:
    """Of each label among the examples: rounded to a hundredth, at least LEAST_SHARE, and scaled to
    add up to 1, as a family's priors must."""
    counts = np.bincount(np.asarray(y, dtype=np.int64), minlength=labels)
    rounded = [max(round(one, 2), LEAST_SHARE) for one in (counts / counts.sum()).tolist()]
    total = math.fsum(rounded)
    return [one / total for one in rounded]


def _labels(schema: DataSchema) -> dict[str, Any]:
    if len(schema.labels) < 2:
        raise SpecificationError(
            f"schema: {len(schema.labels)} labels: a classification needs at least 2; to predict a "
            "number, say in which column it is (output)"
        )
    return {"labels": list(schema.labels)}


def _values(schema: DataSchema, output: Any) -> dict[str, Any]:
    """A regression; `output`: a column's name, or the specification's `output`."""
    if isinstance(output, Mapping):
        return {"task": "regression", "output": dict(output)}
    low, high = _declared(schema, output).limits
    return {"task": "regression", "output": {"column": output, "scale": (high - low) / EIGHTHS}}


def _declared(schema: DataSchema, name: str) -> ColumnSchema:
    known = [*schema.inputs, *([schema.output] if schema.output is not None else [])]
    found = {one.name: one for one in known if one.type in RANGED}
    if name not in found:
        raise SpecificationError(
            f"output {name!r} is not a numeric column of the schema, which has"
            f" {', '.join(found) or 'none'}"
        )
    return found[name]


def _texts() -> dict[str, Any]:
    return {
        "features": {"kind": "text", "shape": []},
        "family": {"name": "text-statistics"},
        "local": {"construction_seed": 0},
        "aggregation": {"name": "class-sums"},
        "rounds": 1,
    }


def _trees(schema: DataSchema, output: Any, rate: float) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(TREES)
    if output is not None:
        # The median's gradients are bounded by themselves.
        parameters |= {"loss": "quantile"}
    if isinstance(output, str):
        parameters["priors"] = [sum(_declared(schema, output).limits) / 2]
    if schema.value_range is not None:
        low, scale = _scaled(schema.value_range)
        parameters["lowest"] = low / scale
    return {
        "features": _features(schema, output),
        "family": {"name": "oblivious-trees", "parameters": parameters},
        "strategy": MOMENTUM,
        "local": {"steps": 1, "learning_rate": rate},
    }


def _softmax(schema: DataSchema) -> dict[str, Any]:
    return {
        "features": _features(schema, None),
        "family": {"name": "softmax-regression", "parameters": {"example_norm": 3.0}},
        "local": {"steps": 4, "learning_rate": 2.0, "momentum": 0.5},
    }


def _features(schema: DataSchema, output: Any) -> dict[str, Any]:
    """All declared columns but the output, as they are declared; of arrays their shape."""
    if schema.value_range is not None:
        return {"shape": list(schema.shape), "scale": _scaled(schema.value_range)[1]}
    predicted = output["column"] if isinstance(output, Mapping) else output
    asked = ordered([one.asked for one in schema.inputs if one.name != predicted], ())
    return {
        "shape": list(shape_of(asked, None)),
        "table": [one.model_dump(mode="json") for one in asked],
    }


def _scaled(limits: tuple[float, float]) -> tuple[float, float]:
    """Lowest value, and the largest size of one, by which arrays are divided."""
    return limits[0], max(abs(limits[0]), abs(limits[1]))
