"""Accuracy under `sound` privacy of a linear model on fixed scattering features.

Ten providers with two classes each (Wang et al. 2024, section 5); each adds its own noise. Round 0
releases noised feature sums, whose mean centres the features; each further round is one
full-batch step: each example's gradient is clipped, the provider noises the sum, and the weighted
mean is applied with momentum (Tramer & Boneh 2021 for the features). All releases are charged: one
Gaussian with mu^2 = rounds / z^2 + 1 / z_0^2.

Rounds, clipping norm and learning rate are chosen on 5,000 training images that are declared
public and kept out of training: `--tune` trains on 4,000 of them with the noise that the mean
gradient has in the private run, and evaluates on the other 1,000. Test images are not used for
any choice.

    python -m lab.fixed_features.training mnist --epsilon 2 --tune 160 0.03 667 0.9

The chosen plans are in PLANS; `python -m lab run` uses them (kind `privacy`).
"""

import argparse
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import PUBLIC_EXAMPLES, public_slice
from fedpact.features import scattering
from fedpact.features.cache import scattering_features
from fedpact.privacy.accounting import calibrate, cost
from fedpact.privacy.linear_sums import (
    CentredFeatures,
    Features,
    feature_sum,
    noised,
    softmax_gradient_sum,
)
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.privacy.releases import GaussianRelease, Schedule

DELTA = 1e-5
PROVIDERS = 10
CURVE_ROUNDS = 20
"""Rounds between two points of a curve."""
PARTITION = "class2"
FEATURES = Path(".cache/features")
"""Folder of computed features, in the working folder."""
PUBLIC_TRAINING_SHARE = 0.8
FEATURE_NORM = 1.0
"""Bound of an example in the centring sum; normalised features have norm 1 at most."""


@dataclass(frozen=True)
class Plan:
    """Parameters fixed before anyone joins."""

    rounds: int
    clipping_norm: float
    learning_rate: float
    momentum: float = 0.9
    centring_multiplier: float = 20.0
    mirrored: bool = False
    """Whether an image and its mirror image count as one (`scattering.mirrored`)."""
    averaged: int = 1
    """Number of last rounds whose weights are averaged for the model; this costs no privacy."""


def _for_objects(epsilon: float) -> Plan:
    if epsilon < 5:
        return Plan(rounds=60, clipping_norm=0.03, learning_rate=1500.0, mirrored=True)
    rate = 3000.0 if epsilon < 10 else 5000.0
    return Plan(rounds=60, clipping_norm=0.03, learning_rate=rate, mirrored=True, averaged=20)


PLANS: dict[str, Callable[[float], Plan]] = {
    "mnist": lambda epsilon: Plan(rounds=160, clipping_norm=0.03, learning_rate=667.0),
    "cifar10": _for_objects,
}
"""By data set and epsilon, chosen with `--tune` on the public slice."""


@dataclass(frozen=True)
class Private:
    """One provider's features (n, d) and labels (n,)."""

    x: Features
    y: NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Features of a data set, split into public, private and test."""

    name: str
    labels: int
    public: Private
    private: Private
    test: Private

    @classmethod
    def of(cls, source: TrainTestData, folder: Path, mirrored: bool = False) -> "Task":
        """Features are cached in `folder`; the public slice is the same in every run."""
        train = scattering_features(_images(source.x_train, source.scale), folder)
        test = scattering_features(_images(source.x_test, source.scale), folder)
        public, private = public_slice(len(train), PUBLIC_EXAMPLES)
        y_train, y_test = (part.astype(np.int64) for part in (source.y_train, source.y_test))
        shape = source.shape

        def part(rows: NDArray[np.int64]) -> Private:
            return Private(_taken(train, rows, mirrored, shape), y_train[rows])

        return cls(
            source.name,
            len(source.labels),
            part(public),
            part(private),
            Private(_taken(test, np.arange(len(test)), mirrored, shape), y_test),
        )


@dataclass(frozen=True)
class Trained:
    """A linear model on centred features: logits = weights @ (x - centre)."""

    weights: NDArray[np.float32]
    centre: NDArray[np.float32]

    def accuracy(self, test: Private) -> float:
        return self.right(test) / len(test.y)

    def right(self, test: Private) -> int:
        """Number of examples with the right label."""
        right = 0
        for start in range(0, len(test.y), 1000):
            part = slice(start, start + 1000)
            x = test.x[part].astype(np.float32) - self.centre
            right += int(((x @ self.weights.T).argmax(axis=1) == test.y[part]).sum())
        return right


@dataclass(frozen=True)
class Round:
    """What a round's sum is made of."""

    number: int
    """0 gathers the centre."""
    sums: Sequence[NDArray[np.float64]]
    """The providers' clipped sums."""
    norm: float
    """The clipping norm."""
    judged_on: int
    """Number of public images."""
    gain: Callable[[NDArray[np.float64], Sequence[int]], int]
    """How many more of the public images are right after one step by the sum of these members."""


@dataclass(frozen=True)
class Sum:
    """A round's noised sum."""

    values: NDArray[np.float64]
    members: Sequence[int]
    """Whose sums are in it."""


Summation = Callable[[Round], Sum]


def own_noise(plan: Plan, noise_multiplier: float, noises: Sequence[NoiseSource]) -> Summation:
    """Each provider noises what it publishes."""

    def summed(made: Round) -> Sum:
        multiplier = noise_multiplier if made.number else plan.centring_multiplier
        parts = [
            noised(one, made.norm, multiplier, noise)
            for one, noise in zip(made.sums, noises, strict=True)
        ]
        return Sum(np.sum(parts, axis=0), range(len(parts)))

    return summed


def train(
    providers: Sequence[Private],
    public: Private,
    labels: int,
    plan: Plan,
    summed: Summation,
    on_round: Callable[[int, Trained], None] | None = None,
) -> Trained:
    """Round 0 and `plan.rounds` rounds over the providers.

    public: what sums may be judged on. on_round: called with each round's number and model, before
    any averaging. Each sum is divided by the number of examples of those whose sums are in it.
    """
    sizes = np.array([len(provider.y) for provider in providers])

    def mean(found: Sum) -> NDArray[np.float64]:
        return np.asarray(found.values / max(1, int(sizes[list(found.members)].sum())))

    sums = [feature_sum(one.x, FEATURE_NORM) for one in providers]
    first = summed(Round(0, sums, FEATURE_NORM, 0, lambda total, members: 0))
    centre = mean(first).astype(np.float32)
    centred = [CentredFeatures.of(one.x, centre) for one in providers]

    norm = plan.clipping_norm
    weights = np.zeros((labels, centre.size), dtype=np.float64)
    velocity = np.zeros_like(weights)
    trained = Trained(weights.astype(np.float32), centre)
    latest = deque[NDArray[np.float64]](maxlen=plan.averaged)

    def gain(total: NDArray[np.float64], members: Sequence[int]) -> int:
        step = plan.learning_rate * mean(Sum(total.reshape(weights.shape), members))
        stepped = Trained((weights - step).astype(np.float32), centre)
        return stepped.right(public) - trained.right(public)

    for round_ in range(1, plan.rounds + 1):
        clipped = [
            softmax_gradient_sum(features, trained.weights, one.y, norm)
            for one, features in zip(providers, centred, strict=True)
        ]
        found = summed(Round(round_, clipped, norm, len(public.y), gain))
        velocity = plan.momentum * velocity + mean(found)
        weights -= plan.learning_rate * velocity
        latest.append(weights.copy())
        trained = Trained(weights.astype(np.float32), centre)
        if on_round is not None:
            on_round(round_, trained)
    return Trained(np.mean(latest, axis=0).astype(np.float32), centre)


def schedule(plan: Plan, epsilon: float) -> Schedule:
    """All releases of a provider, with noise calibrated to `epsilon` in total."""
    centring = GaussianRelease(plan.centring_multiplier, 1.0, 1)
    multiplier = calibrate(epsilon, DELTA, plan.rounds, 1.0, (centring,))
    return Schedule((centring, GaussianRelease(multiplier, 1.0, plan.rounds)))


def split_up(
    task: Task, seed: int, providers: int, cut: str, examples: int | None
) -> list[Private]:
    """The providers' images; `examples` of all, drawn with the seed, or all if None."""
    chosen = np.arange(len(task.private.y))
    if examples is not None:
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:examples])
    parts = [chosen[part] for part in partition.named(cut, task.private.y[chosen], providers, seed)]
    return [Private(task.private.x[part], task.private.y[part]) for part in parts]


def run_case(
    task: Task,
    epsilon: float,
    seed: int,
    plan: Plan,
    providers: int = PROVIDERS,
    cut: str = PARTITION,
    examples: int | None = None,
) -> dict[str, Any]:
    """Train once and test once, each provider with its own noise; the partition `cut` and the noise
    depend on the seed.

    Args:
        examples: as `split_up`.

    Returns the accuracy on the test images, the curve over the rounds, and everything that epsilon
    depends on.
    """
    released = schedule(plan, epsilon)
    multiplier = released.releases[1].noise_multiplier
    noises = [SeededNoise(1000 * seed + number) for number in range(providers)]
    return trained_case(
        task,
        split_up(task, seed, providers, cut, examples),
        plan,
        own_noise(plan, multiplier, noises),
    ) | {
        "noise_multiplier": multiplier,
        "privacy": {**asdict(cost(released, DELTA)), "adjacency": "zero-out"},
        "covers": "centring sum and all gradient sums of each provider by itself",
    }


def trained_case(
    task: Task, held: Sequence[Private], plan: Plan, summed: Summation
) -> dict[str, Any]:
    """Train and test once; what the result is, and what it took."""
    began = time.process_time()
    curve: dict[int, float] = {}

    def note(round_: int, trained: Trained) -> None:
        if round_ % CURVE_ROUNDS == 0 or round_ == plan.rounds:
            curve[round_] = trained.accuracy(task.test)

    trained = train(held, task.public, task.labels, plan, summed, note)
    return {
        "examples": [len(part.y) for part in held],
        "accuracy": trained.accuracy(task.test),
        "curve": curve,
        "plan": asdict(plan),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def tune_case(
    task: Task, epsilon: float, plan: Plan, seed: int, providers: int = PROVIDERS
) -> float:
    """Accuracy of `plan` on a held-out part of the public slice.

    The slice's mean gradient gets the same noise as in the private run: one simulated provider with
    m examples instead of N providers with n in total has the multiplier z * sqrt(N) * m / n.
    """
    order = np.random.default_rng(seed).permutation(len(task.public.y))
    fit, held_out = np.split(order, [int(PUBLIC_TRAINING_SHARE * len(order))])
    scale = math.sqrt(providers) * len(fit) / len(task.private.y)
    multiplier = schedule(plan, epsilon).releases[1].noise_multiplier * scale
    scaled = replace(plan, centring_multiplier=plan.centring_multiplier * scale)
    one = Private(task.public.x[fit], task.public.y[fit])
    tested = Private(task.public.x[held_out], task.public.y[held_out])
    summed = own_noise(scaled, multiplier, [SeededNoise(seed)])
    return train([one], tested, task.labels, scaled, summed).accuracy(tested)


def _taken(
    features: Features, rows: NDArray[np.int64], mirrored: bool, shape: tuple[int, ...]
) -> Features:
    """Rows of features, copied 2,048 at a time to save memory."""
    if not mirrored:
        return np.asarray(features[rows])
    parts = np.array_split(rows, max(1, len(rows) // 2048))
    return np.concatenate(
        [scattering.mirrored(features[part], shape).astype(np.float16) for part in parts]
    )


def _images(x: NDArray[np.generic], scale: float) -> NDArray[np.float32]:
    return np.asarray(x.astype(np.float32) / np.float32(scale))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=sorted(PLANS))
    parser.add_argument("--epsilon", type=float, nargs="+", default=[2.0, 3.0, 5.0, 10.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--features", type=Path, default=FEATURES)
    parser.add_argument(
        "--tune",
        type=float,
        nargs=4,
        action="append",
        metavar=("ROUNDS", "CLIP", "RATE", "MOMENTUM"),
        required=True,
    )
    parser.add_argument(
        "--mirrored", action="store_true", help="An image and its mirror image count as one."
    )
    arguments = parser.parse_args()
    mirrored = arguments.mirrored
    task = Task.of(sources.load(arguments.data), arguments.features, mirrored)
    for seed in arguments.seeds:
        for epsilon in arguments.epsilon:
            for rounds, norm, rate, momentum in arguments.tune:
                plan = Plan(int(rounds), norm, rate, momentum, mirrored=mirrored)
                print(f"{epsilon:g} {seed} {plan} {tune_case(task, epsilon, plan, seed):.4f}")


if __name__ == "__main__":
    main()
