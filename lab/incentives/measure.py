"""The tables: who earns what, and what the best responses are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any

import numpy as np

from fedpact.consensus.proof_of_quality import QUALITY_POINTS
from lab.incentives.game import Asking, Attesting, Game, Play, Result, Voting
from lab.incentives.scores import DEVIATOR, MEMBERS, SIZE, Recorded

ALONE = tuple(one for one in Voting if one is not Voting.ALLIES)
PAIR = frozenset({DEVIATOR - 1, DEVIATOR})
ROUND_POINTS = 10_000


@dataclass(frozen=True)
class Earning:
    """Means over the requests, in shares of an equal part of the pay; a standard error."""

    strategy: str
    own: float
    own_error: float
    own_spread: float
    """Standard deviation over the recordings (partition and seed) of a recording's mean."""
    honest: float
    """Mean of the members that are honest throughout."""
    faults: float
    """A request and deviating member."""
    paid: float
    """Share of the pay that the requester spends."""

    @property
    def row(self) -> dict[str, Any]:
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in vars(self).items()}


Records = Mapping[str, Sequence[Recorded]]
"""By training: requests of several partitions and seeds."""


def measure(records: Records, requests: int, seed: int) -> dict[str, Any]:
    """All strategies over so many requests each, and the best responses among them."""
    alone = [
        _earning(f"{training}; {voting}", records[training], {DEVIATOR: voting}, requests, seed)
        for training, voting in product(records, ALONE)
    ]
    pair = [
        _earning(
            f"{training}; {voting}",
            *(records[training], dict.fromkeys(PAIR, voting), requests, seed),
            allies=PAIR,
        )
        for training, voting in product(records, Voting)
    ]
    honest = records["honest"]
    censors = [
        _earning(
            f"{size} of {MEMBERS} attest {attesting}",
            *(honest, {}, requests, seed),
            allies=frozenset(range(MEMBERS - size, MEMBERS)),
            attesting=attesting,
        )
        for size, attesting in product((1, 2), (Attesting.NOTHING, Attesting.OTHER))
    ]
    askers = [
        _earning(asking.value, honest, {}, requests, seed, asking=asking) for asking in Asking
    ]
    return {
        "members": MEMBERS,
        "rounds": SIZE.rounds,
        "requests": requests,
        "epsilon": SIZE.epsilon,
        "models": [
            {"training": training, **model_pay(found)} for training, found in records.items()
        ],
        "alone": _ordered(alone),
        "pair": _ordered(pair),
        "censors": [one.row for one in censors],
        "requesters": [one.row for one in askers],
    }


def model_pay(records: Sequence[Recorded]) -> dict[str, float]:
    """What the last member's models alone earn under honest votes, in shares of an equal part of a
    round's points: in the first round, and the mean of later ones (of a single round: 0)."""
    first: list[float] = []
    later: list[float] = []
    for one in records:
        for number, scores in enumerate(one.scores):
            below = [max(0, one.max_error - score) for score in scores]
            share = below[DEVIATOR] / sum(below) if any(below) else 1 / MEMBERS
            (later if number else first).append(share * MEMBERS * QUALITY_POINTS / ROUND_POINTS)
    return {
        "first": round(float(np.mean(first)), 4),
        "later": round(float(np.mean(later)), 4) if later else 0.0,
    }


def _ordered(found: Iterable[Earning]) -> list[dict[str, Any]]:
    """The best response first."""
    return [one.row for one in sorted(found, key=lambda one: -one.own)]


def _earning(
    name: str,
    recorded: Sequence[Recorded],
    voting: Mapping[int, Voting],
    requests: int,
    seed: int,
    *,
    allies: frozenset[int] = frozenset(),
    attesting: Attesting = Attesting.HONEST,
    asking: Asking = Asking.OPENS,
) -> Earning:
    generator = np.random.default_rng(seed)
    games = [Game(one, Play(voting, allies, attesting, asking)) for one in recorded]
    results = [games[i % len(games)].play(generator) for i in range(requests)]
    deviating = sorted(allies or {DEVIATOR})
    others = [seat for seat in range(MEMBERS) if seat not in deviating]
    own = _of(results, deviating)
    return Earning(
        name,
        float(own.mean()),
        float(own.std() / sqrt(requests)),
        float(np.std([own[i :: len(games)].mean() for i in range(min(requests, len(games)))])),
        float(_of(results, others).mean()),
        float(np.mean([[one.faults[seat] for seat in deviating] for one in results])),
        float(np.mean([one.paid for one in results])),
    )


def _of(results: Sequence[Result], seats: Sequence[int]) -> "np.ndarray[Any, np.dtype[Any]]":
    return np.array([np.mean([one.pay[seat] for seat in seats]) for one in results])
