"""A whole request in one process: the daemons' own functions, without chain and content store.

Medians, inclusion, points, leader and reputation come from the Python mirrors of the contracts.
Everybody acts in time; the first leader's proposal passes if enough members approve it. Scores and
aggregates are equal to the last bit for all members, so they are computed only once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fedpact.consensus import payment, reputation
from fedpact.consensus.history import InMemoryHistory
from fedpact.consensus.leader import Candidate, approvals_needed, capped_weights, leader_order
from fedpact.consensus.replay import Replay
from fedpact.consensus.tally import LEADER_POINTS, RoundTally, tally
from fedpact.consensus.votes import pack_scores
from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError, SpecificationError
from fedpact.learning.artefact import Model, decode
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of, represented
from fedpact.learning.units import samples_of
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.simulation.adversaries import Provider, RoundTask
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID, MAX_SCORE
from fedpact.types.specification import JudgedOn, Specification

NoiseOf = Callable[[int, int], NoiseSource]
"""The noise of (provider, round); round 0 is noise on the data, the same at each call."""
PAYMENT_WEIGHT = 10
"""Weight of the simulated request in its members' reputation: as much as the newcomer's score."""


@dataclass(frozen=True)
class Seat:
    """A provider of the simulated committee."""

    number: int
    """Identifies the provider's noise, in any committee."""
    dataset: Dataset
    provider: Provider


@dataclass(frozen=True)
class SimulatedRound:
    tally: RoundTally
    leader: int


@dataclass
class SimulatedRequest:
    """Result of a request; lists have one entry per seat."""

    model: Model
    points: list[int]
    faults: list[int]
    rounds: list[SimulatedRound] = field(default_factory=list)
    stalled: bool = False
    """Whether the last tallied round lacked the approvals to become final."""

    def times_excluded(self, seat: int) -> int:
        """Rounds in which the seat's model was left out of the aggregate."""
        return sum(not one.tally.included >> seat & 1 for one in self.rounds)

    def reputations(self) -> list[int]:
        """Reputation of newcomers after this request, 1/10,000."""
        total, members = sum(self.points), len(self.points)
        return [
            reputation.score(
                reputation.record(
                    reputation.Sums(),
                    PAYMENT_WEIGHT,
                    payment.relative_quality(points, members, total),
                    payment.loss(faults),
                    ended_at=0,
                    now=0,
                ),
                now=0,
            )
            for points, faults in zip(self.points, self.faults, strict=True)
        ]


def simulate(
    spec: Specification,
    seats: Sequence[Seat],
    slices: Sequence[Dataset],
    noise_of: NoiseOf,
    on_round: Callable[[int], None] | None = None,
    *,
    initial_seed: int = 0,
    voting: bool = True,
) -> SimulatedRequest:
    """Run `spec.rounds` rounds, round r judged by slices[r - 1]; fewer if no model is included or
    too few members approve.

    Args:
        seats: the committee, in seat order; declared samples are those of their data sets.
        on_round: called with each round's number when it ends.
        initial_seed: of the first global model.
        voting: False to test the aggregation rule alone: every well-formed model is included,
            nothing is scored, and the points mean nothing.

    Raises SpecificationError for a specification that cannot run through the chain.
    """
    check_published(spec)
    if spec.judged_on is JudgedOn.OWN_RECORDS:
        raise SpecificationError(
            "judged_on own-records: members judge on different records, through the chain alone"
        )
    seats = [replace(seat, dataset=represented(spec, seat.dataset)) for seat in seats]
    slices = [represented(spec, part) for part in slices]
    initial = family_of(spec).initial(spec, seed=initial_seed)
    samples = {index: samples_of(spec, seat.dataset) for index, seat in enumerate(seats)}
    history = InMemoryHistory(spec, initial, samples)
    replay = Replay(history)
    result = SimulatedRequest(initial, [0] * len(seats), [0] * len(seats))
    approvals = sum(seat.provider.approves for seat in seats)
    needed = approvals_needed(len(seats), len(seats), spec.chain_approval_rule)
    submitted = (1 << len(seats)) - 1
    for number in range(1, spec.rounds + 1):
        models = _submitted(seats, replay, number, noise_of)
        history.models[number], history.slices[number] = models, slices[number - 1]
        if voting:
            scores = replay.scores(number)
        else:
            scores = {seat: INVALID if one is None else 0 for seat, one in models.items()}
        words = {}
        for index, seat in enumerate(seats):
            voter = seat.provider if voting else Provider()
            words[index] = pack_scores(voter.vote(scores, index))
        counted = tally(words, submitted, len(seats), spec.max_error, spec.vote_band)
        for index in range(len(seats)):
            result.points[index] += counted.points[index]
            result.faults[index] += counted.adverse >> index & 1
        result.stalled = voting and approvals < needed
        if not counted.included or result.stalled:
            break
        history.masks[number] = counted.valid, counted.included
        result.model = replay.global_model(number)
        # Now, while the models that the memories follow from are still kept.
        for index in range(len(seats)):
            replay.memory(index, number + 1)
        history.forget(number)
        replay.forget(number - 1)
        result.rounds.append(_finalised(spec, number, counted, samples, result))
        if on_round is not None:
            on_round(number)
    return result


def _submitted(
    seats: Sequence[Seat], replay: Replay, number: int, noise_of: NoiseOf
) -> dict[int, Model | None]:
    """The providers' submissions in a round, by seat; None for an invalid one."""
    spec = replay.history.spec
    last: dict[int, Model | None] = {}
    if number > 1:
        for other in replay.history.submitted(number - 1):
            last[other] = replay.history.model(number - 1, other)
    found = {}
    for index, seat in enumerate(seats):
        task = RoundTask(
            spec,
            replay.global_model(number - 1),
            {other: model for other, model in last.items() if other != index and model is not None},
            seat.dataset,
            noise_of(seat.number, number),
            noise_of(seat.number, 0),
            replay.local_task(index, number),
            (number, index),
        )
        found[index] = _decoded(spec, seat.provider.submit(task))
    return found


def noise(noise_seed: int, provider: int, round_number: int) -> NoiseSource:
    """Independent noise for each provider and round; repeatable, since the data are public."""
    seeds = np.random.SeedSequence([noise_seed, provider, round_number])
    return SeededNoise(int.from_bytes(seeds.generate_state(4, np.uint64).tobytes(), "little"))


def quality(spec: Specification, model: Model, data: Dataset) -> float:
    """1 - error: the share of right answers, or 1 - the scaled mean absolute error (regression)."""
    return 1 - family_of(spec).error(spec, model, data.x, data.y) / MAX_SCORE


def accuracy(spec: Specification, model: Model, test: Dataset) -> float:
    """Share of right answers."""
    predicted = family_of(spec).predict(spec, model, test.x).argmax(axis=1)
    return float((predicted == test.y).mean())


def _decoded(spec: Specification, artefact: bytes) -> Model | None:
    try:
        return decode(artefact, family_of(spec).template(spec))
    except ModelError:
        return None


def _finalised(
    spec: Specification,
    number: int,
    counted: RoundTally,
    samples: dict[int, int],
    result: SimulatedRequest,
) -> SimulatedRound:
    weights = capped_weights(samples)
    candidates = [
        Candidate(seat, f"0x{seat + 1:040x}", counted.medians[seat], weights[seat], 0)
        for seat in seats_of(counted.included)
    ]
    last_leader = result.rounds[-1].leader if result.rounds else None
    order = leader_order(
        candidates, number, spec.chain_leader_rule, sum(weights.values()), last_leader
    )
    result.points[order[0]] += LEADER_POINTS
    return SimulatedRound(counted, order[0])
