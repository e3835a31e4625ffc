"""How the demo trains each family: small enough for two cores, chosen once, not tuned further."""

from dataclasses import dataclass, field
from math import isqrt
from typing import Any

from fedpact.data.sources import Source
from fedpact.demo.options import DemoOptions
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.experiments import digits

PRIVATE_STEPS = {"steps": 4, "learning_rate": 0.5, "momentum": 0.5}


@dataclass(frozen=True)
class Recipe:
    """One family's parameters and local training."""

    plain: dict[str, Any]
    """Local training without privacy."""
    private: dict[str, Any] = field(default_factory=lambda: dict(PRIVATE_STEPS))
    """Local training under `sound`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    records: int | None = None
    """The most records that a provider trains on and the demo tests on; None: all."""


SOFTMAX_STEPS = {
    "steps": digits.STEPS,
    "learning_rate": digits.LEARNING_RATE,
    "momentum": digits.MOMENTUM,
}
RECIPES = {
    "softmax-regression": Recipe(
        SOFTMAX_STEPS, SOFTMAX_STEPS, {"example_norm": digits.EXAMPLE_NORM}
    ),
    "linear-regression": Recipe(
        {"epochs": 2, "batch_size": 32, "learning_rate": 0.001, "momentum": 0.5}, records=2000
    ),
    "mlp": Recipe({"epochs": 2, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5}),
    "cnn": Recipe(
        {"epochs": 2, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5},
        parameters={"form": "mnist", "channels": [8, 16], "hidden": [32], "activation": "tanh"},
        records=1000,
    ),
    "char-lstm": Recipe(
        {"epochs": 2, "batch_size": 16, "learning_rate": 0.5, "momentum": 0.8},
        parameters={"hidden": 32, "layers": 1},
        records=1000,
    ),
}
USUAL = {"shakespeare": "char-lstm", "leaf-shakespeare": "char-lstm", "cmapss-fd001": "mlp"}
"""Families of data sets that softmax regression does not suit."""


def family_of(options: DemoOptions) -> str:
    """The family asked for, or the usual one of the data set."""
    return options.family or USUAL.get(options.data, "softmax-regression")


def recipe_of(options: DemoOptions) -> Recipe:
    """Raises SpecificationError for a family without a recipe."""
    name = family_of(options)
    if name not in RECIPES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(RECIPES)}")
    return RECIPES[name]


def draft(source: Source, options: DemoOptions) -> dict[str, Any]:
    """The draft of a request for a model of `source`, as the options ask."""
    recipe = recipe_of(options)
    shape = list(source.shape)
    if family_of(options) == "cnn" and len(shape) == 1:
        side = isqrt(shape[0])
        if side * side != shape[0]:
            raise SpecificationError(f"family cnn: {source.name} has no images")
        shape = [side, side]
    fields = digits.draft(source, options.providers, options.rounds, options.epsilon) | {
        "task": source.task,
        "features": {"shape": shape, "scale": source.scale},
        "family": {"name": family_of(options), "parameters": recipe.parameters},
        "local": recipe.plain if options.epsilon is None else recipe.private,
        "strategy": named(options.strategy, "--strategy"),
        "aggregation": named(options.aggregation, "--aggregation"),
    }
    if source.output is not None:
        fields["output"] = source.output.model_dump()
    return fields


def named(text: str, option: str) -> dict[str, Any]:
    """`name` or `name:parameter=number,parameter=number` as a part of a specification."""
    name, colon, rest = text.partition(":")
    parameters: dict[str, int | float] = {}
    for part in rest.split(",") if colon else ():
        parameter, _, value = part.partition("=")
        try:
            parameters[parameter] = int(value) if value.isdecimal() else float(value)
        except ValueError as error:
            raise InvalidInput(
                f"{option} {text!r}: a name, or name:parameter=number,..., is needed"
            ) from error
    return {"name": name, "parameters": parameters}
