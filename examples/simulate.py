"""Simulate a whole request for an example's draft on a public data set, in one process.

    FEDPACT_DATA=... python examples/simulate.py examples/resnet/draft.toml cifar10 --providers 3

Members train, vote and aggregate as daemons do; noise is as the draft says. Labels of the data set
that the draft does not name are left out. Data sets: docs/data.md.
"""

import argparse
from pathlib import Path

import numpy as np

from fedpact import Draft
from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy, noise, simulate


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("draft", type=Path)
    options.add_argument("data", help="such as cifar10, 20newsgroups")
    options.add_argument("--providers", type=int, default=3)
    options.add_argument("--examples", type=int, help="of each provider; by default all there are")
    options.add_argument("--evaluation", type=int, default=500, help="examples of the requester")
    options.add_argument("--seed", type=int, default=0, help="of split, noise and first model")
    options.add_argument("--without-privacy", action="store_true")
    options.add_argument(
        "--held-out",
        action="store_true",
        help="test on training examples that nobody holds, to choose settings",
    )
    asked = options.parse_args()
    draft = Draft.read(asked.draft)
    if asked.without_privacy:
        draft = draft.changed(privacy={"mode": "none"})
    spec = draft.specification
    source = sources.load(asked.data, asked.seed)
    index = np.full(len(source.labels), -1)
    for place, name in enumerate(spec.labels):
        index[source.labels.index(name)] = place
    order = np.random.default_rng(asked.seed).permutation(
        np.flatnonzero(index[source.y_train] >= 0)
    )

    def held(rows: np.ndarray) -> Dataset:
        part = source.train_set(rows)
        return Dataset(part.x, index[part.y], ())

    evaluation, order = order[: asked.evaluation], order[asked.evaluation :]
    whole = source.test_set()
    known = np.flatnonzero(index[whole.y] >= 0)
    test = Dataset(whole.x[known], index[whole.y[known]], ())
    if asked.held_out:
        test, order = held(order[: len(order) // 5]), order[len(order) // 5 :]
    if asked.examples is not None:
        order = order[: asked.providers * asked.examples]
    parts = partition.iid(source.y_train[order], asked.providers, asked.seed)
    seats = [
        Seat(number, held(order[part]), SimulatedProvider()) for number, part in enumerate(parts)
    ]
    cuts = cut_stratified(
        source.y_train[evaluation], spec.rounds, np.random.default_rng(asked.seed)
    )
    result = simulate(
        spec,
        seats,
        [held(evaluation[cut]) for cut in cuts],
        lambda provider, number: noise(asked.seed, provider, number),
        lambda number: print(f"round {number} is final", flush=True),
        initial_seed=asked.seed,
    )
    print(f"{spec.family.name} on {asked.data}: {spec.privacy.statement}")
    print(f"{len(seats)} providers of {[len(seat.dataset) for seat in seats]} examples")
    print(f"{len(result.rounds)} of {spec.rounds} rounds final, points {result.points}")
    print(f"accuracy {accuracy(spec, result.model, test):.4f} on {len(test)} examples")


if __name__ == "__main__":
    main()
