"""What a vote is worth that was put together from earlier rounds' public medians."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedpact.consensus.scoring import EVEN_SHARE, NEUTRAL
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy
from fedpact.types.scores import INVALID
from lab.committees.data import SMALL, CommitteeSize, committee_data

Medians = Sequence[int]
"""One round's medians by seat, 1/10,000."""

GUESSES: Mapping[str, Callable[[Sequence[Medians]], list[float]]] = {
    "last": lambda past: [float(one) for one in past[-1]],
    "mean": lambda past: np.mean(past, axis=0).tolist(),
    "even": lambda past: [float(NEUTRAL - EVEN_SHARE)] * len(past[-1]),
    "neutral": lambda past: [float(NEUTRAL)] * len(past[-1]),
}
"""The last round's medians, the mean of all earlier ones, an even share, no share."""


def votes_case(
    partition: str, seed: int, scale: CommitteeSize = SMALL, dataset: str = "mnist"
) -> dict[str, Any]:
    """An honest request; in each round from the second, each member in turn votes a guess instead.

    Returns:
        `in_band`: per guess, the share of its scores within the vote band of the medians that the
        others agreed on; `adverse`: per guess, the share of members and rounds in which it is
        outside the band more often than not, and so earns nothing; `accuracy`.

    Raises:
        DataMissing: the data set's files are missing.
    """
    case = committee_data(dataset, partition, seed, scale)
    request = case.run(
        [Seat(seat, part, SimulatedProvider()) for seat, part in enumerate(case.parts)]
    )
    medians = [one.medians for one in request.rounds]
    in_band: dict[str, list[float]] = {name: [] for name in GUESSES}
    adverse: dict[str, list[float]] = {name: [] for name in GUESSES}
    for number in range(1, len(medians)):
        for name, guess in GUESSES.items():
            near = _near(guess(medians[:number]), medians[number], case.spec.vote_band)
            in_band[name].append(float(near.mean()))
            others = near.sum() - near
            adverse[name].append(float((2 * others + 1 < len(near)).mean()))
    return {
        "in_band": {name: float(np.mean(one)) for name, one in in_band.items()},
        "adverse": {name: float(np.mean(one)) for name, one in adverse.items()},
        "accuracy": accuracy(case.spec, request.model, case.test),
    }


def _near(guess: Sequence[float], medians: Medians, band: int) -> "np.ndarray[Any, np.dtype[Any]]":
    """By seat, 1 where the guess is within the band (`tally`)."""
    wanted = np.array(medians)
    near = np.abs(np.array(guess) - wanted) <= band
    return np.where(wanted == INVALID, np.array(guess) == INVALID, near).astype(np.int64)
