"""A whole request in one process: the daemons' own functions, without chain and content store.

Medians, inclusion, points, leader and reputation come from the mirrors of the contracts. Everybody
acts in time; the first leader's proposal passes where enough members approve it. Scores and
aggregates, which all members must get alike to the last bit, are worked out once for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fedpact.consensus import payment, reputation
from fedpact.consensus.aggregate import global_model
from fedpact.consensus.leader import Candidate, approvals_needed, capped_weights, leader_order
from fedpact.consensus.scoring import ContributionRecord, RoundInputs, score_round
from fedpact.consensus.tally import LEADER_POINTS, RoundTally, tally
from fedpact.consensus.votes import pack_scores
from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError
from fedpact.experiments.adversaries import Provider, RoundTask
from fedpact.learning.artefact import Model, decode
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of, represented
from fedpact.learning.local import reach
from fedpact.learning.strategies import Globals, Memory, strategy
from fedpact.learning.units import samples_of
from fedpact.privacy.noise import NoiseSource
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID, MAX_SCORE
from fedpact.types.specification import Specification

NoiseOf = Callable[[int, int], NoiseSource]
"""The noise of (provider, round); of round 0 what stays on the data, the same at each call."""
PAYMENT_WEIGHT = 10
"""Weight of the simulated request in its members' reputation: as much as the newcomer's score."""


@dataclass(frozen=True)
class Seat:
    """A provider of the simulated committee."""

    number: int
    """Names the provider's noise, whichever others sit beside it."""
    dataset: Dataset
    provider: Provider


@dataclass(frozen=True)
class SimulatedRound:
    tally: RoundTally
    leader: int


@dataclass
class SimulatedRequest:
    """What came out of a request; lists have one entry a seat."""

    model: Model
    points: list[int]
    faults: list[int]
    rounds: list[SimulatedRound] = field(default_factory=list)
    stalled: bool = False
    """Whether the last round counted never became final, for want of approvals."""

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
    """Run `spec.rounds` rounds, round r judged by slices[r - 1]; fewer where none is included, or
    where too few members approve.

    Args:
        seats: the committee, in seat order; declared samples are those of their data sets.
        on_round: told each round's number at its end.
        initial_seed: of the first global model.
        voting: False for what the aggregation rule does by itself: every well-formed model is
            included, nothing is scored, and the points mean nothing.

    Raises SpecificationError for a specification that cannot run through the chain.
    """
    check_published(spec)
    seats = [replace(seat, dataset=represented(spec, seat.dataset)) for seat in seats]
    slices = [represented(spec, part) for part in slices]
    model = family_of(spec).initial(spec, seed=initial_seed)
    result = SimulatedRequest(model, [0] * len(seats), [0] * len(seats))
    record = ContributionRecord()
    approvals = sum(seat.provider.approves for seat in seats)
    needed = approvals_needed(len(seats), len(seats), spec.chain_approval_rule)
    samples = {place: samples_of(spec, seat.dataset) for place, seat in enumerate(seats)}
    submitted = (1 << len(seats)) - 1
    last: dict[int, Model] = {}
    published: dict[int, Model] = {}
    plan = strategy(spec.strategy)
    globals_ = Globals(model, model)
    memories: dict[int, Memory] = {}
    for number in range(1, spec.rounds + 1):
        tasks = {place: plan.local(globals_, memories.get(place)) for place in range(len(seats))}
        models: dict[int, Model | None] = {}
        for place, seat in enumerate(seats):
            task = RoundTask(
                spec,
                result.model,
                {other: one for other, one in last.items() if other != place},
                seat.dataset,
                noise_of(seat.number, number),
                noise_of(seat.number, 0),
                tasks[place],
                (number, place),
            )
            models[place] = _decoded(spec, seat.provider.submit(task))
        if voting:
            inputs = RoundInputs(
                spec,
                number,
                result.model,
                models,
                samples,
                slices[number - 1],
                {seat: task.start for seat, task in tasks.items()},
                published,
            )
            scores, record = score_round(inputs, record)
        else:
            scores = {place: INVALID if one is None else 0 for place, one in models.items()}
        words = {}
        for place, seat in enumerate(seats):
            voter = seat.provider if voting else Provider()
            words[place] = pack_scores(voter.vote(scores, place))
        counted = tally(words, submitted, len(seats), spec.max_error, spec.vote_band)
        for place in range(len(seats)):
            result.points[place] += counted.points[place]
            result.faults[place] += counted.adverse >> place & 1
        result.stalled = voting and approvals < needed
        if not counted.included or result.stalled:
            break
        last = {place: one for place, one in models.items() if one is not None}
        published = {place: last[place] for place in seats_of(counted.valid) if place in last}
        memories |= _memories(spec, globals_, memories, last, counted.valid, samples)
        result.model = global_model(
            spec,
            number,
            result.model,
            last,
            samples,
            seats_of(counted.included),
            before=globals_.before,
        )
        globals_ = Globals(model, result.model, globals_.start)
        result.rounds.append(_finalised(spec, number, counted, samples, result))
        if on_round is not None:
            on_round(number)
    return result


def quality(spec: Specification, model: Model, data: Dataset) -> float:
    """1 - error: share of right answers, or 1 - mean absolute error in units of the scale."""
    return 1 - family_of(spec).error(spec, model, data.x, data.y) / MAX_SCORE


def accuracy(spec: Specification, model: Model, test: Dataset) -> float:
    """Share of right answers."""
    predicted = family_of(spec).predict(spec, model, test.x).argmax(axis=1)
    return float((predicted == test.y).mean())


def _memories(
    spec: Specification,
    globals_: Globals,
    memories: Mapping[int, Memory],
    models: Mapping[int, Model],
    valid: int,
    samples: Mapping[int, int],
) -> dict[int, Memory]:
    """What the strategy has the providers of this round's valid models remember."""
    plan, found = strategy(spec.strategy), {}
    for place in seats_of(valid) if plan.remembers else ():
        factors = reach(spec, samples[place])
        memory = plan.remember(globals_, memories.get(place), models[place], factors)
        if memory is not None:
            found[place] = memory
    return found


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
        Candidate(place, f"0x{place + 1:040x}", counted.medians[place], weights[place], 0)
        for place in seats_of(counted.included)
    ]
    last_leader = result.rounds[-1].leader if result.rounds else None
    order = leader_order(
        candidates, number, spec.chain_leader_rule, sum(weights.values()), last_leader
    )
    result.points[order[0]] += LEADER_POINTS
    return SimulatedRound(counted, order[0])
