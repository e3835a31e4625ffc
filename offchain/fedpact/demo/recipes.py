"""How the demo trains each family: small enough for two cores.

Softmax regression and scattering features have settings chosen on other data or a public slice.
Those of forests and boosted trees were compared on R8's test documents: they show how to run them,
their accuracy in a demo is no measurement.
"""

from dataclasses import dataclass, field
from math import isqrt
from typing import Any

from fedpact.data.sources import Source
from fedpact.data.splitting import PUBLIC_EXAMPLES
from fedpact.demo import drafts, scattering
from fedpact.demo.options import DemoOptions
from fedpact.demo.scattering import Step
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.requester.draft import Draft
from fedpact.types.privacy import PaperMechanism

PAPER_EPOCHS = {"epochs": 3, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5}
"""Wang et al.'s batch, and the fewest epochs that DDP-SGD can have."""
PAPER_CLIPPING_NORM = 1.0
"""Of DP-SGD: the one that Wang et al. 2024 give figures of at each epsilon."""
PAPER_SENSITIVITY = 1.0
"""Of Laplace noise: that of the project's experiments on Lu et al. 2020."""
PRIVATE_STEPS = {"steps": 4, "learning_rate": 0.5, "momentum": 0.5}


@dataclass(frozen=True)
class Recipe:
    """One family's parameters and local training."""

    plain: dict[str, Any]
    """Local training without privacy."""
    private: dict[str, Any] = field(default_factory=lambda: dict(PRIVATE_STEPS))
    """Local training under `sound`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    private_parameters: dict[str, Any] | None = None
    """Under `sound`; None: the same."""
    records: int | None = None
    """The most records that a provider trains on and the demo tests on; None: all."""
    rounds: int | None = None
    """None: as many as the digits take."""
    strategy: str = "fedavg"
    aggregation: str = "weighted-mean"
    clipping_norm: float = drafts.CLIPPING_NORM
    public: int = 0
    """Training records that are declared public: what the recipe was chosen on, what the evaluation
    set is drawn from, and what no provider holds. 0: the evaluation set is kept out alone."""


def _scattering(step: Step, public: int = 0) -> Recipe:
    """One full-batch step a round, after the round that centres the features."""
    return Recipe(
        step.local,
        step.local,
        step.parameters,
        rounds=scattering.ROUNDS,
        strategy=f"fedavgm:momentum={step.momentum}",
        clipping_norm=step.clipping_norm,
        public=public,
    )


IMAGE_FAMILIES = ("cnn", scattering.FAMILY)
CONSTRUCTION = {"construction_seed": 0}
SOFTMAX_STEPS = {
    "steps": drafts.STEPS,
    "learning_rate": drafts.LEARNING_RATE,
    "momentum": drafts.MOMENTUM,
}
RECIPES = {
    "softmax-regression": Recipe(
        SOFTMAX_STEPS, SOFTMAX_STEPS, {"example_norm": drafts.EXAMPLE_NORM}
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
    scattering.FAMILY: _scattering(Step(300.0, 0.05, 0.9)),
    "decision-tree": Recipe(
        CONSTRUCTION,
        CONSTRUCTION,
        {"depth": 8, "bits": 12},
        records=600,
        rounds=1,
        aggregation="union",
    ),
    "random-forest": Recipe(
        CONSTRUCTION,
        CONSTRUCTION,
        {"depth": 8, "trees": 20, "bits": 12, "features": 0.5},
        {"depth": 3, "trees": 300, "bits": 12},
        records=1500,
        rounds=1,
        aggregation="union",
    ),
    "boosted-trees": Recipe(
        CONSTRUCTION,
        CONSTRUCTION,
        {"depth": 4, "trees": 2, "bits": 12, "features": 0.3},
        records=600,
        rounds=4,
        strategy="algorithm-one",
        aggregation="union",
    ),
    "text-statistics": Recipe(CONSTRUCTION, CONSTRUCTION, rounds=1, aggregation="class-sums"),
}
RECIPES_ON_DATA = {
    (scattering.FAMILY, data): _scattering(step, PUBLIC_EXAMPLES)
    for data, step in scattering.STEPS.items()
}
"""Families that have one more for a certain data set."""
USUAL = {
    "shakespeare": "char-lstm",
    "leaf-shakespeare": "char-lstm",
    "cmapss-fd001": "mlp",
    "20newsgroups": "text-statistics",
    "20newsgroups-bodies": "text-statistics",
    "r8": "text-statistics",
}
"""Families of data sets that softmax regression does not suit."""
CATEGORIES = {
    "20newsgroups": "texts/newsgroups",
    "20newsgroups-bodies": "texts/newsgroups",
    "r8": "texts/newswire",
}
"""Of data sets that are no images."""
LONG_WINDOWS = {"submit": 600, "commit": 300}
"""Seconds, where features of all records or lists of words are computed or loaded once in each
daemon's life, and all share the machine."""


def family_of(options: DemoOptions) -> str:
    """The family asked for, or the usual one of the data set."""
    return options.family or USUAL.get(options.data, "softmax-regression")


def recipe_of(options: DemoOptions) -> Recipe:
    """Raises SpecificationError for a family without a recipe."""
    name = family_of(options)
    if name not in RECIPES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(RECIPES)}")
    return RECIPES_ON_DATA.get((name, options.data), RECIPES[name])


def draft(source: Source, options: DemoOptions) -> Draft:
    """The draft of a request for a model of `source`, as the options ask."""
    recipe = recipe_of(options)
    features = source.features
    shape = features["shape"]
    if family_of(options) in IMAGE_FAMILIES and len(shape) == 1:
        side = isqrt(shape[0])
        if side * side != shape[0]:
            raise SpecificationError(f"family {family_of(options)}: {source.name} has no images")
        features = {**features, "shape": [side, side]}
    rounds = options.rounds or recipe.rounds
    fields = drafts.draft(source, options.providers, rounds, options.epsilon) | {
        "task": source.task,
        "features": features,
        "family": {"name": family_of(options), "parameters": _parameters(recipe, options)},
        "local": recipe.plain if options.epsilon is None else recipe.private,
        "strategy": named(options.strategy or recipe.strategy, "--strategy"),
        "aggregation": named(options.aggregation or recipe.aggregation, "--aggregation"),
    }
    if source.kind == "text":
        fields["category"] = CATEGORIES[source.name]
    if source.kind == "text" or family_of(options) == scattering.FAMILY:
        fields["windows"] = {**fields["windows"], **LONG_WINDOWS}
    if options.epsilon is not None:
        fields["privacy"]["clipping_norm"] = recipe.clipping_norm
    if recipe.private == CONSTRUCTION:
        fields["privacy"].pop("clipping_norm", None)
    if options.paper is not None:
        fields |= {"privacy": _paper(options), "local": PAPER_EPOCHS}
    if source.output is not None:
        fields["output"] = source.output.model_dump()
    return Draft(fields)


def _paper(options: DemoOptions) -> dict[str, Any]:
    """The demand of mode `paper`, with the epsilon that is claimed."""
    asked: dict[str, Any] = {"mode": "paper", "mechanism": options.paper}
    asked["epsilon"] = options.epsilon
    if options.paper is PaperMechanism.LAPLACE:
        return asked | {"sensitivity": PAPER_SENSITIVITY}
    asked["delta"] = drafts.DELTA
    if options.paper is PaperMechanism.DP_SGD:
        asked["clipping_norm"] = PAPER_CLIPPING_NORM
    return asked


def _parameters(recipe: Recipe, options: DemoOptions) -> dict[str, Any]:
    if options.epsilon is None or recipe.private_parameters is None:
        return recipe.parameters
    return recipe.private_parameters


def named(text: str, option: str) -> dict[str, Any]:
    """`name` or `name:parameter=value,parameter=value` as a part of a specification."""
    name, colon, rest = text.partition(":")
    parameters: dict[str, int | float | str] = {}
    for part in rest.split(",") if colon else ():
        parameter, _, value = part.partition("=")
        if not value:
            raise InvalidInput(f"{option} {text!r}: a name, or name:parameter=value,..., is needed")
        parameters[parameter] = _value(value)
    return {"name": name, "parameters": parameters}


def _value(text: str) -> int | float | str:
    """A number where it is one."""
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text
