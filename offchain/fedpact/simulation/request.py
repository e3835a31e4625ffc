"""A whole request in one process: the daemons' own functions, without chain and content store.

Boards, quorum, leader, points and reputation come from the Python mirrors of the contracts.
Everybody acts in time. Scores and aggregates are equal to the last bit for all members, so they are
computed only once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from fedpact.chain.signed_messages import Board
from fedpact.consensus import reputation
from fedpact.consensus.history import InMemoryHistory
from fedpact.consensus.leader import leader
from fedpact.consensus.payout import MemberSum, of_round, sums_of
from fedpact.consensus.proof_of_quality import Final, Rules, astray, blind, finalised, judge
from fedpact.consensus.replay import Replay
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput, ModelError, SpecificationError
from fedpact.learning.artefact import Model, decode, encode
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of, represented
from fedpact.learning.units import samples_of
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.simulation.adversaries import RoundTask, SimulatedProvider
from fedpact.types.requests import NOBODY, CohortMember, Earned, mask_of, seats_of
from fedpact.types.scores import MAX_SCORE, MAX_SEATS, lane, pack_scores
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
    provider: SimulatedProvider


@dataclass(frozen=True)
class SimulatedRound:
    """A round that became final."""

    medians: tuple[int, ...]
    """By seat, 1/10,000; INVALID for what is no model."""
    valid: int
    included: int
    """Masks: the seats whose model is valid, and those whose model was aggregated."""


@dataclass
class SimulatedRequest:
    """Result of a request; lists have one entry per seat."""

    model: Model
    seats: int
    rounds: list[SimulatedRound] = field(default_factory=list)
    earned: list[Earned] = field(default_factory=list)
    """What each round earned. The last one may not have become final."""
    stalled: bool = False
    """Whether the last round did not become final, which ended the request."""

    @property
    def points(self) -> list[int]:
        return [one.points for one in self._sums()]

    def times_excluded(self, seat: int) -> int:
        """Rounds in which the seat's model was left out of the aggregate."""
        return sum(not one.included >> seat & 1 for one in self.rounds)

    def reputations(self) -> list[int]:
        """Reputation of newcomers after this request, 1/10,000: as a settlement records it where
        the last final model was delivered, or where there was none."""
        found = []
        for own in self._sums():
            final = bool(self.rounds)
            weight, quality = (PAYMENT_WEIGHT, own.quality) if final else (0, 0)
            losses = 0 if final else own.losses
            sums = reputation.record(reputation.Sums(), weight, quality, losses, 0, 0)
            found.append(reputation.score(sums, now=0))
        return found

    def _sums(self) -> list[MemberSum]:
        sums = sums_of(self.earned)
        return [sums.get(seat, MemberSum()) for seat in range(self.seats)]


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
    """Run `spec.rounds` rounds, round r judged by slices[r - 1]; fewer once the target is met or a
    round does not become final, as in a request whose pool is its cohort.

    Args:
        seats: the committee, in seat order; declared samples are those of their data sets.
        on_round: called with each round's number when it ends.
        initial_seed: of the first global model.
        voting: False to test the aggregation rule alone: every well-formed model is included, and
            nothing is scored, attested or paid.

    Raises SpecificationError for a specification that cannot run through the chain, InvalidInput
    for more seats than a round has.
    """
    check_published(spec)
    if len(seats) > MAX_SEATS:
        raise InvalidInput(f"{len(seats)} providers: a round has {MAX_SEATS} seats at most")
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
    committee = _Committee(spec, seats, samples, replay)
    result = SimulatedRequest(initial, len(seats))
    for number in range(1, spec.rounds + 1):
        models = _submitted(seats, replay, number, noise_of)
        history.models[number], history.slices[number] = models, slices[number - 1]
        board = committee.board(number) if voting else _unjudged(models)
        medians = tuple(lane(board.medians, seat) for seat in range(len(seats)))
        valid = mask_of(seat for seat, median in enumerate(medians) if median <= MAX_SCORE)
        history.masks[number] = valid, board.included
        reached = False
        if voting:
            entry, final = committee.attested(number, board)
            result.earned.append(entry)
            result.stalled, reached = final is None, final is not None and final.reached
        if result.stalled or not board.included:
            break
        result.model = replay.global_model(number)
        # Now, while the models that the memories follow from are still kept.
        for index in range(len(seats)):
            replay.memory(index, number + 1)
        history.forget(number)
        replay.forget(number - 1)
        result.rounds.append(SimulatedRound(medians, valid, board.included))
        if on_round is not None:
            on_round(number)
        if reached:
            break
    return result


class _Committee:
    """The members' votes and attestations, and what the contracts make of them."""

    def __init__(
        self,
        spec: Specification,
        seats: Sequence[Seat],
        samples: Mapping[int, int],
        replay: Replay,
    ) -> None:
        self._seats, self._replay = seats, replay
        self._everyone = (1 << len(seats)) - 1
        self._rules = Rules(
            *(spec.max_error, spec.target, spec.vote_band),
            *(spec.chain_leader_rule, spec.chain_approval_rule),
        )
        self._members = [
            CohortMember(seat, f"0x{seat + 1:040x}", count, reputation.NEWCOMER)
            for seat, count in samples.items()
        ]
        self._last_leader: int | None = None

    def board(self, number: int) -> Board:
        """What the votes on a round's models come to."""
        scores = self._replay.scores(number)
        votes = {
            index: pack_scores(seat.provider.vote(scores, index))
            for index, seat in enumerate(self._seats)
        }
        return judge(votes, self._everyone, self._rules.max_error, self._rules.vote_band)[0]

    def attested(self, number: int, board: Board) -> tuple[Earned, Final | None]:
        """What a round earns, and what it ends with; None if it does not become final."""
        faults, final = board.faults, None
        if board.included and len(self._seats) > 1:
            given = self._attestations(number, board.included)
            everyone, rules = self._everyone, self._rules
            final = finalised(
                board, given, everyone, rules, lambda able: self._leader(number, able, board)
            )
            faults |= astray(given, everyone, everyone, voided=0, halted=False)
        if final is not None:
            self._last_leader = None if final.leader == NOBODY else final.leader
        points, digest = (final.points, final.digest) if final else (board.points, bytes(32))
        return of_round(range(len(self._seats)), points, faults, digest), final

    def _attestations(self, number: int, included: int) -> list[tuple[int, bytes, int]]:
        """Seat, digest and error; none where an included model does not open."""
        model_of = self._replay.history.model
        if any(model_of(number, seat) is None for seat in seats_of(included)):
            return []
        model = self._replay.global_model(number)
        digest, error = sha256(encode(model)).digest(), self._replay.error_of(number, model)
        return [
            (index, attested, error)
            for index, seat in enumerate(self._seats)
            if (attested := seat.provider.attest(digest)) is not None
        ]

    def _leader(self, number: int, able: int, board: Board) -> int:
        return leader(
            *(able, self._everyone, board.medians, self._members),
            *(number, self._rules.leader_rule, self._last_leader),
        )


def _unjudged(models: Mapping[int, Model | None]) -> Board:
    """All models that open are equal."""
    opening = mask_of(seat for seat, model in models.items() if model is not None)
    return blind(opening, opening)


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
