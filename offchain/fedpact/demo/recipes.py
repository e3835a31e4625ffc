"""How the demo trains each family: small enough for two cores.

The settings of softmax regression and scattering features were chosen on other data or on a public
slice. Those of forests and boosted trees were compared on R8's test documents: they show how to run
them, and their accuracy in a demo is not a measurement.
"""

from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any

from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import PUBLIC_EXAMPLES
from fedpact.demo import drafts, scattering_settings
from fedpact.demo.options import DemoOptions
from fedpact.demo.scattering_settings import ServerStep
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
from fedpact.requester.draft import Draft
from fedpact.types.privacy import PaperMechanism, PrivacyMode

PAPER_EPOCHS = {"epochs": 3, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5}
"""Wang et al.'s batch size, and the least number of epochs for DDP-SGD."""
PAPER_CLIPPING_NORM = 1.0
"""For DP-SGD: the one for which Wang et al. 2024 give results at each epsilon."""
PAPER_SENSITIVITY = 1.0
"""For Laplace noise: the value in the project's experiments on Lu et al. 2020."""
PRIVATE_STEPS = {"steps": 4, "learning_rate": 0.5, "momentum": 0.5}
CONSTRUCTION = {"construction_seed": 0}


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
    """Most records that a provider trains on and the demo tests on; None: all."""
    rounds: int | None = None
    """None: as many as for the digits."""
    strategy: str = "fedavg"
    aggregation: str = "weighted-mean"
    clipping_norm: float = drafts.CLIPPING_NORM
    public: int = 0
    """Number of training records declared public: the recipe was chosen on them, the evaluation set
    is drawn from them, and no provider has them. 0: only the evaluation set is held out."""

    def local(self, options: DemoOptions) -> dict[str, Any]:
        """How each provider trains."""
        if options.epsilon is None:
            return self.plain
        if options.mechanism is None:
            return self.private
        return CONSTRUCTION if self.plain == CONSTRUCTION else PAPER_EPOCHS

    def privacy(self, options: DemoOptions) -> dict[str, Any]:
        """What the request demands of the noise."""
        if options.epsilon is None:
            return {"mode": PrivacyMode.NONE}
        if options.mechanism is not None:
            return _claimed(options.mechanism, options.epsilon)
        asked = {"mode": PrivacyMode.SOUND, "epsilon": options.epsilon, "delta": drafts.DELTA}
        constructs = self.private == CONSTRUCTION
        return asked if constructs else {**asked, "clipping_norm": self.clipping_norm}

    def parameters_of(self, options: DemoOptions) -> dict[str, Any]:
        """The family's."""
        if options.epsilon is None or self.private_parameters is None:
            return self.parameters
        return self.private_parameters


def _scattering(step: ServerStep, public: int = 0) -> Recipe:
    """One full-batch step per round, after the round that centres the features."""
    return Recipe(
        step.local,
        step.local,
        step.parameters,
        rounds=scattering_settings.ROUNDS,
        strategy=f"fedavgm:momentum={step.momentum}",
        clipping_norm=step.clipping_norm,
        public=public,
    )


SENTENCE_NETWORK = {"network": MINILM.name, "digest": MINILM.digest}
IMAGE_NETWORK = {"network": EFFICIENTNET_LITE0.name, "digest": EFFICIENTNET_LITE0.digest}


def _network(step: ServerStep, side: int, public: int = 0, records: int | None = None) -> Recipe:
    """The same on a public network's features."""
    parameters = {**IMAGE_NETWORK, "side": side}
    return replace(_scattering(step, public), parameters=parameters, records=records)


NETWORK_FAMILY = "network-linear"
IMAGE_FAMILIES = ("cnn", scattering_settings.FAMILY, NETWORK_FAMILY)
SLOW_FAMILIES = (scattering_settings.FAMILY, NETWORK_FAMILY)
"""Whose features take minutes."""
SOFTMAX_STEPS = {
    "steps": drafts.STEPS,
    "learning_rate": drafts.LEARNING_RATE,
    "momentum": drafts.MOMENTUM,
}
TREE_STEP = {"steps": 1, "learning_rate": 60.0}
RECIPES = {
    "softmax-regression": Recipe(
        SOFTMAX_STEPS, SOFTMAX_STEPS, {"example_norm": drafts.EXAMPLE_NORM}
    ),
    "linear-regression": Recipe(
        {"epochs": 2, "batch_size": 32, "learning_rate": 0.001, "momentum": 0.5}, records=2000
    ),
    "mlp": Recipe({"epochs": 2, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.5}),
    "generalised-linear": Recipe(
        SOFTMAX_STEPS, SOFTMAX_STEPS, {"example_norm": drafts.EXAMPLE_NORM}
    ),
    "oblivious-trees": Recipe(
        TREE_STEP,
        TREE_STEP,
        {"lowest": 0.0},
        strategy="fedavgm:momentum=0.9",
        clipping_norm=0.5,
    ),
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
    scattering_settings.FAMILY: _scattering(ServerStep(300.0, 0.05, 0.9)),
    NETWORK_FAMILY: _network(ServerStep(300.0, 0.1, 0.9), side=64),
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
    "network-statistics": Recipe(
        CONSTRUCTION,
        CONSTRUCTION,
        SENTENCE_NETWORK,
        rounds=1,
        aggregation="class-sums",
        records=600,
    ),
}
RECIPES_ON_DATA = {
    (scattering_settings.FAMILY, data): _scattering(step, PUBLIC_EXAMPLES)
    for data, step in scattering_settings.STEPS.items()
} | {(NETWORK_FAMILY, "cifar10"): _network(ServerStep(800.0, 0.1, 0.9), 128, PUBLIC_EXAMPLES, 2500)}
"""Recipes of families for a certain data set."""
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
"""Categories of data sets other than images."""
JOIN_SECONDS = 6
"""For each provider of a pool: their daemons join one after another, on one machine."""
LONG_WINDOWS = {"submit": 600, "commit": 300}
"""Seconds; for families whose daemons compute features or load word lists once, all on one
machine."""


def family_of(options: DemoOptions) -> str:
    """The chosen family, or the data set's usual one."""
    return options.family or USUAL.get(options.data, "softmax-regression")


def recipe_of(options: DemoOptions) -> Recipe:
    """Raises SpecificationError for a family without a recipe."""
    name = family_of(options)
    if name not in RECIPES:
        raise SpecificationError(f"model family {name!r} is unknown: one of {', '.join(RECIPES)}")
    return RECIPES_ON_DATA.get((name, options.data), RECIPES[name])


def draft(source: TrainTestData, options: DemoOptions, recipe: Recipe) -> Draft:
    """The draft of a request for a model of `source`, by the options."""
    family = family_of(options)
    fields = drafts.draft(source, options.drawn, options.rounds or recipe.rounds) | {
        "task": source.task,
        "features": _features(source, family),
        "family": {"name": family, "parameters": recipe.parameters_of(options)},
        "local": recipe.local(options),
        "strategy": named(options.strategy or recipe.strategy, "--strategy"),
        "aggregation": named(options.aggregation or recipe.aggregation, "--aggregation"),
        "privacy": recipe.privacy(options),
    }
    if source.kind == "text":
        fields["category"] = CATEGORIES[source.name]
    if source.kind == "text" or family in SLOW_FAMILIES:
        fields["windows"] = {**fields["windows"], **LONG_WINDOWS}
    fields["terms"] = {"min_pool": options.providers, "max_pool": options.providers}
    join = max(fields["windows"]["join"], JOIN_SECONDS * options.providers)
    fields["windows"] = {**fields["windows"], "join": join}
    if source.output is not None:
        fields["output"] = source.output.model_dump()
    return Draft(fields)


def _features(source: TrainTestData, family: str) -> dict[str, Any]:
    """The source's features; in rows of pixels for families that need images."""
    shape = source.features["shape"]
    if family not in IMAGE_FAMILIES or len(shape) != 1:
        return source.features
    side = isqrt(shape[0])
    if side * side != shape[0]:
        raise SpecificationError(f"family {family} needs images, {source.name} has none")
    return {**source.features, "shape": [side, side]}


def _claimed(mechanism: PaperMechanism, epsilon: float) -> dict[str, Any]:
    """The privacy of mode `paper`, with its claimed epsilon."""
    asked: dict[str, Any] = {"mode": PrivacyMode.PAPER, "mechanism": mechanism, "epsilon": epsilon}
    if mechanism is PaperMechanism.LAPLACE:
        return asked | {"sensitivity": PAPER_SENSITIVITY}
    asked["delta"] = drafts.DELTA
    if mechanism is PaperMechanism.DP_SGD:
        asked["clipping_norm"] = PAPER_CLIPPING_NORM
    return asked


def named(text: str, option: str) -> dict[str, Any]:
    """`name` or `name:parameter=value,parameter=value` as a part of a specification."""
    name, colon, rest = text.partition(":")
    parameters: dict[str, int | float | str] = {}
    for part in rest.split(",") if colon else ():
        parameter, _, value = part.partition("=")
        if not value:
            raise InvalidInput(f"{option} {text!r}: write a name, or name:parameter=value,...")
        parameters[parameter] = _value(value)
    return {"name": name, "parameters": parameters}


def _value(text: str) -> int | float | str:
    """A number if the text is one."""
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text
