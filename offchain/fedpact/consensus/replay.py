"""One replay of a request: what follows from its facts, byte-identical for everybody.

A provider's daemon, an auditor, the simulator and the tests hold a request's facts in different
places (`History`). What they compute from them is the same and is written here: where local
training starts, what a strategy remembers, the scores, the aggregate and its error.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from fedpact.consensus.aggregate import global_model
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.group_scoring import score_groups
from fedpact.consensus.history import History
from fedpact.consensus.public_updates import KnownVector, PublicUpdates, most_vectors
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import score_round
from fedpact.errors import ContentError, ContentMissing, InvalidInput
from fedpact.learning.aggregation.base import Vector, flatten
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.local_training import reach
from fedpact.learning.strategies import Globals, LocalTask, Memory, strategy
from fedpact.types.scores import INVALID
from fedpact.types.specification import ScoreKind


@dataclass
class ReplayCache:
    """What a replay keeps from one round to the next; all of it can be computed again."""

    memories: dict[int, tuple[int, Memory]] = field(default_factory=dict)
    """By seat: the last round that a member's memory covers, and the memory."""
    starts: dict[int, dict[int, Model]] = field(default_factory=dict)
    """By round and seat: where local training started, of the last round that was scored."""
    updates: dict[int, dict[int, KnownVector]] = field(default_factory=dict)
    """By round and seat: the updates of valid models."""
    movements: dict[int, Vector] = field(default_factory=dict)
    """By round: how it moved the global model."""


@dataclass(frozen=True)
class Scoring:
    """The work of scoring a round. It holds all its inputs, so it may run in another thread."""

    rounds: tuple[RoundInputs, ...]
    """The round to score, after the earlier ones that `record` does not cover."""
    record: ContributionRecord

    def result(self) -> tuple[dict[int, int], ContributionRecord]:
        """The last round's scores by seat, and the record after it."""
        scores: dict[int, int] = {}
        record = self.record
        for inputs in self.rounds:
            judge = score_round if inputs.spec.privacy.sum is None else score_groups
            scores, record = judge(inputs, record)
        return scores, record


Summed = Callable[[int, int], Sequence[int]]
"""(round, seat) -> the members whose vectors are in the sum that the seat's model is of. Asked for
seats that have a model: the record of another one may be unavailable."""


class Replay:
    """What follows from a history. What the history already knows is not computed again, and what
    is computed is kept.

    Methods raise what the history raises, and ContentError where a model that counted as valid is
    none.
    """

    def __init__(
        self,
        history: History,
        kept: ReplayCache | None = None,
        summed: Summed | None = None,
        *,
        lenient: bool = False,
    ) -> None:
        """`kept`: where to keep what outlives this replay. `summed`: of requests that ask for
        secure sums, where they are known. `lenient`: a member's start is the round's global model
        where its own earlier models, from which its start follows, are nowhere."""
        self.history = history
        self._summed = summed
        self._lenient = lenient
        self._plan = strategy(history.spec.strategy)
        self._kept = ReplayCache() if kept is None else kept
        self._globals: dict[int, Model] = {}
        self._scored: dict[int, tuple[dict[int, int], ContributionRecord]] = {}

    # ------------------------------------------------------------------ global models

    def global_model(self, number: int) -> Model:
        """The global model after a round that became final; after round 0, the initial one."""
        if number == 0:
            return self.history.initial_model()
        if number in self._globals:
            return self._globals[number]
        known = self.history.final_model(number)
        if known is not None:
            return known
        self._globals[number] = self.aggregate(number)
        return self._globals[number]

    def aggregate(self, number: int) -> Model:
        """The aggregate of a tallied round's included models, with the strategy's step."""
        history = self.history
        included = history.included(number)
        return global_model(
            history.spec,
            number,
            self.globals_of(number),
            {seat: self._counted(number, seat) for seat in included},
            {seat: history.samples(seat) for seat in history.submitted(number)},
            included,
        )

    def error_of(self, number: int, model: Model) -> int:
        """Error of a model on a round's evaluation slice, 1/10,000; INVALID without a slice."""
        return self.measuring(number, model)()

    def measuring(self, number: int, model: Model) -> Callable[[], int]:
        """All that `error_of` takes, gathered now."""
        spec, part = self.history.spec, self.history.evaluation(number)
        if part is None:
            return lambda: INVALID
        return partial(family_of(spec).error, spec, model, part.x, part.y)

    # ------------------------------------------------------------------ the strategy

    def globals_of(self, number: int) -> Globals:
        """Models known to everybody when a round begins."""
        return Globals(
            initial=self.global_model(0),
            start=self.global_model(number - 1),
            before=self.global_model(number - 2) if number > 1 else None,
        )

    def local_task(self, seat: int, number: int) -> LocalTask:
        """The training that the strategy asks of a member in a round."""
        return self._plan.local(self.globals_of(number), self.memory(seat, number))

    def memory(self, seat: int, number: int) -> Memory | None:
        """A member's memory at the beginning of a round; None without one.

        It follows from the first and the last of the member's valid models (`Strategy.remember`),
        so a member that lost its state fetches only those.
        """
        if not self._plan.remembers:
            return None
        rounds = [one for one in range(1, number) if seat in self.history.valid(one)]
        if not rounds:
            return None
        covered, memory = self._kept.memories.get(seat, (0, None))
        if covered == rounds[-1]:
            return memory
        if covered not in rounds:
            memory = None
        factors = reach(self.history.spec, self.history.samples(seat))
        for one in sorted({rounds[0], rounds[-1]}) if memory is None else rounds[-1:]:
            model = self._counted(one, seat)
            memory = self._plan.remember(self.globals_of(one), memory, model, factors)
        if memory is not None:
            self._kept.memories[seat] = (rounds[-1], memory)
        return memory

    # ------------------------------------------------------------------ scores

    def round_inputs(self, number: int) -> RoundInputs:
        """What a round's scores follow from, besides the record."""
        history = self.history
        if history.spec.privacy.sum is not None:
            return self._summed_inputs(number)
        seats = history.submitted(number)
        starts = {seat: self._start(seat, number) for seat in seats}
        public = self._public(number)
        copied = number > 1 and not public.vectors
        inputs = RoundInputs(
            history.spec,
            number,
            self.global_model(number - 1),
            {seat: history.model(number, seat) for seat in seats},
            {seat: history.samples(seat) for seat in seats},
            history.evaluation(number),
            starts,
            history.published(number - 1) if copied else {},
            public,
            self._movement(number - 1) if number > 1 else None,
        )
        self._kept.starts.clear()
        self._kept.starts[number] = starts
        return inputs

    def _start(self, seat: int, number: int) -> Model:
        """Where the strategy had a member's training start."""
        try:
            return self.local_task(seat, number).start
        except (ContentMissing, ContentError):
            if not self._lenient:
                raise
            return self.global_model(number - 1)

    def wanted(self, number: int) -> list[int]:
        """The rounds whose models the scores of a round follow from, and that are not kept yet; the
        round itself first."""
        found, vectors, oldest, spec = [number], 0, number, self.history.spec
        if spec.privacy.sum is not None:
            return found  # no update is seen
        room = most_vectors(self._dimension) if family_of(spec).moves else 0
        while oldest > 1 and vectors < room:
            oldest -= 1
            kept = self._kept.updates.get(oldest)
            vectors += 1 + len(self.history.valid(oldest) if kept is None else kept)
            if kept is None:
                found.append(oldest)
        return [*found, number - 1] if number > 1 and not room else found

    def _summed_inputs(self, number: int) -> RoundInputs:
        """Of secure sums: the model of a seat is that of its group, and no update is seen."""
        history = self.history
        models = {seat: history.model(number, seat) for seat in history.submitted(number)}
        if self._summed is None:
            raise InvalidInput("secure sums work through the chain only, not in a simulation")
        sums = {
            seat: tuple(self._summed(number, seat))
            for seat, model in models.items()
            if model is not None
        }
        members = sorted(set(models).union(*sums.values()))
        return RoundInputs(
            history.spec,
            number,
            self.global_model(number - 1),
            models,
            {seat: history.samples(seat) for seat in members},
            history.evaluation(number),
            sums=sums,
        )

    def _public(self, number: int) -> PublicUpdates:
        """The public vectors before a round, newest first, as many as the span takes."""
        if not family_of(self.history.spec).moves:
            return PublicUpdates()
        room = most_vectors(self._dimension)
        vectors: list[KnownVector] = []
        owned: dict[int, int] = {}
        oldest = number
        while oldest > 1 and len(vectors) < room:
            oldest -= 1
            vectors.append(self._movement(oldest).astype(np.float32))
            for seat, update in self._updates(oldest).items():
                if len(vectors) < room:
                    vectors.append(update)
                    owned[seat] = owned.get(seat, 0) + 1
        for kept in (self._kept.updates, self._kept.movements):
            for one in [one for one in kept if one < oldest]:
                del kept[one]
        return PublicUpdates(tuple(vectors), owned)

    def _updates(self, number: int) -> dict[int, KnownVector]:
        """The updates of a tallied round's valid models, by seat."""
        if number not in self._kept.updates:
            published = self.history.published(number)
            starts = self._kept.starts.get(number) or {
                seat: self._start(seat, number) for seat in published
            }
            self._kept.updates[number] = {
                seat: (flatten(model) - flatten(starts[seat])).astype(np.float32)
                for seat, model in sorted(published.items())
            }
        return self._kept.updates[number]

    def _movement(self, number: int) -> Vector:
        """How a final round moved the global model."""
        if number not in self._kept.movements:
            after, before = self.global_model(number), self.global_model(number - 1)
            self._kept.movements[number] = flatten(after) - flatten(before)
        return self._kept.movements[number]

    @property
    def _dimension(self) -> int:
        tensors = family_of(self.history.spec).template(self.history.spec).tensors
        return sum(math.prod(shape) for _, shape in tensors)

    def scoring(self, number: int) -> Scoring:
        """All that scoring a round takes, gathered now.

        A member that missed rounds, or lost its state, scores those first: its record must be the
        others'.
        """
        first = self.first_unscored(number)
        record = self.record(first - 1)
        assert record is not None
        return Scoring(
            tuple(self.round_inputs(one) for one in range(first, number + 1)),
            record,
        )

    def scores(self, number: int) -> dict[int, int]:
        """A round's scores by seat, 1/10,000, lower is better; INVALID for what is no model that
        the declared mechanism can have produced."""
        for one in range(self.first_unscored(number), number + 1):
            if one not in self._scored:
                self._scored[one] = self.scoring(one).result()
        return self._scored[number][0]

    def forget(self, before_round: int) -> None:
        """Drop what was computed of earlier rounds."""
        for number in [one for one in self._globals if one < before_round]:
            del self._globals[number]
        for number in [one for one in self._scored if one < before_round]:
            del self._scored[number]

    def first_unscored(self, number: int) -> int:
        """The first round, up to `number`, before which all are scored."""
        first = number
        while self.record(first - 1) is None:
            first -= 1
        return first

    def record(self, number: int) -> ContributionRecord | None:
        """The contribution record after a round; None where that round is not scored yet."""
        spec = self.history.spec
        if number == 0 or (spec.score is ScoreKind.MODEL and spec.privacy.sum is None):
            return ContributionRecord()  # scores of this kind follow from their round alone
        if number in self._scored:
            return self._scored[number][1]
        return self.history.record(number)

    def _counted(self, number: int, seat: int) -> Model:
        model = self.history.model(number, seat)
        if model is None:
            raise ContentError(
                f"round {number}: the model of seat {seat} counted as valid, but it does not open"
                " as a model of this request"
            )
        return model
